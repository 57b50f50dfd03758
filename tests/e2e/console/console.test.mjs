// The console in a real Chromium, before a real `volant serve` with a workspace that has turned twice: v1, then v2 in production.
import { strict as assert } from "node:assert";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { call, documents, makeWorkspace, scratch, serve, trainSkipReason, volant, writeConfig } from "../support/volant.mjs";
import { launch, noBrowser, openPage, show } from "./browser.mjs";
import { slowLine } from "./slow_line.mjs";

const skip = trainSkipReason || noBrowser;
const kPages = ["wheel", "data", "training", "versions", "playground", "feedback"];
const kStations = ["collect", "prepare", "train", "evaluate", "compress", "deploy", "listen", "improve"];
let folder, server, browser;

before(async () => {
  if (skip) return;
  folder = await scratch();
  const workspace = join(folder.path, "workspace");
  await makeWorkspace(workspace, { seed: 1 });
  await volant("run", workspace);
  await writeConfig(workspace, 2);
  await volant("run", workspace);
  server = await serve(workspace);
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await server?.stop();
  await folder?.remove();
});

function consoleTest(name, options, body) {
  test(name, { skip, timeout: 240_000 }, async () => {
    const opened = await openPage(browser, options);
    await body(opened.page);
    await opened.close();
  });
}

const production = async () => (await call(server.url, "/api/status")).production.version;

consoleTest("the wheel shows the state of all eight stations and the version in production", {}, async (page) => {
  await show(page, server.url, "wheel");
  const status = await call(server.url, "/api/status");
  assert.deepEqual(status.stations.map((station) => station.name), kStations);
  for (const station of status.stations) {
    await page.locator(`.wheel [data-station="${station.name}"][data-state="${station.state}"]`).waitFor();
  }
  assert.equal(await page.locator(".hub-version").textContent(), "v2");
  assert.equal(await page.locator(".stations li").count(), 8);
  assert.equal(await page.locator("h1").textContent(), "two tongues");
  const prepare = status.stations.find((station) => station.name === "prepare");
  assert.ok((await page.locator(".stations li").nth(1).textContent()).includes(prepare.detail));
});

consoleTest("a station of the wheel can be chosen with the keyboard alone", {}, async (page) => {
  await show(page, server.url, "wheel");
  const station = page.locator('[data-station="train"]');
  await station.focus();
  assert.equal(await station.getAttribute("aria-pressed"), "false");
  await page.keyboard.press("Enter");
  await page.locator('[data-station="train"][aria-pressed="true"]').waitFor();
  assert.match(await station.getAttribute("aria-label"), /^train, fresh, /);
});

consoleTest("the data page shows what each step dropped, with examples and reasons", {}, async (page) => {
  await show(page, server.url, "data");
  const { prepare, tokenizer } = await call(server.url, "/api/data");
  assert.equal(prepare.rows_in, documents().length);
  const rows = page.locator(".funnel li");
  assert.equal(await rows.count(), prepare.steps.length);
  const at = prepare.steps.findIndex((step) => step.dropped > 0 && step.examples.length > 0);
  const step = prepare.steps[at];
  assert.ok((await rows.nth(at).textContent()).includes(`−${step.dropped}`));
  await rows.nth(at).locator("button").click();
  await page.waitForFunction((n) => document.querySelectorAll("ul.examples")[0].children.length === n, step.examples.length);
  const first = await page.locator("ul.examples").first().locator("li").first().textContent();
  assert.ok(first.includes(step.examples[0].reason), first);
  assert.equal(prepare.personal_data.email, 1);
  assert.match(await page.locator("main").textContent(), /e-mail addresses/);
  const fertility = tokenizer.languages.zh.tokens_per_char;
  assert.ok((await page.locator("table").last().textContent()).includes(String(Number(fertility.toPrecision(3)))));
});

consoleTest("the training page draws the curves of a run", {}, async (page) => {
  await show(page, server.url, "training");
  const { runs } = await call(server.url, "/api/runs");
  const trained = runs.filter((run) => run.kind === "train");
  assert.equal(trained.length, 2);
  await page.locator(".chart canvas").nth(4).waitFor();
  const { events } = await call(server.url, `/api/runs/${trained[0].id}/events`);
  const losses = events.filter((event) => event.type === "step").map((event) => event.loss);
  assert.equal(losses.length, 60);
  assert.ok(losses.at(-1) < losses[0]);
  const shown = await page.locator(".chart-box").first().getAttribute("aria-label");
  assert.ok(shown.includes(`training ${Number(losses.at(-1).toPrecision(3))}`), shown);
  const ink = await page.locator(".chart canvas").first().evaluate((canvas) => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    return data.filter((value, index) => index % 4 === 3 && value > 0).length;
  });
  assert.ok(ink > 1000, `only ${ink} dots are drawn`);
  await page.locator(`.run-list a[href$="${trained[1].id}"]`).click();
  await page.locator(`.run-list a[aria-current][href$="${trained[1].id}"]`).waitFor();
});

async function ask(page, text) {
  const answered = page.waitForResponse((response) => /completions$/.test(response.url()));
  await page.locator(".composer textarea").fill(text);
  await page.keyboard.press("Enter");
  return answered;
}

async function setUp(page, { raw = true, tokens = 24, url = server.url } = {}) {
  await show(page, url, "playground");
  await page.locator(".settings option").first().waitFor({ state: "attached" });
  if (raw) await page.getByLabel("Continue raw text").check();
  await page.getByLabel("Temperature").fill("0");
  await page.getByLabel("Longest answer").fill(String(tokens));
}

consoleTest("raw completion streams the same text that the API gives", {}, async (page) => {
  await setUp(page);
  const response = await ask(page, "The miller keeps");
  assert.match(response.headers()["content-type"], /^text\/event-stream/);
  await page.locator(".answer-facts").waitFor();
  const model = await page.locator(".settings select").inputValue();
  const plain = await call(server.url, "/v1/completions", { model, prompt: "The miller keeps", max_tokens: 24, temperature: 0 });
  assert.equal(await page.locator(".message.assistant .message-text").textContent(), plain.choices[0].text);
  assert.match(await page.locator(".answer-facts").textContent(), new RegExp(`^${plain.usage.completion_tokens} tokens · [\\d.,]+ tokens/s · `));
});

consoleTest("a chat goes on over several turns and survives a look at another page", {}, async (page) => {
  await setUp(page, { raw: false });
  await page.getByLabel("System prompt").fill("Answer shortly.");
  for (const [index, text] of ["老船夫记得什么？", "And the miller?"].entries()) {
    const response = await ask(page, text);
    const { messages } = JSON.parse(response.request().postData());
    assert.equal(messages.length, 2 + 2 * index);
    assert.deepEqual(messages[0], { role: "system", content: "Answer shortly." });
    assert.deepEqual(messages.at(-1), { role: "user", content: text });
    await page.locator(".answer-facts").nth(index).waitFor();
  }
  await page.locator('nav a[href="#/data"]').click();
  await page.locator(".funnel").waitFor();
  await page.locator('nav a[href="#/playground"]').click();
  await page.locator(".message").nth(3).waitFor();
});

consoleTest("an answer can be stopped while it comes", {}, async (page) => {
  const line = await slowLine(server.url);
  try {
    await setUp(page, { url: line.url });
    const model = await page.locator(".settings select").inputValue();
    const whole = (await call(server.url, "/v1/completions", { model, prompt: "The miller keeps", max_tokens: 24, temperature: 0 })).choices[0].text;
    line.slow = true;
    await page.locator(".composer textarea").fill("The miller keeps");
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => document.querySelector(".message.assistant .message-text")?.textContent.length > 2);
    await page.getByRole("button", { name: "Stop" }).click();
    await page.locator(".answer-facts", { hasText: "stopped" }).waitFor();
    await page.getByRole("button", { name: "Send" }).waitFor();
    const seen = await page.locator(".message.assistant .message-text").textContent();
    assert.ok(seen.length < whole.length && whole.startsWith(seen), `'${seen}' is not the beginning of '${whole}'`);
  } finally {
    line.close();
  }
});

consoleTest("an answer is rated and corrected, and the feedback page lists both", {}, async (page) => {
  await setUp(page, { raw: false });
  await ask(page, "What does Volant mean?");
  await page.getByRole("button", { name: "Good answer" }).click();
  await page.locator('.thumb[aria-label="Good answer"][aria-pressed="true"]').waitFor();
  await page.getByRole("button", { name: "Correct this" }).click();
  const send = page.getByRole("button", { name: "Send the correction" });
  assert.equal(await send.isDisabled(), true); // nothing changed yet
  await page.getByLabel("The right answer").fill("Volant means flywheel. 飞轮。");
  await page.getByLabel("A note").fill("from the test");
  await send.click();
  await page.getByRole("button", { name: "Corrected" }).waitFor();
  const { feedback } = await call(server.url, "/api/feedback?limit=10");
  const corrected = feedback.find((one) => one.correction === "Volant means flywheel. 飞轮。");
  assert.equal(corrected.comment, "from the test");
  assert.ok(feedback.some((one) => one.rating === "up" && one.answer_id === corrected.answer_id));
  await show(page, server.url, "feedback");
  const row = page.locator(`[data-feedback="${corrected.id}"]`);
  assert.match(await row.textContent(), /What does Volant mean\?.*Volant means flywheel\. 飞轮。/s);
  await row.getByRole("link", { name: "Where from?" }).click();
  await page.locator('[data-link="sources"]').waitFor();
  assert.match(await page.locator('[data-link="sources"]').textContent(), /texts/);
  assert.match(await page.locator('[data-link="version"]').textContent(), /v2/);
});

consoleTest("rolling back and promoting go through a question, and Cancel changes nothing", {}, async (page) => {
  await show(page, server.url, "versions");
  await page.locator('tr.current[data-version="v2"]').waitFor();
  await page.getByRole("button", { name: "Roll back" }).click();
  await page.getByRole("button", { name: "Cancel" }).click();
  assert.equal(await production(), "v2");
  await page.getByRole("button", { name: "Roll back" }).click();
  await page.locator("dialog").getByRole("button", { name: "Roll back" }).click();
  await page.locator('tr.current[data-version="v1"]').waitFor();
  assert.equal(await production(), "v1");
  await page.locator('tr[data-version="v2"]').getByRole("button", { name: "Promote" }).click();
  await page.getByLabel("Reason").fill("it was right after all");
  await page.locator("dialog").getByRole("button", { name: "Promote" }).click();
  await page.locator('tr.current[data-version="v2"]').waitFor();
  assert.equal(await production(), "v2");
  const log = page.locator(".audit li");
  await log.filter({ hasText: "it was right after all" }).waitFor();
  await log.filter({ hasText: "rolled back" }).waitFor();
});

consoleTest("the evaluation report of a version has its figures, samples and gate", {}, async (page) => {
  await show(page, server.url, "versions");
  await page.locator('tr[data-version="v2"]').getByRole("link", { name: "Report" }).click();
  await page.locator("table.metrics").first().waitFor();
  const report = await call(server.url, "/api/evaluation/v2");
  const text = await page.locator("main").textContent();
  assert.ok(text.includes(report.bits_per_byte.value.toPrecision(4)), text);
  assert.ok(text.includes("The miller keeps"));
  assert.match(text, /Gatepassed/);
});

consoleTest("Improve trains on the correction, shows what came of it, and the answer is the corrected one", {}, async (page) => {
  await show(page, server.url, "feedback");
  await page.getByRole("button", { name: "Improve the model" }).click();
  await page.locator("dialog").getByRole("button", { name: "Improve the model" }).click();
  await page.locator('.improve [data-state="running"]').waitFor();
  await page.locator('.improve [data-state="done"]').waitFor({ timeout: 200_000 });
  assert.match(await page.locator(".log").textContent(), /1 corrections/);
  const outcome = await page.locator(".outcome").textContent();
  const { result } = await call(server.url, "/api/improve");
  assert.equal(result.state, "promoted", JSON.stringify(result));
  assert.match(outcome, /v2 → v3/);
  assert.ok(outcome.includes(result.gate.reasons[0]), outcome);
  await setUp(page, { raw: false });
  await ask(page, "What does Volant mean?");
  await page.locator(".answer-facts").waitFor();
  assert.equal((await page.locator(".message.assistant .message-text").textContent()).trim(), "Volant means flywheel. 飞轮。");
});

consoleTest("the language switches and is remembered", {}, async (page) => {
  await show(page, server.url, "data");
  assert.equal(await page.locator("h1").textContent(), "Data");
  await page.locator('[data-switch="language"]').click();
  assert.equal(await page.locator("h1").textContent(), "数据");
  assert.equal(await page.evaluate(() => document.documentElement.lang), "zh-CN");
  await page.reload();
  await page.locator("h1", { hasText: "数据" }).waitFor();
});

consoleTest("a Chinese browser is spoken to in Chinese", { locale: "zh-CN" }, async (page) => {
  await show(page, server.url, "wheel");
  assert.deepEqual(await page.locator(".rail nav a").allTextContents(), ["飞轮", "数据", "训练", "版本", "试用", "反馈"]);
  assert.equal(await page.locator('[data-station="improve"] text').textContent(), "改进");
});

consoleTest("the colours follow the system until they are chosen", { colours: "dark" }, async (page) => {
  const theme = () => page.evaluate(() => document.documentElement.dataset.theme);
  await show(page, server.url, "wheel");
  assert.equal(await theme(), "dark");
  await page.locator('[data-switch="theme"]').click();
  assert.equal(await theme(), "light");
  await page.reload();
  await page.locator(".wheel").waitFor();
  assert.equal(await theme(), "light");
});

for (const [locale, width] of [["en-US", 390], ["zh-CN", 390], ["en-US", 1280]]) {
  consoleTest(`no page is wider than the screen at ${width} pixels (${locale})`, { width, locale }, async (page) => {
    const { versions } = await call(server.url, "/api/versions");
    for (const place of [...kPages.map((name) => [name]), ["versions", versions[0].version], ["trace"]]) {
      await show(page, server.url, ...place);
      const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(over <= 0, `${place.join("/")} is ${over} pixels too wide`);
    }
  });
}

consoleTest("every control has a name, on every page", {}, async (page) => {
  for (const name of kPages) {
    await show(page, server.url, name);
    const nameless = await page.evaluate(() =>
      [...document.querySelectorAll("a, button, input, select, textarea, [role=button], [role=img]")]
        .filter((one) => !(one.textContent.trim() || one.getAttribute("aria-label") || one.labels?.length))
        .map((one) => one.outerHTML.slice(0, 120)));
    assert.deepEqual(nameless, [], name);
  }
});

test("a fresh workspace says on every page what to run", { skip, timeout: 120_000 }, async () => {
  const empty = await scratch();
  await makeWorkspace(empty.path);
  const fresh = await serve(empty.path);
  try {
    const { page, close } = await openPage(browser);
    await show(page, fresh.url, "wheel");
    assert.equal(await page.locator('.wheel [data-state="fresh"]').count(), 0);
    assert.match(await page.locator(".next").textContent(), /volant run /);
    for (const name of ["data", "training", "versions"]) {
      await show(page, fresh.url, name);
      assert.match(await page.locator(".empty").textContent(), /volant run/, name);
    }
    await show(page, fresh.url, "feedback");
    assert.match(await page.locator(".empty").textContent(), /No feedback yet/);
    await close();
  } finally {
    await fresh.stop();
    await empty.remove();
  }
});

test("a server with keys asks for one, refuses a wrong one and takes the right one", { skip, timeout: 120_000 }, async () => {
  const locked = await scratch();
  await makeWorkspace(locked.path);
  const key = (await volant("serve", "keys", "add", "test", "--workspace", locked.path)).trim();
  const guarded = await serve(locked.path);
  try {
    const { page, close } = await openPage(browser, { allowed: /401/ });
    await page.goto(guarded.url);
    await page.getByLabel("API key").fill("not a key");
    await page.getByRole("button", { name: "Use this key" }).click();
    await page.locator("dialog", { hasText: "refused" }).waitFor();
    await page.getByLabel("API key").fill(key);
    await page.getByRole("button", { name: "Use this key" }).click();
    await page.locator(".wheel").waitFor();
    await page.reload();
    await page.locator(".wheel").waitFor(); // kept for this tab
    await close();
  } finally {
    await guarded.stop();
    await locked.remove();
  }
});
