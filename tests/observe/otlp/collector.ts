import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { gunzipSync } from "node:zlib";
import { Inbox } from "../../support/inbox.ts";

/** What came at a collector. */
export interface Sent {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  // deno-lint-ignore no-explicit-any
  readonly body: any;
}

/** What it says to one request, instead of taking it. */
export type Mood =
  | { readonly status: number; readonly headers?: Record<string, string>; readonly body?: string }
  | "hang"
  | "cut";

/** A span as OTLP has it, its attributes as a plain object. */
export interface SentSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly traceState?: string;
  readonly name: string;
  readonly kind: number;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly status: { readonly code: number };
  readonly from: bigint;
  readonly to: bigint;
}

/** Takes what is sent by OTLP over HTTP. */
export class Collector implements AsyncDisposable {
  readonly sent = new Inbox<Sent>("the collector");
  /** For the next requests, one each; then all is well. */
  readonly moods: Mood[] = [];
  readonly #server = createServer((request, response) => {
    const chunks: Uint8Array[] = [];
    request.on("error", () => {});
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", () => {
      const bytes = Buffer.concat(chunks);
      const { url = "", headers } = request;
      const text = headers["content-encoding"] === "gzip" ? gunzipSync(bytes) : bytes;
      const mood = this.moods.shift() ?? { status: 200, body: "{}" };
      this.sent.push({ path: url, headers, body: JSON.parse(text.toString()) });
      if (mood === "hang") return;
      if (mood === "cut") return response.destroy();
      response.writeHead(mood.status, mood.headers ?? {}).end(mood.body ?? "");
    });
  });

  private constructor() {}

  static async start(): Promise<Collector> {
    const collector = new Collector();
    await new Promise<void>((resolve) => collector.#server.listen(0, "127.0.0.1", resolve));
    return collector;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** All spans, those of calls before those below them. */
  get spans(): readonly SentSpan[] {
    return this.sent.items.filter(({ path }) => path === "/v1/traces").flatMap(({ body }) =>
      // deno-lint-ignore no-explicit-any
      body.resourceSpans[0].scopeSpans[0].spans.map((span: any) => ({
        ...span,
        attributes: plain(span.attributes),
        from: BigInt(span.startTimeUnixNano),
        to: BigInt(span.endTimeUnixNano),
      }))
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}

/** Attributes by their names. */
// deno-lint-ignore no-explicit-any
export function plain(attributes: readonly any[]): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));
}
