// Drives servers that speak the OpenAI API and measures them in turns: N clients, each asking again as soon as it
// has its answer, prompts of token ids that never repeat, streamed answers of a fixed length.
//   node bench/serve/load.mjs --server NAME=URL [--server NAME=URL ...] [--clients 1,4,16] [--requests 48]
//     [--prompt 64] [--generate 64] [--vocab 30000] [--rounds 3] [--model NAME] [--key KEY] [--json FILE]
// A round is one pass of `requests` requests for each number of clients at each server. Tokens are what the server
// counts (usage), else the pieces of the stream. Medians over rounds; percentiles over the requests of all rounds.
import http from "node:http";
import { writeFileSync } from "node:fs";

function readArguments(argv) {
  const options = { servers: [], clients: [1, 4, 16], requests: 48, prompt: 64, generate: 64, vocab: 30000,
                    rounds: 3, model: "", key: "none", json: "" };
  for (let i = 0; i < argv.length; i += 2) {
    const name = argv[i].replace(/^--/, ""), value = argv[i + 1];
    if (value === undefined) throw new Error(`${argv[i]} needs a value`);
    if (name === "server") {
      const at = value.indexOf("=");
      if (at < 1) throw new Error(`expected NAME=URL, got '${value}'`);
      options.servers.push({ name: value.slice(0, at), url: value.slice(at + 1).replace(/\/$/, "") });
    } else if (name === "clients") {
      options.clients = value.split(",").map(Number);
    } else if (typeof options[name] === "number") {
      options[name] = Number(value);
    } else if (typeof options[name] === "string") {
      options[name] = value;
    } else {
      throw new Error(`unknown option ${argv[i]}`);
    }
  }
  if (options.servers.length === 0) throw new Error("expected --server NAME=URL");
  const numbers = [...options.clients, options.requests, options.prompt, options.generate, options.rounds];
  if (numbers.some((n) => !Number.isInteger(n) || n < 1)) throw new Error("counts are whole numbers from 1");
  return options;
}

// The same prompts for every server, none of them twice.
function promptOf(number, options) {
  const ids = [];
  let state = (number + 1) * 2654435761 % 4294967296;
  for (let i = 0; i < options.prompt; ++i) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    ids.push(100 + state % (options.vocab - 100));
  }
  return ids;
}

// Some servers hang up on a connection that they have no thread for: asked again, in the same time.
function ask(agent, server, prompt, options, attempt = 1, begin = performance.now()) {
  const body = JSON.stringify({ model: server.model, prompt, max_tokens: options.generate, temperature: 0,
                                ignore_eos: true, stream: true, stream_options: { include_usage: true } });
  const url = new URL(`${server.url}/v1/completions`);
  return new Promise((resolve, reject) => {
    let begun = false, first = 0, pieces = 0, counted = 0, rest = "";
    const take = (line) => {
      if (!line.startsWith("data: ") || line === "data: [DONE]") return;
      const event = JSON.parse(line.slice(6));
      if (event.error) return reject(new Error(`${server.name}: ${JSON.stringify(event.error)}`));
      if (event.choices?.[0]?.text) {
        first ||= performance.now();
        ++pieces;
      }
      if (event.usage?.completion_tokens) counted = event.usage.completion_tokens;
    };
    const request = http.request(url, {
      method: "POST", agent,
      headers: { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(body),
                 Authorization: `Bearer ${options.key}` },
    }, (response) => {
      begun = true;
      response.setEncoding("utf8");
      response.on("data", (text) => {
        const lines = (rest + text).split("\n");
        rest = lines.pop();
        for (const line of lines) if (response.statusCode === 200) take(line.trim());
        if (response.statusCode !== 200) rest = text;
      });
      response.on("end", () => {
        if (response.statusCode !== 200)
          return reject(new Error(`${server.name} answered ${response.statusCode}: ${rest.slice(0, 300)}`));
        const end = performance.now();
        resolve({ seconds: (end - begin) / 1000, first: ((first || end) - begin) / 1000, tokens: counted || pieces });
      });
    });
    request.on("error", (error) => {
      if (begun || error.message !== "socket hang up" || attempt === 20) return reject(error);
      setTimeout(() => ask(agent, server, prompt, options, attempt + 1, begin).then(resolve, reject), 5);
    });
    request.end(body);
  });
}

async function pass(server, nClients, round, options) {
  // A connection for each request: some servers close one after a stream.
  const agent = new http.Agent({ keepAlive: false, maxSockets: nClients });
  const requests = [];
  let next = 0;
  const client = async () => {
    while (next < options.requests) {
      const number = (round * 1000 + nClients) * 10000 + next++;
      requests.push(await ask(agent, server, promptOf(number, options), options));
    }
  };
  const begin = performance.now();
  await Promise.all(Array.from({ length: nClients }, client));
  const seconds = (performance.now() - begin) / 1000;
  agent.destroy();
  return { requests, tokensPerSecond: requests.reduce((sum, r) => sum + r.tokens, 0) / seconds };
}

const sorted = (values) => [...values].sort((a, b) => a - b);
const quantile = (values, q) => sorted(values)[Math.min(values.length - 1, Math.floor(q * values.length))];

async function nameOfModel(server, options) {
  if (options.model) return options.model;
  const response = await fetch(`${server.url}/v1/models`, { headers: { Authorization: `Bearer ${options.key}` } });
  if (!response.ok) throw new Error(`${server.name}: /v1/models answered ${response.status}`);
  return (await response.json()).data[0].id;
}

async function main() {
  const options = readArguments(process.argv.slice(2));
  for (const server of options.servers) {
    server.model = await nameOfModel(server, options);
    await pass(server, 1, 999, { ...options, requests: 2 });  // warms up
  }
  const cells = new Map();
  for (let round = 0; round < options.rounds; ++round) {
    for (const nClients of options.clients) {
      for (const server of options.servers) {
        const key = `${server.name} ${nClients}`;
        if (!cells.has(key)) cells.set(key, { server: server.name, clients: nClients, rates: [], requests: [] });
        const { requests, tokensPerSecond } = await pass(server, nClients, round, options);
        cells.get(key).rates.push(tokensPerSecond);
        cells.get(key).requests.push(...requests);
      }
    }
  }
  const rows = [...cells.values()].map(({ server, clients, rates, requests }) => ({
    server, clients, tokens_per_second: quantile(rates, 0.5), tokens_per_second_least: sorted(rates)[0],
    tokens_per_second_most: sorted(rates).at(-1),
    request_p50_s: quantile(requests.map((r) => r.seconds), 0.5),
    request_p99_s: quantile(requests.map((r) => r.seconds), 0.99),
    first_token_p50_s: quantile(requests.map((r) => r.first), 0.5),
    first_token_p99_s: quantile(requests.map((r) => r.first), 0.99), requests: requests.length }));
  const columns = ["server", "clients", "tokens/s", "least", "most", "p50 s", "p99 s", "first p50", "first p99"];
  console.log(columns.map((c, i) => (i === 0 ? c.padEnd(16) : c.padStart(10))).join(""));
  for (const r of rows) {
    const numbers = [r.clients, r.tokens_per_second.toFixed(0), r.tokens_per_second_least.toFixed(0),
                     r.tokens_per_second_most.toFixed(0), r.request_p50_s.toFixed(3), r.request_p99_s.toFixed(3),
                     r.first_token_p50_s.toFixed(3), r.first_token_p99_s.toFixed(3)];
    console.log(r.server.padEnd(16) + numbers.map((n) => String(n).padStart(10)).join(""));
  }
  if (options.json) writeFileSync(options.json, JSON.stringify({ options: { ...options, key: undefined }, rows }, null, 2) + "\n");
}

main().catch((error) => {
  console.error(`load: ${error.message}`);
  process.exit(2);
});
