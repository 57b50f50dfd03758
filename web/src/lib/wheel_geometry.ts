// The lines of the wheel: eight stations as arrow-ended pieces of a rim, read clockwise from the top. Angles in degrees, 0 is up,
// clockwise. The drawing is 640 x 640 around its middle.

export const kStations = ["collect", "prepare", "train", "evaluate", "compress", "deploy", "listen", "improve"] as const;
export type StationName = (typeof kStations)[number];

export const kSize = 640;
export const kMiddle = kSize / 2;
export const kRimOuter = 304;
export const kRimInner = 208;
export const kHub = 96;
const kPiece = 360 / kStations.length;
const kGap = 1.6; // between two pieces
const kArrow = 5; // how far a piece's end points forward

export interface Point {
  x: number;
  y: number;
}

export function polar(radius: number, angle: number): Point {
  const turn = (angle / 180) * Math.PI;
  return { x: kMiddle + radius * Math.sin(turn), y: kMiddle - radius * Math.cos(turn) };
}

/** The middle angle of station `index`. */
export function stationAngle(index: number): number {
  return index * kPiece;
}

function at(radius: number, angle: number): string {
  const { x, y } = polar(radius, angle);
  return `${x.toFixed(2)} ${y.toFixed(2)}`;
}

function arc(radius: number, from: number, to: number): string {
  const sweep = to > from ? 1 : 0;
  return `A ${radius} ${radius} 0 ${Math.abs(to - from) > 180 ? 1 : 0} ${sweep} ${at(radius, to)}`;
}

/** The outline of one station's piece: notched behind, pointed in front. */
export function piecePath(index: number): string {
  const from = stationAngle(index) - kPiece / 2 + kGap / 2 - kArrow / 2;
  const to = from + kPiece - kGap;
  const middle = (kRimOuter + kRimInner) / 2;
  return [
    `M ${at(kRimOuter, from)}`,
    arc(kRimOuter, from, to),
    `L ${at(middle, to + kArrow)}`,
    `L ${at(kRimInner, to)}`,
    arc(kRimInner, to, from),
    `L ${at(middle, from + kArrow)}`,
    "Z",
  ].join(" ");
}

/** An arc for text along station `index`; in the lower half it runs the other way, so that the text stands upright. */
export function labelPath(index: number, radius: number): string {
  const angle = stationAngle(index);
  const reach = kPiece / 2;
  const flipped = isFlipped(index);
  const [from, to] = flipped ? [angle + reach, angle - reach] : [angle - reach, angle + reach];
  return `M ${at(radius, from)} ${arc(radius, from, to)}`;
}

export function isFlipped(index: number): boolean {
  const angle = stationAngle(index);
  return angle > 90 && angle < 270;
}

/** A spoke from the hub to the rim under station `index`, narrower towards the rim. */
export function spokePath(index: number): string {
  const angle = stationAngle(index);
  const foot = 5.2;
  const head = 1.1;
  const top = kRimInner - 20;
  return `M ${at(kHub, angle - foot)} L ${at(top, angle - head)} L ${at(top, angle + head)} L ${at(kHub, angle + foot)} Z`;
}

/** Marks around a circle, `long` every fifth, as one path. */
export function tickPath(radius: number, marks: number, short: number, long: number): string {
  const lines: string[] = [];
  for (let mark = 0; mark < marks; ++mark) {
    const angle = (mark * 360) / marks;
    lines.push(`M ${at(radius, angle)} L ${at(radius - (mark % 5 === 0 ? long : short), angle)}`);
  }
  return lines.join(" ");
}
