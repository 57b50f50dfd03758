// The wheel from outside: `volant run` on a workspace that trains in seconds, killed at random moments, with a gate that
// refuses, a rollback, and corrections that change an answer.
import assert from "node:assert/strict";
import { execFile, spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, open, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

const program = process.env.VOLANT_BIN ?? fileURLToPath(new URL("../../build/release/volant", import.meta.url));
const skip = existsSync(program) && existsSync(program + "-train") ? false : `there is no ${program} with its trainer`;

const kStations = ["collect", "prepare", "train", "evaluate", "compress", "deploy"];

/** Runs `volant ...args` and gives {status, stdout, stderr}. */
function volant(...args) {
  return new Promise((done) => {
    execFile(program, args, { maxBuffer: 1 << 26, timeout: 300_000 }, (error, stdout, stderr) => {
      done({ status: error === null ? 0 : (error.code ?? -1), stdout, stderr });
    });
  });
}

async function volantJson(...args) {
  const { status, stdout, stderr } = await volant(...args, "--json");
  assert.equal(status, 0, `volant ${args.join(" ")}: ${stderr.slice(-2000)}`);
  return JSON.parse(stdout);
}

const kWho = ["The miller", "A sailor", "My teacher", "The old gardener", "Her brother", "A young doctor", "The baker", "Our neighbour"];
const kDoes = ["keeps", "remembers", "carries", "praises", "repairs", "waits for", "paints", "sings about"];
const kWhat = ["the heavy wheel", "a quiet river", "the morning bread", "an honest friend", "the long winter", "a letter from home", "the garden gate", "the evening light"];

function texts(count = 512) {
  const all = kWho.flatMap((who, i) => kDoes.flatMap((does, j) => kWhat.map((what, k) => `${who} ${does} ${what}. ${kWho[(i + 3) % 8]} ${kDoes[(j + k) % 8]} ${kWhat[(k + i + 5) % 8]}.`)));
  return all.slice(0, count).join("\n%\n") + "\n";
}

function config({ seed = 1, steps = 40, gate = "" } = {}) {
  return `[workspace]
name = "tiny"
[[collect.source]]
name = "texts"
paths = ["texts.txt"]
separator = "%"
[prepare]
near_duplicate_threshold = 0.0
min_quality = 0.0
validation_share = 0.1
test_share = 0.1
[tokenizer]
vocab_size = 600
[model]
hidden_size = 64
num_hidden_layers = 2
intermediate_size = 128
max_position_embeddings = 128
[train]
max_seq_len = 64
tokens_per_step = 1024
micro_batch_tokens = 1024
steps = ${steps}
warmup_steps = 5
evaluate_every = 10
checkpoint_every = 10
lr = 3e-3
seed = ${seed}
[evaluate]
max_documents = 60
sample_prompts = ["The miller keeps"]
[gate]
max_bits_per_byte_increase = 2.0
min_documents = 20
${gate}
[improve]
held_out_share = 0.0
`;
}

let root;
before(async () => {
  root = await mkdtemp(join(tmpdir(), "volant-wheel-"));
});
after(() => rm(root, { recursive: true, force: true }));

async function makeWorkspace(name, options) {
  const folder = join(root, name);
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "texts.txt"), texts());
  await writeFile(join(folder, "volant.toml"), config(options));
  return folder;
}

const states = (status) => Object.fromEntries(status.stations.map((station) => [station.name, station.state]));

test("volant run turns the wheel once and then has nothing to do", { skip }, async () => {
  const folder = await makeWorkspace("once");
  assert.equal(states(await volantJson("status", folder)).collect, "missing");
  const first = await volantJson("run", folder);
  assert.deepEqual(first.stations.map((station) => station.name), kStations);
  assert.ok(first.stations.every((station) => !station.fresh));
  assert.equal(first.production, "v1");
  const again = await volantJson("run", folder);
  assert.ok(again.stations.every((station) => station.fresh), JSON.stringify(again.stations));
  const status = await volantJson("status", folder);
  assert.equal(status.production.version, "v1");
  for (const name of kStations) assert.equal(states(status)[name], "fresh", name);
  assert.deepEqual(status.stations.map((station) => station.name), [...kStations, "listen", "improve"]);

  // A setting of one station makes it and what follows stale, not what is before it.
  await writeFile(join(folder, "volant.toml"), config({ steps: 41 }));
  const dry = await volantJson("run", folder, "--dry-run");
  assert.deepEqual(dry.stations.filter((station) => station.fresh).map((station) => station.name), ["collect", "prepare"]);
  await writeFile(join(folder, "volant.toml"), config());

  // A file that changed makes all stale; the same bytes again make all fresh.
  await writeFile(join(folder, "texts.txt"), texts(500));
  assert.equal(states(await volantJson("status", folder)).collect, "stale");
  await writeFile(join(folder, "texts.txt"), texts());
  assert.ok((await volantJson("run", folder)).stations.every((station) => station.fresh));

  // Lineage from the source file to the version and back.
  const forward = await volantJson("trace", "texts", "--workspace", folder);
  assert.deepEqual(forward.versions, ["v1"]);
  const back = await volantJson("trace", "v1", "--workspace", folder);
  assert.equal(back.sources[0].name, "texts");
  assert.equal(back.sources[0].files[0].path, join(folder, "texts.txt"));
});

/** Starts `volant ...args` and ends it (`whole`: and its children) with SIGKILL after `ms`; true when that was in time. */
function kill(args, ms, whole) {
  return new Promise((done) => {
    const child = spawn(program, args, { stdio: "ignore", detached: true });
    let inTime = false;
    const timer = setTimeout(() => {
      inTime = true;
      process.kill(whole ? -child.pid : child.pid, "SIGKILL");
    }, ms);
    child.on("exit", () => {
      clearTimeout(timer);
      done(inTime);
    });
  });
}

test("killed at any moment, volant run goes on and loses or doubles nothing", { skip, timeout: 600_000 }, async () => {
  const folder = await makeWorkspace("killed");
  let kills = 0;
  for (let round = 0; round < 12; ++round) {
    const ms = 30 + Math.floor(Math.random() * 900) + round * 120;
    if (await kill(["run", folder], ms, round % 2 === 0)) ++kills;
    const status = await volantJson("status", folder);
    assert.equal(status.stations.length, 8);
  }
  assert.ok(kills > 0, "no round was killed in time");
  const report = await volantJson("run", folder);
  assert.equal(report.production, "v1");
  const { versions } = await volantJson("models", "--workspace", folder);
  assert.equal(versions.length, 1);
  const { runs } = await volantJson("runs", "--workspace", folder);
  const kinds = runs.map((run) => run.kind).sort();
  assert.deepEqual(kinds, [...new Set(kinds)], "each stage has one run, resumed rather than started again");
  assert.ok(runs.every((run) => run.status === "finished"), JSON.stringify(runs));
  assert.deepEqual(await readdir(join(folder, ".volant", "tmp")), []);
  const artifacts = await readdir(join(folder, ".volant", "artifacts"));
  assert.ok(artifacts.every((name) => /^[0-9a-f]{64}$/.test(name)), artifacts.join(" "));
  // The curve has every step once.
  const train = runs.find((run) => run.kind === "train");
  const { events } = await volantJson("runs", train.id, "--workspace", folder);
  const steps = events.filter((event) => event.type === "step").map((event) => event.step);
  assert.deepEqual(steps, Array.from({ length: 40 }, (_, i) => i + 1));
  const audit = await volantJson("models", "--audit", "--workspace", folder);
  assert.equal(audit.entries.filter((entry) => entry.action === "promote").length, 1);

  // The same workspace, never killed, gives the same model.
  const calm = await makeWorkspace("calm");
  await volantJson("run", calm);
  const other = (await volantJson("models", "--workspace", calm)).versions[0];
  assert.equal(versions[0].artifacts.hf, other.artifacts.hf);
});

test("Ctrl-C stops cleanly and the next run goes on", { skip, timeout: 300_000 }, async () => {
  const folder = await makeWorkspace("stopped", { steps: 400 });
  await volantJson("run", folder, "--until", "prepare");
  const child = spawn(program, ["run", folder], { stdio: ["ignore", "ignore", "pipe"] });
  const exit = new Promise((done) => child.on("exit", (code) => done(code)));
  for (let i = 0; i < 300; ++i) {
    const { runs } = await volantJson("runs", "--workspace", folder);
    const train = runs.find((run) => run.kind === "train");
    if (train !== undefined && (await volantJson("runs", train.id, "--workspace", folder)).events.length > 5) break;
    await new Promise((done) => setTimeout(done, 50));
  }
  assert.equal(states(await volantJson("status", folder)).train, "running");
  child.kill("SIGTERM");
  assert.equal(await exit, 130);
  const stopped = (await volantJson("runs", "--workspace", folder)).runs.find((run) => run.kind === "train");
  assert.equal(stopped.status, "stopped");
  assert.equal(states(await volantJson("status", folder)).train, "missing");
  const report = await volantJson("run", folder);
  assert.equal(report.production, "v1");
  assert.equal((await volantJson("runs", "--workspace", folder)).runs.filter((run) => run.kind === "train").length, 1);
});

test("a gate that refuses says why and leaves production alone", { skip, timeout: 300_000 }, async () => {
  const folder = await makeWorkspace("gate");
  await volantJson("run", folder);
  // Two steps of training are worse than forty, and now that matters.
  await writeFile(join(folder, "volant.toml"), config({ steps: 2, seed: 2, gate: "" }).replace("max_bits_per_byte_increase = 2.0", "max_bits_per_byte_increase = 0.01"));
  const { status, stdout } = await volant("run", folder, "--json");
  assert.equal(status, 6);
  const report = JSON.parse(stdout);
  assert.equal(report.refused, true);
  assert.equal(report.production, "v1");
  assert.match(report.reasons.join(" "), /bits per byte/);
  const promote = await volant("promote", "v2", "--workspace", folder);
  assert.equal(promote.status, 6);
  assert.match(promote.stderr, /v2 is not promoted/);
  await volantJson("promote", "v2", "--workspace", folder, "--force");
  assert.equal((await volantJson("status", folder)).production.version, "v2");
  await volantJson("rollback", folder);
  assert.equal((await volantJson("status", folder)).production.version, "v1");
  const audit = await volantJson("models", "--audit", "--workspace", folder);
  assert.deepEqual(audit.entries.map((entry) => entry.action), ["rollback", "promote", "refuse", "promote"]);
});

test("what is missing or wrong is said with its place, and the state stays whole", { skip }, async () => {
  const folder = await makeWorkspace("wrong");
  await writeFile(join(folder, "volant.toml"), config().replace("steps = 40", "stepps = 40"));
  const typo = await volant("run", folder);
  assert.equal(typo.status, 2);
  assert.match(typo.stderr, /volant\.toml:\d+: unknown key 'stepps' in \[train\], did you mean 'steps'\?/);
  await writeFile(join(folder, "volant.toml"), config());
  await rm(join(folder, "texts.txt"));
  const missing = await volant("run", folder);
  assert.notEqual(missing.status, 0);
  assert.match(missing.stderr, /texts\.txt/);
  assert.equal(states(await volantJson("status", folder)).collect, "failed");
  await writeFile(join(folder, "texts.txt"), texts());
  assert.equal((await volantJson("run", folder, "--until", "collect")).stations.length, 1);
  await rm(join(folder, "texts.txt"));
  const collected = (await volantJson("status", folder)).stations.find((station) => station.name === "collect");
  assert.equal(collected.state, "stale");
  assert.match(collected.detail, /cannot be looked at now: .*texts\.txt/);
  const unknown = await volant("run", folder, "--until", "trian");
  assert.equal(unknown.status, 2);
  assert.match(unknown.stderr, /did you mean 'train'/);
});

test("a damaged database is said so, and two runs at once are refused", { skip }, async () => {
  const folder = await makeWorkspace("broken", { steps: 4000 });
  const one = spawn(program, ["run", folder], { stdio: "ignore" });
  const exit = new Promise((done) => one.on("exit", done));
  await until("the training runs", async () => states(await volantJson("status", folder)).train === "running");
  const two = await volant("run", folder, "--until", "collect");
  assert.notEqual(two.status, 0);
  assert.match(two.stderr, /another 'volant run'/);
  one.kill("SIGINT");
  assert.equal(await exit, 130);
  await writeFile(join(folder, ".volant", "volant.db"), "x".repeat(8192));
  for (const end of ["-wal", "-shm"]) await rm(join(folder, ".volant", "volant.db" + end), { force: true });
  const broken = await volant("status", folder);
  assert.notEqual(broken.status, 0);
  assert.match(broken.stderr, /damaged or not a Volant database/);
});

test("a lost trainer is reported and the next run goes on", { skip, timeout: 300_000 }, async () => {
  const folder = await makeWorkspace("lost", { steps: 400 });
  await volantJson("run", folder, "--until", "prepare");
  const running = volant("run", folder, "--until", "train");
  let killed = false;
  for (let i = 0; i < 400 && !killed; ++i) {
    for (const entry of await readdir("/proc")) {
      if (!/^\d+$/.test(entry)) continue;
      const line = await readFile(`/proc/${entry}/cmdline`, "utf8").catch(() => "");
      if (line.includes("volant-train") && line.includes(folder)) {
        await new Promise((done) => setTimeout(done, 600));
        process.kill(Number(entry), "SIGKILL");
        killed = true;
        break;
      }
    }
    if (!killed) await new Promise((done) => setTimeout(done, 25));
  }
  assert.ok(killed);
  const ended = await running;
  assert.notEqual(ended.status, 0);
  assert.match(ended.stderr, /volant-train was ended by signal 9/);
  assert.equal(states(await volantJson("status", folder)).train, "failed");
  // The next attempt gets further, and is stopped by hand: what failed before is no news any more.
  const again = spawn(program, ["run", folder, "--until", "train"], { stdio: "ignore" });
  const exit = new Promise((done) => again.on("exit", (code) => done(code)));
  await until("the training runs again", async () => states(await volantJson("status", folder)).train === "running");
  again.kill("SIGINT");
  assert.equal(await exit, 130);
  assert.equal(states(await volantJson("status", folder)).train, "missing");
  assert.equal((await volantJson("run", folder)).production, "v1");
});

test("output that a full disk does not take is an error", { skip: skip || (existsSync("/dev/full") ? false : "there is no /dev/full") }, async () => {
  const full = await open("/dev/full", "w");
  const { status, stderr } = spawnSync(program, ["version", "--json"], { stdio: ["ignore", full.fd, "pipe"], encoding: "utf8" });
  await full.close();
  assert.equal(status, 5);
  assert.match(stderr, /standard output.*disk full/);
});

/** `volant serve` on a free port: {url, stop}. */
async function serve(folder) {
  const child = spawn(program, ["serve", folder, "--port", "0"], { stdio: ["ignore", "pipe", "pipe"] });
  const exit = new Promise((done) => child.on("exit", done));
  let said = "";
  const url = await new Promise((done, failed) => {
    const read = (piece) => {
      said += piece;
      const found = /http:\/\/[\d.]+:\d+/.exec(said);
      if (found !== null) done(found[0]);
    };
    child.stdout.setEncoding("utf8").on("data", read);
    child.stderr.setEncoding("utf8").on("data", read);
    exit.then((code) => failed(new Error(`volant serve ended with ${code}:\n${said}`)));
  });
  return {
    url,
    stop: () => {
      child.kill("SIGTERM");
      return exit;
    },
  };
}

async function until(what, check) {
  for (let i = 0; i < 200; ++i) {
    const found = await check();
    if (found) return found;
    await new Promise((done) => setTimeout(done, 100));
  }
  assert.fail(`waited in vain: ${what}`);
}

test("corrections change the answer of the running server, and rollback brings the old one back", { skip, timeout: 600_000 }, async () => {
  const { default: OpenAI } = await import("openai");
  const folder = await makeWorkspace("learns", { steps: 150 });
  const nothing = await volant("improve", folder);
  assert.equal(nothing.status, 4, "there is no production yet");
  await volantJson("run", folder);
  assert.equal((await volantJson("improve", folder)).state, "nothing_to_do");

  const server = await serve(folder);
  try {
    const client = new OpenAI({ baseURL: server.url + "/v1", apiKey: "none", maxRetries: 0 });
    const ask = (content) => client.chat.completions.create({ model: "production", messages: [{ role: "user", content }], max_tokens: 32, temperature: 0 });
    const say = async (body) => {
      const response = await fetch(server.url + "/v1/feedback", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
      assert.equal(response.status, 200, await response.clone().text());
      return response.json();
    };
    const corrections = { "Who keeps the wheel?": "The miller keeps the heavy wheel.", "Who sings?": "A sailor sings about the long winter." };
    const before = {};
    let first;
    for (const [question, correction] of Object.entries(corrections)) {
      const answer = await ask(question);
      first ??= answer.id;
      before[question] = answer.choices[0].message.content;
      assert.notEqual(before[question].trim(), correction);
      await say({ answer_id: answer.id, rating: "down", correction });
      await say({ answer_id: (await ask(question)).id, correction });
    }
    assert.equal(states(await volantJson("status", folder)).improve, "stale");
    assert.equal((await volantJson("feedback", "--workspace", folder)).feedback.length, 4);

    // Killed in the middle, it goes on from there, and there is one candidate in the end.
    await kill(["improve", folder], 2500, true);
    const report = await volantJson("improve", folder);
    assert.equal(report.state, "promoted", JSON.stringify(report.summary));
    assert.equal(report.candidate, "v2");
    assert.equal(report.rows.train, 2);
    assert.ok(report.corrections.train.loss_after < report.corrections.train.loss_before);
    for (const [question, correction] of Object.entries(corrections)) {
      await until(`the answer to "${question}" changes`, async () => (await ask(question)).choices[0].message.content.trim() === correction);
    }
    assert.equal((await volantJson("models", "--workspace", folder)).versions.length, 2);
    assert.equal((await volantJson("improve", folder)).state, "nothing_to_do");
    assert.equal(states(await volantJson("status", folder)).improve, "fresh");
    // What was trained before and is not production any more is not deployed again.
    assert.equal((await volantJson("run", folder)).production, "v2");

    const trace = await volantJson("trace", first, "--workspace", folder);
    assert.equal(trace.version.version, "v1");
    assert.equal(trace.feedback[0].state, "used");
    const learned = await volantJson("trace", (await ask("Who sings?")).id, "--workspace", folder);
    assert.equal(learned.version.parent, "v1");
    assert.ok(learned.chain.some((node) => node.kind === "feedback"));
    assert.equal(learned.sources[0].name, "texts");

    await volantJson("rollback", folder);
    for (const question of Object.keys(corrections)) {
      await until("the old answer comes back", async () => (await ask(question)).choices[0].message.content === before[question]);
    }
    assert.equal((await volantJson("status", folder)).production.version, "v1");
  } finally {
    assert.equal(await server.stop(), 0);
  }
});
