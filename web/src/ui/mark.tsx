// The sign of Volant: a rim in eight pieces around a hub.
import type { JSX } from "preact";
import { kSize, kStations, piecePath } from "../lib/wheel_geometry";

export function Mark({ size = 30 }: { size?: number }): JSX.Element {
  return (
    <svg class="mark" viewBox={`0 0 ${kSize} ${kSize}`} width={size} height={size} aria-hidden="true">
      {kStations.map((name, index) => (
        <path key={name} d={piecePath(index)} class={index === 0 ? "mark-first" : ""} />
      ))}
      <circle cx="320" cy="320" r="92" />
    </svg>
  );
}
