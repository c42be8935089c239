import { requestText } from "./message.ts";
import { envelope, ModernClient } from "./modern.ts";
import { type CallOptions, type Heard, Peer, type PeerOptions, type Question } from "./peer.ts";
import { type Streamed, streamed } from "./streamed.ts";

const META = "io.modelcontextprotocol/";

/** A stateless peer of 2026-07-28: it is asked by `input_required` and answers by asking again. */
export class ModernPeer extends Peer {
  readonly #client: ModernClient;
  readonly #open = new Map<string | number, Streamed>();

  constructor(url: string, options: PeerOptions) {
    super(options);
    this.#client = new ModernClient(url);
  }

  /** Sends a request once; resolves with its response, `input_required` or not. */
  async ask(method: string, params: object, options: CallOptions = {}): Promise<Heard> {
    const { id = 1 } = options;
    const answer = await this.start(method, params, options);
    await answer.messages.waitFor(({ json }) => json?.id === id);
    this.#open.delete(id);
    return this.heard.items.findLast(({ json, via }) =>
      json?.id === id && via === `request ${JSON.stringify(id)}`
    )!;
  }

  /** Sends a request and hears what comes; resolves when the response has begun. */
  async start(
    method: string,
    params: object,
    { id = 1, logLevel }: CallOptions = {},
  ): Promise<Streamed> {
    const meta = {
      [`${META}clientCapabilities`]: this.capabilities,
      [`${META}clientInfo`]: { name: this.label, version: "1" },
      ...(logLevel === undefined ? {} : { [`${META}logLevel`]: logLevel }),
    };
    const { url } = this.#client;
    const _meta = envelope({ ...(params as { readonly _meta?: object })._meta, ...meta });
    const answer = await streamed(url, {
      method: "POST",
      headers: this.#client.headers(method, params),
      body: requestText(id, method, { ...params, _meta }),
    });
    this.#open.set(id, answer);
    const via = `request ${JSON.stringify(id)}`;
    answer.messages.follow((message) => this.heard.push({ ...message, via }), () => {});
    return answer;
  }

  /** Rounds of one call have ids of their own: `1`, `1 again`, `1 again again`. */
  async request(method: string, params: object, options: CallOptions = {}): Promise<Heard> {
    let id = options.id ?? 1;
    let heard = await this.ask(method, params, options);
    while (heard.json.result?.resultType === "input_required") {
      id = `${id} again`;
      const again = { ...params, ...await this.answersTo(heard) };
      heard = await this.ask(method, again, { ...options, id });
    }
    return heard;
  }

  /** What a retry adds to the request that was answered `input_required`. */
  async answersTo({ json }: Heard): Promise<Record<string, unknown>> {
    const { inputRequests, requestState } = json.result;
    const answers = Object.entries(inputRequests).map(async ([key, question]) => {
      return [key, await this.respond(question as Question)];
    });
    return { inputResponses: Object.fromEntries(await Promise.all(answers)), requestState };
  }

  /** Closing the stream is how this era cancels. */
  cancel(id: string | number): Promise<void> {
    this.#open.get(id)?.close();
    return Promise.resolve();
  }

  /** Hangs up what is still open: subscriptions. */
  close(): Promise<void> {
    for (const answer of this.#open.values()) answer.close();
    return Promise.resolve();
  }
}
