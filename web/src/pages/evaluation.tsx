// The evaluation report of one version: every metric with its interval, in all and per language; plots, groups of rows,
// samples, gate and parity.
import type { JSX } from "preact";
import { useJson } from "../lib/api";
import { asMetric, bytes, count, figure, type Metric, metricsOf, percent } from "../lib/format";
import { named, t } from "../lib/i18n";
import { plotsOf, sliceScoreOf, type WorstSlice, worstSlicesOf } from "../lib/plots";
import { href } from "../lib/router";
import type { MetricNode, Metrics, Version } from "../lib/types";
import { Icon } from "../ui/icon";
import { Empty, Failure, Loading, metricText, MetricValue, PageHead, Panel, State, Whisker } from "../ui/parts";
import { ReportPlots } from "../ui/plots";

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
          {"same_prediction" in manifest.parity ? <PredictionParity parity={manifest.parity} /> : <ParityTable parity={manifest.parity} />}
        </Panel>
      )}
    </>
  );
}

function Body({ report }: { report: Report }): JSX.Element {
  const { samples, ...figures } = report;
  if (metricsOf(figures).length === 0 && !samples) return <Empty text={t("evaluation.empty")} />;
  const list: Sample[] = Array.isArray(samples) ? samples : [];
  const plots = plotsOf(figures);
  const worst = worstSlicesOf(figures);
  return (
    <>
      <Panel title={t("evaluation.metrics")} aside={<small class="hint">{t("interval.hint")}</small>}>
        <MetricTable report={figures} />
      </Panel>
      {(plots.roc.length > 0 || plots.calibration.length > 0 || plots.confusion !== null) && (
        <Panel title={t("evaluation.plots")}>
          <ReportPlots plots={plots} />
        </Panel>
      )}
      {worst.length > 0 && (
        <Panel title={t("section.worst_slices")} aside={<small class="hint">{t("interval.hint")}</small>}>
          <WorstSlices slices={worst} of={sliceScoreOf(figures)} />
        </Panel>
      )}
      <Sections report={figures} />
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

const kSections = ["averages", "baselines", "cost", "fairness", "slices", "importance", "robustness", "attacks", "by_group"] as const;

/** Where the whisker of a figure is drawn: all figures of one name on one scale. */
function scaleOf(metrics: Metric[]): { low: number; high: number } {
  const values = metrics.flatMap(({ value, low, high }) => [value, low ?? value, high ?? value]);
  return { low: Math.min(0, ...values), high: Math.max(...values) };
}

const lastName = (path: string): string => path.slice(path.lastIndexOf(" · ") + 1);

/** Groups of rows that do worse than all others, found among all columns and pairs of them. */
function WorstSlices({ slices, of }: { slices: WorstSlice[]; of: string }): JSX.Element {
  const scores = slices.map(({ score }) => asMetric(score) ?? { value: 0 });
  const scale = scaleOf(scores);
  return (
    <div class="scroll">
      <table class="metrics worst-slices">
        <thead>
          <tr>
            <th scope="col">{t("slice.rows")}</th>
            <th scope="col">{t("slice.count")}</th>
            <th scope="col">{named("metric", of)}</th>
            <th scope="col" aria-hidden="true" />
            <th scope="col">{t("slice.rest")}</th>
            <th scope="col">{t("slice.p")}</th>
          </tr>
        </thead>
        <tbody>
          {slices.map(({ name, rows, rest, p }, index) => (
            <tr key={name} data-slice={name}>
              <th scope="row">{name}</th>
              <td>{count(rows)}</td>
              <td><MetricValue name={of} metric={scores[index]!} /></td>
              <td class="whisker-cell"><Whisker metric={scores[index]!} {...scale} /></td>
              <td>{metricText(of, rest)}</td>
              <td>{p < 0.001 ? "< 0.001" : figure(p, 2)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** What a report says beside its metrics: simpler models, groups of rows, columns, changed and attacked inputs. */
function Sections({ report }: { report: Metrics }): JSX.Element | null {
  const sections = kSections.flatMap((key) => {
    const figures = metricsOf(report[key], "", " · ").filter(([, { low }]) => low !== undefined);
    const names = new Set(figures.map(([path]) => lastName(path)));
    const scales = new Map([...names].map((name) => [name, scaleOf(figures.filter(([path]) => lastName(path) === name).map(([, metric]) => metric))]));
    return figures.length === 0 ? [] : [{ key, figures, scales }];
  });
  if (sections.length === 0) return null;
  return (
    <Panel title={t("evaluation.sections")} aside={<small class="hint">{t("interval.hint")}</small>}>
      {sections.map(({ key, figures, scales }) => (
        <details key={key} class="report-section" data-section={key}>
          <summary>{t(`section.${key}`)}</summary>
          <div class="scroll">
            <table class="metrics">
              <tbody>
                {figures.map(([path, metric]) => (
                  <tr key={path}>
                    <th scope="row">{path.replace(/_/g, " ")}</th>
                    <td><MetricValue name={path} metric={metric} /></td>
                    <td class="whisker-cell">
                      <Whisker metric={metric} {...scales.get(lastName(path))!} />
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </details>
      ))}
    </Panel>
  );
}

/** One row a metric; one column for all documents and one for each language. */
function MetricTable({ report }: { report: Metrics }): JSX.Element {
  const { by_language: parts, ...all } = report;
  const groups: [string, Metrics][] = [[t("data.allLanguages"), all]];
  if (parts !== null && typeof parts === "object" && !Array.isArray(parts)) {
    for (const [language, part] of Object.entries(parts)) groups.push([named("lang", language), part as Metrics]);
  }
  const names = [...new Set(groups.flatMap(([, group]) => Object.keys(group).filter((name) => asMetric(group[name]) !== null)))];
  names.sort((a, b) => Number(asMetric(all[a])?.low === undefined) - Number(asMetric(all[b])?.low === undefined)); // those with intervals first
  return (
    <div class="scroll">
      <table class="metrics">
        <thead>
          <tr>
            <td />
            {groups.map(([title]) => (
              <th scope="col" key={title}>{title}</th>
            ))}
          </tr>
        </thead>
        <tbody>
          {names.map((name) => (
            <tr key={name}>
              <th scope="row">{named("metric", name)}</th>
              {groups.map(([title, group]) => {
                const metric = asMetric(group[name]);
                return <td key={title}>{metric !== null && <MetricValue name={name} metric={metric} />}</td>;
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** Of a model of predictions: the served file against the trained one, and what the trainer found of its own outputs. */
function PredictionParity({ parity }: { parity: Metrics }): JSX.Element {
  const names = ["same_prediction", "training.same_best", "training.max_abs_difference", "training.relative", "rows", "threshold", "bytes"];
  const found = new Map(metricsOf(parity));
  return (
    <dl class="parity-facts">
      {names.map((name) => {
        const metric = found.get(name);
        if (metric === undefined) return null;
        const isShare = name.endsWith("same_best") || name === "same_prediction";
        return (
          <div key={name} data-parity={name}>
            <dt>{named("parity", name)}</dt>
            <dd>{name === "bytes" ? bytes(metric.value) : isShare ? percent(metric.value, 2) : figure(metric.value, 3)}</dd>
          </div>
        );
      })}
    </dl>
  );
}

/** The parity of every format that was exported: the served one is the report itself, the rest are inside it. */
function ParityTable({ parity }: { parity: Metrics }): JSX.Element {
  const isReport = (node: MetricNode | undefined): node is Metrics => node !== null && typeof node === "object" && !Array.isArray(node) && "greedy_agreement" in node;
  const inside = Object.values(parity).flatMap((node) => (Array.isArray(node) ? node : [node]));
  const reports = [parity, ...inside].filter(isReport);
  const names = ["greedy_agreement", "mean_kl", "max_mean_kl_allowed", "max_logit_error", "positions", "bytes"];
  return (
    <div class="scroll">
      <table>
        <thead>
          <tr>
            {["format", ...names, "passed"].map((name) => (
              <th scope="col" key={name}>{named("parity", name)}</th>
            ))}
          </tr>
        </thead>
        <tbody>
          {reports.map((report, index) => (
            <tr key={index}>
              <th scope="row">{String(report["format"] ?? "")}</th>
              {names.map((name) => {
                const metric = asMetric(report[name]);
                return <td key={name}>{metric === null ? "" : name === "bytes" ? bytes(metric.value) : metricText(name, metric.value)}</td>;
              })}
              <td>{typeof report["passed"] === "boolean" && <State state={report["passed"] ? "passed" : "failed"} />}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
