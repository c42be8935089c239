import { serveStdio } from "../../../src/front/stdio.ts";
import { AGGREGATE } from "../../../src/gating/endpoint.ts";
import type { Gateway } from "../../../src/gateway/gateway.ts";
import { within } from "../inbox.ts";
import { type HttpAnswer, HttpClient, send } from "./http.ts";
import { received } from "./message.ts";
import { LegacyPeer, type PeerOptions } from "./peer.ts";
import { type Streamed, streamed } from "./streamed.ts";

const VERSION = "2025-11-25";

/** A peer on Streamable HTTP with a session and its GET stream. */
export class HttpPeer extends LegacyPeer {
  readonly #client: HttpClient;
  readonly #open = new Set<HttpAnswer>();

  private constructor(url: string, options: PeerOptions) {
    super(options);
    this.#client = new HttpClient(url, VERSION);
  }

  static async connect(url: string, options: PeerOptions): Promise<HttpPeer> {
    const peer = new HttpPeer(url, options);
    const client = peer.#client;
    const hello = { jsonrpc: "2.0", id: "init", method: "initialize" };
    const params = peer.introduction(VERSION);
    const answer = await client.post(JSON.stringify({ ...hello, params }));
    await answer.messages.waitForEnd();
    client.session = answer.headers.get("mcp-session-id")!;
    peer.#follow(await client.listen(), "stream");
    await peer.notify("notifications/initialized");
    return peer;
  }

  async say(text: string): Promise<void> {
    const answer = await this.#client.post(text);
    if (answer.status === 202) return;
    if (answer.status !== 200) {
      throw new Error(`Cannot post ${text}: status ${answer.status}, body ${answer.text}`);
    }
    this.#follow(answer, `request ${JSON.stringify(received(text).json.id)}`);
  }

  /** Ends the session; what was said before is read to its end. */
  async close(): Promise<void> {
    await this.#client.delete();
    const ends = [...this.#open].map(({ messages }) => messages.waitForEnd());
    await within(Promise.all(ends), `the end of ${this.label}'s streams`);
  }

  #follow(answer: HttpAnswer, via: string): void {
    this.#open.add(answer);
    answer.messages.follow(({ text }) => this.take(text, via), () => {});
  }
}

/** A peer on HTTP+SSE of 2024-11-05. */
export class SsePeer extends LegacyPeer {
  private constructor(
    private readonly stream: Streamed,
    /** Where messages are posted. */
    private readonly endpoint: string,
    options: PeerOptions,
  ) {
    super(options);
  }

  /** `url` is that of the event stream. */
  static async connect(url: string, options: PeerOptions): Promise<SsePeer> {
    const stream = await streamed(url, { headers: { accept: "text/event-stream" } });
    const endpoint = await stream.events.waitFor(() => true);
    const peer = new SsePeer(stream, new URL(endpoint, url).href, options);
    const hello = { jsonrpc: "2.0", id: "init", method: "initialize" };
    await peer.say(JSON.stringify({ ...hello, params: peer.introduction("2024-11-05") }));
    const { items } = stream.messages;
    await stream.messages.waitFor(({ json }) => json?.id === "init");
    // Up to here it was the handshake.
    let handshake = items.length;
    stream.messages.follow(({ text }) => {
      if (handshake-- <= 0) peer.take(text, "stream");
    }, () => {});
    await peer.notify("notifications/initialized");
    return peer;
  }

  async say(text: string): Promise<void> {
    const { status, text: body } = await send(this.endpoint, {
      method: "POST",
      body: text,
      headers: { "content-type": "application/json" },
    });
    if (status !== 202) throw new Error(`Cannot post ${text}: status ${status}, body ${body}`);
  }

  /** One more answer on the stream means that all before it has come; then it hangs up. */
  async close(): Promise<void> {
    await this.request("ping", {}, { id: "the end" });
    this.stream.close();
  }
}

/** A peer on the gateway's stdin and stdout, inside this process. */
export class StdioPeer extends LegacyPeer {
  #input = new TransformStream<Uint8Array, Uint8Array>(undefined, { highWaterMark: 1_000 });
  readonly #writer = this.#input.writable.getWriter();
  readonly #served: Promise<void>;

  private constructor(gateway: Gateway, options: PeerOptions) {
    super(options);
    let first = true;
    const write = (line: string) => {
      if (!first) this.take(line.slice(0, -1), "stream");
      first = false;
    };
    const input = this.#input.readable;
    this.#served = serveStdio({ gateway, endpoint: AGGREGATE, input, write });
  }

  static async connect(gateway: Gateway, options: PeerOptions): Promise<StdioPeer> {
    const peer = new StdioPeer(gateway, options);
    const hello = { jsonrpc: "2.0", id: "init", method: "initialize" };
    await peer.say(JSON.stringify({ ...hello, params: peer.introduction(VERSION) }));
    await peer.notify("notifications/initialized");
    return peer;
  }

  async say(text: string): Promise<void> {
    await this.#writer.write(new TextEncoder().encode(`${text}\n`));
  }

  async close(): Promise<void> {
    await this.request("ping", {}, { id: "the end" });
    await this.#writer.close();
    await within(this.#served, `the end of ${this.label}'s input`);
  }
}
