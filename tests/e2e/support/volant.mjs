// The real program for tests: a small workspace of text that tells itself apart, `volant run` on it, `volant serve` before it.
import { execFile, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../../", import.meta.url));
export const program = process.env.VOLANT_BIN ?? join(root, "build/release/volant");
/** Why these tests cannot run here; false when they can. */
export const skipReason = existsSync(program) ? false : `there is no ${program}: build it, or set VOLANT_BIN`;
/** The same for tests that train. */
export const trainSkipReason = skipReason || (existsSync(`${program}-train`) ? false : `there is no ${program}-train: build it too`);

/** Runs `volant ...args`; gives stdout, or throws with what it said. */
export function volant(...args) {
  return new Promise((done, failed) => {
    execFile(program, args, { maxBuffer: 1 << 26, timeout: 300_000 }, (error, stdout, stderr) => {
      if (error === null) done(stdout);
      else failed(new Error(`volant ${args.join(" ")}: ${error.message}\n${stderr.slice(-4000)}`));
    });
  });
}

/** A folder that goes away at the end of the tests. */
export async function scratch() {
  const path = await mkdtemp(join(tmpdir(), "volant-e2e-"));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}

const kEnglish = {
  who: ["The miller", "A sailor", "My teacher", "The old gardener", "Her brother", "A young doctor", "The baker", "Our neighbour"],
  does: ["keeps", "remembers", "carries", "praises", "repairs", "waits for", "paints", "sings about"],
  what: ["the heavy wheel", "a quiet river", "the morning bread", "an honest friend", "the long winter", "a letter from home", "the garden gate", "the evening light"],
};
const kChinese = {
  who: ["老船夫", "我的老师", "山里的农夫", "年轻的医生", "邻居家的孩子", "河边的诗人", "卖花的姑娘", "守夜的人"],
  does: ["记得", "喜欢", "等待", "修好了", "歌唱", "画下了", "守护", "想念"],
  what: ["那条安静的河", "早晨的面包", "远方的来信", "沉重的飞轮", "漫长的冬天", "花园的小门", "傍晚的灯光", "诚实的朋友"],
};

function sentences({ who, does, what }, join_, end) {
  return who.flatMap((a, i) => does.flatMap((b, j) => what.map((c, k) => {
    const other = [who[(i + 3) % 8], does[(j + k) % 8], what[(k + i + 5) % 8]].join(join_);
    return `${[a, b, c].join(join_)}${end}${join_}${other}${end}`;
  })));
}

/** About a thousand short documents in two languages, and some that preparing must drop, mask or mend. */
export function documents() {
  const good = [...sentences(kEnglish, " ", "."), ...sentences(kChinese, "", "。")];
  const odd = [good[0], good[0], good[600], "short", "write to ming.li@example.com about the heavy wheel and the quiet river", "\u001b[32mThe green wheel turns\u001b[0m and carries the morning bread to our neighbour."];
  return [...good, ...odd];
}

export async function makeWorkspace(folder, { seed = 1 } = {}) {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "texts.txt"), documents().join("\n%\n") + "\n");
  await writeConfig(folder, seed);
}

/** A model that trains in seconds; another seed makes the training stale. */
export async function writeConfig(folder, seed) {
  await writeFile(join(folder, "volant.toml"), `
[workspace]
name = "two tongues"
[[collect.source]]
name = "texts"
kind = "text"
paths = ["texts.txt"]
separator = "%"
[prepare]
languages = ["en", "zh"]
near_duplicate_threshold = 0.0
min_quality = 0.0
validation_share = 0.1
test_share = 0.1
[tokenizer]
vocab_size = 700
[model]
hidden_size = 64
num_hidden_layers = 2
num_attention_heads = 4
num_key_value_heads = 2
intermediate_size = 128
max_position_embeddings = 256
[train]
max_seq_len = 64
tokens_per_step = 1024
micro_batch_tokens = 1024
steps = 60
warmup_steps = 5
evaluate_every = 20
checkpoint_every = 30
lr = 3e-3
seed = ${seed}
[evaluate]
max_documents = 60
sample_prompts = ["The miller keeps", "老船夫"]
[gate]
max_bits_per_byte_increase = 2.0
min_documents = 20
[improve]
held_out_share = 0.0
steps = 60
lr = 4e-3
`);
}

/** `volant serve` on a free port. `stop()` ends it as an operator would and gives its exit code. */
export async function serve(folder, ...args) {
  const child = spawn(program, ["serve", folder, "--port", "0", ...args], { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  const ended = new Promise((done) => child.on("exit", (code) => done(code)));
  const url = await new Promise((done, failed) => {
    const timer = setTimeout(() => failed(new Error(`volant serve said no address in 60 s:\n${said}`)), 60_000);
    const read = (piece) => {
      said += piece;
      const found = /https?:\/\/[\w.[\]:]+:\d+/.exec(said);
      if (found === null) return;
      clearTimeout(timer);
      done(found[0]);
    };
    child.stdout.setEncoding("utf8").on("data", read);
    child.stderr.setEncoding("utf8").on("data", read);
    ended.then((code) => failed(new Error(`volant serve ended with ${code}:\n${said}`)));
  });
  return {
    url,
    said: () => said,
    stop: () => {
      child.kill("SIGTERM");
      return ended;
    },
  };
}

/** An API call that must succeed. */
export async function call(url, path, body) {
  const response = await fetch(url + path, body === undefined ? {} : { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  const text = await response.text();
  if (!response.ok) throw new Error(`${path}: ${response.status} ${text}`);
  return JSON.parse(text);
}

