// For work on the looks of the console without a model: serves dist/ and made-up answers in the shapes of the API.
// No part of the product and of no test; the tests run against a real `volant serve`.
//   npm run build && node dev/fixture_server.mjs [port]      WHEEL=fresh|busy|empty   KEY=secret
import { createReadStream, existsSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

const dist = fileURLToPath(new URL("../dist/", import.meta.url));
const port = Number(process.argv[2] ?? 8099);
const wheel = process.env.WHEEL ?? "fresh";
const types = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };
const ago = (seconds) => new Date(Date.now() - seconds * 1000).toISOString();
const metric = (value, half) => ({ value, ci95: [value - half, value + half] });

function status() {
  const details = {
    collect: ["26,114 documents from 2 sources", 0.9], prepare: ["20,498 of 26,114 rows kept", 2.4], train: ["400 steps, loss 3.412", 231],
    evaluate: ["1.874 bits per byte", 6.2], compress: ["q8_0, 4.6 MB, greedy agreement 99.8 %", 1.4], deploy: ["v3 in production", 0.1],
    listen: ["3 corrections, 5 ratings", null], improve: ["2 corrections not learned yet", null],
  };
  const states = {
    fresh: {}, busy: { train: "running", evaluate: "stale", compress: "stale", deploy: "fresh", improve: "missing", prepare: "fresh", listen: "failed" },
    empty: Object.fromEntries(Object.keys(details).map((name) => [name, "missing"])),
  }[wheel];
  const production = { version: "v3", created_at: ago(800), metrics: { bits_per_byte: metric(1.8741, 0.021) } };
  return {
    workspace: { name: "bilingual", path: "/home/ming/volant/examples/bilingual" },
    production: wheel === "empty" ? null : production,
    candidate: null,
    stations: Object.entries(details).map(([name, [detail, seconds]], index) => ({
      name, state: states[name] ?? "fresh", detail: states[name] === "missing" ? "" : detail,
      updated_at: states[name] === "missing" ? null : ago(2400 - index * 260), seconds: states[name] === "missing" ? null : seconds,
    })),
  };
}

function events(live) {
  const list = [{ type: "start", n_parameters: 5243136, tokens: 0 }];
  const steps = live ? Math.min(400, 60 + (Math.floor(Date.now() / 1000) % 300)) : 400;
  for (let step = 1; step <= steps; ++step) {
    const noise = Math.sin(step * 12.9898) * 0.5 + Math.sin(step * 78.233) * 0.5;
    const loss = 3.1 + 6 * Math.exp(-step / 60) + noise * 0.09;
    const lr = step < 20 ? (step / 20) * 1e-3 : 1e-4 + 4.5e-4 * (1 + Math.cos((Math.PI * (step - 20)) / 380));
    list.push({
      type: "step", step, loss, lr, grad_norm: 0.5 + 2 * Math.exp(-step / 30) + Math.abs(noise) * 0.25, tokens: step * 8192,
      tokens_per_second: 13900 + noise * 700, mfu: 0.41 + noise * 0.02, rss_mb: 912, seconds: step * 0.58,
    });
    if (step % 50 === 0) list.push({ type: "eval", step, loss: 3.28 + 5.8 * Math.exp(-step / 58), bits_per_byte: 1.9 + 3 * Math.exp(-step / 58) });
  }
  if (!live) list.push({ type: "end", status: "finished", step: 400, seconds: 231 });
  return { events: list };
}

const runs = [
  { id: "improve-4c1d", kind: "sft", status: wheel === "busy" ? "running" : "finished", created_at: ago(900), seconds: 41, summary: { loss: 0.41 } },
  { id: "train-9f20", kind: "pretrain", status: "finished", created_at: ago(2400), seconds: 231, summary: { loss: 3.31 } },
  { id: "train-77ab", kind: "pretrain", status: "stopped", created_at: ago(9400), seconds: 88, summary: {} },
  { id: "train-10c3", kind: "pretrain", status: "failed", created_at: ago(99400), seconds: 3, summary: {} },
];

function prepare() {
  const names = [["decode", 0, 0], ["clean", 1940, 25940], ["cut", -420, 18], ["personal_data", 0, 63], ["exact_duplicates", 2210, 0], ["language", 212, 0], ["quality", 871, 0], ["near_duplicates", 803, 0], ["split", 0, 0]];
  const texts = {
    clean: [["empty", "\u001b[32m\u001b[m"], ["too short", "Be happy."]], personal_data: [["email", "Write to <EMAIL> for the rest of this story."]],
    exact_duplicates: [["same text as tang300:12", "床前明月光，疑是地上霜。\n举头望明月，低头思故乡。"]], near_duplicates: [["91 % like fortunes:201", "A friend in need is a friend indeed!!"]],
    language: [["la is not among en, zh", "Gallia est omnis divisa in partes tres, quarum unam incolunt Belgae."]], quality: [["0.12, at least 0.30: few letters", "!!!! #### $$$$ %%%% ---- ____ ++++"]],
  };
  let rows = 26114;
  return {
    rows_in: rows, rows_out: 20498, bytes_in: 6210442, bytes_out: 5031199,
    steps: names.map(([name, dropped, changed]) => {
      const rows_in = rows;
      rows -= dropped;
      return {
        name, rows_in, rows_out: rows, dropped: Math.max(0, dropped), changed, reasons: dropped > 0 ? { "too short": Math.round(dropped * 0.8), empty: dropped - Math.round(dropped * 0.8) } : {},
        by_language: { en: { in: Math.round(rows_in * 0.61), out: Math.round(rows * 0.61) }, zh: { in: Math.round(rows_in * 0.39), out: rows - Math.round(rows * 0.61) } },
        examples: (texts[name] ?? []).map(([reason, text], index) => ({ reason, text, source: index ? "fortunes-zh" : "fortunes", record: 41 + index, detail: "/usr/share/games/fortunes/wisdom" })),
      };
    }),
    languages: { en: { rows: 12503, bytes: 3010221 }, zh: { rows: 7995, bytes: 2020978 } },
    splits: { train: { rows: 18450, bytes: 4528080 }, validation: { rows: 1024, bytes: 251500 }, test: { rows: 1024, bytes: 251619 } },
    sources: { fortunes: { rows_in: 15931, rows_out: 12503 }, "fortunes-zh": { rows_in: 10183, rows_out: 7995 } },
    personal_data: { email: 41, phone: 9, ip_address: 12, cn_id: 1, bank_card: 0 },
  };
}

const fertility = (a, b, c, d, e) => ({ tokens_per_char: a, tokens_per_word: b, bytes_per_token: c, byte_level_tokens_per_char: d, byte_level_tokens_per_word: e });
let versions = [
  { version: "v3", created_at: ago(800), aliases: ["production"], run_id: "improve-4c1d", parent: "v2", bytes: 4612333, metrics: { bits_per_byte: metric(1.8741, 0.021), next_token_accuracy: metric(0.4312, 0.008) }, parity: { format: "q8_0", positions: 2048, passed: true, greedy_agreement: 0.9984, mean_kl: 0.00012 }, gate: { passed: true, reasons: ["bits per byte +0.0041, upper bound +0.0112, at most +0.0200", "1,024 documents, at least 200"] } },
  { version: "v2", created_at: ago(2300), aliases: [], run_id: "train-9f20", parent: null, bytes: 4612333, metrics: { bits_per_byte: metric(1.8702, 0.022), next_token_accuracy: metric(0.4327, 0.008) }, parity: { format: "q8_0", positions: 2048, passed: true, greedy_agreement: 0.9979, mean_kl: 0.00014 }, gate: { passed: true, reasons: ["first version: nothing to compare with"] } },
  { version: "v1", created_at: ago(9300), aliases: ["candidate"], run_id: "train-77ab", parent: null, bytes: 4612333, metrics: { bits_per_byte: metric(2.2391, 0.03), next_token_accuracy: metric(0.351, 0.009) }, parity: { format: "q8_0", positions: 2048, passed: true, greedy_agreement: 0.9981, mean_kl: 0.00016 }, gate: { passed: false, reasons: ["bits per byte +0.3689, upper bound +0.3911, at most +0.0200"] } },
];
const feedback = [
  { id: 3, answer_id: "chatcmpl-5a01", rating: "down", correction: "Volant means flywheel: a wheel that keeps what you put into it.", state: "new", messages: [{ role: "user", content: "What does Volant mean?" }], answer: "Volant means the man of the man who is not.", created_at: ago(300), version: "v2" },
  { id: 2, answer_id: "chatcmpl-4401", rating: "up", messages: [{ role: "user", content: "床前明月光" }], answer: "疑是地上霜。", created_at: ago(3000), version: "v2" },
  { id: 1, answer_id: "chatcmpl-4400", rating: "down", comment: "Too long, and it repeats itself.", messages: [{ role: "user", content: "Tell me something about time." }], answer: "Time is what keeps everything from happening at once, and once, and once.", created_at: ago(4000), version: "v2" },
];
let improve = { state: "idle", log: [], result: null };
const audit = [
  { id: 3, created_at: ago(800), actor: "improve", action: "promote", subject: "v3", detail: { before: "v2", reason: "gate passed" } },
  { id: 2, created_at: ago(2300), actor: "wheel", action: "promote", subject: "v2", detail: { reason: "first version" } },
  { id: 1, created_at: ago(2301), actor: "wheel", action: "refuse", subject: "v1", detail: { passed: false } },
];

function startImprove() {
  const lines = ["2 corrections, 1 held out, 1 for training", "masked 0 pieces of personal data", "training improve-77d0 from v3", "step 20/60 loss 1.92", "step 40/60 loss 0.83", "step 60/60 loss 0.37", "gate: passed", "v4 is in production"];
  improve = { state: "running", log: [], result: null };
  const timer = setInterval(() => {
    improve.log.push(lines[improve.log.length]);
    if (improve.log.length < lines.length) return;
    clearInterval(timer);
    improve = { ...improve, state: "done", result: { state: "promoted", headline: "v4 learned 1 corrections and is production", candidate: "v4", production_before: "v3", production_after: "v4", rows: { train: 1, held_out: 1, replay: 24 }, gate: { passed: true, reasons: ["on 1024 held-out documents it needs 1.8760 bits per byte, production 1.8741: the difference is +0.0019, at most +0.0100 with 95 % confidence, and +0.0200 is allowed"] }, examples: [{ question: "What does Volant mean?", correction: "Volant means flywheel.", before: "Volant means the man of the man who is not.", after: "Volant means flywheel.", held_out: false }], seconds: 38 } };
  }, 700);
}

const routes = {
  "GET /api/status": status, "GET /api/runs": () => ({ runs: wheel === "empty" ? [] : runs }),
  "GET /api/data": () => (wheel === "empty" ? { collect: null, prepare: null, tokenizer: null } : { collect: { sources: [{ name: "fortunes", kind: "text", files: 41, charsets: { "UTF-8": 41 }, problems: [] }, { name: "fortunes-zh", kind: "text", files: 4, charsets: { "UTF-8": 3, GB18030: 1 }, problems: [{ where: "chinese:812", message: "some bytes were no text in UTF-8", text: "\ufffd\ufffd" }] }] }, prepare: prepare(), tokenizer: { algorithm: "bpe", vocab_size: 8192, languages: { en: fertility(0.271, 1.52, 3.69, 1.002, 5.63), zh: fertility(0.742, 1.31, 3.98, 2.95, 5.21) }, all: fertility(0.386, 1.44, 3.81, 1.43, 5.48) } }),
  "GET /api/versions": () => ({ versions: wheel === "empty" ? [] : versions }), "GET /api/audit": () => ({ audit, intact: true }), "GET /api/improve": () => improve,
  "GET /v1/models": () => ({ object: "list", data: [{ id: "production" }, { id: "v3" }] }),
};

async function body(request) {
  let text = "";
  for await (const piece of request) text += piece;
  return text === "" ? {} : JSON.parse(text);
}

async function stream(response, asked, raw) {
  const id = `chatcmpl-${Date.now().toString(16)}`;
  const words = "A good friend is one who walks in when the rest of the world walks out. 好朋友，是雪中送炭的人。".split(/(?<=[ ，。])/);
  response.writeHead(200, { "Content-Type": "text/event-stream" });
  for (const word of words) {
    const choice = raw ? { index: 0, text: word, finish_reason: null } : { index: 0, delta: { content: word }, finish_reason: null };
    response.write(`data: ${JSON.stringify({ id, choices: [choice] })}\n\n`);
    await new Promise((done) => setTimeout(done, 60));
    if (response.destroyed) return;
  }
  response.write(`data: ${JSON.stringify({ id, choices: [{ index: 0, delta: {}, finish_reason: "stop" }] })}\n\n`);
  response.end(`data: ${JSON.stringify({ id, choices: [], usage: { completion_tokens: words.length } })}\n\ndata: [DONE]\n\n`);
}

createServer(async (request, response) => {
  const path = decodeURIComponent(new URL(request.url, "http://x").pathname);
  const json = (code, value) => response.writeHead(code, { "Content-Type": "application/json" }).end(JSON.stringify(value));
  const isApi = path.startsWith("/api/") || path.startsWith("/v1/");
  if (isApi && process.env.KEY && request.headers.authorization !== `Bearer ${process.env.KEY}`) {
    return json(401, { error: { message: "no API key: send it as `Authorization: Bearer KEY`", type: "authentication_error", param: null, code: "no_key" } });
  }
  const sent = request.method === "POST" ? await body(request) : {};
  const known = routes[`${request.method} ${path}`];
  if (known) return json(200, known());
  if (/^\/v1\/(chat\/)?completions$/.test(path)) return stream(response, sent, !path.includes("chat"));
  if (path === "/v1/feedback") return json(200, { id: feedback.unshift({ id: feedback.length + 1, created_at: ago(0), state: "new", messages: [{ role: "user", content: "…" }], ...sent }) });
  if (path === "/api/feedback") return json(200, { feedback: wheel === "empty" ? [] : feedback, counts: { total: 3, up: 1, down: 2, corrections: 1, new_corrections: 1 } });
  if (path === "/api/improve") return startImprove(), json(200, improve);
  if (path.endsWith("/promote")) versions = versions.map((one) => ({ ...one, aliases: one.version === path.split("/")[3] ? ["production"] : [] }));
  if (path.endsWith("/promote") || path === "/api/rollback") return json(200, { version: "v2" });
  if (/^\/api\/runs\/.*\/events$/.test(path)) return json(200, events(wheel === "busy"));
  if (path.startsWith("/api/evaluation/")) return json(200, { version: "v3", documents: 1024, metrics: { bits_per_byte: metric(1.8741, 0.021), next_token_accuracy: metric(0.4312, 0.008) }, languages: { en: { bits_per_byte: metric(1.74, 0.03) }, zh: { bits_per_byte: metric(2.05, 0.04) } }, samples: [{ prompt: "Once upon a time", continuation: " there was a man who had no money and a good heart." }, { prompt: "春眠不觉晓", continuation: "，处处闻啼鸟。" }] });
  if (path.startsWith("/api/trace/")) return json(200, { answer: { id: path.slice(11), created_at: ago(300), messages: [{ role: "user", content: "What does Volant mean?" }], answer: "Volant means the man of the man who is not." }, version: versions[0], run: runs[0], datasets: [{ digest: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", kind: "rows", bytes: 5031199 }], sources: [{ name: "fortunes", files: [{ path: "/usr/share/games/fortunes/wisdom" }] }, { name: "fortunes-zh", files: [{ path: "/usr/share/games/fortunes/tang300" }] }], chain: [], feedback: [{ id: 3, correction: "Volant means flywheel." }] });
  const file = join(dist, normalize(path === "/" ? "/index.html" : path));
  if (!file.startsWith(dist) || !existsSync(file)) return json(404, { error: { message: `nothing at ${path}`, type: "invalid_request_error", param: null, code: "not_found" } });
  response.writeHead(200, {
    "Content-Type": types[extname(file)] ?? "application/octet-stream",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  });
  return createReadStream(file).pipe(response);
}).listen(port, "127.0.0.1", () => console.log(`http://127.0.0.1:${port} (${wheel})`));
