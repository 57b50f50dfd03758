// Clients of a server that speaks the OpenAI API: each asks again as soon as it has its answer, with prompts of
// token ids that never repeat, and reads streamed answers of a fixed length. Starts no server (servers.mjs), makes no
// table (compare.mjs). Times in seconds, as a client sees them.
import http from "node:http";

// The same prompts for every server, none of them twice.
function promptOf(number, length, vocab) {
  const ids = [];
  let state = (number + 1) * 2654435761 % 4294967296;
  for (let i = 0; i < length; ++i) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    ids.push(100 + state % (vocab - 100));
  }
  return ids;
}

// Notes when each piece of a streamed answer came: the first, the longest gap between two, what the server counted.
class Stream {
  constructor(name) {
    Object.assign(this, { name, first: 0, last: 0, pieces: 0, counted: 0, gaps: [], rest: "" });
  }

  push(text) {
    const lines = (this.rest + text).split("\n");
    this.rest = lines.pop();
    for (const line of lines) this.take(line.trim());
  }

  take(line) {
    if (!line.startsWith("data: ") || line === "data: [DONE]") return;
    const event = JSON.parse(line.slice(6));
    if (event.error) throw new Error(`${this.name}: ${JSON.stringify(event.error)}`);
    if (event.choices?.[0]?.text) {
      const now = performance.now();
      this.first ||= now;
      if (this.last) this.gaps.push((now - this.last) / 1000);
      this.last = now;
      ++this.pieces;
    }
    if (event.usage?.completion_tokens) this.counted = event.usage.completion_tokens;
  }
}

// Some servers hang up on a connection that they have no thread for: asked again, in the same time.
function ask(agent, server, body, attempt = 1, begin = performance.now()) {
  return new Promise((resolve, reject) => {
    let begun = false, refusal = "";
    const stream = new Stream(server.name);
    const request = http.request(new URL(`${server.url}/v1/completions`), {
      method: "POST", agent,
      headers: { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(body),
                 Authorization: `Bearer ${server.key}` },
    }, (response) => {
      begun = true;
      response.setEncoding("utf8");
      response.on("data", (text) => {
        try {
          if (response.statusCode === 200) stream.push(text);
          else refusal += text;
        } catch (error) {
          request.destroy(error);
        }
      });
      response.on("error", reject);
      response.on("end", () => {
        if (response.statusCode !== 200)
          return reject(new Error(`${server.name} answered ${response.statusCode}: ${refusal.slice(0, 300)}`));
        const end = performance.now();
        resolve({ seconds: (end - begin) / 1000, first: ((stream.first || end) - begin) / 1000, gaps: stream.gaps,
                  tokens: stream.counted || stream.pieces });
      });
    });
    request.on("error", (error) => {
      if (begun || error.message !== "socket hang up" || attempt === 20) return reject(error);
      setTimeout(() => ask(agent, server, body, attempt + 1, begin).then(resolve, reject), 5);
    });
    request.end(body);
  });
}

const bodyOf = (server, prompt, generate) =>
  JSON.stringify({ model: server.model, prompt, max_tokens: generate, temperature: 0, ignore_eos: true, stream: true,
                   stream_options: { include_usage: true } });

// `options.requests` requests of `nClients` clients; with `options.beside` one more client asks with prompts of so many
// tokens as long as they run, and is not counted. The requests and the tokens per second of all of them.
export async function pass(server, nClients, round, options) {
  // A connection for each request: some servers close one after a stream.
  const agent = new http.Agent({ keepAlive: false, maxSockets: nClients + 1 });
  const requests = [];
  let next = 0, running = nClients, besides = 0;
  const client = async () => {
    while (next < options.requests) {
      const number = (round * 1000 + nClients) * 10000 + next++;
      const prompt = promptOf(number, options.prompt, options.vocab);
      requests.push(await ask(agent, server, bodyOf(server, prompt, options.generate)));
    }
    --running;
  };
  const beside = async () => {
    while (options.beside > 0 && running > 0) {
      const prompt = promptOf((round * 1000 + nClients) * 10000 + 9999 - besides++, options.beside, options.vocab);
      await ask(agent, server, bodyOf(server, prompt, 1));
    }
  };
  const begin = performance.now();
  const all = Promise.all(Array.from({ length: nClients }, client));
  const long = beside();
  await all;
  const seconds = (performance.now() - begin) / 1000;
  await long;
  agent.destroy();
  return { requests, tokensPerSecond: requests.reduce((sum, r) => sum + r.tokens, 0) / seconds };
}
