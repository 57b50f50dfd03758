// A slow network between browser and server: passes everything on, and once `slow` is set, answers only drop by drop.
import { createServer, connect } from "node:net";

const kDropBytes = 200;
const kDropMs = 50;

export async function slowLine(url) {
  const { hostname, port } = new URL(url);
  const line = { slow: false, url: "", close: () => {} };
  const sockets = new Set();
  const server = createServer((client) => {
    const upstream = connect(Number(port), hostname);
    const waiting = [];
    const timer = setInterval(() => {
      const drop = waiting.shift();
      if (drop !== undefined) client.write(drop);
    }, kDropMs);
    const end = () => {
      clearInterval(timer);
      client.destroy();
      upstream.destroy();
    };
    upstream.on("data", (bytes) => {
      if (!line.slow) return client.write(bytes);
      for (let at = 0; at < bytes.length; at += kDropBytes) waiting.push(bytes.subarray(at, at + kDropBytes));
    });
    client.pipe(upstream);
    for (const socket of [client, upstream]) socket.on("error", end).on("close", end);
    sockets.add(client);
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  line.url = `http://127.0.0.1:${server.address().port}`;
  line.close = () => {
    for (const socket of sockets) socket.destroy();
    server.close();
  };
  return line;
}
