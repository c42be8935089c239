import { isObject, type JsonObject } from "../../lib/json.ts";
import { messageOf } from "../../lib/text.ts";
import { pause } from "../../lib/time.ts";
import { MetaKey } from "../../protocol/eras.ts";
import { metaOf, type NotificationMessage } from "../../protocol/message.ts";
import { nextDelay, STABLE_AFTER } from "../supervisor.ts";
import type { Channel } from "./channel.ts";

/** The list changes a modern server says it announces, as a filter; empty when it announces none. */
export function listChangedFilter(capabilities: JsonObject): JsonObject {
  const filter: JsonObject = {};
  for (const name of ["tools", "prompts", "resources"]) {
    const capability = capabilities[name];
    if (isObject(capability) && capability.listChanged === true) {
      filter[`${name}ListChanged`] = true;
    }
  }
  return filter;
}

/** How long a server may take to acknowledge before its silence counts as yes, in ms. */
const ACKNOWLEDGE_TIMEOUT = 5_000;
/** Ids of subscriptions that have been replaced; a straggler is not older than these. */
const MAX_RETIRED = 16;

/** One `subscriptions/listen`, opened again for as long as it is wanted. */
interface Subscription {
  readonly params: string;
  readonly abort: AbortController;
  /** Its request's id at the moment. */
  id: number | undefined;
  /** It holds, or never will. */
  readonly decided: PromiseWithResolvers<void>;
}

/**
 * Keeps a `subscriptions/listen` open on a modern connection (2026-07-28 subscriptions). Its filter
 * cannot be changed, so another one takes its place: the old one goes when the new one holds, and
 * what both announce in between is heard once.
 */
export class Listener {
  readonly #retired: number[] = [];
  #current: Subscription | undefined;
  #next: Subscription | undefined;
  #closed = false;

  /**
   * `lists` are part of every subscription; `onGap`: one has ended, and what changed until the next
   * one holds went unannounced.
   */
  constructor(
    private readonly channel: Channel,
    private readonly lists: JsonObject,
    private readonly onGap: () => void,
  ) {}

  /**
   * Sets which resources are subscribed to, beside the lists. Resolves when that is in force, or
   * when it is clear that the server will not have it.
   */
  async listen(uris: Iterable<string> = []): Promise<void> {
    if (this.#closed) return;
    const resources = [...uris];
    const filter: JsonObject = {
      ...this.lists,
      ...(resources.length === 0 ? {} : { resourceSubscriptions: resources }),
    };
    const params = JSON.stringify({ notifications: filter });
    const latest = this.#next ?? this.#current;
    if (latest?.params === params) return await latest.decided.promise;
    if (this.#next !== undefined) this.#end(this.#next);
    this.#next = undefined;
    if (Object.keys(filter).length === 0) {
      if (this.#current !== undefined) this.#end(this.#current);
      this.#current = undefined;
      return;
    }
    if (this.#current?.params === params) return;
    const next: Subscription = {
      params,
      abort: new AbortController(),
      id: undefined,
      decided: Promise.withResolvers<void>(),
    };
    this.#next = next;
    const stopClock = this.channel.clock.after(ACKNOWLEDGE_TIMEOUT, () => this.#holds(next));
    void this.#keep(next).finally(() => next.decided.resolve());
    await next.decided.promise;
    stopClock();
  }

  /**
   * Looks at a notification before anybody else; false when it is not to be passed on: an
   * acknowledgement, or the echo of a subscription that has been replaced.
   */
  admits(message: NotificationMessage, carriedBy: number | undefined): boolean {
    const id = metaOf(message.params)[MetaKey.SubscriptionId] ?? carriedBy;
    if (message.method === "notifications/subscriptions/acknowledged") {
      if (this.#next !== undefined && this.#next.id === id) this.#holds(this.#next);
      return false;
    }
    return typeof id !== "number" || !this.#retired.includes(id);
  }

  /** Ends every subscription. */
  close(): void {
    this.#closed = true;
    for (const each of [this.#current, this.#next]) if (each !== undefined) this.#end(each);
    this.#current = this.#next = undefined;
  }

  #holds(next: Subscription): void {
    if (this.#next !== next) return;
    if (this.#current !== undefined) this.#end(this.#current);
    this.#current = next;
    this.#next = undefined;
    next.decided.resolve();
  }

  #end(subscription: Subscription): void {
    if (subscription.id !== undefined) this.#retired.push(subscription.id);
    if (this.#retired.length > MAX_RETIRED) this.#retired.shift();
    subscription.abort.abort(new Error("Replaced or not wanted any more"));
    subscription.decided.resolve();
  }

  /**
   * Opens it again and again, until it is ended or the channel closes. A server that refuses it is
   * left alone: its lists then change only with a reconnect.
   */
  async #keep(subscription: Subscription): Promise<void> {
    const { log, clock } = this.channel;
    const { params, abort: { signal } } = subscription;
    for (let failures = 0; !signal.aborted && this.channel.closed === undefined;) {
      const since = clock.now();
      try {
        const response = await this.channel.request("subscriptions/listen", params, {
          timeout: Infinity,
          signal,
          onId: (id) => subscription.id = id,
        });
        if (response.error !== undefined) {
          log.debug("The server takes no subscription", { code: response.error.code });
          if (this.#next === subscription) this.#next = undefined;
          return;
        }
      } catch (error) {
        if (signal.aborted || this.channel.closed !== undefined) return;
        log.debug("Subscription ended", { error: messageOf(error) });
      }
      failures = clock.now() - since >= STABLE_AFTER ? 1 : failures + 1;
      await pause(nextDelay(failures + 1, Math.random()), clock, signal);
      if (!signal.aborted) this.onGap();
    }
  }
}

/**
 * The resources a legacy connection is subscribed to (server/resources, 2025-11-25). One change
 * after the other, so that subscribe and unsubscribe of one URI cannot overtake each other.
 */
export class ResourceSubscriptions {
  readonly #held = new Set<string>();
  #wanted: ReadonlySet<string> = this.#held;
  #running: Promise<void> | undefined;

  /** `timeout` is for one request, in ms. */
  constructor(private readonly channel: Channel, private readonly timeout: number) {}

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
    if (this.channel.closed !== undefined) return;
    let why: unknown;
    try {
      const params = JSON.stringify({ uri });
      const { error } = await this.channel.request(method, params, { timeout: this.timeout });
      why = isObject(error) ? error.message : undefined;
    } catch (error) {
      why = messageOf(error);
    }
    if (why !== undefined) this.channel.log.debug(`Cannot call ${method}`, { error: why });
  }
}
