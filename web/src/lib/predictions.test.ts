import assert from "node:assert/strict";
import { test } from "node:test";
import { areaOf, inputOf, placement, shownQuestion } from "./predictions";

test("a form's empty fields are missing and its numbers are numbers", () => {
  const fields = [{ name: "age", type: "number" }, { name: "job", type: "category" }, { name: "sex", type: "category" }] as const;
  assert.deepEqual(inputOf(fields, { age: " 39 ", job: "Sales", sex: "" }), { age: 39, job: "Sales", sex: null });
});

test("what is no number stays text, for the server to say so", () => {
  assert.deepEqual(inputOf([{ name: "age", type: "number" }], { age: "old" }), { age: "old" });
});

test("pixels and patches are told from other features", () => {
  assert.deepEqual(areaOf("pixel 3,14"), [3, 14, 1, 1]);
  assert.deepEqual(areaOf("patch 24,8 4x3"), [24, 8, 4, 3]);
  assert.equal(areaOf("age"), null);
  assert.equal(areaOf("patch 1,2"), null);
});

test("a drawing is scaled to 20 of 28 parts and centred by its mass", () => {
  const ink = new Float32Array(100 * 100);
  for (let y = 10; y < 50; ++y) for (let x = 60; x < 70; ++x) ink[y * 100 + x] = 1;
  const place = placement(ink, 100, 100, 28);
  assert.ok(place !== null);
  assert.equal(place.scale, 0.5); // 40 rows become 20
  assert.equal(place.x, 14 - 65 * 0.5);
  assert.equal(place.y, 14 - 30 * 0.5);
  assert.equal(placement(new Float32Array(4), 2, 2, 28), null);
});

test("a question that is the input of a prediction is shown as a picture, a text or columns", () => {
  const picture = "data:image/png;base64,iVBORw0KGgo=";
  assert.deepEqual(shownQuestion(JSON.stringify({ image: picture })), { picture });
  assert.deepEqual(shownQuestion('{"text":"A fine film."}'), { text: "A fine film." });
  assert.deepEqual(shownQuestion('{"text":"a","text_pair":"b"}'), { text: "a | b" });
  assert.deepEqual(shownQuestion('{"age":39,"job":null}'), { text: "age 39, job -" });
});

test("other questions stay as they were written", () => {
  for (const words of ["Hello", "{", "{}", '{"a":{"b":1}}', "[1]", ""]) assert.deepEqual(shownQuestion(words), { text: words });
  assert.deepEqual(shownQuestion('{"image":"https://example.org/a.png"}'), { text: "image https://example.org/a.png" });
});
