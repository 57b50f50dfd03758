// The dictionary: t("key") in the reader's language, {name} filled from the values. Components that call t() follow a change.
import { signal } from "@preact/signals";
import type { Lang } from "./format";
import { recall, remember } from "./store";
import { type Word, words } from "./words";

export function pickLanguage(saved: string | null, browser: readonly string[]): Lang {
  if (saved === "en" || saved === "zh") return saved;
  const first = browser.find((name) => /^(en|zh)\b/i.test(name));
  return first !== undefined && /^zh/i.test(first) ? "zh" : "en";
}

export function fill(text: string, values: Record<string, string | number>): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

export const lang = signal<Lang>(pickLanguage(recall("language"), typeof navigator === "undefined" ? [] : navigator.languages));

export function setLanguage(next: Lang): void {
  lang.value = next;
  remember("language", next);
}

export function t(word: Word, values: Record<string, string | number> = {}): string {
  return fill(words[word][lang.value === "zh" ? 1 : 0], values);
}

/** The dictionary's word for a name that comes from the server ("step.clean"), or the name itself. */
export function named(group: string, name: string): string {
  const word = `${group}.${name}`;
  return word in words ? t(word as Word) : name.replace(/_/g, " ");
}
