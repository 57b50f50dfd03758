// Figures, times and sizes as people read them. Pure functions: the language comes in as an argument.
import type { MetricNode, Moment } from "./types";

export type Lang = "en" | "zh";

const kLocale: Record<Lang, string> = { en: "en-GB", zh: "zh-CN" };
const kNothing = "–";

export function isNumber(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value);
}

/** 1234567 -> "1,234,567". */
export function count(value: unknown): string {
  return isNumber(value) ? Math.round(value).toString().replace(/\B(?=(\d{3})+$)/g, ",") : kNothing;
}

/** Four significant digits, without an exponent where that stays readable. */
export function figure(value: unknown, digits = 4): string {
  if (!isNumber(value)) return kNothing;
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size < 1e-4) return value.toExponential(1).replace("e", "e");
  if (size >= 1e4) return count(value);
  return Number(value.toPrecision(digits)).toString();
}

export function percent(share: unknown, digits = 1): string {
  return isNumber(share) ? `${(share * 100).toFixed(digits)} %` : kNothing;
}

export function bytes(value: unknown): string {
  if (!isNumber(value)) return kNothing;
  const units = ["B", "KB", "MB", "GB", "TB"];
  let unit = 0;
  let rest = value;
  while (rest >= 1000 && unit < units.length - 1) {
    rest /= 1000;
    ++unit;
  }
  return `${unit === 0 ? rest : rest.toPrecision(3)} ${units[unit]}`;
}

/** 75 -> "1 min 15 s"; 0.41 -> "0.41 s". */
export function duration(seconds: unknown): string {
  if (!isNumber(seconds)) return kNothing;
  if (seconds < 10) return `${Number(seconds.toFixed(2))} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

export function moment(value: Moment | null | undefined): Date | null {
  if (value === null || value === undefined || value === "" || value === 0) return null;
  const date = typeof value === "number" ? new Date(value < 1e11 ? value * 1000 : value) : new Date(value);
  return Number.isNaN(date.getTime()) ? null : date;
}

/** "3 minutes ago", "3分钟前". */
export function ago(value: Moment | null | undefined, lang: Lang, now = Date.now()): string {
  const date = moment(value);
  if (date === null) return kNothing;
  const words = new Intl.RelativeTimeFormat(kLocale[lang], { numeric: "auto" });
  const seconds = Math.min(0, (date.getTime() - now) / 1000);
  const steps: [number, Intl.RelativeTimeFormatUnit][] = [[60, "second"], [3600, "minute"], [86400, "hour"], [Infinity, "day"]];
  let size = 1;
  for (const [limit, unit] of steps) {
    if (-seconds < limit) return words.format(Math.ceil(seconds / size), unit);
    size = limit;
  }
  return kNothing;
}

export function dateTime(value: Moment | null | undefined, lang: Lang): string {
  const date = moment(value);
  return date === null ? kNothing : date.toLocaleString(kLocale[lang], { dateStyle: "medium", timeStyle: "short" });
}

export interface Metric {
  value: number;
  low?: number;
  high?: number;
}

/** Reads 1.5, {"value":1.5} or {"value":1.5,"ci95":[1.4,1.6]}; null for anything else. */
export function asMetric(node: MetricNode | undefined): Metric | null {
  if (isNumber(node)) return { value: node };
  if (node === null || typeof node !== "object" || Array.isArray(node)) return null;
  const value = node["value"];
  if (!isNumber(value)) return null;
  const interval = node["ci95"];
  if (Array.isArray(interval) && isNumber(interval[0]) && isNumber(interval[1])) {
    return { value, low: interval[0], high: interval[1] };
  }
  return { value };
}

/** Every metric of a nested object, named by its path: "languages.en.bits_per_byte", or with other marks between. */
export function metricsOf(node: MetricNode | undefined, path = "", between = "."): [string, Metric][] {
  const metric = asMetric(node);
  if (metric !== null) return [[path, metric]];
  if (node === null || typeof node !== "object") return [];
  if (Array.isArray(node)) {
    // Lists of things with names (the worst slices) are as objects by these names.
    return node.flatMap((one) => {
      if (one === null || typeof one !== "object" || Array.isArray(one)) return [];
      const { name, ...rest } = one as { [key: string]: MetricNode };
      return typeof name === "string" ? metricsOf(rest, path === "" ? name : path + between + name, between) : [];
    });
  }
  return Object.entries(node).flatMap(([name, child]) => metricsOf(child, path === "" ? name : path + between + name, between));
}

/** Every value of a nested object as text, named by its path; empty ones are left out. */
export function facts(node: MetricNode | undefined, path = ""): [string, string][] {
  if (node === null || node === undefined || node === "") return [];
  if (Array.isArray(node)) {
    const lines = node.map((one) => (one !== null && typeof one === "object" ? JSON.stringify(one) : String(one)));
    return lines.length === 0 ? [] : [[path, lines.join("\n")]];
  }
  if (typeof node === "object") {
    const metric = asMetric(node);
    if (metric !== null) return [[path, figure(metric.value)]];
    return Object.entries(node).flatMap(([name, child]) => facts(child, path === "" ? name : `${path}.${name}`));
  }
  return [[path, typeof node === "number" ? (Number.isInteger(node) ? count(node) : figure(node)) : String(node)]];
}

/** "tokens_per_second" -> "tokens per second", for names that no dictionary knows. */
export function plainName(name: string): string {
  return name.replace(/_/g, " ").replace(/\./g, " · ");
}
