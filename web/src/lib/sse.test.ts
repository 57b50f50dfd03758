import { strict as assert } from "node:assert";
import { test } from "node:test";
import { readEvents, SseParser } from "./sse";

test("an event is given only when its empty line has come", () => {
  const parser = new SseParser();
  assert.deepEqual(parser.push("data: {\"a\":1}\n"), []);
  assert.deepEqual(parser.push("\n"), ['{"a":1}']);
});

test("events may be cut anywhere, even inside a line end", () => {
  const text = "data: one\r\n\r\n: a comment\r\ndata:two\r\ndata: three\r\n\r\ndata: [DONE]\n\n";
  for (let size = 1; size < text.length; ++size) {
    const parser = new SseParser();
    const events: string[] = [];
    for (let at = 0; at < text.length; at += size) events.push(...parser.push(text.slice(at, at + size)));
    assert.deepEqual(events, ["one", "two\nthree", "[DONE]"], `pieces of ${size}`);
  }
});

test("fields other than data, and events without data, are ignored", () => {
  assert.deepEqual(new SseParser().push("event: x\nid: 3\n\nretry: 1\n\ndata\n\ndata:\n\n"), [""]);
});

test("a Chinese character cut between two reads arrives whole", async () => {
  const bytes = new TextEncoder().encode("data: 飞轮\n\n");
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const byte of bytes) controller.enqueue(new Uint8Array([byte]));
      controller.close();
    },
  });
  const events: string[] = [];
  for await (const event of readEvents(body)) events.push(event);
  assert.deepEqual(events, ["飞轮"]);
});
