import { isObject } from "../../lib/json.ts";
import { messageOf } from "../transport/failures.ts";
import type { UpstreamLog } from "../transport/log.ts";
import type { Channel } from "./channel.ts";

/**
 * The resources a legacy connection is subscribed to (server/resources, 2025-11-25). One change
 * after the other, so that subscribe and unsubscribe of one URI cannot overtake each other.
 */
export class ResourceSubscriptions {
  readonly #channel: Channel;
  readonly #log: UpstreamLog;
  readonly #timeout: number;
  readonly #held = new Set<string>();
  #wanted: ReadonlySet<string> = this.#held;
  #running: Promise<void> | undefined;

  /** `timeout` is for one request, in ms. */
  constructor(channel: Channel, log: UpstreamLog, timeout: number) {
    this.#channel = channel;
    this.#log = log;
    this.#timeout = timeout;
  }

  /** Sets which they are; resolves when the server has been told. Never rejects. */
  async set(uris: ReadonlySet<string>): Promise<void> {
    this.#wanted = new Set(uris);
    this.#running ??= this.#run().finally(() => this.#running = undefined);
    await this.#running;
  }

  async #run(): Promise<void> {
    for (;;) {
      const wanted = this.#wanted;
      const extra = [...this.#held].filter((uri) => !wanted.has(uri));
      const missing = [...wanted].filter((uri) => !this.#held.has(uri));
      for (const uri of extra) this.#held.delete(uri);
      for (const uri of missing) this.#held.add(uri);
      await Promise.all([
        ...extra.map((uri) => this.#tell("resources/unsubscribe", uri)),
        ...missing.map((uri) => this.#tell("resources/subscribe", uri)),
      ]);
      // Something else was wanted meanwhile.
      if (wanted === this.#wanted) return;
    }
  }

  async #tell(method: string, uri: string): Promise<void> {
    if (this.#channel.closed !== undefined) return;
    let why: unknown;
    try {
      const params = JSON.stringify({ uri });
      const { error } = await this.#channel.request(method, params, { timeout: this.#timeout });
      why = isObject(error) ? error.message : undefined;
    } catch (error) {
      why = messageOf(error);
    }
    if (why !== undefined) this.#log.debug(`Cannot call ${method}`, { error: why });
  }
}
