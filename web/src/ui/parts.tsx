// Small parts that several pages share: state badge, panel, notices, key figures, copyable command.
import type { ComponentChildren, JSX } from "preact";
import { useSignal } from "@preact/signals";
import { ApiError, keyWanted } from "../lib/api";
import { count, facts, figure, type Metric, percent, plainName } from "../lib/format";
import { named, t } from "../lib/i18n";
import type { MetricNode } from "../lib/types";
import { Icon, type IconName } from "./icon";

export function PageHead({ title, lead, children }: { title: string; lead?: string; children?: ComponentChildren }): JSX.Element {
  return (
    <header class="page-head">
      <div>
        <h1>{title}</h1>
        {lead !== undefined && <p class="lead">{lead}</p>}
      </div>
      {children !== undefined && <div class="page-acts">{children}</div>}
    </header>
  );
}

export function Panel({ title, aside, children, class: extra = "" }: { title?: string; aside?: ComponentChildren; children: ComponentChildren; class?: string }): JSX.Element {
  return (
    <section class={`panel ${extra}`}>
      {title !== undefined && (
        <div class="panel-head">
          <h2>{title}</h2>
          {aside}
        </div>
      )}
      {children}
    </section>
  );
}

const kStateIcons: Record<string, IconName> = {
  fresh: "fresh", stale: "stale", missing: "missing", running: "running", failed: "failed",
  finished: "fresh", done: "fresh", passed: "fresh", stopped: "missing", idle: "missing", refused: "failed",
  used: "fresh", new: "stale", rejected: "failed", intact: "fresh", damaged: "failed", promoted: "fresh", nothing_to_do: "missing",
};
const kTones: Record<string, string> = {
  finished: "fresh", done: "fresh", passed: "fresh", stopped: "missing", idle: "missing", refused: "failed", used: "fresh", new: "stale", rejected: "failed",
  intact: "fresh", damaged: "failed", promoted: "fresh", nothing_to_do: "missing",
};

/** A state as colour, sign and word. */
export function State({ state }: { state: string }): JSX.Element {
  return (
    <span class={`state tone-${kTones[state] ?? state}`} data-state={state}>
      <span class="state-sign">
        <Icon name={kStateIcons[state] ?? "missing"} size={13} />
      </span>
      {named("state", state)}
    </span>
  );
}

export function Empty({ text, command, children }: { text: string; command?: string; children?: ComponentChildren }): JSX.Element {
  return (
    <div class="empty">
      <Icon name="wheel" size={44} />
      <p>{text}</p>
      {command !== undefined && <Command text={command} />}
      {children}
    </div>
  );
}

export function Failure({ error, retry }: { error: Error; retry?: () => void }): JSX.Element {
  const lost = error instanceof TypeError; // fetch() could not reach the server
  return (
    <div class="notice tone-failed" role="alert">
      <Icon name="failed" size={16} />
      <p>{lost ? t("error.unreachable") : error.message}</p>
      {error instanceof ApiError && (error.status === 401 || error.status === 403) && (
        <button type="button" onClick={() => (keyWanted.value = true)}>
          {t("key.enter")}
        </button>
      )}
      {retry !== undefined && (
        <button type="button" class="quiet" onClick={retry}>
          {t("act.retry")}
        </button>
      )}
    </div>
  );
}

export function Loading(): JSX.Element {
  return (
    <p class="loading" role="status">
      {t("loading")}
    </p>
  );
}

export function Command({ text }: { text: string }): JSX.Element {
  const copied = useSignal(false);
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text);
      copied.value = true;
      setTimeout(() => (copied.value = false), 1600);
    } catch {
      // No clipboard (plain http): the text can still be selected.
    }
  };
  return (
    <div class="command">
      <code>{text}</code>
      <button type="button" class="quiet" onClick={() => void copy()} aria-label={t("act.copy")} title={t("act.copy")}>
        <Icon name={copied.value ? "fresh" : "copy"} size={15} />
      </button>
    </div>
  );
}

const kShares = /accuracy|agreement|share|mfu|rate$/;

/** A metric's value in its natural unit. */
export function metricText(name: string, value: number): string {
  if (kShares.test(name) && Math.abs(value) <= 1) return percent(value);
  if (Number.isInteger(value)) return count(value);
  return Math.abs(value) >= 0.1 && Math.abs(value) < 1e4 ? value.toPrecision(4) : figure(value);
}

export function MetricValue({ name, metric }: { name: string; metric: Metric }): JSX.Element {
  return (
    <span class="metric">
      <b>{metricText(name, metric.value)}</b>
      {metric.low !== undefined && metric.high !== undefined && (
        <small title={t("interval.hint")}>
          {metricText(name, metric.low)} … {metricText(name, metric.high)}
        </small>
      )}
    </span>
  );
}

/** Value and 95 % interval on a scale from `low` to `high`. The figures stand beside it in words. */
export function Whisker({ metric, low, high }: { metric: Metric; low: number; high: number }): JSX.Element {
  const place = (value: number): number => (high > low ? ((value - low) / (high - low)) * 100 : 50);
  const from = place(metric.low ?? metric.value);
  const to = place(metric.high ?? metric.value);
  return (
    <span class="whisker" aria-hidden="true">
      <i style={{ left: `${from}%`, width: `${Math.max(0, to - from)}%` }} />
      <b style={{ left: `${place(metric.value)}%` }} />
    </span>
  );
}

/** Any object as a list of names and values. */
export function Pairs({ of, group, short = false }: { of: MetricNode | undefined; group: string; short?: boolean }): JSX.Element {
  return (
    <dl class={short ? "pairs short" : "pairs"}>
      {facts(of).map(([name, value]) => (
        <div key={name}>
          <dt>{name.split(".").map((part) => plainName(named(group, part))).join(" · ")}</dt>
          <dd>{value === "true" ? t("yes") : value === "false" ? t("no") : value}</dd>
        </div>
      ))}
    </dl>
  );
}

export function Fact({ label, children, title }: { label: string; children: ComponentChildren; title?: string }): JSX.Element {
  return (
    <div class="fact" title={title}>
      <dt>{label}</dt>
      <dd>{children}</dd>
    </div>
  );
}
