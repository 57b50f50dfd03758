// Lineage. Of an answer: version, run, datasets and sources behind it, one link under the other. Of anything else that the
// workspace knows (a version, a run, a source, a file, a digest): what was made from it.
import type { ComponentChildren, JSX } from "preact";
import { useSignal } from "@preact/signals";
import { useJson } from "../lib/api";
import { bytes, dateTime } from "../lib/format";
import { lang, named, t } from "../lib/i18n";
import { href, route } from "../lib/router";
import type { MetricNode, Moment, Run, Version } from "../lib/types";
import { Asked } from "../ui/asked";
import { Failure, Loading, PageHead, Pairs } from "../ui/parts";

interface AnswerTrace {
  answer: { id: string; created_at?: Moment; messages?: { role?: string; content?: string }[]; answer?: string; settings?: MetricNode };
  version?: Version | null;
  run?: Run | null;
  datasets?: { digest: string; kind?: string; bytes?: number }[];
  sources?: { name: string; files?: { path: string; digest?: string }[] }[];
  feedback?: { id: number; rating?: string; correction?: string; comment?: string }[];
}
type OtherTrace = { [name: string]: MetricNode };

export function TracePage(): JSX.Element {
  const id = route.value.args[0];
  return id === undefined ? <AskForId /> : <Lineage key={id} id={id} />;
}

function AskForId(): JSX.Element {
  const id = useSignal("");
  return (
    <>
      <PageHead title={t("page.trace")} lead={t("trace.lead")} />
      <form
        class="panel trace-ask"
        onSubmit={(event) => {
          event.preventDefault();
          if (id.value.trim() !== "") location.hash = href("trace", id.value.trim());
        }}
      >
        <label>
          <span>{t("trace.answerId")}</span>
          <input type="text" value={id.value} placeholder="chatcmpl-…" onInput={(event) => (id.value = event.currentTarget.value)} />
        </label>
        <button type="submit" class="primary">{t("trace.show")}</button>
      </form>
    </>
  );
}

function Lineage({ id }: { id: string }): JSX.Element {
  const { data, error, refresh } = useJson<AnswerTrace | OtherTrace>(`api/trace/${encodeURIComponent(id)}`);
  return (
    <>
      <PageHead title={t("page.trace")} lead={id} />
      {error !== null && <Failure error={error} retry={refresh} />}
      {data === null && error === null && <Loading />}
      {data !== null && ("answer" in data ? <OfAnswer trace={data as AnswerTrace} /> : <OfOther trace={data} />)}
    </>
  );
}

function Link({ name, children }: { name: string; children: ComponentChildren }): JSX.Element {
  return (
    <li data-link={name}>
      <h2>{named("trace", name)}</h2>
      {children}
    </li>
  );
}

function OfAnswer({ trace }: { trace: AnswerTrace }): JSX.Element {
  const { answer, version, run } = trace;
  return (
    <ol class="lineage">
      <Link name="answer">
        {(answer.messages ?? []).map((message, index) => (
          <p key={index} class="asked"><Asked content={message.content ?? ""} /></p>
        ))}
        <p class="said-answer">{answer.answer}</p>
        <small class="hint">{dateTime(answer.created_at, lang.value)}</small>
        {(trace.feedback ?? []).map((one) => (
          <p key={one.id} class="correction">{one.correction || one.comment || named("rating", one.rating ?? "")}</p>
        ))}
      </Link>
      {version && (
        <Link name="version">
          <p>
            <a href={href("versions", version.version)}>{version.version}</a>
            {version.parent && ` · ${t("versions.from", { version: version.parent })}`}
          </p>
          <small class="hint">{dateTime(version.created_at, lang.value)}</small>
        </Link>
      )}
      {run && (
        <Link name="run">
          <p>
            <a href={href("training", run.id)}>{run.id}</a>
            {run.kind && ` · ${named("kind", run.kind)}`}
          </p>
          <Pairs of={run.summary} group="metric" />
        </Link>
      )}
      <Link name="datasets">
        {(trace.datasets ?? []).map((set) => (
          <p key={set.digest}>
            {named("dataset", set.kind ?? "")} · {bytes(set.bytes)} <br />
            <a class="digest" href={href("trace", set.digest)}>{set.digest}</a>
          </p>
        ))}
      </Link>
      <Link name="sources">
        {(trace.sources ?? []).map((source) => (
          <details key={source.name}>
            <summary>
              {source.name} · {t("trace.nFiles", { n: (source.files ?? []).length })}
            </summary>
            <ul>
              {(source.files ?? []).map((file) => (
                <li key={file.path}>
                  <code>{file.path}</code>
                </li>
              ))}
            </ul>
          </details>
        ))}
      </Link>
    </ol>
  );
}

function OfOther({ trace }: { trace: OtherTrace }): JSX.Element {
  const ids = (value: MetricNode | undefined): string[] => (Array.isArray(value) ? value.filter((one): one is string => typeof one === "string") : []);
  const { versions, runs, ...rest } = trace;
  return (
    <ol class="lineage">
      <Link name="node">
        <Pairs of={rest["node"]} group="trace" />
      </Link>
      {Array.isArray(rest["sources"]) && rest["sources"].length > 0 && (
        <Link name="madeFrom">
          <Pairs of={{ sources: rest["sources"].map((source) => (source as { name?: string }).name ?? "") }} group="trace" />
        </Link>
      )}
      <Link name="runs">
        {ids(runs).map((id) => (
          <p key={id}><a href={href("training", id)}>{id}</a></p>
        ))}
      </Link>
      <Link name="versions">
        {ids(versions).map((id) => (
          <p key={id}><a href={href("versions", id)}>{id}</a></p>
        ))}
        <p class="hint">{t("trace.answers", { n: String(rest["answers"] ?? 0) })}</p>
      </Link>
    </ol>
  );
}
