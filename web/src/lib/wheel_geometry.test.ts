import { strict as assert } from "node:assert";
import { test } from "node:test";
import { isFlipped, kMiddle, kRimInner, kRimOuter, kStations, labelPath, piecePath, polar, stationAngle, tickPath } from "./wheel_geometry";

function points(path: string): [number, number][] {
  return [...path.matchAll(/(?:[ML]|A \S+ \S+ \S+ \S+ \S+) (-?[\d.]+) (-?[\d.]+)/g)].map((found) => [Number(found[1]), Number(found[2])]);
}

test("the first station is at the top and they go round clockwise", () => {
  assert.deepEqual(polar(100, stationAngle(0)), { x: kMiddle, y: kMiddle - 100 });
  const second = polar(100, stationAngle(1));
  assert.ok(second.x > kMiddle && second.y < kMiddle);
  assert.equal(stationAngle(kStations.length), 360);
});

test("a piece stays within the rim", () => {
  for (let index = 0; index < kStations.length; ++index) {
    const outline = points(piecePath(index));
    assert.equal(outline.length, 6);
    for (const [x, y] of outline) {
      const radius = Math.hypot(x - kMiddle, y - kMiddle);
      assert.ok(radius > kRimInner - 0.1 && radius < kRimOuter + 0.1, `station ${index}: ${radius}`);
    }
  }
});

test("labels run left to right in both halves", () => {
  for (let index = 0; index < kStations.length; ++index) {
    const [from, to] = points(labelPath(index, 250));
    if (index === 2 || index === 6) continue; // the sides run up or down
    assert.ok(from !== undefined && to !== undefined && from[0] < to[0], `station ${index}`);
  }
  assert.equal(isFlipped(0), false);
  assert.equal(isFlipped(4), true);
});

test("a dial has as many marks as asked", () => {
  assert.equal(tickPath(100, 40, 2, 5).split("M").length - 1, 40);
});
