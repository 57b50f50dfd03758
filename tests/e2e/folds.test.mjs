// `volant eval --cv` and `--learning-curve` from outside: killed in the middle, the same command goes on without training a
// finished fold again and ends with the figures of a run that nobody killed.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, readFile, readdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { program, scratch, trainSkipReason as skip, volant } from "./support/volant.mjs";

/** 400 persons of 50 households; who is tall and near is let in, with some exceptions. */
function table() {
  const lines = ["tall,near,household,answer"];
  for (let i = 0; i < 400; ++i) {
    const tall = ((i * 37) % 101) / 100, near = ((i * 61) % 97) / 96;
    lines.push(`${tall},${near},h${i % 50},${(tall + near > 1) !== (i % 13 === 0) ? "yes" : "no"}`);
  }
  return lines.join("\n") + "\n";
}

const kConfig = `[workspace]
name = "door"
[task]
kind = "table"
problem = "binary"
[data]
train = ["door.csv"]
label = "answer"
group = "household"
split = "stratified"
[model]
layers = [{ type = "dense", units = 256 }, { type = "relu" }]
[train]
epochs = 100
batch_size = 16
lr = 1e-3
evaluate_every = 100
checkpoint_every = 20
`;

let dir;
before(async () => (dir = await scratch()));
after(async () => await dir?.remove());

async function workspace(name) {
  const folder = join(dir.path, name);
  await mkdir(folder);
  await writeFile(join(folder, "door.csv"), table());
  await writeFile(join(folder, "volant.toml"), kConfig);
  return folder;
}

/** Paths of the finished folds' reports and when they were written. */
async function finished(folder) {
  const root = join(folder, ".volant/cv");
  const found = {};
  for (const path of existsSync(root) ? await readdir(root, { recursive: true }) : []) {
    if (path.endsWith("report.json")) found[path] = (await stat(join(root, path))).mtimeMs;
  }
  return found;
}

/** The same command, killed like a process that ran out of memory as soon as one fold is finished and another one trains. */
async function killInTheMiddle(folder, ...args) {
  const child = spawn(program, args, { stdio: "ignore" });
  const ended = new Promise((done) => child.once("exit", (code, signal) => done(signal)));
  for (let tries = 0; tries < 1200 && child.exitCode === null; ++tries) {
    if (Object.keys(await finished(folder)).length > 0) break;
    await new Promise((wake) => setTimeout(wake, 50));
  }
  child.kill("SIGKILL");
  assert.equal(await ended, "SIGKILL", "it ended before it could be killed");
}

test("folds that are finished are not trained again, and the one that was killed goes on to the same figures", { skip }, async () => {
  const folder = await workspace("killed");
  const args = ["eval", "-w", folder, "--cv", "4", "--parallel", "2", "--seed", "7", "--json"];
  await killInTheMiddle(folder, ...args);
  const before = await finished(folder);
  assert.ok(Object.keys(before).length >= 1 && Object.keys(before).length < 4);
  const report = JSON.parse(await volant(...args));
  const after = await finished(folder);
  assert.equal(Object.keys(after).length, 4);
  for (const [path, time] of Object.entries(before)) assert.equal(after[path], time, path);
  const whole = await workspace("whole");
  const unharmed = JSON.parse(await volant("eval", "-w", whole, "--cv", "4", "--seed", "7", "--json"));
  for (const figure of ["accuracy", "log_loss", "roc_auc"]) assert.deepEqual(report[figure], unharmed[figure], figure);
  assert.ok(report.accuracy.value > 0.8, JSON.stringify(report.accuracy));
  assert.ok(report.accuracy.ci95[0] < report.accuracy.value && report.accuracy.value < report.accuracy.ci95[1]);
  assert.deepEqual(report.folds.folds.map((fold) => fold.test_rows), [90, 90, 90, 90]);
});

test("a household is on one side; the page stands alone", { skip }, async () => {
  const folder = await workspace("grouped");
  const page = join(dir.path, "folds.html");
  const report = JSON.parse(await volant("eval", "-w", folder, "--cv", "3", "--cv-kind", "group", "--parallel", "2", "--html", page, "--json"));
  assert.equal(report.folds.folds.reduce((sum, fold) => sum + fold.test_rows, 0), 360);
  const html = await readFile(page, "utf8");
  assert.match(html, /<svg[^>]*>.*fold-001/s);
  assert.doesNotMatch(html, /<script|src=|href=/);
  const curve = JSON.parse(await volant("eval", "-w", folder, "--learning-curve", "0.25,1", "--parallel", "2", "--json"));
  assert.deepEqual(curve.learning_curve.points.map((point) => point.rows), [80, 320]);
  assert.equal(curve.learning_curve.twice_the_data.rows, 640);
});

test("what cannot be asked is refused by name", { skip }, async () => {
  const folder = await workspace("refused");
  await assert.rejects(volant("eval", "-w", folder, "--cv", "3", "--cv-kind", "time"), /a row has no time.*time = /s);
  await assert.rejects(volant("eval", "-w", folder, "--cv", "3", "--model", "v1"), /--model is of no use with --cv/);
  await assert.rejects(volant("eval", "-w", folder, "--repeats", "3"), /--repeats needs --cv/);
  await assert.rejects(volant("eval", "-w", folder, "--cv", "1"), /--cv: expected 2 to 1000, got '1'/);
});
