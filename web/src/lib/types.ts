// The shapes of the admin API, as the console reads them. Fields a server may leave out are optional: a page shows what is there.

export type StationState = "fresh" | "stale" | "missing" | "running" | "failed";
/** ISO 8601 text or seconds since 1970. */
export type Moment = string | number;

export interface Station {
  name: string;
  state: StationState;
  detail?: string | null;
  updated_at?: Moment | null;
  seconds?: number | null;
}

export interface VersionBrief {
  version: string;
  created_at?: Moment | null;
  metrics?: Metrics | null;
}

export interface Status {
  workspace: { name: string; path: string };
  production: VersionBrief | null;
  candidate?: VersionBrief | null;
  /** What this server answers with, and why it may lag behind production. */
  serving?: { version?: string | null; trouble?: string | null } | null;
  stations: Station[];
}

/** A figure, alone or with its 95 % interval; groups (one a language) nest. */
export type MetricNode = number | string | boolean | null | { [name: string]: MetricNode } | MetricNode[];
export type Metrics = { [name: string]: MetricNode };

export interface Run {
  id: string;
  kind?: string;
  status?: string;
  created_at?: Moment | null;
  seconds?: number | null;
  summary?: { [name: string]: MetricNode } | null;
}

export interface RunEvent {
  type: string;
  step?: number;
  loss?: number;
  lr?: number;
  grad_norm?: number;
  tokens?: number;
  tokens_per_second?: number;
  mfu?: number;
  rss_mb?: number;
  seconds?: number;
  bits_per_byte?: number;
  status?: string;
  best?: boolean;
  [name: string]: unknown;
}

export interface DroppedExample {
  reason?: string;
  text?: string;
  source?: string;
  record?: number;
  detail?: string;
}

export interface PrepareStep {
  name: string;
  rows_in: number;
  rows_out: number;
  dropped?: number;
  changed?: number;
  by_language?: { [language: string]: { in?: number; out?: number } };
  reasons?: { [reason: string]: number };
  examples?: DroppedExample[];
}

export interface PrepareReport {
  rows_in: number;
  rows_out: number;
  bytes_in?: number;
  bytes_out?: number;
  steps?: PrepareStep[];
  languages?: { [language: string]: { rows: number; bytes: number } };
  splits?: { [split: string]: { rows: number; bytes: number } };
  sources?: { [source: string]: { rows_in: number; rows_out: number } };
  personal_data?: { [kind: string]: number };
  warnings?: string[];
}

export interface CollectSource {
  name: string;
  kind?: string;
  licence?: string;
  files?: number;
  files_again?: number;
  files_bad?: number;
  bytes_in?: number;
  records?: number;
  rows_bad?: number;
  charsets?: { [charset: string]: number };
  problems?: { where?: string; message?: string; text?: string }[];
}

export interface CollectReport {
  rows_out?: number;
  bytes_in?: number;
  sources?: CollectSource[];
}

export interface Fertility {
  tokens_per_char?: number;
  tokens_per_word?: number;
  bytes_per_token?: number;
  byte_level_tokens_per_char?: number;
  byte_level_tokens_per_word?: number;
}

export interface TokenizerReport {
  algorithm?: string;
  vocab_size?: number;
  languages?: { [language: string]: Fertility };
  all?: Fertility;
}

export interface DataReport {
  collect?: CollectReport | null;
  prepare?: PrepareReport | null;
  tokenizer?: TokenizerReport | null;
}

export interface Gate {
  passed?: boolean;
  reasons?: string[];
}

export interface Version {
  version: string;
  created_at?: Moment | null;
  aliases?: string[];
  run_id?: string | null;
  parent?: string | null;
  metrics?: Metrics | null;
  parity?: { [name: string]: MetricNode } | null;
  gate?: Gate | null;
  bytes?: number | null;
}

export interface Feedback {
  id: string | number;
  answer_id?: string;
  rating?: string | null;
  correction?: string | null;
  comment?: string | null;
  created_at?: Moment | null;
  /** The conversation before the answer. */
  messages?: { role?: string; content?: string }[];
  answer?: string | null;
  version?: string | null;
  state?: "new" | "used" | "rejected";
  reason?: string | null;
}

export interface FeedbackList {
  feedback: Feedback[];
  counts?: { total?: number; up?: number; down?: number; corrections?: number; new_corrections?: number };
}

export interface Improve {
  state: "idle" | "running" | "done" | "failed";
  log?: (string | { [name: string]: unknown })[];
  result?: ImproveResult | null;
}

/** What came of an improvement; `error` alone when it failed. */
export interface ImproveResult {
  error?: string;
  state?: "promoted" | "refused" | "nothing_to_do";
  headline?: string;
  candidate?: string | null;
  production_before?: string | null;
  production_after?: string | null;
  rows?: { train?: number; held_out?: number; replay?: number };
  examples?: { question?: string; correction?: string; before?: string; after?: string; held_out?: boolean }[];
  gate?: Gate | null;
  seconds?: number;
}

export interface AuditEntry {
  id: number;
  created_at?: Moment;
  actor?: string;
  action?: string;
  subject?: string;
  detail?: MetricNode;
}

export interface AuditLog {
  audit: AuditEntry[];
  /** Whether every row still fits the hash of the row before it. */
  intact?: boolean;
  damage?: string;
}
