import { Inbox } from "../inbox.ts";

/** One event of a `text/event-stream`; a comment (keep-alive) is an event with only `comment`. */
export interface SseEvent {
  readonly event: string | undefined;
  readonly data: string | undefined;
  readonly id: string | undefined;
  readonly comment: string | undefined;
}

/** An event stream, readable while it arrives. */
export interface SseStream {
  readonly events: Inbox<SseEvent>;
  /** Hangs up, as a client that goes away. */
  close(): void;
}

/** Reads an event stream until it ends; `abort` hangs up. */
export function readSse(
  body: ReadableStream<Uint8Array>,
  what: string,
  abort: () => void,
): SseStream {
  const events = new Inbox<SseEvent>(what);
  const texts: ReadableStream<string> = body.pipeThrough(new TextDecoderStream() as never);
  const reader = texts.getReader();
  void pump(reader, events);
  return {
    events,
    close: () => {
      events.end("closed by the test");
      abort();
      // Should the request not hear of its signal any more, the connection is closed all the same.
      reader.cancel().catch(() => {});
    },
  };
}

/** The end of a line and an empty one. It begins with what is rare: texts of megabytes come here. */
const BLANK_LINE = /\n\r?\n/;

async function pump(
  reader: ReadableStreamDefaultReader<string>,
  events: Inbox<SseEvent>,
): Promise<void> {
  // Joined only where an event ends: a long one is not read again with each of its pieces.
  const pieces: string[] = [];
  let seam = "";
  try {
    for (;;) {
      const { done, value: piece } = await reader.read();
      if (done) break;
      pieces.push(piece);
      seam += piece;
      const ended = BLANK_LINE.test(seam);
      seam = seam.slice(-3);
      if (!ended) continue;
      const blocks = pieces.splice(0).join("").split(BLANK_LINE);
      pieces.push(blocks.pop()!);
      for (const block of blocks) if (block !== "") events.push(parseEvent(block));
    }
    const rest = pieces.join("");
    events.end(rest === "" ? "end of stream" : `end of stream inside an event: ${rest}`);
  } catch (error) {
    events.end(`broken stream: ${error}`);
  }
}

/** Reads one block of lines (HTML standard, server-sent events, 9.2.6). */
export function parseEvent(block: string): SseEvent {
  const fields = new Map<string, string>();
  for (const ended of block.split("\n")) {
    const line = ended.endsWith("\r") ? ended.slice(0, -1) : ended;
    const colon = line.indexOf(":");
    const name = colon === 0 ? "comment" : colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    const before = fields.get(name);
    fields.set(name, before !== undefined && name === "data" ? `${before}\n${value}` : value);
  }
  return {
    event: fields.get("event"),
    data: fields.get("data"),
    id: fields.get("id"),
    comment: fields.get("comment"),
  };
}
