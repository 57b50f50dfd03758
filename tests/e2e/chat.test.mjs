// `volant chat` as a person types it.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { missing, model } from "./support/model_server.mjs";
import { volant } from "./support/volant.mjs";

describe("volant chat", { skip: missing("stories15M") }, () => {
  const going_on = ["--raw", "--prompt", "Once upon", "--temperature", "0", "--max-tokens", "20"];

  test("takes the model as its argument or by --model", async () => {
    const said = await volant("chat", model("stories15M"), ...going_on);
    assert.match(said, /^ a time, there was a little girl named Lily/);
    assert.equal(await volant("chat", "--model", model("stories15M"), ...going_on), said);
  });

  test("says the same with guesses by a draft model and with keys and values in 8 bits", async () => {
    const said = await volant("chat", model("stories15M"), ...going_on);
    assert.equal(await volant("chat", model("stories15M"), "--draft", model("stories15M"), ...going_on), said);
    assert.equal(await volant("chat", model("stories15M"), "--kv", "q8_0", ...going_on), said);
  });

  test("names what it can take when a number format is none", async () => {
    await assert.rejects(volant("chat", model("stories15M"), "--kv", "q4", ...going_on), /expected one of f32, f16, q8_0, got 'q4'/);
  });
});
