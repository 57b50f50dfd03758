// Training: the runs of the workspace and the curves of the one chosen, live while it runs.
import type { JSX } from "preact";
import { useSignal } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { useJson } from "../lib/api";
import { ago, count, duration, figure, percent } from "../lib/format";
import { lang, named, t } from "../lib/i18n";
import { href, route } from "../lib/router";
import type { Run, RunEvent } from "../lib/types";
import { Chart, type Curve } from "../ui/chart";
import { Empty, Fact, Failure, Loading, PageHead, Pairs, Panel, State } from "../ui/parts";

const kRunsPollMs = 4000;
const kEventsPollMs = 2000;
const kTrainers = ["train", "improve", "pretrain", "sft"]; // kinds of run that have curves

export function TrainingPage(): JSX.Element {
  const { data, error, refresh } = useJson<{ runs: Run[] }>("api/runs", kRunsPollMs);
  const all = useSignal(false);
  if (data === null) return error === null ? <Loading /> : <Failure error={error} retry={refresh} />;
  const wanted = route.value.args[0];
  const learned = data.runs.filter((one) => kTrainers.includes(one.kind ?? "train"));
  const runs = all.value ? data.runs : data.runs.filter((one) => learned.includes(one) || one.id === wanted);
  const run = wanted === undefined ? (learned[0] ?? runs[0]) : runs.find((one) => one.id === wanted);
  return (
    <>
      <PageHead title={t("page.training")} lead={t("training.lead")}>
        <label class="check">
          <input type="checkbox" checked={all.value} onChange={(event) => (all.value = event.currentTarget.checked)} />
          <span>{t("training.all")}</span>
        </label>
      </PageHead>
      {error !== null && <Failure error={error} retry={refresh} />}
      {runs.length === 0 ? (
        <Empty text={t("training.empty")} command="volant run ." />
      ) : (
        <div class="split">
          <nav class="run-list" aria-label={t("training.runs")}>
            {runs.map((one) => (
              <a key={one.id} href={href("training", one.id)} aria-current={one.id === run?.id ? "true" : undefined}>
                <b>{one.id}</b>
                <span>
                  <State state={one.status ?? "finished"} />
                  {one.kind !== undefined && <small>{named("kind", one.kind)}</small>}
                </span>
                <small>{`${ago(one.created_at, lang.value)} · ${duration(one.seconds)}`}</small>
              </a>
            ))}
          </nav>
          <div>{run === undefined ? <Empty text={t("training.unknown", { id: wanted ?? "" })} /> : <RunView key={run.id} run={run} />}</div>
        </div>
      )}
    </>
  );
}

function curveOf(events: RunEvent[], type: string, field: keyof RunEvent): [number, number][] {
  return events.flatMap((event): [number, number][] => {
    const value = event[field];
    return event.type === type && typeof event.step === "number" && typeof value === "number" ? [[event.step, value]] : [];
  });
}

function RunView({ run }: { run: Run }): JSX.Element {
  const live = run.status === "running";
  const { data, error, refresh } = useJson<{ events: RunEvent[] }>(`api/runs/${encodeURIComponent(run.id)}/events`, live ? kEventsPollMs : 0);
  const events = data?.events ?? [];
  const curves = useMemo(() => {
    const step = (field: keyof RunEvent, label: string, colour: string, fill = false): Curve[] => [
      { label, colour, points: curveOf(events, "step", field), fill },
    ];
    return {
      loss: [
        ...step("loss", t("curve.train"), "--curve-1"),
        { label: t("curve.validation"), colour: "--curve-2", points: curveOf(events, "eval", "loss"), dots: true },
      ],
      lr: step("lr", t("curve.lr"), "--curve-3", true),
      grad: step("grad_norm", t("curve.gradNorm"), "--curve-4"),
      speed: step("tokens_per_second", t("curve.speed"), "--curve-1", true),
      mfu: step("mfu", "MFU", "--curve-3", true),
    };
  }, [data, lang.value]);
  if (data === null) return error === null ? <Loading /> : <Failure error={error} retry={refresh} />;
  const steps = events.filter((event) => event.type === "step");
  if (steps.length === 0) {
    return (
      <Panel title={run.id} aside={<State state={run.status ?? "finished"} />}>
        {live && <p class="hint">{t("training.noCurve")}</p>}
        <Pairs of={run.summary} group="metric" />
      </Panel>
    );
  }
  const rate = (value: number): string => figure(value, 3);
  return (
    <>
      <RunFacts events={events} steps={steps} live={live} />
      <Panel>
        <Chart title={t("curve.loss")} curves={curves.loss} format={rate} height={270} sync={run.id} />
      </Panel>
      <div class="chart-grid">
        <Panel>
          <Chart title={t("curve.lr")} curves={curves.lr} format={(value) => value.toExponential(1)} sync={run.id} />
        </Panel>
        <Panel>
          <Chart title={t("curve.gradNorm")} curves={curves.grad} format={rate} sync={run.id} />
        </Panel>
        <Panel>
          <Chart title={t("curve.speed")} curves={curves.speed} format={count} sync={run.id} />
        </Panel>
        <Panel>
          <Chart title={t("curve.mfu")} curves={curves.mfu} format={(value) => percent(value, 0)} sync={run.id} />
        </Panel>
      </div>
    </>
  );
}

function RunFacts({ events, steps, live }: { events: RunEvent[]; steps: RunEvent[]; live: boolean }): JSX.Element {
  const start = events.find((event) => event.type === "start");
  const last = steps[steps.length - 1];
  const evals = events.filter((event) => event.type === "eval");
  const best = evals.reduce<RunEvent | null>((found, event) => ((event.loss ?? Infinity) < (found?.loss ?? Infinity) ? event : found), null);
  const parameters = start?.["n_parameters"];
  const speeds = steps.map((event) => event.tokens_per_second ?? 0).sort((a, b) => a - b);
  const peak = Math.max(...steps.map((event) => event.rss_mb ?? 0));
  return (
    <dl class="facts" aria-live={live ? "polite" : "off"}>
      <Fact label={t("training.step")}>{count(last?.step)}</Fact>
      <Fact label={t("training.parameters")}>{count(parameters)}</Fact>
      <Fact label={t("training.tokens")}>{count(last?.tokens)}</Fact>
      <Fact label={t("training.bestLoss")}>{best === null ? "–" : `${figure(best.loss)} @ ${best.step ?? "?"}`}</Fact>
      {best?.bits_per_byte !== undefined && <Fact label={t("metric.bits_per_byte")}>{figure(best.bits_per_byte)}</Fact>}
      <Fact label={t("curve.speed")}>{count(speeds[Math.floor(speeds.length / 2)])}</Fact>
      {peak > 0 && <Fact label={t("training.memory")}>{count(peak)} MB</Fact>}
      <Fact label={t("training.time")}>{duration(last?.seconds)}</Fact>
    </dl>
  );
}
