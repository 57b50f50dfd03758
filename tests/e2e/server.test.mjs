// The official OpenAI client against `volant serve --model`, unchanged but for its address.
import assert from "node:assert/strict";
import http from "node:http";
import { after, before, describe, test } from "node:test";
import OpenAI from "openai";
import { missing, model, run, serve } from "./support/model_server.mjs";
import { scratch } from "./support/volant.mjs";

const kSkip = missing("stories260K", "minimind2-small");

function clientOf(server, apiKey = "none") {
  return new OpenAI({ baseURL: `${server.url}/v1`, apiKey, maxRetries: 0 });
}

describe("a chat model", { skip: kSkip }, () => {
  let server;
  let client;
  const question = [{ role: "user", content: "What is the capital of France?" }];
  before(async () => {
    server = await serve("--model", model("minimind2-small"), "--ctx", "1024");
    client = clientOf(server);
  });
  after(async () => assert.equal(await server.stop(), 0));

  test("is listed and can be looked up", async () => {
    const models = await client.models.list();
    assert.deepEqual(models.data.map((entry) => entry.id), ["minimind2-small"]);
    assert.equal((await client.models.retrieve("minimind2-small")).object, "model");
  });

  test("answers", async () => {
    const answer = await client.chat.completions.create({ model: "minimind2-small", messages: question, temperature: 0 });
    assert.equal(answer.choices[0].message.content, "The capital of France is Paris.");
    assert.equal(answer.choices[0].message.role, "assistant");
    assert.equal(answer.choices[0].finish_reason, "stop");
    assert.match(answer.id, /^chatcmpl-/);
    assert.match(answer.system_fingerprint, /^fp_/);
    assert.equal(answer.object, "chat.completion");
    assert.equal(answer.usage.prompt_tokens, 33);
    assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens);
    assert.ok(Math.abs(answer.created - Date.now() / 1000) < 60);
  });

  test("answers in Chinese, whole characters in every chunk", async () => {
    const stream = await client.chat.completions.create({
      model: "minimind2-small",
      messages: [{ role: "system", content: "You are a helpful assistant" }, { role: "user", content: "世界上最高的山峰是什么？" }],
      temperature: 0,
      stream: true,
    });
    let text = "";
    for await (const chunk of stream) {
      const piece = chunk.choices[0]?.delta.content ?? "";
      assert.ok(!piece.includes("\uFFFD"));
      text += piece;
    }
    assert.equal(text, "世界上最高的山峰是珠穆朗玛峰，位于喜马拉雅山脉，海拔8,848.86米（29,031.7英尺）。");
  });

  test("streams with usage at the end", async () => {
    const stream = await client.chat.completions.create({
      model: "minimind2-small",
      messages: question,
      temperature: 0,
      stream: true,
      stream_options: { include_usage: true },
    });
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);
    assert.equal(chunks[0].choices[0].delta.role, "assistant");
    assert.equal(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join(""), "The capital of France is Paris.");
    assert.equal(new Set(chunks.map((chunk) => chunk.id)).size, 1);
    const last = chunks.at(-1);
    assert.deepEqual(last.choices, []);
    assert.equal(last.usage.prompt_tokens, 33);
    assert.ok(chunks.slice(0, -1).every((chunk) => chunk.usage === null));
    assert.equal(chunks.at(-2).choices[0].finish_reason, "stop");
  });

  test("works with the client's stream helper", async () => {
    const runner = client.chat.completions.stream({ model: "minimind2-small", messages: question, temperature: 0 });
    assert.equal(await runner.finalContent(), "The capital of France is Paris.");
    assert.equal((await runner.finalChatCompletion()).choices[0].finish_reason, "stop");
  });

  test("stops at a text, which is not part of the answer", async () => {
    for (const stop of [" Paris", ["London", " Paris", "x", "y"]]) {
      const answer = await client.chat.completions.create({ model: "minimind2-small", messages: question, temperature: 0, stop });
      assert.equal(answer.choices[0].message.content, "The capital of France is");
      assert.equal(answer.choices[0].finish_reason, "stop");
    }
  });

  test("stops at max_tokens and max_completion_tokens", async () => {
    for (const limit of [{ max_tokens: 3 }, { max_completion_tokens: 3 }]) {
      const answer = await client.chat.completions.create({ model: "minimind2-small", messages: question, temperature: 0, ...limit });
      assert.equal(answer.usage.completion_tokens, 3);
      assert.equal(answer.choices[0].finish_reason, "length");
    }
  });

  test("gives log probabilities that make sense", async () => {
    const answer = await client.chat.completions.create({
      model: "minimind2-small",
      messages: question,
      temperature: 0,
      logprobs: true,
      top_logprobs: 3,
    });
    const content = answer.choices[0].logprobs.content;
    const bytes = content.flatMap((token) => token.bytes);
    assert.ok(Buffer.from(bytes).toString("utf8").startsWith("The capital of France is Paris."));
    for (const token of content) {
      assert.ok(token.logprob <= 0);
      assert.equal(token.top_logprobs.length, 3);
      assert.ok(token.top_logprobs[0].logprob >= token.top_logprobs[1].logprob);
      assert.ok(token.top_logprobs.reduce((sum, other) => sum + Math.exp(other.logprob), 0) <= 1.000001);
    }
  });

  test("gives the same answer for the same seed, and n answers", async () => {
    const ask = (seed) =>
      client.chat.completions.create({
        model: "minimind2-small",
        messages: [{ role: "user", content: "Tell me a story" }],
        temperature: 1,
        seed,
        n: 2,
        max_tokens: 24,
      });
    const [first, second, other] = [await ask(5), await ask(5), await ask(6)];
    const texts = (answer) => answer.choices.map((choice) => choice.message.content);
    assert.equal(first.choices.length, 2);
    assert.deepEqual(texts(first), texts(second));
    assert.notDeepEqual(texts(first), texts(other));
    assert.notEqual(texts(first)[0], texts(first)[1]);
  });

  test("can be stopped by its client, and answers on", async () => {
    const stream = await client.chat.completions.create({
      model: "minimind2-small", messages: [{ role: "user", content: "Tell me a long story" }], max_tokens: 900, stream: true });
    for await (const chunk of stream) {
      if ((chunk.choices[0]?.delta.content ?? "") !== "") break; // aborts the request
    }
    const answer = await client.chat.completions.create({ model: "minimind2-small", messages: question, temperature: 0 });
    assert.equal(answer.choices[0].message.content, "The capital of France is Paris.");
  });

  test("names what is wrong as the client's error classes", async () => {
    const chat = (fields) => client.chat.completions.create({ model: "minimind2-small", messages: question, ...fields });
    await assert.rejects(chat({ model: "gpt-4o" }), (error) => {
      assert.ok(error instanceof OpenAI.NotFoundError);
      assert.equal(error.code, "model_not_found");
      return true;
    });
    for (const [fields, param] of [
      [{ temperature: 5 }, "temperature"], [{ n: 1000 }, "n"], [{ messages: [] }, "messages"],
      [{ stop: ["a", "b", "c", "d", "e"] }, "stop"], [{ tools: [{ type: "function", function: { name: "f" } }] }, "tools"],
      [{ temprature: 1 }, "temprature"],
      [{ messages: [{ role: "user", content: [{ type: "image_url", image_url: { url: "x" } }] }] }, "messages[0].content"],
    ]) {
      await assert.rejects(chat(fields), (error) => {
        assert.ok(error instanceof OpenAI.BadRequestError, String(error));
        assert.equal(error.param, param);
        assert.equal(error.type, "invalid_request_error");
        return true;
      });
    }
    await assert.rejects(chat({ messages: [{ role: "user", content: "word ".repeat(3000) }] }), (error) => {
      assert.equal(error.status, 400);
      assert.equal(error.code, "context_length_exceeded");
      return true;
    });
  });

  test("refuses a page of another site and another host's name", async () => {
    const get = (headers) =>
      new Promise((done, lost) => {
        const { hostname, port } = new URL(server.url);
        http.get({ hostname, port, path: "/v1/models", headers }, (response) => done(response.resume().statusCode)).on("error", lost);
      });
    assert.equal(await get({}), 200);
    assert.equal(await get({ host: "evil.example" }), 403);
    assert.equal(await get({ origin: "https://evil.example" }), 403);
  });

  test("says that it is well, and what it did", async () => {
    const health = await (await fetch(`${server.url}/healthz`)).json();
    assert.equal(health.status, "ok");
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    assert.match(metrics, /^volant_http_requests_total\{route="\/v1\/chat\/completions",method="POST",status="200"\} \d+$/m);
    assert.match(metrics, /^volant_completion_tokens_total \d+$/m);
    for (const line of metrics.trim().split("\n")) {
      assert.match(line, /^(# (HELP|TYPE) \w+ .+|\w+(\{\w+="[^"]*"(,\w+="[^"]*")*\})? [-+\d.eE]+)$/);
    }
  });
});

describe("a story model", { skip: kSkip }, () => {
  let server;
  let client;
  before(async () => {
    server = await serve("--model", model("stories260K"));
    client = clientOf(server);
  });
  after(async () => assert.equal(await server.stop(), 0));

  test("continues a text, a list of texts, and token ids", async () => {
    const ask = (prompt, fields = {}) =>
      client.completions.create({ model: "stories260K", prompt, temperature: 0, max_tokens: 24, ...fields });
    const text = ", there was a little girl named Lily. She loved to play";
    const [one, many, ids, echo] = [
      await ask("Once upon a time"), await ask(["Once upon a time", "Tim had a red ball."]),
      await ask([1, 403, 407, 261, 378]), await ask("Once upon a time", { echo: true })];
    assert.ok(one.choices[0].text.startsWith(text));
    assert.match(one.id, /^cmpl-/);
    assert.equal(many.choices[0].text, one.choices[0].text);
    assert.ok(many.choices[1].text.startsWith(" He liked to play with his toys."));
    assert.equal(ids.choices[0].text, one.choices[0].text);
    assert.equal(echo.choices[0].text, `Once upon a time${one.choices[0].text}`);
  });

  test("forbids and forces tokens by logit_bias", async () => {
    const ask = (bias) =>
      client.completions.create({ model: "stories260K", prompt: "Once upon a time", temperature: 0, max_tokens: 1, logit_bias: bias });
    assert.equal((await ask({})).choices[0].text, ",");
    assert.notEqual((await ask({ 432: -100 })).choices[0].text, ",");
    assert.equal((await ask({ 426: 100 })).choices[0].text, ".");
  });

  test("streams a completion", async () => {
    const stream = await client.completions.create({
      model: "stories260K", prompt: "Once upon a time", temperature: 0, max_tokens: 24, stream: true });
    let text = "";
    for await (const chunk of stream) text += chunk.choices[0].text;
    assert.ok(text.startsWith(", there was a little girl named Lily."));
  });

  test("answers many clients at once with what each asked", async () => {
    const prompts = ["Once upon a time", "Tim had a red ball.", "Lily and her mom went to the store to buy some"];
    const begins = [", there was a little girl", " He liked to play", " candy. They saw a big, red ball"];
    const answers = await Promise.all(
      Array.from({ length: 24 }, (_, i) =>
        client.completions.create({ model: "stories260K", prompt: prompts[i % 3], temperature: 0, max_tokens: 32 })));
    answers.forEach((answer, i) => assert.ok(answer.choices[0].text.startsWith(begins[i % 3]), answer.choices[0].text));
  });

  test("says that feedback needs a workspace", async () => {
    const response = await fetch(`${server.url}/v1/feedback`, {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ answer_id: "cmpl-1", rating: "up" }) });
    assert.equal(response.status, 404);
    assert.match((await response.json()).error.message, /workspace/);
  });

  test("sends the console", async () => {
    const response = await fetch(`${server.url}/`);
    const page = await response.text();
    assert.match(response.headers.get("content-type"), /^text\/html/);
    assert.match(response.headers.get("content-security-policy"), /default-src 'none'/);
    const script = /src="\.(\/assets\/[^"]+\.js)"/.exec(page);
    if (script === null) return; // built without the console
    const asset = await fetch(server.url + script[1]);
    assert.match(asset.headers.get("content-type"), /^text\/javascript/);
    assert.match(asset.headers.get("cache-control"), /immutable/);
    assert.equal(asset.headers.get("content-encoding"), "gzip");
    const again = await fetch(server.url + script[1], { headers: { "If-None-Match": asset.headers.get("etag") } });
    assert.equal(again.status, 304);
  });
});

describe("an encoder", { skip: missing("all-MiniLM-L6-v2") }, () => {
  let server;
  let client;
  const texts = ["A man is eating food.", "A man is eating a piece of bread.", "A cheetah chases its prey."];
  const dot = (a, b) => a.reduce((sum, x, i) => sum + x * b[i], 0);
  before(async () => {
    server = await serve("--model", model("all-MiniLM-L6-v2"));
    client = clientOf(server);
  });
  after(async () => assert.equal(await server.stop(), 0));

  test("says how to ask for embeddings and is listed", async () => {
    assert.match(server.output(), /\/v1\/embeddings/);
    assert.deepEqual((await client.models.list()).data.map((entry) => entry.id), ["all-MiniLM-L6-v2"]);
  });

  test("gives vectors of length one whose cosines tell what is alike", async () => {
    const answer = await client.embeddings.create({ model: "all-MiniLM-L6-v2", input: texts });
    assert.equal(answer.object, "list");
    assert.deepEqual(answer.data.map((entry) => entry.index), [0, 1, 2]);
    const [man, bread, cheetah] = answer.data.map((entry) => entry.embedding);
    for (const vector of [man, bread, cheetah]) {
      assert.equal(vector.length, 384);
      assert.ok(Math.abs(dot(vector, vector) - 1) < 1e-5);
    }
    assert.ok(Math.abs(dot(man, bread) - 0.755318) < 1e-3);
    assert.ok(dot(man, cheetah) < 0.2);
    assert.ok(answer.usage.prompt_tokens > 20);
    assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens);
  });

  test("gives the same numbers as a list, in base64, for one text and for its token ids", async () => {
    const asked = async (input, encoding_format) =>
      (await client.embeddings.create({ model: "all-MiniLM-L6-v2", input, encoding_format })).data[0].embedding;
    const list = await asked(texts[0], "float");
    const ids = [101, 1037, 2158, 2003, 5983, 2833, 1012, 102];
    const base64 = await fetch(`${server.url}/v1/embeddings`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model: "all-MiniLM-L6-v2", input: texts[0], encoding_format: "base64" }),
    }).then((response) => response.json());
    const bytes = Buffer.from(base64.data[0].embedding, "base64");
    const decoded = Array.from({ length: 384 }, (_, i) => bytes.readFloatLE(4 * i));
    for (const other of [decoded, await asked(ids, "float"), await asked([ids], "float"), await asked(texts[0])])
      assert.ok(list.every((x, i) => Math.abs(x - other[i]) < 1e-6));
  });

  test("refuses what it cannot do, naming the field", async () => {
    for (const [field, request] of [
      ["input", { input: [] }],
      ["input", { input: [30522] }],
      ["dimensions", { input: "x", dimensions: 64 }],
      ["encoding_format", { input: "x", encoding_format: "int8" }],
      ["model", { input: "x", model: "other" }],
    ]) {
      await assert.rejects(client.embeddings.create({ model: "all-MiniLM-L6-v2", ...request }), (error) => error.param === field);
    }
  });

  test("tells a chat client where to go", async () => {
    await assert.rejects(
      client.chat.completions.create({ model: "all-MiniLM-L6-v2", messages: [{ role: "user", content: "hi" }] }),
      (error) => error.status === 400 && /\/v1\/embeddings/.test(error.message),
    );
  });

  test("embeds from the command line", () => {
    const result = run("embed", "--model", model("all-MiniLM-L6-v2"), "--text", texts[0], "--text", texts[1]);
    assert.equal(result.status, 0, result.stderr);
    const [first, second] = result.stdout.trim().split("\n").map((line) => JSON.parse(line));
    assert.equal(first.text, texts[0]);
    assert.equal(first.tokens, 8);
    assert.equal(first.truncated, false);
    assert.ok(Math.abs(dot(first.embedding, second.embedding) - 0.755318) < 1e-3);
  });
});

describe("keys", { skip: kSkip }, () => {
  test("are needed as soon as there is one", async () => {
    const dir = await scratch();
    const file = `${dir.path}/keys.json`;
    const key = run("serve", "keys", "add", "laptop", "--keys", file).stdout.trim();
    assert.match(key, /^vk-[0-9a-f]{64}$/);
    const server = await serve("--model", model("stories260K"), "--keys", file);
    try {
      await assert.rejects(clientOf(server, "vk-wrong").models.list(), OpenAI.AuthenticationError);
      assert.equal((await fetch(`${server.url}/v1/models`)).status, 401);
      assert.equal((await clientOf(server, key).models.list()).data.length, 1);
      for (let i = 0; i < 12; ++i) await clientOf(server, "vk-wrong").models.list().catch(() => {});
      await assert.rejects(clientOf(server, "vk-wrong").models.list(), OpenAI.RateLimitError);
      assert.ok(!server.log().includes(key) && !server.output().includes(key));
    } finally {
      await server.stop();
      await dir.remove();
    }
  });

  test("are needed to be heard by other machines", () => {
    const result = run("serve", "--model", model("stories260K"), "--host", "0.0.0.0", "--port", "0");
    assert.equal(result.status, 5);
    assert.match(result.stderr, /without a key.*serve keys add/s);
  });
});

describe("the end", { skip: kSkip }, () => {
  test("comes after the answer that runs", async () => {
    const server = await serve("--model", model("stories260K"));
    const stream = await clientOf(server).completions.create({
      model: "stories260K", prompt: "Once", max_tokens: 300, stream: true, ignore_eos: true });
    let finish = null;
    let first = true;
    for await (const chunk of stream) {
      if (first) server.child.kill("SIGTERM");
      first = false;
      finish = chunk.choices[0]?.finish_reason ?? finish;
    }
    assert.equal(finish, "length");
    assert.equal((await server.ended).code, 0);
  });

  test("a port in use says which flag to change", async () => {
    const server = await serve("--model", model("stories260K"));
    try {
      const result = run("serve", "--model", model("stories260K"), "--port", new URL(server.url).port);
      assert.equal(result.status, 5);
      assert.match(result.stderr, /port \d+ .*in use.*--port/);
    } finally {
      await server.stop();
    }
  });
});
