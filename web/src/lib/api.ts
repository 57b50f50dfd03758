// Calls to the server that serves this page. Addresses are relative; errors are OpenAI-shaped and become ApiError with a
// sentence for the reader. A 401 opens the key prompt (`keyWanted`); a new key makes every open page load again (`keyEpoch`).
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { useSignal } from "@preact/signals";

export class ApiError extends Error {
  constructor(message: string, readonly status: number) {
    super(message);
  }
}

const kKeyName = "volant.key";
export const keyWanted = signal(false);
export const keyRefused = signal(false);
export const keyEpoch = signal(0);
let key = "";
try {
  key = sessionStorage.getItem(kKeyName) ?? "";
} catch {
  key = "";
}

export function setKey(next: string): void {
  key = next;
  try {
    sessionStorage.setItem(kKeyName, next);
  } catch {
    // The key then lasts as long as the page.
  }
  keyWanted.value = false;
  ++keyEpoch.value;
}

export async function request(method: string, path: string, body?: unknown, signal_?: AbortSignal): Promise<Response> {
  const headers: Record<string, string> = {};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (key !== "") headers["Authorization"] = `Bearer ${key}`;
  const response = await fetch(path, {
    method,
    headers,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    ...(signal_ === undefined ? {} : { signal: signal_ }),
  });
  if (response.ok) return response;
  if (response.status === 401) {
    keyRefused.value = key !== "";
    keyWanted.value = true;
  }
  throw new ApiError(await errorMessage(response), response.status);
}

async function errorMessage(response: Response): Promise<string> {
  const text = await response.text().catch(() => "");
  try {
    const message = (JSON.parse(text) as { error?: { message?: string } }).error?.message;
    if (message !== undefined && message !== "") return message;
  } catch {
    // Not JSON: a proxy's page, say. The status tells more than its text.
  }
  return `HTTP ${response.status} ${response.statusText}`.trim();
}

export async function getJson<T>(path: string, signal_?: AbortSignal): Promise<T> {
  return (await (await request("GET", path, undefined, signal_)).json()) as T;
}

export async function postJson<T>(path: string, body: unknown = {}): Promise<T> {
  const text = await (await request("POST", path, body)).text();
  return (text === "" ? {} : JSON.parse(text)) as T;
}

export interface Loaded<T> {
  data: T | null;
  error: Error | null;
  refresh: () => void;
}

/** Loads `path` (null: nothing), again every `everyMs` while the page is visible (0: once). Old data stays until new data comes. */
export function useJson<T>(path: string | null, everyMs = 0): Loaded<T> {
  const data = useSignal<{ path: string; value: T } | null>(null);
  const error = useSignal<Error | null>(null);
  const round = useSignal(0);
  const epoch = keyEpoch.value;
  const again = round.value;
  useEffect(() => {
    if (path === null) return undefined;
    const stop = new AbortController();
    let timer = 0;
    const load = async (): Promise<void> => {
      if (!document.hidden || data.value === null) {
        try {
          data.value = { path, value: await getJson<T>(path, stop.signal) };
          error.value = null;
        } catch (caught) {
          if (stop.signal.aborted) return;
          error.value = caught instanceof Error ? caught : new Error(String(caught));
        }
      }
      if (everyMs > 0 && !stop.signal.aborted) timer = window.setTimeout(() => void load(), everyMs);
    };
    void load();
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [path, everyMs, epoch, again]);
  return {
    data: data.value !== null && data.value.path === path ? data.value.value : null,
    error: error.value,
    refresh: () => {
      ++round.value;
    },
  };
}
