// The evaluation report of one version: every metric with its interval, and the samples. Reads any report of nested metrics.
import type { JSX } from "preact";
import { useJson } from "../lib/api";
import { metricsOf, plainName } from "../lib/format";
import { named, t } from "../lib/i18n";
import { href } from "../lib/router";
import type { MetricNode, Version } from "../lib/types";
import { Icon } from "../ui/icon";
import { Empty, Failure, Loading, MetricValue, PageHead, Pairs, Panel, State } from "../ui/parts";

interface Sample {
  prompt?: string;
  continuation?: string;
}

type Report = { [name: string]: MetricNode } & { samples?: Sample[] };

export function EvaluationView({ version }: { version: string }): JSX.Element {
  const { data, error, refresh } = useJson<Report>(`api/evaluation/${encodeURIComponent(version)}`);
  const versions = useJson<{ versions: Version[] }>("api/versions");
  const manifest = versions.data?.versions.find((one) => one.version === version);
  return (
    <>
      <PageHead title={t("evaluation.title", { version })} lead={t("evaluation.lead")}>
        <a class="button quiet" href={href("versions")}>
          <Icon name="back" size={14} />
          {t("page.versions")}
        </a>
      </PageHead>
      {error !== null && <Failure error={error} retry={refresh} />}
      {data === null && error === null && <Loading />}
      {data !== null && <Body report={data} />}
      {manifest?.gate?.passed !== undefined && (
        <Panel title={t("versions.gate")} aside={<State state={manifest.gate.passed ? "passed" : "refused"} />}>
          <ul class="reasons-list">
            {(manifest.gate.reasons ?? []).map((reason) => (
              <li key={reason}>{reason}</li>
            ))}
          </ul>
        </Panel>
      )}
      {manifest?.parity && (
        <Panel title={t("versions.parity")}>
          <Pairs of={manifest.parity} group="parity" />
        </Panel>
      )}
    </>
  );
}

function Body({ report }: { report: Report }): JSX.Element {
  const { samples, ...figures } = report;
  const rows = metricsOf(figures);
  if (rows.length === 0 && !samples) return <Empty text={t("evaluation.empty")} />;
  const list: Sample[] = Array.isArray(samples) ? samples : [];
  return (
    <>
      <Panel title={t("evaluation.metrics")} aside={<small class="hint">{t("interval.hint")}</small>}>
        <MetricTable rows={rows} />
      </Panel>
      {list.length > 0 && (
        <Panel title={t("evaluation.samples")}>
          <ul class="examples">
            {list.map((sample, index) => (
              <li key={index}>
                <p class="example-why">
                  <b>{sample.prompt}</b>
                </p>
                <pre>{sample.continuation}</pre>
              </li>
            ))}
          </ul>
        </Panel>
      )}
    </>
  );
}

function metricTitle(path: string): string {
  return path
    .split(".")
    .filter((part) => !["metrics", "languages", "by_language", "all"].includes(part))
    .map((part) => {
      const known = named("metric", part);
      return known === part.replace(/_/g, " ") ? named("lang", part) : known;
    })
    .join(" · ") || plainName(path);
}

function MetricTable({ rows }: { rows: ReturnType<typeof metricsOf> }): JSX.Element {
  return (
    <table class="metrics">
      <tbody>
        {rows.map(([path, metric]) => (
          <tr key={path}>
            <th scope="row">{metricTitle(path)}</th>
            <td>
              <MetricValue name={path} metric={metric} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
