// Predictions from outside: `volant run` on a small table, the served model asked through HTTP and in the console, a
// corrected label that `volant improve` learns; bad input answered clearly.
import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { call, scratch, serve, trainSkipReason as skip, volant } from "./support/volant.mjs";

const kFruit = [["apple", 7, 160], ["plum", 4, 40], ["melon", 20, 1500]];

/** 480 fruits whose size and weight tell them apart, in an order that repeats. */
function table() {
  const lines = ["size,weight,colour,fruit"];
  for (let i = 0; i < 480; ++i) {
    const [name, size, weight] = kFruit[i % 3];
    const off = ((i * 37) % 21) / 10 - 1;
    lines.push(`${(size + off * size * 0.2).toFixed(2)},${(weight * (1 + off * 0.15)).toFixed(1)},${i % 5 === 0 ? "?" : i % 2 ? "green" : "red"},${name}`);
  }
  return lines.join("\n") + "\n";
}

const kConfig = `[workspace]
name = "fruit"
[task]
kind = "table"
[data]
train = ["fruit.csv"]
label = "fruit"
missing = ["?"]
[model]
layers = [{ type = "dense", units = 16 }, { type = "relu" }]
[train]
epochs = 12
batch_size = 16
lr = 1e-2
warmup_steps = 5
weight_decay = 0
evaluate_every = 100
checkpoint_every = 100
[evaluate]
attacks = { epsilons = [0.2], rows = 40, steps = 3 }
nearest = 100
[improve]
steps = 40
lr = 1e-2
replay_share = 0.8
held_out_share = 0
[gate]
max_accuracy_drop = 0.3
min_rows = 20
`;

let dir, folder, server;
before(async () => {
  if (skip) return;
  dir = await scratch();
  folder = join(dir.path, "fruit");
  await mkdir(folder);
  await writeFile(join(folder, "fruit.csv"), table());
  await writeFile(join(folder, "volant.toml"), kConfig);
  const report = JSON.parse(await volant("run", folder, "--json"));
  assert.equal(report.production, "v1");
  server = await serve(folder);
});
after(async () => {
  await server?.stop();
  await dir?.remove();
});

test("a second run finds everything fresh", { skip }, async () => {
  const report = JSON.parse(await volant("run", folder, "--json"));
  assert.deepEqual(report.stations.map((station) => station.fresh), [true, true, true, true, true, true]);
});

test("the report has accuracy with its interval, and trees beside it", { skip }, async () => {
  const report = await call(server.url, "/api/evaluation/v1");
  assert.ok(report.accuracy.value > 0.95, JSON.stringify(report.accuracy));
  assert.equal(report.accuracy.ci95.length, 2);
  assert.ok("gradient-boosted trees (XGBoost)" in report.baselines);
  assert.ok(report.attacks.epsilons["0.2"].pgd.value <= report.attacks.plain.value);
});

test("the task says what a form needs", { skip }, async () => {
  const task = await call(server.url, "/v1/task");
  assert.equal(task.task, "table");
  assert.deepEqual([...task.labels].sort(), ["apple", "melon", "plum"]);
  assert.deepEqual(task.schema.fields.map((field) => field.name), ["size", "weight", "colour"]);
});

test("a prediction has a label, probabilities that sum to one, and reasons", { skip }, async () => {
  const { model, predictions } = await call(server.url, "/v1/predictions", { input: [{ size: 21, weight: 1480, colour: "green" }, { size: 4 }], explain: true });
  assert.equal(model, "v1");
  assert.equal(predictions[0].label, "melon");
  assert.equal(predictions[1].label, "plum");
  const sum = Object.values(predictions[0].probabilities).reduce((a, b) => a + b, 0);
  assert.ok(Math.abs(sum - 1) < 1e-6);
  assert.ok(predictions[0].explanation.some(({ feature, score }) => feature === "weight" && score > 0));
  const other = await call(server.url, "/v1/predictions", { input: { size: 21, weight: 1480, colour: "green" }, explain: "occlusion" });
  assert.ok(other.predictions[0].explanation.some(({ feature, score }) => feature === "weight" && score > 0));
  const line = JSON.parse(await volant("predict", "-w", folder, "--input", '{"size": 21, "weight": 1480, "colour": "green"}'));
  assert.equal(line.label, "melon");
  assert.ok(Math.abs(line.probability - predictions[0].probability) < 1e-6);
});

test("training examples like an input are those of its kind", { skip }, async () => {
  const { predictions: [said] } = await call(server.url, "/v1/predictions", { input: { size: 21, weight: 1480, colour: "green" }, nearest: 3 });
  assert.equal(said.nearest.length, 3);
  for (const { label, similarity, input } of said.nearest) {
    assert.equal(label, "melon");
    assert.ok(similarity > 0.9 && input.weight > 1000);
  }
  assert.equal((await call(server.url, "/v1/task")).nearest, true);
  const line = JSON.parse(await volant("predict", "-w", folder, "--nearest", "2", "--input", '{"size": 21, "weight": 1480, "colour": "green"}'));
  assert.deepEqual(line.nearest.map(({ id }) => id), said.nearest.slice(0, 2).map(({ id }) => id));
});

test("bad input is answered with the field and what was expected", { skip }, async () => {
  const refuse = async (body) => {
    const response = await fetch(`${server.url}/v1/predictions`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
    assert.equal(response.status, 400);
    return (await response.json()).error.message;
  };
  assert.match(await refuse({ input: { size: "big" } }), /size/);
  assert.match(await refuse({ input: { weigth: 3 } }), /weigth.*weight/s);
  assert.match(await refuse({ inputs: {} }), /input/);
  assert.match(await refuse({ input: { size: 4 }, explain: "lime" }), /occlusion/);
  assert.match(await refuse({ input: { size: 4 }, nearest: -1 }), /nearest/);
  assert.match(await refuse({ input: [] }), /GET \/v1\/task/);
});

test("a file that is neither a picture nor rows is refused with what was expected", { skip }, async () => {
  await writeFile(join(folder, "notes.bin"), "\u0001 no rows");
  await assert.rejects(volant("predict", "-w", folder, join(folder, "notes.bin")), /notes\.bin:1.*expected a picture \(\.png, \.jpg\) or JSON Lines/s);
  await writeFile(join(folder, "NOTES.PNG"), "no picture");
  await assert.rejects(volant("predict", "-w", folder, join(folder, "NOTES.PNG")), /image/);
});

test("a correction must be a label; improve learns it and production changes", { skip }, async () => {
  // Between apples and melons: whatever the model says of it, somebody says the other.
  const odd = { size: 13, weight: 600, colour: "red" };
  const { predictions: [said] } = await call(server.url, "/v1/predictions", { input: odd });
  const right = said.label === "melon" ? "apple" : "melon";
  const wrong = await fetch(`${server.url}/v1/feedback`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ answer_id: said.id, correction: "aple" }) });
  assert.equal(wrong.status, 400);
  assert.match((await wrong.json()).error.message, /apple/);
  await call(server.url, "/v1/feedback", { answer_id: said.id, rating: "down", correction: right });
  const report = JSON.parse(await volant("improve", folder, "--json"));
  assert.equal(report.state, "promoted", JSON.stringify(report.gate));
  assert.equal(report.corrections.train.exact_after, 1);
  const line = JSON.parse(await volant("predict", "-w", folder, "--input", JSON.stringify(odd)));
  assert.equal(line.label, right);
  const { versions } = await call(server.url, "/api/versions");
  for (const version of versions) assert.ok(version.parity.training.relative < 1e-3, JSON.stringify(version.parity)); // trainer and server
  const trace = JSON.stringify(await call(server.url, `/api/trace/${said.id}`));
  assert.match(trace, /fruit\.csv/);
});
