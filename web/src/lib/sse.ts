// Server-sent events: bytes in any pieces in, the `data` of each event out. Only what the OpenAI stream uses: no ids, no retry.

export class SseParser {
  private rest_ = "";
  private data_: string[] = [];

  /** Takes the next piece of text and returns the data of every event that it completes. */
  push(piece: string): string[] {
    this.rest_ += piece;
    const events: string[] = [];
    for (;;) {
      const end = this.rest_.search(/\r\n|\n|\r/);
      // A \r at the very end may be the first half of \r\n: wait for the next piece.
      if (end < 0 || (this.rest_[end] === "\r" && end === this.rest_.length - 1)) return events;
      const line = this.rest_.slice(0, end);
      this.rest_ = this.rest_.slice(end + (this.rest_.startsWith("\r\n", end) ? 2 : 1));
      this.take(line, events);
    }
  }

  private take(line: string, events: string[]): void {
    if (line === "") {
      if (this.data_.length > 0) events.push(this.data_.join("\n"));
      this.data_ = [];
    } else if (line.startsWith("data:")) {
      this.data_.push(line.slice(line[5] === " " ? 6 : 5));
    }
  }
}

/** Reads a response body to its end and gives the data of each event. */
export async function* readEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const parser = new SseParser();
  const decoder = new TextDecoder();
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield* parser.push(decoder.decode(value, { stream: true }));
    }
  } finally {
    reader.cancel().catch(() => undefined);
  }
}
