// What the server says about its predictions: the task and its inputs, answers, and why.
import { postJson } from "./api";

export interface Field {
  name: string;
  type: "number" | "category" | "text";
  values?: string[];
  example?: string | number | null;
}

export interface Schema {
  kind: string;
  fields?: Field[];
  width?: number;
  height?: number;
  channels?: number;
}

/** Of the served model; what generates text or vectors has neither labels nor a schema. */
export interface Served {
  task: string;
  model: string;
  problem?: string;
  labels?: string[];
  schema?: Schema;
  nearest?: boolean; // whether training examples like an input can be asked for
}

export type Task = Required<Served>;

export type Input = { [name: string]: string | number | null };

export interface Reason {
  feature: string;
  score: number;
}

/** A training example; its input is absent where it was too long to be kept. */
export interface Neighbour {
  id?: string;
  label?: string;
  target?: number;
  similarity: number;
  input?: Input;
}

export interface Prediction {
  id: string;
  label?: string;
  probability?: number;
  probabilities?: { [label: string]: number };
  value?: number;
  explanation?: Reason[];
  nearest?: Neighbour[];
}

export const kMethods = ["integrated_gradients", "occlusion"] as const;
export type Method = (typeof kMethods)[number];

export async function predict(input: Input, explain: Method, nearest: number): Promise<Prediction> {
  const answer = await postJson<{ predictions: Prediction[] }>("v1/predictions", { input, explain, nearest });
  const prediction = answer.predictions[0];
  if (prediction === undefined) throw new Error("no prediction");
  return prediction;
}

/** "pixel 3,14" as [column 3, row 14, 1, 1], "patch 4,8 4x4" as [4, 8, 4, 4]; null for other features. */
export function areaOf(feature: string): [number, number, number, number] | null {
  const match = /^(?:pixel (\d+),(\d+)|patch (\d+),(\d+) (\d+)x(\d+))$/.exec(feature);
  if (match === null) return null;
  const [, x, y, left, top, width, height] = match;
  return x !== undefined ? [Number(x), Number(y), 1, 1] : [Number(left), Number(top), Number(width), Number(height)];
}

/** The input of a form: numbers as numbers, what was left empty as missing. */
export function inputOf(fields: readonly Field[], values: { [name: string]: string }): Input {
  const input: Input = {};
  for (const { name, type } of fields) {
    const text = (values[name] ?? "").trim();
    const number = Number(text);
    input[name] = text === "" ? null : type === "number" && Number.isFinite(number) ? number : text;
  }
  return input;
}

/** Where a drawing goes on a picture of `size`: its longest side takes 20 of 28 parts, its centre of mass the middle. */
export function placement(ink: Float32Array, width: number, height: number, size: number): { x: number; y: number; scale: number } | null {
  let left = width, right = -1, top = height, bottom = -1, mass = 0, sumX = 0, sumY = 0;
  for (let y = 0; y < height; ++y) {
    for (let x = 0; x < width; ++x) {
      const value = ink[y * width + x] ?? 0;
      if (value <= 0) continue;
      left = Math.min(left, x);
      right = Math.max(right, x);
      top = Math.min(top, y);
      bottom = Math.max(bottom, y);
      mass += value;
      sumX += value * (x + 0.5);
      sumY += value * (y + 0.5);
    }
  }
  if (mass === 0) return null;
  const scale = ((20 / 28) * size) / Math.max(right - left + 1, bottom - top + 1);
  return { x: size / 2 - (sumX / mass) * scale, y: size / 2 - (sumY / mass) * scale, scale };
}

/** What people see of what was asked: the input of a prediction, which is kept as JSON, as its picture, its texts or its columns. */
export function shownQuestion(content: string): { picture: string } | { text: string } {
  let input: unknown;
  try {
    input = content.startsWith("{") ? JSON.parse(content) : null;
  } catch {
    input = null;
  }
  if (input === null || typeof input !== "object") return { text: content };
  const fields = Object.entries(input);
  if (fields.length === 0 || fields.some(([, value]) => value !== null && typeof value === "object")) return { text: content };
  const [name, value] = fields[0]!;
  if (name === "image" && typeof value === "string" && /^data:image\/(png|jpeg);base64,/.test(value)) return { picture: value };
  if (fields.every(([name]) => name === "text" || name === "text_pair")) return { text: fields.map(([, value]) => value ?? "").filter(Boolean).join(" | ") };
  return { text: fields.map(([name, value]) => `${name} ${value ?? "-"}`).join(", ") };
}
