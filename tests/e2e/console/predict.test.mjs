// The console of a model of predictions in a real Chromium: its report with plots and the groups that do worst, a row
// that is asked and corrected, a digit that is drawn.
import { strict as assert } from "node:assert";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { call, scratch, serve, trainSkipReason, volant } from "../support/volant.mjs";
import { launch, noBrowser, openPage, show } from "./browser.mjs";

const skip = trainSkipReason || noBrowser;
let dir, tables, pictures, browser;

/** Loans: who is old and rich pays; of the far town, where nobody can tell, half do. */
function loans() {
  const lines = ["age,income,town,paid"];
  for (let i = 0; i < 900; ++i) {
    const age = 20 + ((i * 37) % 60), income = 10 + ((i * 61) % 90), far = i % 6 === 0;
    const pays = far ? (i * 7919) % 13 < 6 : age + income > 95;
    lines.push(`${age},${income},${far ? "far" : i % 2 ? "near" : "here"},${pays ? "yes" : "no"}`);
  }
  return lines.join("\n") + "\n";
}

const kLoans = `[workspace]
name = "loans"
[task]
kind = "table"
problem = "binary"
[data]
train = ["loans.csv"]
label = "paid"
test_share = 0.4
[model]
layers = [{ type = "dense", units = 16 }, { type = "relu" }]
[train]
epochs = 25
batch_size = 16
lr = 1e-2
weight_decay = 0
[evaluate]
slices = true
cost = { false_positive = 3, false_negative = 1 }
`;

/** MNIST's file format: 28 x 28 pictures of a thick bar, upright (1) or lying (7). */
function idx(n, labels) {
  const size = labels ? 8 : 16;
  const out = Buffer.alloc(size + n * (labels ? 1 : 784));
  out.writeUInt32BE(labels ? 0x801 : 0x803, 0);
  out.writeUInt32BE(n, 4);
  if (!labels) [28, 28].forEach((side, i) => out.writeUInt32BE(side, 8 + 4 * i));
  for (let i = 0; i < n; ++i) {
    if (labels) out[size + i] = i % 2 ? 7 : 1;
    else for (let a = 4; a < 24; ++a) for (let b = 0; b < 4; ++b) {
      const at = 8 + ((i * 5) % 9) + b;
      out[size + i * 784 + (i % 2 ? at * 28 + a : a * 28 + at)] = 200 + (i % 50);
    }
  }
  return out;
}

const kBars = `[workspace]
name = "bars"
[task]
kind = "image"
[data]
format = "idx"
train_images = "train-images"
train_labels = "train-labels"
[model]
layers = [{ type = "conv", channels = 4, kernel = 3 }, { type = "relu" }, { type = "max_pool", size = 4 }]
[train]
epochs = 10
batch_size = 16
lr = 1e-2
weight_decay = 0
[gate]
min_rows = 10
`;

async function workspace(name, files) {
  const folder = join(dir.path, name);
  await mkdir(folder);
  for (const [file, content] of Object.entries(files)) await writeFile(join(folder, file), content);
  await volant("run", folder);
  return serve(folder);
}

before(async () => {
  if (skip) return;
  dir = await scratch();
  tables = await workspace("loans", { "volant.toml": kLoans, "loans.csv": loans() });
  pictures = await workspace("bars", { "volant.toml": kBars, "train-images": idx(240, false), "train-labels": idx(240, true) });
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await tables?.stop();
  await pictures?.stop();
  await dir?.remove();
});

function consoleTest(name, options, body) {
  test(name, { skip, timeout: 240_000 }, async () => {
    const opened = await openPage(browser, options);
    await body(opened.page);
    await opened.close();
  });
}

consoleTest("the report draws its curves, its calibration and its confusion", {}, async (page) => {
  await show(page, tables.url, "versions", "v1");
  const report = await call(tables.url, "/api/evaluation/v1");
  assert.equal(await page.locator(".plots figure").count(), 4);
  const points = await page.locator('.plot svg[aria-label^="ROC"] polyline.plot-line').getAttribute("points");
  assert.ok(points.split(" ").length > 10, points);
  assert.equal(await page.locator(".plot circle").count(), report.plots.calibration.length);
  const cells = await page.locator(".plot-confusion td[title]").allTextContents();
  assert.deepEqual(cells.map((text) => Number(text.replace(/,/g, ""))), report.plots.confusion.counts);
});

consoleTest("the report says how like the served model is to the trained one, and the trainer to the native engine", {}, async (page) => {
  await show(page, tables.url, "versions", "v1");
  const { versions } = await call(tables.url, "/api/versions");
  assert.equal(versions[0].parity.training.same_best, 1);
  for (const name of ["same_prediction", "training.same_best"]) assert.match(await page.locator(`[data-parity="${name}"]`).textContent(), /100\.00 %$/);
});

consoleTest("the report lists the groups that do worst, the far town first", {}, async (page) => {
  await show(page, tables.url, "versions", "v1");
  const { worst_slices: worst } = await call(tables.url, "/api/evaluation/v1");
  const rows = page.locator("tr[data-slice]");
  assert.deepEqual(await rows.evaluateAll((all) => all.map((one) => one.dataset.slice)), worst.slices.map(({ name }) => name));
  const far = worst.slices.find(({ name }) => name === "town = far");
  assert.ok(worst.slices[0].name.includes("town = far") && far.score.value < far.rest - 0.1, JSON.stringify(far));
  const text = await page.locator('tr[data-slice="town = far"]').textContent();
  for (const share of [far.score.value, far.rest, ...far.score.ci95]) assert.ok(text.includes(`${(100 * share).toFixed(1)} %`), text);
  assert.ok(text.includes(String(far.rows)), text);
  assert.equal(await page.locator('tr[data-slice="town = far"] .whisker').count(), 1);
});

consoleTest("a row is asked, the answer corrected, and the correction is in the feedback", {}, async (page) => {
  await show(page, tables.url, "playground");
  await page.getByRole("textbox", { name: "age" }).fill("75");
  await page.getByRole("textbox", { name: "income" }).fill("95");
  await page.getByRole("combobox", { name: "town" }).selectOption("here");
  await page.getByRole("button", { name: "Ask the model" }).click();
  await page.locator('[data-prediction="yes"]').waitFor();
  assert.deepEqual((await page.locator(".why li span:first-child").allTextContents()).sort(), ["age", "income", "town"]);
  await page.getByLabel("The right answer").selectOption("no");
  await page.getByRole("button", { name: "Correct this" }).click();
  await page.locator('[data-corrected="no"]').waitFor();
  const { feedback } = await call(tables.url, "/api/feedback");
  assert.equal(feedback[0].correction, "no");
});

consoleTest("bad input is answered in the page with the field and what was expected", { allowed: /400/ }, async (page) => {
  await show(page, tables.url, "playground");
  await page.getByRole("textbox", { name: "age" }).fill("old");
  await page.getByRole("button", { name: "Ask the model" }).click();
  assert.match(await page.locator('[role="alert"]').textContent(), /'age'.*number/);
});

consoleTest("a bar that is drawn is seen, with its probabilities and the pixels that decided", {}, async (page) => {
  await show(page, pictures.url, "playground");
  const box = await page.locator("canvas").boundingBox();
  const draw = async (from, to) => {
    await page.getByRole("button", { name: "Clear" }).click();
    await page.mouse.move(box.x + from[0] * box.width, box.y + from[1] * box.height);
    await page.mouse.down();
    await page.mouse.move(box.x + to[0] * box.width, box.y + to[1] * box.height, { steps: 8 });
    await page.mouse.up();
    await page.getByRole("button", { name: "Ask the model" }).click();
  };
  await draw([0.5, 0.1], [0.5, 0.9]);
  await page.locator('[data-prediction="1"]').waitFor();
  await draw([0.1, 0.5], [0.9, 0.5]);
  await page.locator('[data-prediction="7"]').waitFor();
  assert.equal(await page.locator(".predict ul.bars").first().locator("li").count(), 2);
  assert.ok((await page.locator(".heat rect").count()) > 20);
});

for (const width of [390, 1280]) {
  consoleTest(`the report and the playground are no wider than the screen at ${width} pixels`, { width }, async (page) => {
    for (const place of [["versions", "v1"], ["playground"]]) {
      await show(page, tables.url, ...place);
      const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(over <= 0, `${place.join("/")} is ${over} pixels too wide`);
    }
  });
}
