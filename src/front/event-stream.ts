import type { Outlet } from "../gateway/clients/exchange.ts";
import { withoutLineBreaks } from "../lib/json-edit.ts";

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
  readonly #onGone: (() => void)[] = [];

  constructor() {
    this.body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#controller = controller;
      },
      cancel: () => {
        this.#controller = undefined;
        this.#gone();
      },
    }, new ByteLengthQueuingStrategy({ highWaterMark: MAX_UNREAD_BYTES }));
  }

  /** Calls back once when the client has left or was cut off, not after {@link close}. */
  whenGone(callback: () => void): void {
    this.#onGone.push(callback);
  }

  get isOpen(): boolean {
    return this.#controller !== undefined;
  }

  /** `id` is the event id a client may come back with. */
  send(raw: string, id?: string): void {
    const head = id === undefined ? "" : `id: ${id}\n`;
    this.#write(`${head}event: message\ndata: ${withoutLineBreaks(raw)}\n\n`);
  }

  /** Gives the client an id to come back with before there is any message (2025-11-25). */
  prime(id: string, retry: number): void {
    this.#write(`id: ${id}\nretry: ${retry}\ndata: \n\n`);
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

  #gone(): void {
    for (const callback of this.#onGone.splice(0)) callback();
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
    this.#gone();
  }
}
