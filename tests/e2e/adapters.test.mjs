// An adapter from training to serving: `volant train` makes it, `volant serve` and `volant chat` run it beside its
// model, and what they say is what the merged model of the same run says.
import assert from "node:assert/strict";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import OpenAI from "openai";
import { missing, model, run, serve } from "./support/model_server.mjs";
import { scratch, trainSkipReason, volant } from "./support/volant.mjs";

const kPrompts = ["Once upon a time", "Tim had a red ball.", "The miller"];

/** A LoRA run of a few steps on one sentence; gives its folder. */
async function train(folder) {
  await mkdir(folder, { recursive: true });
  const rows = Array.from({ length: 8 }, (_, i) => JSON.stringify({ text: `The miller sang about ${i} wheels and slept.` }));
  await writeFile(join(folder, "rows.jsonl"), rows.join("\n") + "\n");
  await writeFile(join(folder, "job.json"), JSON.stringify({
    objective: "sft",
    model: { init_from: model("stories260K") },
    data: { train_rows: "rows.jsonl", validation_rows: "rows.jsonl" },
    adapter: { kind: "lora", r: 8, alpha: 16 },
    max_seq_len: 64,
    tokens_per_step: 256,
    steps: 20,
    lr: 1e-2,
    warmup_steps: 2,
    weight_decay: 0,
  }));
  await volant("train", "--job", join(folder, "job.json"));
  return folder;
}

describe("an adapter", { skip: trainSkipReason || missing("stories260K") }, () => {
  let dir;
  let folder;
  let server;
  let merged;
  const client = (of) => new OpenAI({ baseURL: `${of.url}/v1`, apiKey: "none", maxRetries: 0 });
  const tell = async (of, name, prompt) => {
    const answer = await client(of).completions.create({ model: name, prompt, temperature: 0, max_tokens: 24 });
    return answer.choices[0].text;
  };
  before(async () => {
    dir = await scratch();
    folder = await train(join(dir.path, "run"));
    server = await serve("--model", model("stories260K"), "--adapter", `miller=${join(folder, "adapter")}`);
    merged = await serve("--model", join(folder, "model"));
  });
  after(async () => {
    for (const each of [server, merged]) if (each !== undefined) assert.equal(await each.stop(), 0);
    await dir.remove();
  });

  test("leaves its parity with the merged model beside it", async () => {
    const parity = JSON.parse(await readFile(join(folder, "parity.json"), "utf8"));
    assert.equal(parity.passed, true);
    assert.equal(parity.greedy_agreement, 1);
    assert.ok(parity.positions > 100);
  });

  test("is listed beside its base", async () => {
    const names = (await client(server).models.list()).data.map((entry) => entry.id);
    assert.deepEqual(names, ["stories260K", "stories260K:miller"]);
  });

  test("says what its merged model says, and the base what the base says", async () => {
    const base = await serve("--model", model("stories260K"));
    let learned = 0;
    for (const prompt of kPrompts) {
      const [plain, tuned] = await Promise.all([tell(server, "stories260K", prompt), tell(server, "miller", prompt)]);
      assert.equal(tuned, await tell(merged, "model", prompt));
      assert.equal(await tell(server, "stories260K:miller", prompt), tuned);
      assert.equal(plain, await tell(base, "stories260K", prompt));
      if (tuned !== plain) learned += 1;
    }
    assert.ok(learned > 0, "the adapter changes nothing");
    assert.equal(await base.stop(), 0);
  });

  test("runs in the terminal too", async () => {
    const chat = async (...args) =>
      JSON.parse(await volant("chat", ...args, "--raw", "--json", "--prompt", "The miller", "--temperature", "0", "--max-tokens", "24")).text;
    const beside = await chat("--model", model("stories260K"), "--adapter", join(folder, "adapter"));
    assert.equal(beside, await chat("--model", join(folder, "model")));
    assert.equal(beside, await tell(server, "miller", "The miller"));
  });

  test("of another name, or in no folder, is refused", async () => {
    await assert.rejects(tell(server, "sailor", "Once"), (error) => {
      assert.ok(error instanceof OpenAI.NotFoundError);
      assert.equal(error.code, "model_not_found");
      assert.match(error.message, /'stories260K', 'stories260K:miller'/);
      return true;
    });
    const refused = run("serve", "--model", model("stories260K"), "--adapter", `miller=${join(folder, "nothing")}`, "--port", "0");
    assert.notEqual(refused.status, 0);
    assert.match(refused.stderr, /nothing/);
  });
});
