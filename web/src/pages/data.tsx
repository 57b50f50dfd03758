// The data report: what came in, what each step of preparation kept, what it dropped and why, and how the tokenizer fits.
import type { JSX } from "preact";
import { useSignal } from "@preact/signals";
import { useJson } from "../lib/api";
import { bytes, count, figure, percent } from "../lib/format";
import { named, t } from "../lib/i18n";
import type { CollectReport, CollectSource, DataReport, DroppedExample, Fertility, PrepareReport, PrepareStep, TokenizerReport } from "../lib/types";
import { Empty, Fact, Failure, Loading, PageHead, Panel } from "../ui/parts";

export function DataPage(): JSX.Element {
  const { data, error, refresh } = useJson<DataReport>("api/data");
  if (data === null) return error === null ? <Loading /> : <Failure error={error} retry={refresh} />;
  const report = data.prepare ?? null;
  return (
    <>
      <PageHead title={t("page.data")} lead={t("data.lead")} />
      {report === null ? <Empty text={t("data.empty")} command="volant run ." /> : <Prepared report={report} collected={data.collect ?? {}} />}
      {data.tokenizer && <Tokenizer report={data.tokenizer} />}
    </>
  );
}

function Prepared({ report, collected }: { report: PrepareReport; collected: CollectReport }): JSX.Element {
  const steps = report.steps ?? [];
  const chosen = useSignal<string | null>(null);
  const most = Math.max(report.rows_in, ...steps.flatMap((step) => [step.rows_in, step.rows_out])); // cutting long texts adds rows
  return (
    <>
      {(report.warnings ?? []).map((warning) => (
        <Failure key={warning} error={new Error(warning)} />
      ))}
      <dl class="facts">
        <Fact label={t("data.rowsIn")}>{count(report.rows_in)}</Fact>
        <Fact label={t("data.rowsOut")}>{count(report.rows_out)}</Fact>
        <Fact label={t("data.kept")}>{percent(report.rows_in > 0 ? report.rows_out / report.rows_in : 0)}</Fact>
        <Fact label={t("data.bytesIn")}>{bytes(report.bytes_in)}</Fact>
        <Fact label={t("data.bytesOut")}>{bytes(report.bytes_out)}</Fact>
      </dl>
      <Panel title={t("data.steps")} aside={<FunnelLegend languages={Object.keys(report.languages ?? {})} />}>
        <Funnel steps={steps} total={most} chosen={chosen.value} onChoose={(name) => (chosen.value = name)} />
      </Panel>
      <Examples steps={steps} chosen={chosen.value} onChoose={(name) => (chosen.value = name)} />
      <div class="thirds">
        <Shares title={t("data.languages")} rows={Object.entries(report.languages ?? {}).map(([name, part]) => [named("lang", name), part.rows, bytes(part.bytes)])} />
        <Shares title={t("data.splits")} rows={inOrder(report.splits ?? {}, ["train", "validation", "test"]).map(([name, part]) => [named("split", name), part.rows, bytes(part.bytes)])} />
        <Shares
          title={t("data.personal")}
          empty={t("data.noPersonal")}
          rows={Object.entries(report.personal_data ?? {}).map(([name, found]) => [named("personal", name), found, ""])}
        />
      </div>
      <Sources report={report} collected={collected} />
      <Problems collected={collected} />
    </>
  );
}

/** The entries of an object, the named ones first. */
function inOrder<T>(of: { [name: string]: T }, names: string[]): [string, T][] {
  const place = (name: string): number => (names.includes(name) ? names.indexOf(name) : names.length);
  return Object.entries(of).sort(([a], [b]) => place(a) - place(b));
}

function FunnelLegend({ languages }: { languages: string[] }): JSX.Element {
  return (
    <ul class="legend">
      {languages.map((language) => (
        <li key={language}>
          <i class={`swatch kept lang-${language}`} />
          {named("lang", language)}
        </li>
      ))}
      <li>
        <i class="swatch lost" />
        {t("data.dropped")}
      </li>
    </ul>
  );
}

interface FunnelProps {
  steps: PrepareStep[];
  total: number;
  chosen: string | null;
  onChoose: (name: string | null) => void;
}

function Funnel({ steps, total, chosen, onChoose }: FunnelProps): JSX.Element {
  const width = (rows: number): string => `${total > 0 ? (rows / total) * 100 : 0}%`;
  return (
    <ol class="funnel" aria-label={t("data.stepsHint")}>
      {steps.map((step) => {
        const dropped = step.dropped ?? step.rows_in - step.rows_out;
        return (
          <li key={step.name}>
            <button type="button" aria-pressed={chosen === step.name} onClick={() => onChoose(chosen === step.name ? null : step.name)}>
              <span class="funnel-name">{named("step", step.name)}</span>
              <span class="funnel-bar" aria-hidden="true">
                <LanguageBars step={step} width={width} />
                <i class="lost" style={{ width: width(dropped) }} />
              </span>
              <span class="funnel-rows">{count(step.rows_out)}</span>
              <span class="funnel-notes">
                {dropped > 0 && <em>−{count(dropped)}</em>}
                {(step.changed ?? 0) > 0 && <span>{t("data.changed", { n: count(step.changed) })}</span>}
              </span>
            </button>
          </li>
        );
      })}
    </ol>
  );
}

function LanguageBars({ step, width }: { step: PrepareStep; width: (rows: number) => string }): JSX.Element {
  const parts = Object.entries(step.by_language ?? {}).filter(([, part]) => (part.out ?? 0) > 0);
  const known = parts.reduce((sum, [, part]) => sum + (part.out ?? 0), 0);
  const rest = Math.max(0, step.rows_out - known);
  return (
    <>
      {parts.map(([language, part]) => (
        <i key={language} class={`kept lang-${language}`} title={`${named("lang", language)}: ${count(part.out)}`} style={{ width: width(part.out ?? 0) }} />
      ))}
      {rest > 0 && <i class="kept" style={{ width: width(rest) }} />}
    </>
  );
}

function Examples({ steps, chosen, onChoose }: Omit<FunnelProps, "total">): JSX.Element | null {
  const withExamples = steps.filter((step) => (step.examples ?? []).length > 0);
  if (withExamples.length === 0) return null;
  const reasons = Object.entries(steps.find((step) => step.name === chosen)?.reasons ?? {});
  const rows = withExamples
    .filter((step) => chosen === null || step.name === chosen)
    .flatMap((step) => (step.examples ?? []).slice(0, chosen === null ? 3 : 50).map((example): [string, DroppedExample] => [step.name, example]));
  return (
    <Panel
      title={t("data.examples")}
      aside={
        <label class="inline">
          <span>{t("data.step")}</span>
          <select value={chosen ?? ""} onChange={(event) => onChoose(event.currentTarget.value === "" ? null : event.currentTarget.value)}>
            <option value="">{t("data.allSteps")}</option>
            {withExamples.map((step) => (
              <option key={step.name} value={step.name}>
                {named("step", step.name)}
              </option>
            ))}
          </select>
        </label>
      }
    >
      {rows.length === 0 && <p class="hint">{t("data.noExamples")}</p>}
      {reasons.length > 0 && (
        <p class="reasons">
          {reasons.map(([reason, rows_]) => (
            <span key={reason}>
              {reason} <b>{count(rows_)}</b>
            </span>
          ))}
        </p>
      )}
      <ul class="examples">
        {rows.map(([step, example], index) => (
          <li key={index}>
            <p class="example-why">
              <b>{named("step", step)}</b>
              <span>{example.reason}</span>
              {example.detail && <span class="hint">{example.detail}</span>}
            </p>
            <pre>{example.text}</pre>
            <small class="hint">
              {example.source}
              {example.record !== undefined && ` #${example.record}`}
            </small>
          </li>
        ))}
      </ul>
    </Panel>
  );
}

function Shares({ title, rows, empty }: { title: string; rows: [string, number, string][]; empty?: string }): JSX.Element {
  const total = rows.reduce((sum, [, value]) => sum + value, 0);
  return (
    <Panel title={title}>
      {total === 0 && <p class="hint">{empty ?? t("data.nothing")}</p>}
      <dl class="shares">
        {rows
          .filter(([, value]) => value > 0)
          .map(([name, value, note]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>
                {count(value)} <small>{note}</small>
              </dd>
              <i style={{ width: `${(value / total) * 100}%` }} aria-hidden="true" />
            </div>
          ))}
      </dl>
    </Panel>
  );
}

/** What could not be read, and where. */
function Problems({ collected }: { collected: CollectReport }): JSX.Element | null {
  const problems = (collected.sources ?? []).flatMap((source) => source.problems ?? []);
  if (problems.length === 0) return null;
  return (
    <Panel title={t("data.problems")}>
      <ul class="examples">
        {problems.map((problem, index) => (
          <li key={index}>
            <p class="example-why">
              <b>{problem.where}</b>
              <span>{problem.message}</span>
            </p>
            {problem.text && <pre>{problem.text}</pre>}
          </li>
        ))}
      </ul>
    </Panel>
  );
}

function Sources({ report, collected }: { report: PrepareReport; collected: CollectReport }): JSX.Element | null {
  const of = (name: string): CollectSource | undefined => collected.sources?.find((source) => source.name === name);
  const sources = Object.entries(report.sources ?? {});
  if (sources.length === 0) return null;
  return (
    <Panel title={t("data.sources")}>
      <div class="scroll">
        <table>
          <thead>
            <tr>
              <th scope="col">{t("data.source")}</th>
              <th scope="col">{t("data.kind")}</th>
              <th scope="col">{t("data.charset")}</th>
              <th scope="col" class="number">{t("data.files")}</th>
              <th scope="col" class="number">{t("data.rowsIn")}</th>
              <th scope="col" class="number">{t("data.rowsOut")}</th>
              <th scope="col" class="number">{t("data.kept")}</th>
            </tr>
          </thead>
          <tbody>
            {sources.map(([name, rows]) => (
              <tr key={name}>
                <th scope="row">{name}</th>
                <td class="faint">{of(name)?.kind}</td>
                <td class="faint">{Object.keys(of(name)?.charsets ?? {}).join(", ")}</td>
                <td class="number">{count(of(name)?.files)}</td>
                <td class="number">{count(rows.rows_in)}</td>
                <td class="number">{count(rows.rows_out)}</td>
                <td class="number">{percent(rows.rows_in > 0 ? rows.rows_out / rows.rows_in : 0)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Panel>
  );
}

function Tokenizer({ report }: { report: TokenizerReport }): JSX.Element {
  const rows: [string, Fertility][] = Object.entries(report.languages ?? {}).map(([name, part]) => [named("lang", name), part]);
  if (report.all) rows.push([t("data.allLanguages"), report.all]);
  return (
    <Panel title={t("data.tokenizer")} aside={<small class="hint">{`${report.algorithm ?? ""} · ${t("data.vocabulary", { n: count(report.vocab_size) })}`}</small>}>
      <div class="scroll">
        <table>
          <thead>
            <tr>
              <th scope="col">{t("data.language")}</th>
              <th scope="col" class="number">{t("data.tokensPerChar")}</th>
              <th scope="col" class="number">{t("data.byteLevel")}</th>
              <th scope="col" class="number">{t("data.tokensPerWord")}</th>
              <th scope="col" class="number">{t("data.byteLevel")}</th>
              <th scope="col" class="number">{t("data.bytesPerToken")}</th>
            </tr>
          </thead>
          <tbody>
            {rows.map(([name, part]) => (
              <tr key={name}>
                <th scope="row">{name}</th>
                <td class="number"><b>{figure(part.tokens_per_char, 3)}</b></td>
                <td class="number faint">{figure(part.byte_level_tokens_per_char, 3)}</td>
                <td class="number"><b>{figure(part.tokens_per_word, 3)}</b></td>
                <td class="number faint">{figure(part.byte_level_tokens_per_word, 3)}</td>
                <td class="number">{figure(part.bytes_per_token, 3)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p class="hint">{t("data.tokenizerHint")}</p>
    </Panel>
  );
}
