// Versions: what is in production, how each version measures against the others, why the gate let it pass; promote and roll back.
import type { JSX } from "preact";
import { useSignal } from "@preact/signals";
import { postJson, useJson } from "../lib/api";
import { ago, asMetric, bytes, dateTime, facts, type Metric, metricsOf, plainName } from "../lib/format";
import { lang, named, t } from "../lib/i18n";
import { href, route } from "../lib/router";
import type { AuditLog, MetricNode, Version } from "../lib/types";
import { Dialog } from "../ui/dialog";
import { Empty, Failure, Loading, MetricValue, metricText, PageHead, Panel, State, Whisker } from "../ui/parts";
import { EvaluationView } from "./evaluation";

const kPollMs = 5000;
const kParityShown = ["greedy_agreement", "mean_kl"]; // the report of a version shows the rest
type Ask = { kind: "promote"; version: string } | { kind: "rollback" };

export function VersionsPage(): JSX.Element {
  const shown = route.value.args[0];
  return shown === undefined ? <VersionList /> : <EvaluationView key={shown} version={shown} />;
}

function VersionList(): JSX.Element {
  const { data, error, refresh } = useJson<{ versions: Version[] }>("api/versions", kPollMs);
  const audit = useJson<AuditLog>("api/audit");
  const asking = useSignal<Ask | null>(null);
  const failure = useSignal<Error | null>(null);
  const said = useSignal("");
  const busy = useSignal(false);
  const reason = useSignal("");
  if (data === null) return error === null ? <Loading /> : <Failure error={error} retry={refresh} />;
  const act = async (ask: Ask): Promise<void> => {
    busy.value = true;
    failure.value = null;
    try {
      if (ask.kind === "promote") await postJson(`api/versions/${encodeURIComponent(ask.version)}/promote`, { reason: reason.value });
      else await postJson("api/rollback");
      reason.value = "";
      said.value = ask.kind === "promote" ? t("versions.promoted", { version: ask.version }) : t("versions.rolledBack");
    } catch (caught) {
      failure.value = caught instanceof Error ? caught : new Error(String(caught));
    }
    busy.value = false;
    asking.value = null;
    refresh();
    audit.refresh();
  };
  const production = data.versions.find((one) => one.aliases?.includes("production"));
  return (
    <>
      <PageHead title={t("page.versions")} lead={t("versions.lead")}>
        <button type="button" disabled={data.versions.length < 2} onClick={() => (asking.value = { kind: "rollback" })}>
          {t("versions.rollback")}
        </button>
      </PageHead>
      {error !== null && <Failure error={error} retry={refresh} />}
      {failure.value !== null && <Failure error={failure.value} />}
      <p class="said" role="status">{said.value}</p>
      {data.versions.length === 0 ? (
        <Empty text={t("versions.empty")} command="volant run ." />
      ) : (
        <VersionTable versions={data.versions} onPromote={(version) => (asking.value = { kind: "promote", version })} />
      )}
      {audit.data !== null && <Audit log={audit.data} />}
      {audit.error !== null && <Failure error={audit.error} />}
      {asking.value !== null && (
        <Dialog
          title={asking.value.kind === "promote" ? t("versions.promoteAsk", { version: asking.value.version }) : t("versions.rollbackAsk")}
          confirm={asking.value.kind === "promote" ? t("versions.promote") : t("versions.rollback")}
          grave={asking.value.kind === "rollback"}
          busy={busy.value}
          onCancel={() => (asking.value = null)}
          onConfirm={() => asking.value !== null && void act(asking.value)}
        >
          <p>{production === undefined ? t("versions.askNone") : t("versions.askNow", { version: production.version })}</p>
          {asking.value.kind === "promote" && (
            <>
              <GateWarning version={data.versions.find((one) => asking.value?.kind === "promote" && one.version === asking.value.version)} />
              <label>
                <span>{t("versions.reason")}</span>
                <input type="text" maxLength={1000} value={reason.value} onInput={(event) => (reason.value = event.currentTarget.value)} />
              </label>
            </>
          )}
        </Dialog>
      )}
    </>
  );
}

function GateWarning({ version }: { version: Version | undefined }): JSX.Element | null {
  if (version?.gate?.passed !== false) return null;
  return (
    <div class="notice tone-failed">
      <p>{t("versions.gateRefused")}</p>
    </div>
  );
}

/** The metrics that the table has columns for: those that any version has at the top level, the best known first. */
function columns(versions: Version[]): string[] {
  const names = new Set(versions.flatMap((one) => Object.keys(one.metrics ?? {}).filter((name) => asMetric(one.metrics?.[name]) !== null)));
  const order = ["bits_per_byte", "next_token_accuracy", "accuracy", "r_squared"];
  return [...order.filter((name) => names.has(name)), ...[...names].filter((name) => !order.includes(name)).sort()].slice(0, 2);
}

function scaleOf(versions: Version[], name: string): [number, number] {
  const all = versions.flatMap((one): Metric[] => {
    const metric = asMetric(one.metrics?.[name]);
    return metric === null ? [] : [metric];
  });
  const low = Math.min(...all.map((metric) => metric.low ?? metric.value));
  const high = Math.max(...all.map((metric) => metric.high ?? metric.value));
  const margin = (high - low) * 0.08;
  return [low - margin, high + margin];
}

function VersionTable({ versions, onPromote }: { versions: Version[]; onPromote: (version: string) => void }): JSX.Element {
  const names = columns(versions);
  return (
    <Panel>
      <table class="versions cards">
        <thead>
          <tr>
            <th scope="col">{t("versions.version")}</th>
            {names.map((name) => (
              <th scope="col" key={name}>{named("metric", name)}</th>
            ))}
            <th scope="col">{t("versions.parity")}</th>
            <th scope="col">{t("versions.gate")}</th>
            <th scope="col"><span class="hidden">{t("versions.acts")}</span></th>
          </tr>
        </thead>
        <tbody>
          {versions.map((one) => (
            <tr key={one.version} class={one.aliases?.includes("production") ? "current" : ""} data-version={one.version}>
              <th scope="row">
                <a href={href("versions", one.version)} class="version-name">{one.version}</a>
                <span class="aliases">
                  {one.aliases?.map((alias) => <span key={alias} class={`alias alias-${alias}`}>{named("alias", alias)}</span>)}
                </span>
                <small title={dateTime(one.created_at, lang.value)}>
                  {ago(one.created_at, lang.value)}
                  {one.bytes ? ` · ${bytes(one.bytes)}` : ""}
                  {one.parent ? ` · ${t("versions.from", { version: one.parent })}` : ""}
                </small>
              </th>
              {names.map((name) => (
                <td key={name} data-label={named("metric", name)}>
                  <MetricCell name={name} node={one.metrics?.[name]} scale={scaleOf(versions, name)} />
                </td>
              ))}
              <td data-label={t("versions.parity")}><Parity parity={one.parity ?? {}} /></td>
              <td data-label={t("versions.gate")}><GateCell version={one} /></td>
              <td class="acts">
                <a class="button quiet" href={href("versions", one.version)}>{t("versions.report")}</a>
                {one.run_id && <a class="button quiet" href={href("training", one.run_id)}>{t("versions.run")}</a>}
                {!one.aliases?.includes("production") && (
                  <button type="button" onClick={() => onPromote(one.version)}>{t("versions.promote")}</button>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Panel>
  );
}

function MetricCell({ name, node, scale }: { name: string; node: MetricNode | undefined; scale: [number, number] }): JSX.Element {
  const metric = asMetric(node);
  if (metric === null) return <span class="hint">–</span>;
  return (
    <div class="metric-cell">
      <MetricValue name={name} metric={metric} />
      <Whisker metric={metric} low={scale[0]} high={scale[1]} />
    </div>
  );
}

function Parity({ parity }: { parity: { [name: string]: MetricNode } }): JSX.Element {
  const all = metricsOf(parity).filter(([name]) => kParityShown.includes(name));
  if (all.length === 0) return <span class="hint">–</span>;
  return (
    <dl class="pairs">
      {all.map(([name, metric]) => (
        <div key={name}>
          <dt>{named("parity", name)}</dt>
          <dd>{metricText(name, metric.value)}</dd>
        </div>
      ))}
    </dl>
  );
}

function GateCell({ version }: { version: Version }): JSX.Element {
  const gate = version.gate;
  if (!gate || gate.passed === undefined) return <span class="hint">–</span>;
  return (
    <div class="gate">
      <State state={gate.passed ? "passed" : "refused"} />
      {(gate.reasons ?? []).slice(0, gate.passed ? 1 : undefined).map((reason) => (
        <small key={reason}>{reason}</small>
      ))}
    </div>
  );
}

function Audit({ log }: { log: AuditLog }): JSX.Element | null {
  if (log.audit.length === 0) return null;
  return (
    <Panel
      title={t("versions.audit")}
      aside={log.intact === undefined ? undefined : <span class="audit-state"><State state={log.intact ? "intact" : "damaged"} /></span>}
    >
      {log.damage && <Failure error={new Error(log.damage)} />}
      <ol class="audit">
        {log.audit.map((entry) => (
          <li key={entry.id}>
            <time>{dateTime(entry.created_at, lang.value)}</time>
            <b>{named("action", entry.action ?? "")}</b>
            <span>{entry.subject}</span>
            <span class="hint">{[entry.actor ?? "", ...facts(entry.detail).filter(([, value]) => value !== "false").map(([name, value]) => `${plainName(name)}: ${value}`)].join(" · ")}</span>
          </li>
        ))}
      </ol>
    </Panel>
  );
}
