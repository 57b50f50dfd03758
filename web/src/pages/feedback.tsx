// Feedback: what users said, and the button that turns it into a better model, with the log of how that goes.
import type { JSX } from "preact";
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { postJson, useJson } from "../lib/api";
import { ago, count, dateTime, duration } from "../lib/format";
import { lang, t } from "../lib/i18n";
import { href } from "../lib/router";
import type { Feedback, FeedbackList, Improve, ImproveResult } from "../lib/types";
import { Asked } from "../ui/asked";
import { Dialog } from "../ui/dialog";
import { Icon } from "../ui/icon";
import { Empty, Failure, Loading, PageHead, Panel, State } from "../ui/parts";

const kPollMs = 4000;
const kImprovePollMs = 1000;

export function FeedbackPage(): JSX.Element {
  const { data, error, refresh } = useJson<FeedbackList>("api/feedback?limit=200", kPollMs);
  if (data === null) return error === null ? <Loading /> : <Failure error={error} retry={refresh} />;
  const rows = data.feedback;
  return (
    <>
      <PageHead title={t("page.feedback")} lead={t("feedback.lead")} />
      {error !== null && <Failure error={error} retry={refresh} />}
      <ImprovePanel corrections={data.counts?.new_corrections ?? 0} />
      {rows.length === 0 ? (
        <Empty text={t("feedback.empty")}>
          <a class="button primary" href={href("playground")}>{t("next.toChat")}</a>
        </Empty>
      ) : (
        <Panel title={t("feedback.list")} aside={<small class="hint">{count(rows.length)}</small>}>
          <ul class="feedback-list">
            {rows.map((row) => (
              <FeedbackRow key={row.id} row={row} />
            ))}
          </ul>
        </Panel>
      )}
    </>
  );
}

function FeedbackRow({ row }: { row: Feedback }): JSX.Element {
  const asked = row.messages?.[row.messages.length - 1]?.content;
  return (
    <li data-feedback={row.id}>
      <span class={`rating rating-${row.rating ?? "none"}`}>
        {row.rating === "up" || row.rating === "down" ? <Icon name={row.rating} size={18} /> : <Icon name="edit" size={18} />}
        <span class="hidden">{row.rating === "up" ? t("playground.good") : row.rating === "down" ? t("playground.bad") : t("feedback.correction")}</span>
      </span>
      <div>
        {asked && <p class="asked"><Asked content={asked} /></p>}
        {row.answer && <p class={row.correction ? "was" : "said-answer"}>{row.answer}</p>}
        {row.correction && (
          <p class="correction">
            <span class="hidden">{t("feedback.correction")}: </span>
            {row.correction}
          </p>
        )}
        {row.comment && <p class="hint">“{row.comment}”</p>}
        <small class="hint">
          <time title={dateTime(row.created_at, lang.value)}>{ago(row.created_at, lang.value)}</time>
          {row.version && ` · ${row.version}`}
          {row.state && ` · ${t(`feedback.${row.state}`)}`}
          {row.reason && ` (${row.reason})`}
          {row.answer_id && (
            <>
              {" · "}
              <a href={href("trace", row.answer_id)}>{t("playground.trace")}</a>
            </>
          )}
        </small>
      </div>
    </li>
  );
}

function ImprovePanel({ corrections }: { corrections: number }): JSX.Element {
  const busy = useSignal(false);
  const { data, error, refresh } = useJson<Improve>("api/improve", busy.value ? kImprovePollMs : kPollMs);
  const asking = useSignal(false);
  const failure = useSignal<Error | null>(null);
  const state = data?.state ?? "idle";
  useEffect(() => {
    busy.value = state === "running";
  }, [state]);
  const start = async (): Promise<void> => {
    asking.value = false;
    failure.value = null;
    try {
      await postJson("api/improve");
      busy.value = true;
      refresh();
    } catch (caught) {
      failure.value = caught instanceof Error ? caught : new Error(String(caught));
    }
  };
  return (
    <Panel class="improve" title={t("improve.title")} aside={<State state={state} />}>
      <p>{t("improve.lead", { n: count(corrections) })}</p>
      <button type="button" class="primary" disabled={state === "running"} onClick={() => (asking.value = true)}>
        <Icon name="improve" size={17} />
        {state === "running" ? t("improve.running") : t("improve.start")}
      </button>
      {failure.value !== null && <Failure error={failure.value} />}
      {error !== null && <Failure error={error} />}
      {(data?.log ?? []).length > 0 && <Log lines={(data?.log ?? []).map((line) => (typeof line === "string" ? line : JSON.stringify(line)))} />}
      {data?.result && Object.keys(data.result).length > 0 && state !== "running" && (
        <Outcome result={data.result} />
      )}
      {asking.value && (
        <Dialog title={t("improve.ask")} confirm={t("improve.start")} onCancel={() => (asking.value = false)} onConfirm={() => void start()}>
          <p>{t("improve.askText")}</p>
        </Dialog>
      )}
    </Panel>
  );
}

function Log({ lines }: { lines: string[] }): JSX.Element {
  const box = useRef<HTMLPreElement>(null);
  useEffect(() => {
    if (box.current !== null) box.current.scrollTop = box.current.scrollHeight;
  }, [lines.length]);
  return (
    <pre class="log" ref={box} role="log" tabIndex={0} aria-label={t("improve.log")}>
      {lines.join("\n")}
    </pre>
  );
}

function Outcome({ result }: { result: ImproveResult }): JSX.Element {
  if (result.error) return <Failure error={new Error(result.error)} />;
  const { production_before: before, production_after: after, candidate, rows } = result;
  return (
    <div class="outcome" role="status">
      <h3>
        {result.state && <State state={result.state} />} {result.headline}
      </h3>
      <p class="hint">
        {[
          before && after ? (before === after ? t("improve.stays", { version: before }) : `${before} → ${after}`) : "",
          candidate ? t("improve.candidate", { version: candidate }) : "",
          rows ? t("improve.rows", { train: count(rows.train), held: count(rows.held_out), replay: count(rows.replay) }) : "",
          result.seconds ? duration(result.seconds) : "",
        ].filter(Boolean).join(" · ")}
      </p>
      <ul class="reasons-list">
        {(result.gate?.reasons ?? []).map((reason) => (
          <li key={reason}>{reason}</li>
        ))}
      </ul>
      <ul class="learned">
        {(result.examples ?? []).map((example, index) => (
          <li key={index}>
            <p class="asked">
              <Asked content={example.question ?? ""} /> {example.held_out && <small class="alias">{t("improve.heldOut")}</small>}
            </p>
            <p class="was">{example.before}</p>
            <p class="correction">{example.after}</p>
            {example.after !== example.correction && <p class="hint">{t("improve.wanted", { text: example.correction ?? "" })}</p>}
          </li>
        ))}
      </ul>
    </div>
  );
}
