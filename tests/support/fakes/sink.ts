import type { ServerResponse } from "node:http";

/**
 * The response of one request, or a standing stream. It becomes JSON when the only thing sent is
 * the response itself and JSON was asked for, an event stream otherwise.
 */
export class Sink {
  #held: string[] = [];
  #streaming = false;
  ended = false;

  constructor(
    readonly response: ServerResponse,
    readonly kind: "json" | "sse",
    /** HTTP status of a JSON answer that is a JSON-RPC error with this code. */
    readonly errorStatus: (code: number) => number = () => 200,
  ) {}

  /** Begins the stream before there is anything to send. */
  open(): void {
    if (this.#streaming) return;
    this.#streaming = true;
    this.response.writeHead(200, { "content-type": "text/event-stream" });
    this.response.write(": open\n\n");
  }

  /** Sends messages, in one write. */
  send(...raws: string[]): void {
    if (this.ended) return;
    const [first] = raws;
    const single = raws.length === 1 && first !== undefined && isResponse(first);
    if (!this.#streaming && this.kind === "json" && single && this.#held.length === 0) {
      this.#held.push(first);
      return;
    }
    this.open();
    const all = [...this.#held.splice(0), ...raws];
    this.response.write(all.map((raw) => `event: message\ndata: ${raw}\n\n`).join(""));
  }

  /** Sends an event that is no message. */
  event(name: string, data: string): void {
    this.response.write(`event: ${name}\ndata: ${data}\n\n`);
  }

  /** Sends the beginning of an event. */
  part(text: string): void {
    this.open();
    this.response.write(`event: message\ndata: ${text}`);
  }

  /** Ends the response: 202 where nothing was sent. */
  end(): void {
    if (this.ended) return;
    this.ended = true;
    const [text] = this.#held;
    if (this.#streaming) return void this.response.end();
    if (text === undefined) return void this.response.writeHead(202).end();
    const code: number | undefined = JSON.parse(text).error?.code;
    this.response.writeHead(code === undefined ? 200 : this.errorStatus(code), {
      "content-type": "application/json",
    });
    this.response.end(text);
  }
}

function isResponse(text: string): boolean {
  try {
    return JSON.parse(text).method === undefined;
  } catch {
    return false;
  }
}
