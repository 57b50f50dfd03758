// Servers that are measured: Volant's, and programs with the options of llama.cpp's llama-server, started for one pass
// with as many slots as clients, and stopped; or servers that run already, known by their address.
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";

const kTicksPerSecond = 100;  // of /proc/PID/stat, on every Linux
let nStarted = 0;

async function modelNameOf(server) {
  const response = await fetch(`${server.url}/v1/models`, { headers: { Authorization: `Bearer ${server.key}` } });
  if (!response.ok) throw new Error(`${server.name}: /v1/models answered ${response.status}`);
  return (await response.json()).data[0].id;
}

function argumentsOf(kind, file, nClients, port, options) {
  const slots = nClients + (options.beside > 0 ? 1 : 0);
  const context = Math.max(options.prompt, options.beside) + options.generate + 64;
  if (kind === "ours")
    return ["serve", "--model", file, "--port", port, "--n-slots", slots, "--ctx", context,
            "--threads", options.threads, "--log-level", "error"];
  return ["-m", file, "--port", port, "-np", slots, "-c", slots * context, "-t", options.threads];
}

// Gives { name, url, model, key, started, process }; `started` is the moment of performance.now() when it began.
export async function start(kind, name, command, file, nClients, options) {
  const words = command.split(/\s+/).filter(Boolean);
  const port = options.port + nStarted++ % 100;  // a port just left is not always free at once
  const started = performance.now();
  const process = spawn(words[0], [...argumentsOf(kind, file, nClients, port, options).map(String),
                                   ...words.slice(1)], { stdio: ["ignore", "ignore", "ignore"] });
  let ended = "";
  process.on("error", (error) => { ended = error.message; });
  process.on("exit", (code, signal) => { ended ||= `it ended with ${code ?? signal}`; });
  const server = { name, url: `http://127.0.0.1:${port}`, key: options.key, started, process };
  while (performance.now() - started < 60000 && !ended) {
    try {
      server.model = await modelNameOf(server);
      return server;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
  await stop(server);
  throw new Error(`${name} does not serve ${file}: ${ended || "no answer for a minute"}`);
}

export async function running(name, url, options) {
  const server = { name, url, key: options.key };
  server.model = await modelNameOf(server);
  return server;
}

export async function stop(server) {
  const { process } = server;
  if (!process || process.exitCode !== null || process.signalCode !== null) return;
  const gone = new Promise((resolve) => process.on("exit", resolve));
  process.kill("SIGKILL");
  await gone;
}

// Bytes that the process held at most; none of a server that was not started here.
export function peakBytes(server) {
  if (!server.process) return undefined;
  const line = readFileSync(`/proc/${server.process.pid}/status`, "utf8").match(/VmHWM:\s+(\d+) kB/);
  return Number(line[1]) * 1024;
}

// Share of one processor that the server takes while nobody asks.
export async function idleShare(server, seconds) {
  if (!server.process) return undefined;
  const ticks = () => {
    const fields = readFileSync(`/proc/${server.process.pid}/stat`, "utf8").split(") ")[1].split(" ");
    return Number(fields[11]) + Number(fields[12]);
  };
  const before = ticks();
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  return (ticks() - before) / kTicksPerSecond / seconds;
}
