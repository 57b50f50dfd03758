// The plots of an evaluation report (eval/report/report.h) as the console draws them: read from its JSON, thinned,
// anything malformed left out. Pure functions.
import { isNumber } from "./format";
import type { MetricNode } from "./types";

export type Point = [number, number];

export interface CalibrationBin {
  confidence: number;
  accuracy: number;
  rows: number;
}

export interface Confusion {
  classes: string[];
  counts: number[][]; // [true][predicted]
}

export interface Plots {
  roc: Point[];
  precisionRecall: Point[];
  calibration: CalibrationBin[];
  confusion: Confusion | null;
}

const kMostPoints = 240;
const kMostClasses = 24;

function field(node: MetricNode | undefined, name: string): MetricNode | undefined {
  return node !== null && typeof node === "object" && !Array.isArray(node) ? node[name] : undefined;
}

/** At most `most` of them, evenly, with both ends. */
export function thinned<T>(points: T[], most: number): T[] {
  if (points.length <= most) return points;
  return Array.from({ length: most }, (_, i) => points[Math.round((i * (points.length - 1)) / (most - 1))]!);
}

function curveOf(node: MetricNode | undefined): Point[] {
  if (!Array.isArray(node)) return [];
  const points = node.flatMap((one): Point[] => (Array.isArray(one) && isNumber(one[0]) && isNumber(one[1]) ? [[one[0], one[1]]] : []));
  return thinned(points, kMostPoints);
}

function binsOf(node: MetricNode | undefined): CalibrationBin[] {
  if (!Array.isArray(node)) return [];
  return node.flatMap((one) => {
    const [confidence, accuracy, rows] = [field(one, "confidence"), field(one, "accuracy"), field(one, "rows")];
    return isNumber(confidence) && isNumber(accuracy) && isNumber(rows) ? [{ confidence, accuracy, rows }] : [];
  });
}

function confusionOf(node: MetricNode | undefined): Confusion | null {
  const [names, flat] = [field(node, "classes"), field(node, "counts")];
  if (!Array.isArray(names) || !Array.isArray(flat)) return null;
  const n = names.length;
  if (n < 2 || n > kMostClasses || flat.length !== n * n || !flat.every(isNumber)) return null;
  const counts = flat as number[];
  return { classes: names.map(String), counts: names.map((_, row) => counts.slice(row * n, (row + 1) * n)) };
}

export function plotsOf(report: { [name: string]: MetricNode }): Plots {
  const plots = report["plots"];
  return {
    roc: curveOf(field(plots, "roc")),
    precisionRecall: curveOf(field(plots, "precision_recall")),
    calibration: binsOf(field(plots, "calibration")),
    confusion: confusionOf(field(plots, "confusion")),
  };
}

export interface WorstSlice {
  name: string;
  rows: number;
  score: MetricNode;
  rest: number; // the score of all other rows
  p: number; // corrected for the number of slices
}

/** The score that slices are of: "accuracy". */
export function sliceScoreOf(report: { [name: string]: MetricNode }): string {
  const name = field(report["worst_slices"], "of");
  return typeof name === "string" ? name : "score";
}

/** The slices of rows that do worst, as eval/fairness finds them. */
export function worstSlicesOf(report: { [name: string]: MetricNode }): WorstSlice[] {
  const slices = field(report["worst_slices"], "slices");
  if (!Array.isArray(slices)) return [];
  return slices.flatMap((one) => {
    const [name, rows, score, rest, p] = ["name", "rows", "score", "rest", "adjusted_p"].map((key) => field(one, key));
    return typeof name === "string" && score !== undefined && isNumber(rows) && isNumber(rest) && isNumber(p) ? [{ name, rows, score, rest, p }] : [];
  });
}
