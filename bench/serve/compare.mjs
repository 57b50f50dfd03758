// Measures servers in turns and compares; called by run.sh, which says how. A round is, for each file and number of
// clients, one pass of `requests` requests at each server. Medians over rounds; percentiles over the requests of all.
import { readFileSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { pass } from "./load.mjs";
import { idleShare, peakBytes, running, start, stop } from "./servers.mjs";

function named(text) {
  const at = text.indexOf("=");
  if (at < 1 || at + 1 === text.length) throw new Error(`expected NAME=..., got '${text}'`);
  return { name: text.slice(0, at), value: text.slice(at + 1) };
}

function readArguments(argv) {
  const options = { ours: "", peers: [], servers: [], files: [], clients: [1, 4, 16], requests: 48, prompt: 64,
                    generate: 64, beside: 0, vocab: 30000, rounds: 3, threads: 0, port: 18431, key: "none", json: "" };
  for (let i = 0; i < argv.length; ++i) {
    if (!argv[i].startsWith("--")) {
      options.files.push(argv[i]);
      continue;
    }
    const name = argv[i].slice(2), value = argv[++i];
    if (value === undefined) throw new Error(`--${name} needs a value`);
    if (name === "peer") options.peers.push(named(value));
    else if (name === "server") options.servers.push(named(value));
    else if (name === "clients") options.clients = value.split(",").map(Number);
    else if (typeof options[name] === "number") options[name] = Number(value);
    else if (typeof options[name] === "string") options[name] = value;
    else throw new Error(`unknown option --${name}`);
  }
  const { requests, prompt, generate, rounds, threads, port, vocab } = options;
  const counts = [...options.clients, requests, prompt, generate, rounds, threads, port, vocab - 100];
  if (counts.some((n) => !Number.isInteger(n) || n < 1) || !Number.isInteger(options.beside) || options.beside < 0)
    throw new Error("counts are whole numbers from 1");
  if (options.files.length === 0) options.files.push("");
  if (options.files[0] === "" && options.servers.length === 0) throw new Error("expected FILE.gguf or --server NAME=URL");
  return options;
}

function contestants(file, options) {
  const all = options.servers.map(({ name, value }) => ({ name, open: () => running(name, value, options) }));
  const starts = file === "" ? [] : [{ kind: "ours", name: "volant", value: options.ours },
                                     ...options.peers.map((peer) => ({ kind: "peer", ...peer }))];
  for (const { kind, name, value } of starts)
    all.push({ name, open: (nClients) => start(kind, name, value, file, nClients, options) });
  return all;
}

async function measure(contestant, nClients, round, options) {
  const server = await contestant.open(nClients);
  try {
    const warm = await pass(server, 1, 900 + round, { ...options, requests: 1, beside: 0 });
    const opened = server.started && (performance.now() - server.started) / 1000;
    const { requests, tokensPerSecond } = await pass(server, nClients, round, options);
    return { requests, rate: tokensPerSecond, peak: peakBytes(server), idle: await idleShare(server, 1),
             start: opened && opened - warm.requests[0].seconds + warm.requests[0].first };
  } finally {
    await stop(server);
  }
}

const sorted = (values) => values.filter((v) => v !== undefined).sort((a, b) => a - b);
function quantile(values, q) {
  const all = sorted(values);
  return all.length === 0 ? undefined : all[Math.min(all.length - 1, Math.floor(q * all.length))];
}

function rowOf(file, clients, server, passes) {
  const requests = passes.flatMap((p) => p.requests), gaps = requests.flatMap((r) => r.gaps);
  const rates = passes.map((p) => p.rate);
  return { file: basename(file), server, clients, rounds: passes.length, requests: requests.length,
           tokens_per_second: quantile(rates, 0.5), tokens_per_second_least: sorted(rates)[0],
           tokens_per_second_most: sorted(rates).at(-1),
           request_p50_s: quantile(requests.map((r) => r.seconds), 0.5),
           request_p99_s: quantile(requests.map((r) => r.seconds), 0.99),
           first_token_p50_s: quantile(requests.map((r) => r.first), 0.5),
           first_token_p99_s: quantile(requests.map((r) => r.first), 0.99),
           gap_p50_s: quantile(gaps, 0.5), gap_p99_s: quantile(gaps, 0.99), gap_most_s: quantile(gaps, 1),
           start_to_first_token_s: quantile(passes.map((p) => p.start), 0.5),
           peak_mb: quantile(passes.map((p) => p.peak / 1e6), 1), idle_share: quantile(passes.map((p) => p.idle), 0.5) };
}

// To the better one of the others, each figure by itself.
function addRatios(rows) {
  for (const row of rows) {
    const others = rows.filter((r) => r !== row && r.file === row.file && r.clients === row.clients);
    if (row.server !== "volant" || others.length === 0) continue;
    row.ratio = row.tokens_per_second / Math.max(...others.map((r) => r.tokens_per_second));
    row.p99_ratio = row.request_p99_s / Math.min(...others.map((r) => r.request_p99_s));
  }
}

function print(rows) {
  const columns = [["tokens/s", (r) => r.tokens_per_second.toFixed(0)], ["least", (r) => r.tokens_per_second_least.toFixed(0)],
                   ["most", (r) => r.tokens_per_second_most.toFixed(0)], ["p50 s", (r) => r.request_p50_s.toFixed(3)],
                   ["p99 s", (r) => r.request_p99_s.toFixed(3)], ["first p50", (r) => r.first_token_p50_s.toFixed(3)],
                   ["first p99", (r) => r.first_token_p99_s.toFixed(3)], ["gap p99", (r) => r.gap_p99_s?.toFixed(3)],
                   ["gap most", (r) => r.gap_most_s?.toFixed(3)], ["start s", (r) => r.start_to_first_token_s?.toFixed(2)],
                   ["peak MB", (r) => r.peak_mb?.toFixed(0)], ["idle CPU", (r) => r.idle_share?.toFixed(2)],
                   ["x", (r) => r.ratio?.toFixed(2)], ["p99 x", (r) => r.p99_ratio?.toFixed(2)]];
  const line = (file, server, clients, cells) =>
    file.padEnd(20) + server.padEnd(14) + String(clients).padStart(8) + cells.map((c) => (c ?? "").padStart(10)).join("");
  console.log(line("file", "server", "clients", columns.map(([name]) => name)));
  for (const r of rows) console.log(line(r.file, r.server, r.clients, columns.map(([, cell]) => cell(r))));
}

async function main() {
  const options = readArguments(process.argv.slice(2));
  const rows = [];
  for (const file of options.files) {
    if (file !== "") readFileSync(file);  // into the page cache
    for (const nClients of options.clients) {
      const all = contestants(file, options), passes = all.map(() => []);
      for (let round = 0; round < options.rounds; ++round)
        for (const [i, each] of all.entries()) passes[i].push(await measure(each, nClients, round, options));
      all.forEach(({ name }, i) => rows.push(rowOf(file, nClients, name, passes[i])));
    }
  }
  addRatios(rows);
  print(rows);
  const { key, ...shown } = options;
  if (options.json) writeFileSync(options.json, JSON.stringify({ options: shown, rows }, null, 2) + "\n");
}

main().catch((error) => {
  console.error(`serve: ${error.message}`);
  process.exit(2);
});
