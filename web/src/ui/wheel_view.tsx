// The wheel as a drawing: a rim of eight stations, a bolt with the state of each, the production version in the hub.
// A station is a button (mouse, touch, keyboard); the drawing turns its inner dial while a station is at work.
import type { JSX } from "preact";
import type { Station, Status } from "../lib/types";
import { named, t } from "../lib/i18n";
import { ago, figure, asMetric } from "../lib/format";
import { lang } from "../lib/i18n";
import { href } from "../lib/router";
import {
  isFlipped, kHub, kMiddle, kRimInner, kRimOuter, kSize, kStations, labelPath, piecePath, polar, spokePath, stationAngle, tickPath,
} from "../lib/wheel_geometry";
import { iconPath } from "./icon";

interface Props {
  status: Status;
  chosen: string | null;
  onChoose: (station: string | null) => void;
}

const kLabelRadius = 280;
const kIconRadius = 244;
const kBoltRadius = kRimInner - 6;

export function WheelView({ status, chosen, onChoose }: Props): JSX.Element {
  const busy = status.stations.some((station) => station.state === "running");
  return (
    <svg class={`wheel${busy ? " turning" : ""}`} viewBox={`0 0 ${kSize} ${kSize}`} role="group" aria-label={t("wheel.title")}>
      <g class="wheel-frame" aria-hidden="true">
        <circle cx={kMiddle} cy={kMiddle} r={kRimOuter + 12} class="wheel-edge" />
        {kStations.map((name, index) => (
          <path key={name} d={spokePath(index)} class="spoke" />
        ))}
        <circle cx={kMiddle} cy={kMiddle} r={kRimInner - 26} class="dial-ring" />
        <path d={tickPath(kRimInner - 26, 120, 5, 11)} class="dial" />
      </g>
      {kStations.map((name, index) => (
        <StationPiece
          key={name}
          index={index}
          station={status.stations.find((station) => station.name === name) ?? { name, state: "missing" }}
          chosen={chosen === name}
          onChoose={onChoose}
        />
      ))}
      <Hub status={status} />
    </svg>
  );
}

function StationPiece({ index, station, chosen, onChoose }: { index: number; station: Station; chosen: boolean; onChoose: Props["onChoose"] }): JSX.Element {
  const flipped = isFlipped(index);
  const icon = polar(kIconRadius, stationAngle(index));
  const bolt = polar(kBoltRadius, stationAngle(index));
  const label = named("station", station.name);
  const spoken = [label, named("state", station.state), station.detail ?? "", station.updated_at ? ago(station.updated_at, lang.value) : ""];
  const choose = (): void => onChoose(chosen ? null : station.name);
  return (
    <g
      class={`piece tone-${station.state}${chosen ? " chosen" : ""}`}
      data-station={station.name}
      data-state={station.state}
      role="button"
      tabindex={0}
      aria-pressed={chosen}
      aria-label={spoken.filter((part) => part !== "").join(", ")}
      onClick={choose}
      onKeyDown={(event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        choose();
      }}
    >
      <path d={piecePath(index)} class="piece-body" />
      <path id={`label-${index}`} d={labelPath(index, kLabelRadius)} fill="none" />
      <text class="piece-name" dy={flipped ? "0.72em" : "0"} aria-hidden="true">
        <textPath href={`#label-${index}`} startOffset="50%" text-anchor="middle">
          {label}
        </textPath>
      </text>
      <path class="piece-icon" d={iconPath(station.name)} transform={`translate(${icon.x - 21} ${icon.y - 21}) scale(1.75)`} />
      <g class="bolt">
        <circle cx={bolt.x} cy={bolt.y} r="17" />
        <path d={iconPath(station.state)} transform={`translate(${bolt.x - 12} ${bolt.y - 12})`} />
      </g>
    </g>
  );
}

function Hub({ status }: { status: Status }): JSX.Element {
  const version = status.production?.version ?? null;
  const bits = asMetric(status.production?.metrics?.["bits_per_byte"]);
  return (
    <a class="hub" href={href("versions")} aria-label={version === null ? t("wheel.noProduction") : t("wheel.production", { version })}>
      <circle cx={kMiddle} cy={kMiddle} r={kHub + 12} class="hub-ring" />
      <circle cx={kMiddle} cy={kMiddle} r={kHub} class="hub-face" />
      <text x={kMiddle} y={kMiddle - 47} class="hub-small">
        {t("alias.production")}
      </text>
      <text x={kMiddle} y={kMiddle + 12} class="hub-version">
        {version ?? "–"}
      </text>
      <text x={kMiddle} y={kMiddle + 44} class="hub-small hub-figure">
        {bits !== null ? figure(bits.value) : version === null ? t("wheel.none") : ""}
      </text>
      <text x={kMiddle} y={kMiddle + 65} class="hub-small">
        {bits !== null && t("unit.bitsPerByte")}
      </text>
    </a>
  );
}
