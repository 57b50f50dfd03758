// Line icons on a grid of 24. Decoration only: whoever shows one also says it in words.
import type { JSX } from "preact";

const kPaths = {
  // stations
  collect: "M12 3v9m0 0 3.5-3.5M12 12 8.5 8.5M4 13v5a2 2 0 0 0 2 2h12a2 2 0 0 0 2-2v-5M4 13h4.5l1.5 2.5h4l1.5-2.5H20",
  prepare: "M4 5h16l-6 7.2V18l-4 2.2v-8z",
  train: "M4 4v14a2 2 0 0 0 2 2h14M7.5 6.5c1 6.5 3 9 12 9.5",
  evaluate: "M4.5 17.5a9 9 0 1 1 15 0M12 14l4-5M12 15.2a1.2 1.2 0 1 0 0-2.4 1.2 1.2 0 0 0 0 2.4z",
  compress: "M4 4l5.5 5.5M9.5 5v4.5H5M20 4l-5.5 5.5M14.5 5v4.5H19M4 20l5.5-5.5M9.5 19v-4.5H5M20 20l-5.5-5.5M14.5 19v-4.5H19",
  deploy: "M20.5 3.5 10 14M20.5 3.5 14 20.5l-4-6.5-6.5-4z",
  listen: "M5 5.5h14a1.5 1.5 0 0 1 1.5 1.5v8.5a1.5 1.5 0 0 1-1.5 1.5h-7L7.5 20.5V17H5A1.5 1.5 0 0 1 3.5 15.5V7A1.5 1.5 0 0 1 5 5.5zM8 9.7h8M8 12.8h5",
  improve: "M19.5 12.5a7.5 7.5 0 1 1-3-6.5M16.5 2.5V6H13M12 16V9.5M9.2 12 12 9.2l2.8 2.8",
  // pages
  wheel: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM12 14.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5zM12 3v6.5M12 14.5V21M3 12h6.5M14.5 12H21",
  data: "M4 5h16M4 9.7h12.5M4 14.4h8.5M4 19h4.5",
  playground: "M4.5 4.5h15a1 1 0 0 1 1 1v10a1 1 0 0 1-1 1H12l-4.5 4v-4h-3a1 1 0 0 1-1-1v-10a1 1 0 0 1 1-1z",
  versions: "M12 3 3.5 7.5 12 12l8.5-4.5zM3.5 12 12 16.5l8.5-4.5M3.5 16.5 12 21l8.5-4.5",
  // acts
  up: "M7.5 11v9H4.5v-9zM7.5 11l4-7.5c1.7 0 2.5 1.2 2.2 2.8L13 9.5h5.3a1.8 1.8 0 0 1 1.8 2.2l-1.4 6.7a2 2 0 0 1-2 1.6H7.5",
  down: "M16.5 13V4h3v9zM16.5 13l-4 7.5c-1.7 0-2.5-1.2-2.2-2.8l.7-3.2H5.7a1.8 1.8 0 0 1-1.8-2.2l1.4-6.7a2 2 0 0 1 2-1.6h9.2",
  edit: "M4 20l1-4.5L16 4.5l3.5 3.5L8.5 19zM13.5 7l3.5 3.5",
  trace: "M6 6.5a2 2 0 1 0 0-4 2 2 0 0 0 0 4zM18 14a2 2 0 1 0 0-4 2 2 0 0 0 0 4zM6 21.5a2 2 0 1 0 0-4 2 2 0 0 0 0 4zM6 6.5v11M16 12h-4a6 6 0 0 1-6-5.5",
  stop: "M7 7h10v10H7z",
  send: "M12 20V5M6 10.5 12 4.5l6 6",
  copy: "M9 9h11v11H9zM15 9V4H4v11h5",
  sun: "M12 16.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9zM12 2v2.5M12 19.5V22M2 12h2.5M19.5 12H22M5 5l1.7 1.7M17.3 17.3 19 19M19 5l-1.7 1.7M6.7 17.3 5 19",
  moon: "M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.5z",
  back: "M14.5 5.5 8 12l6.5 6.5",
  // states, drawn to be told apart without colour
  fresh: "M5.5 12.5l4.5 4.5 8.5-10",
  stale: "M18.5 12a6.5 6.5 0 1 1-2-4.7M17 3.5v4h-4",
  missing: "M6.5 12h11",
  running: "M9 6.5 17 12l-8 5.5z",
  failed: "M7 7l10 10M17 7 7 17",
} as const;

export type IconName = keyof typeof kPaths;

export function iconPath(name: string): string {
  return name in kPaths ? kPaths[name as IconName] : kPaths.missing;
}

export function Icon({ name, size = 20, ...rest }: { name: IconName; size?: number } & JSX.SVGAttributes<SVGSVGElement>): JSX.Element {
  return (
    <svg class="icon" viewBox="0 0 24 24" width={size} height={size} aria-hidden="true" focusable="false" {...rest}>
      <path d={kPaths[name]} />
    </svg>
  );
}
