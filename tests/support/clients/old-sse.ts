import type { Inbox } from "../inbox.ts";
import { type Client, type HttpAnswer, type RequestOptions, send } from "./http.ts";
import { isResponseTo, notificationText, type Received, requestText } from "./message.ts";

/** A client of the HTTP+SSE transport of 2024-11-05: one stream, and POSTs beside it. */
export class SseClient implements Client {
  #nextId = 1;
  /** `initialize`'s result as it came. */
  initialized: Received | undefined;

  private constructor(
    /** The stream of everything the server says. */
    readonly stream: HttpAnswer,
    /** Where messages are posted, as the `endpoint` event said. */
    readonly endpoint: string,
  ) {}

  /** Opens the stream and waits for the `endpoint` event. */
  static async open(url: string): Promise<SseClient> {
    const stream = await send(url, { headers: { accept: "text/event-stream" } });
    if (stream.stream === undefined) {
      throw new Error(`Cannot open ${url}: status ${stream.status}, body ${stream.text}`);
    }
    const event = await stream.stream.events.waitFor(({ event }) => event === "endpoint");
    return new SseClient(stream, new URL(event.data!, url).href);
  }

  /** A client that has said `initialize` and `initialized`. */
  static async connect(url: string, version = "2024-11-05"): Promise<SseClient> {
    const client = await SseClient.open(url);
    client.initialized = await client.request("initialize", {
      protocolVersion: version,
      capabilities: {},
      clientInfo: { name: "raw-sse", version: "1" },
    });
    await client.post(notificationText("notifications/initialized"));
    return client;
  }

  /** Everything that arrived on the stream. */
  get messages(): Inbox<Received> {
    return this.stream.messages;
  }

  post(body: string, headers: Record<string, string> = {}): Promise<HttpAnswer> {
    return send(this.endpoint, {
      method: "POST",
      body,
      headers: { "content-type": "application/json", ...headers },
    });
  }

  async request(
    method: string,
    params?: unknown,
    { id = this.#nextId++, within }: RequestOptions = {},
  ): Promise<Received> {
    const from = this.messages.items.length;
    const answer = await this.post(requestText(id, method, params));
    if (answer.status !== 202) {
      throw new Error(`Cannot post ${method}: status ${answer.status}, body ${answer.text}`);
    }
    const options = within === undefined ? { from } : { from, within };
    return await this.messages.waitFor(isResponseTo(id), options);
  }

  /** Hangs up. */
  close(): void {
    this.stream.close();
  }
}
