// One streamed answer of the server: request, deltas as they come, then what is known about the answer.
import { request } from "./api";
import { readEvents } from "./sse";

export interface Sampling {
  model: string;
  temperature: number;
  top_p: number;
  max_tokens: number;
  seed: number | null;
}

export interface Answer {
  id: string;
  finish: string;
  tokens: number;
  seconds: number;
  first_seconds: number;
}

export interface Turn {
  role: "system" | "user" | "assistant";
  content: string;
}

interface Chunk {
  id?: string;
  error?: { message?: string };
  usage?: { completion_tokens?: number } | null;
  choices?: { text?: string; delta?: { content?: string | null }; finish_reason?: string | null }[];
}

/** `input`: turns of a conversation, or the text that a raw completion goes on from. */
export async function streamAnswer(
  input: Turn[] | string,
  sampling: Sampling,
  onText: (text: string, id: string) => void,
  signal: AbortSignal,
): Promise<Answer> {
  const raw = typeof input === "string";
  const { seed, ...rest } = sampling;
  const body = {
    ...(raw ? { prompt: input } : { messages: input }),
    ...rest,
    ...(seed === null ? {} : { seed }),
    stream: true,
    stream_options: { include_usage: true },
  };
  const start = performance.now();
  const response = await request("POST", raw ? "v1/completions" : "v1/chat/completions", body, signal);
  if (response.body === null) throw new Error("the server sent no body");
  const answer: Answer = { id: "", finish: "", tokens: 0, seconds: 0, first_seconds: 0 };
  let pieces = 0;
  for await (const data of readEvents(response.body)) {
    if (data === "[DONE]") break;
    const chunk = JSON.parse(data) as Chunk;
    if (chunk.error !== undefined) throw new Error(chunk.error.message ?? "the stream ended with an error");
    if (chunk.id !== undefined) answer.id = chunk.id;
    const choice = chunk.choices?.[0];
    const text = choice?.delta?.content ?? choice?.text ?? "";
    answer.seconds = (performance.now() - start) / 1000;
    if (text !== "") {
      if (pieces++ === 0) answer.first_seconds = answer.seconds;
      onText(text, answer.id);
    }
    if (choice?.finish_reason) answer.finish = choice.finish_reason;
    if (chunk.usage?.completion_tokens !== undefined) answer.tokens = chunk.usage.completion_tokens;
  }
  if (answer.tokens === 0) answer.tokens = pieces;
  return answer;
}

/** Tokens per second after the first token (the first waits for the prompt); null when there is too little to tell. */
export function speed(answer: Pick<Answer, "tokens" | "seconds" | "first_seconds">): number | null {
  const seconds = answer.seconds - answer.first_seconds;
  return answer.tokens > 1 && seconds > 0 ? (answer.tokens - 1) / seconds : null;
}
