// The plots of an evaluation report as SVG in the colours of the theme: ROC, precision and recall, calibration,
// confusion. Axes go from 0 to 1; the numbers of a point stand in its title.
import type { ComponentChildren, JSX } from "preact";
import { count, percent } from "../lib/format";
import { t } from "../lib/i18n";
import type { CalibrationBin, Confusion, Plots, Point } from "../lib/plots";

const kSize = 220;
const kLeft = 34; // for the numbers of the axis
const kBelow = 32;
const kTicks = [0, 0.5, 1];

const atX = (x: number): number => kLeft + x * kSize;
const atY = (y: number): number => 8 + (1 - y) * kSize;

function Frame({ label, x, y, children }: { label: string; x: string; y: string; children: ComponentChildren }): JSX.Element {
  return (
    <figure class="plot">
      <figcaption>{label}</figcaption>
      <svg viewBox={`-16 0 ${kSize + kLeft + 28} ${kSize + kBelow + 12}`} role="img" aria-label={label}>
        <rect x={atX(0)} y={atY(1)} width={kSize} height={kSize} class="plot-field" />
        {kTicks.map((tick) => (
          <g key={tick}>
            <text x={atX(tick)} y={atY(0) + 14} text-anchor="middle">{tick}</text>
            <text x={atX(0) - 6} y={atY(tick) + 4} text-anchor="end">{tick}</text>
          </g>
        ))}
        <text x={atX(0.5)} y={atY(0) + 28} text-anchor="middle">{x}</text>
        <text x={-6} y={atY(0.5)} text-anchor="middle" transform={`rotate(-90 -6 ${atY(0.5)})`}>{y}</text>
        {children}
      </svg>
    </figure>
  );
}

function Line({ points, chance = false }: { points: Point[]; chance?: boolean }): JSX.Element {
  return <polyline class={chance ? "plot-chance" : "plot-line"} points={points.map(([x, y]) => `${atX(x).toFixed(1)},${atY(y).toFixed(1)}`).join(" ")} />;
}

function Calibration({ bins }: { bins: CalibrationBin[] }): JSX.Element {
  const most = Math.max(...bins.map(({ rows }) => rows));
  return (
    <Frame label={t("plot.calibration")} x={t("plot.confidence")} y={t("plot.right")}>
      <Line points={[[0, 0], [1, 1]]} chance />
      {bins.map(({ confidence, accuracy, rows }) => (
        <circle key={confidence} cx={atX(confidence)} cy={atY(accuracy)} r={2.5 + 5 * Math.sqrt(rows / most)} class="plot-dot">
          <title>{t("plot.bin", { rows: count(rows), said: percent(confidence), right: percent(accuracy) })}</title>
        </circle>
      ))}
    </Frame>
  );
}

/** Rows are true labels, columns predicted ones; darker is a larger share of the true label. */
function ConfusionTable({ classes, counts }: Confusion): JSX.Element {
  return (
    <figure class="plot plot-confusion">
      <figcaption>{t("plot.confusion")}</figcaption>
      <div class="scroll">
        <table>
          <thead>
            <tr>
              <td />
              {classes.map((name) => (
                <th scope="col" key={name}>{name}</th>
              ))}
            </tr>
          </thead>
          <tbody>
            {counts.map((row, truth) => {
              const all = Math.max(1, row.reduce((sum, n) => sum + n, 0));
              return (
                <tr key={classes[truth]}>
                  <th scope="row">{classes[truth]}</th>
                  {row.map((n, predicted) => (
                    <td key={predicted} title={percent(n / all)} style={{ background: `color-mix(in srgb, var(${truth === predicted ? "--house" : "--failed"}) ${Math.round((n / all) * 62)}%, transparent)` }}>
                      {count(n)}
                    </td>
                  ))}
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
    </figure>
  );
}

export function ReportPlots({ plots }: { plots: Plots }): JSX.Element {
  const { roc, precisionRecall, calibration, confusion } = plots;
  const positive = precisionRecall.at(-1)?.[1] ?? 0; // with every row above the threshold: the share of positive rows
  return (
    <div class="plots">
      {roc.length > 0 && (
        <Frame label={t("plot.roc")} x={t("plot.falsePositive")} y={t("plot.truePositive")}>
          <Line points={[[0, 0], [1, 1]]} chance />
          <Line points={roc} />
        </Frame>
      )}
      {precisionRecall.length > 0 && (
        <Frame label={t("plot.precisionRecall")} x={t("plot.recall")} y={t("plot.precision")}>
          <Line points={[[0, positive], [1, positive]]} chance />
          <Line points={precisionRecall} />
        </Frame>
      )}
      {calibration.length > 0 && <Calibration bins={calibration} />}
      {confusion !== null && <ConfusionTable {...confusion} />}
    </div>
  );
}
