import type { Outlet } from "../gateway/exchange.ts";
import { oneLine } from "../lib/json-edit.ts";

/** A client that does not read loses its stream before it costs more than this many bytes. */
export const MAX_UNREAD_BYTES = 16 * 1024 * 1024;

const encoder = new TextEncoder();

/** Headers of every event stream; proxies must neither cache nor buffer it. */
export const EVENT_STREAM_HEADERS: Readonly<Record<string, string>> = {
  "content-type": "text/event-stream",
  "cache-control": "no-cache, no-transform",
  "x-accel-buffering": "no",
};

/** A server-sent event stream as a response body. Closing is idempotent from either side. */
export class EventStream implements Outlet {
  readonly body: ReadableStream<Uint8Array>;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;

  /** `onGone` is called once when the client has left or was cut off, not after {@link close}. */
  constructor(private readonly onGone: () => void) {
    this.body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#controller = controller;
      },
      cancel: () => {
        this.#controller = undefined;
        this.onGone();
      },
    }, new ByteLengthQueuingStrategy({ highWaterMark: MAX_UNREAD_BYTES }));
  }

  get isOpen(): boolean {
    return this.#controller !== undefined;
  }

  send(raw: string): void {
    this.#write(`event: message\ndata: ${oneLine(raw)}\n\n`);
  }

  /** Sends an event of another name; `data` must be one line. */
  event(name: string, data: string): void {
    this.#write(`event: ${name}\ndata: ${data}\n\n`);
  }

  /** Sends a comment: it keeps proxies and clients from giving the silent stream up. */
  comment(): void {
    this.#write(": keep-alive\n\n");
  }

  close(): void {
    const controller = this.#controller;
    this.#controller = undefined;
    controller?.close();
  }

  #write(text: string): void {
    const controller = this.#controller;
    if (controller === undefined) return;
    // Looked at before the message goes in: one result larger than the bound must get through.
    if ((controller.desiredSize ?? 1) > 0) {
      controller.enqueue(encoder.encode(text));
      return;
    }
    // Closed, not errored: Bun would print an error of ours, Deno report it as the handler's.
    this.close();
    this.onGone();
  }
}
