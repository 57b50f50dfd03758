// A small workspace for the tests of the console: text that tells itself apart, a model that trains in seconds.
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { run } from "../support/volant.mjs";

/** Runs `volant ...args`; gives stdout, or throws with what it said. */
export function volant(...args) {
  const { status, stdout, stderr } = run(...args);
  if (status !== 0) throw new Error(`volant ${args.join(" ")} ended with status ${status}:\n${stderr.slice(-4000)}`);
  return stdout;
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
steps = 20
`);
}

/** An API call that must succeed. */
export async function call(url, path, body) {
  const response = await fetch(url + path, body === undefined ? {} : { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  const text = await response.text();
  if (!response.ok) throw new Error(`${path}: ${response.status} ${text}`);
  return JSON.parse(text);
}

