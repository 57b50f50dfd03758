// `volant serve` with a model of the test data (VOLANT_TEST_DATA names another folder), its output and its end.
import { spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { program, skipReason } from "./volant.mjs";

const data = process.env.VOLANT_TEST_DATA ?? resolve(fileURLToPath(new URL("../../../../shared/data", import.meta.url)));

/** The folder of a model, or null when there is none. */
export function model(name) {
  const path = join(data, "models", name);
  return existsSync(path) ? path : null;
}

/** A reason to skip, for node:test's `skip` option: the program or a model is missing. */
export function missing(...models) {
  const absent = models.find((name) => model(name) === null);
  return skipReason || (absent === undefined ? false : `needs models/${absent} of the test data folder; set VOLANT_TEST_DATA`);
}

/** Runs a command to its end: {status, stdout, stderr}. */
export function run(...args) {
  return spawnSync(program, args, { encoding: "utf8", timeout: 600_000 });
}

/** Starts `volant serve ...args` on a free port and waits until it says where it is. */
export async function serve(...args) {
  const child = spawn(program, ["serve", ...args, "--port", "0"], { stdio: ["ignore", "pipe", "pipe"] });
  let out = "";
  let log = "";
  const ended = new Promise((done) => child.once("exit", (code, signal) => done({ code, signal })));
  child.stderr.setEncoding("utf8").on("data", (text) => (log += text));
  const url = await new Promise((found, lost) => {
    child.stdout.setEncoding("utf8").on("data", (text) => {
      out += text;
      const match = / at (http:\/\/\S+)/.exec(out);
      if (match !== null) found(match[1]);
    });
    ended.then(({ code }) => lost(new Error(`volant serve ended with status ${code}: ${log}`)));
  });
  return {
    url,
    child,
    ended,
    output: () => out,
    log: () => log,
    /** Ctrl-C; gives the exit status. */
    stop: async () => {
      child.kill("SIGINT");
      return (await ended).code;
    },
  };
}
