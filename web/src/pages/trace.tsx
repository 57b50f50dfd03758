// Lineage of one answer: answer, model version, run, dataset, sources, as the server tells it, one link under the other.
import type { JSX } from "preact";
import { useSignal } from "@preact/signals";
import { useJson } from "../lib/api";
import { named, t } from "../lib/i18n";
import { href, route } from "../lib/router";
import type { MetricNode } from "../lib/types";
import { Failure, Loading, PageHead } from "../ui/parts";

type Node = { [name: string]: MetricNode };

export function TracePage(): JSX.Element {
  const id = route.value.args[0];
  return id === undefined ? <AskForAnswer /> : <Lineage key={id} id={id} />;
}

function AskForAnswer(): JSX.Element {
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
  const { data, error, refresh } = useJson<Node>(`api/trace/${encodeURIComponent(id)}`);
  return (
    <>
      <PageHead title={t("page.trace")} lead={id} />
      {error !== null && <Failure error={error} retry={refresh} />}
      {data === null && error === null && <Loading />}
      {data !== null && (
        <ol class="lineage">
          {Object.entries(data)
            .filter(([, value]) => value !== null && value !== "")
            .map(([name, value]) => (
              <li key={name}>
                <h2>{named("trace", name)}</h2>
                <Value value={value} name={name} />
              </li>
            ))}
        </ol>
      )}
    </>
  );
}

function Value({ value, name }: { value: MetricNode; name: string }): JSX.Element {
  if (Array.isArray(value)) {
    return (
      <ul class="lineage-list">
        {value.map((one, index) => (
          <li key={index}>
            <Value value={one} name={name} />
          </li>
        ))}
      </ul>
    );
  }
  if (value !== null && typeof value === "object") {
    return (
      <dl class="pairs">
        {Object.entries(value)
          .filter(([, child]) => child !== null && child !== "")
          .map(([key, child]) => (
            <div key={key}>
              <dt>{named("trace", key)}</dt>
              <dd>
                <Value value={child} name={key} />
              </dd>
            </div>
          ))}
      </dl>
    );
  }
  const text = String(value);
  if (name === "version") return <a href={href("versions", text)}>{text}</a>;
  if (name === "run_id") return <a href={href("training", text)}>{text}</a>;
  return <span class={/^[0-9a-f]{16,}$/.test(text) ? "digest" : ""}>{text}</span>;
}
