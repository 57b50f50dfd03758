// The first page: the wheel with the live state of each station, a row for each, and what to try next.
import type { JSX } from "preact";
import { useSignal } from "@preact/signals";
import { ApiError, useJson } from "../lib/api";
import { ago, duration } from "../lib/format";
import { lang, named, t } from "../lib/i18n";
import { href } from "../lib/router";
import type { Station, Status } from "../lib/types";
import { Icon, iconPath } from "../ui/icon";
import { Command, Empty, Failure, Loading, PageHead, Panel, State } from "../ui/parts";
import { WheelView } from "../ui/wheel_view";

const kPollMs = 2500;
const kPlaces: Record<string, string> = {
  collect: href("data"), prepare: href("data"), train: href("training"), evaluate: href("versions"), compress: href("versions"),
  deploy: href("playground"), listen: href("feedback"), improve: href("feedback"),
};

export function WheelPage(): JSX.Element {
  const { data: status, error, refresh } = useJson<Status>("api/status", kPollMs);
  const chosen = useSignal<string | null>(null);
  const choose = (name: string | null): void => {
    chosen.value = name;
  };
  if (error instanceof ApiError && error.status === 404) return <NoWorkspace error={error} />;
  if (status === null) return error === null ? <Loading /> : <Failure error={error} retry={refresh} />;
  return (
    <>
      <PageHead title={status.workspace.name} lead={status.workspace.path} />
      {error !== null && <Failure error={error} retry={refresh} />}
      {status.serving?.trouble && <Failure error={new Error(status.serving.trouble)} />}
      <div class="wheel-page">
        <div class="wheel-box">
          <WheelView status={status} chosen={chosen.value} onChoose={choose} />
        </div>
        <div class="wheel-side">
          <NextStep status={status} />
          <ol class="stations" aria-label={t("wheel.stations")}>
            {status.stations.map((station) => (
              <StationRow key={station.name} station={station} chosen={chosen.value === station.name} onChoose={choose} />
            ))}
          </ol>
        </div>
      </div>
    </>
  );
}

/** A server that was given a model alone has nothing to show here, but it answers. */
function NoWorkspace({ error }: { error: ApiError }): JSX.Element {
  return (
    <Empty text={error.message}>
      <a class="button primary" href={href("playground")}>
        {t("next.toChat")}
      </a>
    </Empty>
  );
}

function StationRow({ station, chosen, onChoose }: { station: Station; chosen: boolean; onChoose: (name: string | null) => void }): JSX.Element {
  return (
    <li class={`station${chosen ? " chosen" : ""}`} onMouseEnter={() => onChoose(station.name)} onMouseLeave={() => onChoose(null)}>
      <a href={kPlaces[station.name] ?? href("wheel")}>
        <svg class="icon" viewBox="0 0 24 24" width="20" height="20" aria-hidden="true">
          <path d={iconPath(station.name)} />
        </svg>
        <span class="station-name">{named("station", station.name)}</span>
        <span class="station-time">
          <State state={station.state} />
          <small>
            {station.updated_at ? ago(station.updated_at, lang.value) : ""}
            {station.seconds ? ` · ${duration(station.seconds)}` : ""}
          </small>
        </span>
        <span class="station-detail">{station.detail}</span>
      </a>
    </li>
  );
}

function NextStep({ status }: { status: Status }): JSX.Element {
  const failed = status.stations.find((station) => station.state === "failed");
  const running = status.stations.find((station) => station.state === "running");
  const stale = status.stations.filter((station) => ["stale", "missing"].includes(station.state) && !["listen", "improve"].includes(station.name));
  const improve = status.stations.find((station) => station.name === "improve");
  const command = `volant run ${status.workspace.path}`;
  const name = (station: Station): string => named("station", station.name);
  if (failed !== undefined) {
    return <Next text={t("next.failed", { station: name(failed), detail: failed.detail ?? "" })} command={command} grave />;
  }
  if (running !== undefined) {
    return <Next text={t("next.running", { station: name(running) })} link={[kPlaces[running.name] ?? href("wheel"), t("next.watch")]} />;
  }
  if (status.production === null) return <Next text={t("next.first")} command={command} />;
  if (stale.length > 0) return <Next text={t("next.stale", { stations: stale.map(name).join(t("list.comma")) })} command={command} />;
  if (improve?.state === "stale") return <Next text={t("next.improve")} link={[href("feedback"), t("next.toImprove")]} />;
  return <Next text={t("next.chat")} link={[href("playground"), t("next.toChat")]} />;
}

function Next({ text, command, link, grave = false }: { text: string; command?: string; link?: [string, string]; grave?: boolean }): JSX.Element {
  return (
    <Panel class={`next${grave ? " grave" : ""}`}>
      <h2>{t("next.title")}</h2>
      <p>{text}</p>
      {command !== undefined && <Command text={command} />}
      {link !== undefined && (
        <a class="button primary" href={link[0]}>
          {link[1]}
          <Icon name="back" size={14} class="icon turned" />
        </a>
      )}
    </Panel>
  );
}
