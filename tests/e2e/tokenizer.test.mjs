// `volant tokenizer`: a vocabulary learned from texts, text to ids and back, parts of the text, pairs, cutting and filling.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { documents, program, scratch, skipReason, volant } from "./support/volant.mjs";

const text = "The miller keeps the heavy wheel. 老船夫记得那条安静的河。 😀";
let folder;
let model;
const encode = async (...args) => JSON.parse(await volant("tokenizer", "encode", "--model", model, "--json", ...args));

before(async () => {
  if (skipReason) return;
  folder = await scratch();
  model = join(folder.path, "vocabulary");
  const data = join(folder.path, "texts.txt");
  await writeFile(data, documents().join("\n"));
  await volant("tokenizer", "train", "--data", data, "--vocab-size", "600", "--out", model);
});
after(() => folder?.remove());

test("ids become the text again, through a pipe too", { skip: skipReason }, async () => {
  const { ids } = await encode("--text", text);
  assert.equal(JSON.parse(await volant("tokenizer", "decode", "--model", model, "--json", "--ids", ids.join(","))).text, text);
  const printed = spawnSync(program, ["tokenizer", "decode", "--model", model], { input: ids.join(" "), encoding: "utf8" });
  assert.equal(printed.stdout, `${text}\n`);
});

test("every token shows its part of the text, in characters", { skip: skipReason }, async () => {
  const shown = await encode("--text", text, "--offsets");
  assert.deepEqual(shown.ids, (await encode("--text", text)).ids);
  const characters = [...text];
  shown.offsets.forEach(([begin, end], i) => assert.equal(shown.texts[i], characters.slice(begin, end).join("")));
  const covered = new Set(shown.offsets.flatMap(([begin, end]) => characters.slice(begin, end).map((_, k) => begin + k)));
  assert.equal(covered.size, characters.length);
});

test("a pair is cut to a length and the rest shown", { skip: skipReason }, async () => {
  const whole = await encode("--text", text, "--pair", "再见");
  const cut = await encode("--text", text, "--pair", "再见", "--truncate", "9");
  assert.equal(cut.ids.length, 9);
  assert.ok(cut.overflow.length > 0);
  assert.ok(whole.ids.length > 9);
  const windows = await encode("--text", text, "--no-special", "--truncate", "8", "--stride", "2");
  assert.deepEqual(windows.overflow[0].ids.slice(0, 2), windows.ids.slice(-2));
});

test("what cannot be is said by name", { skip: skipReason }, async () => {
  await assert.rejects(volant("tokenizer", "encode", "--model", model, "--text", "x", "--pad", "8"), /--pad: expected a tokenizer/);
  await assert.rejects(volant("tokenizer", "encode", "--model", model, "--text", "x", "--stride", "8"), /--stride requires --truncate/);
  await assert.rejects(volant("tokenizer", "decode", "--model", model, "--ids", "999999"), /--ids: expected ids from 0 to 599, got 999999/);
});
