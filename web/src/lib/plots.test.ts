import assert from "node:assert/strict";
import { test } from "node:test";
import { plotsOf, thinned, worstSlicesOf } from "./plots";

test("plots come from the report, and what is malformed is left out", () => {
  const plots = plotsOf({
    plots: {
      roc: [[0, 0], [0.5, 1], ["x", 1], [1, 1]],
      calibration: [{ confidence: 0.8, accuracy: 0.7, rows: 10 }, { confidence: 0.8 }],
      confusion: { classes: ["a", "b"], counts: [5, 1, 2, 7] },
    },
  });
  assert.deepEqual(plots.roc, [[0, 0], [0.5, 1], [1, 1]]);
  assert.deepEqual(plots.precisionRecall, []);
  assert.deepEqual(plots.calibration, [{ confidence: 0.8, accuracy: 0.7, rows: 10 }]);
  assert.deepEqual(plots.confusion, { classes: ["a", "b"], counts: [[5, 1], [2, 7]] });
  assert.equal(plotsOf({ plots: { confusion: { classes: ["a", "b"], counts: [1] } } }).confusion, null);
  assert.deepEqual(plotsOf({}).roc, []);
});

test("a thinned curve keeps its ends", () => {
  const points = Array.from({ length: 1001 }, (_, i) => i);
  assert.deepEqual(thinned(points, 5), [0, 250, 500, 750, 1000]);
  assert.equal(thinned([1, 2], 5).length, 2);
});

test("the worst slices have their score, the rest and the corrected p", () => {
  const score = { value: 0.4, ci95: [0.3, 0.5] };
  const slices = worstSlicesOf({ worst_slices: { slices: [{ name: "sex = f", rows: 30, score, rest: 0.8, p_value: 0.001, adjusted_p: 0.01 }, { name: "no score" }] } });
  assert.deepEqual(slices, [{ name: "sex = f", rows: 30, score, rest: 0.8, p: 0.01 }]);
  assert.deepEqual(worstSlicesOf({ worst_slices: 3 }), []);
});
