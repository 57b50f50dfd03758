// A uPlot chart of named curves over the step, in the colours of the theme. Curves may have gaps (null) and different steps.
import uPlot from "uplot";
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { theme } from "../lib/theme";

export interface Curve {
  label: string;
  colour: string; // a CSS variable's name
  points: [number, number][];
  dots?: boolean;
  fill?: boolean;
}

interface Props {
  title: string;
  curves: Curve[];
  format: (value: number) => string;
  height?: number;
  sync?: string;
}

/** One x column for all curves, null where a curve has no point at that step. */
export function alignCurves(curves: Curve[]): uPlot.AlignedData {
  const steps = [...new Set(curves.flatMap((curve) => curve.points.map(([step]) => step)))].sort((a, b) => a - b);
  return [
    steps,
    ...curves.map((curve) => {
      const values = new Map(curve.points);
      return steps.map((step) => values.get(step) ?? null);
    }),
  ];
}

function options(box: HTMLElement, props: Props): uPlot.Options {
  const css = getComputedStyle(document.documentElement);
  const colour = (name: string): string => css.getPropertyValue(name).trim();
  const axis: uPlot.Axis = {
    stroke: colour("--ink-3"),
    font: "11px system-ui, sans-serif",
    grid: { stroke: colour("--line"), width: 1 },
    ticks: { stroke: colour("--line"), width: 1, size: 4 },
  };
  return {
    width: box.clientWidth,
    height: props.height ?? 190,
    padding: [10, 16, 0, 0],
    legend: { show: false },
    cursor: { y: false, drag: { x: true, y: false }, ...(props.sync === undefined ? {} : { sync: { key: props.sync } }) },
    scales: { x: { time: false } },
    axes: [
      { ...axis, space: 60, size: 28 },
      { ...axis, size: 54, values: (_, splits) => splits.map((value) => props.format(value)) },
    ],
    series: [
      {},
      ...props.curves.map(
        (curve): uPlot.Series => ({
          label: curve.label,
          stroke: colour(curve.colour),
          width: curve.dots === true ? 2 : 1.5,
          spanGaps: true,
          ...(curve.fill === true ? { fill: `${colour(curve.colour)}1f` } : {}),
          points: curve.dots === true ? { show: true, size: 6, fill: colour("--sheet") } : { show: false },
        }),
      ),
    ],
    hooks: {
      setCursor: [
        (plot) => {
          const index = plot.cursor.idx;
          const readout = box.parentElement?.querySelector<HTMLElement>(".chart-readout");
          if (!readout) return;
          const step = index === null || index === undefined ? undefined : plot.data[0][index];
          readout.textContent = step === undefined ? "" : describe(plot, props, index ?? 0, step);
        },
      ],
    },
  };
}

function describe(plot: uPlot, props: Props, index: number, step: number): string {
  const values = props.curves.flatMap((curve, at) => {
    const value = plot.data[at + 1]?.[index];
    return value === null || value === undefined ? [] : [`${curve.label} ${props.format(value)}`];
  });
  return `${step}: ${values.join(" · ")}`;
}

export function Chart(props: Props): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const look = `${theme.value}|${props.curves.map((curve) => curve.label + curve.colour).join("|")}`;
  useEffect(() => {
    const element = box.current;
    if (element === null) return undefined;
    const made = new uPlot(options(element, props), alignCurves(props.curves), element);
    plot.current = made;
    const watch = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: props.height ?? 190 }));
    watch.observe(element);
    return () => {
      watch.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [look, props.height]);
  useEffect(() => plot.current?.setData(alignCurves(props.curves)), [props.curves]);
  const last = (curve: Curve): string => {
    const point = curve.points[curve.points.length - 1];
    return point === undefined ? "–" : props.format(point[1]);
  };
  return (
    <figure class="chart">
      <figcaption>
        <h3>{props.title}</h3>
        <ul class="legend">
          {props.curves.map((curve) => (
            <li key={curve.label}>
              <i class={curve.dots === true ? "dot" : ""} style={{ "--colour": `var(${curve.colour})` }} />
              {props.curves.length > 1 && curve.label} <b>{last(curve)}</b>
            </li>
          ))}
        </ul>
      </figcaption>
      <div ref={box} class="chart-box" role="img" aria-label={`${props.title}: ${props.curves.map((curve) => `${curve.label} ${last(curve)}`).join(", ")}`} />
      <output class="chart-readout" aria-hidden="true" />
    </figure>
  );
}
