// The playground: a streamed conversation (or raw completion) with the served model; every answer can be rated and corrected.
// The conversation lives outside the component, so that looking at another page does not end it.
import type { JSX } from "preact";
import { signal, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { postJson, useJson } from "../lib/api";
import { type Answer, type Sampling, speed, streamAnswer, type Turn } from "../lib/chat";
import { count, duration, figure } from "../lib/format";
import { t } from "../lib/i18n";
import type { Served, Task } from "../lib/predictions";
import { href } from "../lib/router";
import { Dialog } from "../ui/dialog";
import { Icon } from "../ui/icon";
import { Mark } from "../ui/mark";
import { Failure, Loading, PageHead } from "../ui/parts";
import { PredictView } from "./predict";

interface Message {
  role: "user" | "assistant";
  content: string;
  raw: boolean;
  answer?: Answer;
  error?: Error;
  rating?: "up" | "down";
  corrected?: boolean;
}

const messages = signal<Message[]>([]);
const system = signal("");
const raw = signal(false);
const sampling = signal<Sampling>({ model: "", temperature: 0.7, top_p: 0.95, max_tokens: 200, seed: null });
const running = signal<AbortController | null>(null);

function change(index: number, part: Partial<Message>): void {
  messages.value = messages.value.map((message, at) => (at === index ? { ...message, ...part } : message));
}

function turns(): Turn[] {
  const spoken = messages.value.filter((message) => !message.raw && message.error === undefined);
  const head: Turn[] = system.value.trim() === "" ? [] : [{ role: "system", content: system.value }];
  return [...head, ...spoken.map(({ role, content }) => ({ role, content }))];
}

async function ask(text: string): Promise<void> {
  const isRaw = raw.value;
  messages.value = [...messages.value, { role: "user", content: text, raw: isRaw }];
  const input = isRaw ? text : turns();
  const index = messages.value.length;
  messages.value = [...messages.value, { role: "assistant", content: "", raw: isRaw }];
  const stop = new AbortController();
  running.value = stop;
  let seen = "";
  let id = "";
  let pieces = 0;
  const start = performance.now();
  let first = start;
  try {
    const answer = await streamAnswer(input, sampling.value, (piece, answerId) => {
      if (pieces++ === 0) first = performance.now();
      seen += piece;
      id = answerId;
      change(index, { content: seen });
    }, stop.signal);
    change(index, { answer });
  } catch (caught) {
    if (stop.signal.aborted) {
      const seconds = (performance.now() - start) / 1000;
      change(index, { answer: { id, finish: "stopped", tokens: pieces, seconds, first_seconds: (first - start) / 1000 } });
    } else {
      change(index, { error: caught instanceof Error ? caught : new Error(String(caught)) });
    }
  } finally {
    running.value = null;
  }
}

/** A conversation with a language model, or the form of a model of predictions. */
export function PlaygroundPage(): JSX.Element {
  const { data, error } = useJson<Served>("v1/task");
  if (data === null && error === null) return <Loading />;
  return data?.schema === undefined ? <ChatView /> : <PredictView task={data as Task} />;
}

function ChatView(): JSX.Element {
  const { data, error } = useJson<{ data: { id: string }[] }>("v1/models");
  const models = data?.data.map((model) => model.id) ?? [];
  useEffect(() => {
    if (models.length > 0 && !models.includes(sampling.value.model)) {
      sampling.value = { ...sampling.value, model: models.includes("production") ? "production" : (models[0] ?? "") };
    }
  }, [data]);
  return (
    <div class="playground">
      <PageHead title={t("page.playground")} lead={t("playground.lead")}>
        {messages.value.length > 0 && (
          <button type="button" class="quiet" disabled={running.value !== null} onClick={() => (messages.value = [])}>
            {t("playground.clear")}
          </button>
        )}
      </PageHead>
      {error !== null && <Failure error={error} />}
      <div class="play-grid">
        <div class="play-main">
          <Conversation />
          <Composer />
        </div>
        <Settings models={models} />
      </div>
    </div>
  );
}

function Conversation(): JSX.Element {
  const end = useRef<HTMLDivElement>(null);
  const all = messages.value;
  const length = all[all.length - 1]?.content.length ?? 0;
  useEffect(() => end.current?.scrollIntoView({ block: "nearest" }), [all.length, length]);
  if (all.length === 0) {
    return (
      <div class="conversation starters">
        <Mark size={112} />
        <p>{t("playground.try")}</p>
        {[t("playground.starter1"), t("playground.starter2"), t("playground.starter3")].map((text) => (
          <button type="button" class="starter" key={text} onClick={() => void ask(text)}>
            {text}
          </button>
        ))}
      </div>
    );
  }
  return (
    <div class="conversation" role="log" aria-live="polite" aria-label={t("playground.conversation")}>
      {all.map((message, index) => (
        <MessageView key={index} message={message} index={index} />
      ))}
      <div ref={end} />
    </div>
  );
}

function MessageView({ message, index }: { message: Message; index: number }): JSX.Element {
  const busy = running.value !== null && index === messages.value.length - 1;
  return (
    <article class={`message ${message.role}${message.raw ? " raw" : ""}`} aria-busy={busy}>
      <h3>{message.role === "user" ? t("playground.you") : t("playground.model")}</h3>
      <div class="message-text">
        {message.content}
        {busy && <span class="caret" aria-hidden="true" />}
        {!busy && message.role === "assistant" && message.content === "" && message.error === undefined && <em class="hint">{t("playground.silence")}</em>}
      </div>
      {message.error !== undefined && <Failure error={message.error} />}
      {message.answer !== undefined && <AnswerBar message={message} answer={message.answer} index={index} />}
    </article>
  );
}

function AnswerBar({ message, answer, index }: { message: Message; answer: Answer; index: number }): JSX.Element {
  const correcting = useSignal(false);
  const error = useSignal<Error | null>(null);
  const send = async (body: { rating?: string; correction?: string; comment?: string }, done: Partial<Message>): Promise<void> => {
    error.value = null;
    try {
      await postJson("v1/feedback", { answer_id: answer.id, ...body });
      change(index, done);
      correcting.value = false;
    } catch (caught) {
      error.value = caught instanceof Error ? caught : new Error(String(caught));
    }
  };
  const rate = speed(answer);
  const thumb = (rating: "up" | "down"): JSX.Element => (
    <button
      type="button"
      class="thumb"
      aria-pressed={message.rating === rating}
      aria-label={t(rating === "up" ? "playground.good" : "playground.bad")}
      title={t(rating === "up" ? "playground.good" : "playground.bad")}
      onClick={() => void send({ rating }, { rating })}
    >
      <Icon name={rating} size={17} />
    </button>
  );
  return (
    <footer class="answer-bar">
      {answer.id !== "" && (
        <>
          {thumb("up")}
          {thumb("down")}
          <button type="button" class="quiet" onClick={() => (correcting.value = true)}>
            <Icon name="edit" size={15} />
            {message.corrected === true ? t("playground.corrected") : t("playground.correct")}
          </button>
          <a class="quiet button" href={href("trace", answer.id)}>
            <Icon name="trace" size={15} />
            {t("playground.trace")}
          </a>
        </>
      )}
      <small class="answer-facts">
        {[
          t("playground.tokens", { n: count(answer.tokens) }),
          rate === null ? "" : t("playground.speed", { n: figure(rate, 3) }),
          t("playground.first", { time: duration(answer.first_seconds) }),
          answer.finish === "length" ? t("playground.length") : answer.finish === "stopped" ? t("playground.stopped") : "",
        ].filter(Boolean).join(" · ")}
      </small>
      {error.value !== null && !correcting.value && <Failure error={error.value} />}
      {correcting.value && (
        <CorrectDialog
          text={message.content.trim()}
          error={error.value}
          onCancel={() => (correcting.value = false)}
          onSend={(correction, comment) => void send({ rating: "down", correction, ...(comment === "" ? {} : { comment }) }, { rating: "down", corrected: true })}
        />
      )}
    </footer>
  );
}

function CorrectDialog({ text, error, onCancel, onSend }: { text: string; error: Error | null; onCancel: () => void; onSend: (text: string, comment: string) => void }): JSX.Element {
  const correction = useSignal(text);
  const comment = useSignal("");
  const useless = correction.value.trim() === "" || correction.value.trim() === text;
  return (
    <Dialog title={t("correct.title")} confirm={t("correct.send")} busy={useless} onCancel={onCancel} onConfirm={() => onSend(correction.value.trim(), comment.value.trim())}>
      <p class="hint">{t("correct.lead")}</p>
      <label>
        <span>{t("correct.answer")}</span>
        <textarea rows={7} value={correction.value} onInput={(event) => (correction.value = event.currentTarget.value)} />
      </label>
      <label>
        <span>{t("correct.comment")}</span>
        <input type="text" value={comment.value} onInput={(event) => (comment.value = event.currentTarget.value)} />
      </label>
      {error !== null && <Failure error={error} />}
    </Dialog>
  );
}

function Composer(): JSX.Element {
  const text = useSignal("");
  const send = (): void => {
    const wanted = raw.value ? text.value : text.value.trim();
    if (wanted.trim() === "" || running.value !== null) return;
    text.value = "";
    void ask(wanted);
  };
  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <textarea
        rows={2}
        value={text.value}
        placeholder={t(raw.value ? "playground.placeholderRaw" : "playground.placeholder")}
        aria-label={t(raw.value ? "playground.placeholderRaw" : "playground.placeholder")}
        onInput={(event) => (text.value = event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
          event.preventDefault();
          send();
        }}
      />
      {running.value === null ? (
        <button type="submit" class="primary round" aria-label={t("act.send")} title={t("act.send")} disabled={text.value.trim() === ""}>
          <Icon name="send" />
        </button>
      ) : (
        <button type="button" class="grave round" aria-label={t("act.stop")} title={t("act.stop")} onClick={() => running.value?.abort()}>
          <Icon name="stop" />
        </button>
      )}
    </form>
  );
}

function Settings({ models }: { models: string[] }): JSX.Element {
  const now = sampling.value;
  const set = (part: Partial<Sampling>): void => {
    sampling.value = { ...sampling.value, ...part };
  };
  const slider = (name: "temperature" | "top_p", label: string, max: number): JSX.Element => (
    <label>
      <span>
        {label} <b>{now[name].toFixed(2)}</b>
      </span>
      <input type="range" min="0" max={max} step="0.05" value={now[name]} onInput={(event) => set({ [name]: Number(event.currentTarget.value) })} />
    </label>
  );
  return (
    <details class="panel settings" open={matchMedia("(min-width: 900px)").matches}>
      <summary>{t("playground.settings")}</summary>
      <label>
        <span>{t("playground.modelName")}</span>
        <select value={now.model} onChange={(event) => set({ model: event.currentTarget.value })}>
          {models.map((model) => (
            <option key={model} value={model}>
              {model}
            </option>
          ))}
        </select>
      </label>
      <label class="check">
        <input type="checkbox" checked={raw.value} onChange={(event) => (raw.value = event.currentTarget.checked)} />
        <span>{t("playground.raw")}</span>
      </label>
      <label>
        <span>{t("playground.system")}</span>
        <textarea rows={3} disabled={raw.value} value={system.value} onInput={(event) => (system.value = event.currentTarget.value)} />
      </label>
      {slider("temperature", t("playground.temperature"), 2)}
      {slider("top_p", t("playground.topP"), 1)}
      <label>
        <span>{t("playground.maxTokens")}</span>
        <input type="number" min="1" max="4096" value={now.max_tokens} onInput={(event) => set({ max_tokens: Math.max(1, Number(event.currentTarget.value) || 1) })} />
      </label>
      <label>
        <span>{t("playground.seed")}</span>
        <input
          type="number"
          min="0"
          value={now.seed ?? ""}
          placeholder={t("playground.seedNone")}
          onInput={(event) => set({ seed: event.currentTarget.value === "" ? null : Number(event.currentTarget.value) })}
        />
      </label>
    </details>
  );
}
