import { editJson, rawAt } from "../../lib/json-edit.ts";
import type { Exchange } from "../../protocol/exchange.ts";
import {
  idTextOf,
  parseMessage,
  type ResponseMessage,
  resultResponse,
} from "../../protocol/message.ts";
import { createdTask } from "../../protocol/tasks.ts";
import { ByteCache } from "./byte-cache.ts";
import { callKey } from "./call-key.ts";
import type { Call, Next } from "./middleware.ts";
import { SharedCall } from "./shared-call.ts";

/** How the result cache does, for status. */
export interface ResultCacheStats {
  /** Calls that reached no upstream: answered from the cache, or with another's answer. */
  readonly hits: number;
  /** Calls that might have been hits. */
  readonly misses: number;
  readonly entries: number;
  /** What the entries are taken to need. */
  readonly bytes: number;
}

/** What is said of a kept result. */
interface AboutResult {
  readonly server: string;
  /** When it was got, on the cache's clock. */
  readonly since: number;
}

/** A kept result as it is given. */
export interface KeptResult {
  /** JSON of the result. */
  readonly resultText: string;
  /** Milliseconds since it was got. */
  readonly age: number;
}

/** How a call is to be kept. */
export interface KeepOptions {
  /** Whose calls may share an answer, and in which configuration. */
  readonly scope: string;
  /** Milliseconds. */
  readonly ttl: number;
}

/** One result may take this part of the cache. */
const LARGEST_SHARE = 1 / 4;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/**
 * Results that may be given again, of all servers, and the calls in flight for such results. What
 * is kept is what the upstream said, without the request's id.
 */
export class ResultCache {
  readonly #now: () => number;
  readonly #calls = new Map<string, SharedCall>();
  /** Counts the changes of servers: what was asked before one is not kept after it. */
  readonly #versions = new Map<string, number>();
  /** Servers of which something may be kept: some say every moment that a resource has changed. */
  readonly #kept = new Set<string>();
  #limit: number;
  #results: ByteCache<AboutResult>;
  #hits = 0;
  #misses = 0;

  /** @param limit bytes of all that is kept; 0 keeps nothing */
  constructor(limit: number, now: () => number = () => performance.now()) {
    this.#now = now;
    this.#limit = limit;
    this.#results = this.#empty();
  }

  /** Bytes of all that is kept. A change empties the cache. */
  get limit(): number {
    return this.#limit;
  }

  set limit(bytes: number) {
    if (bytes === this.#limit) return;
    this.#limit = bytes;
    this.#results = this.#empty();
  }

  /** Since the start of the process. */
  get stats(): ResultCacheStats {
    const { entries, bytes } = this.#results;
    return { hits: this.#hits, misses: this.#misses, entries, bytes };
  }

  /**
   * To be called when what a server says may have changed (it was replaced, its lists are others):
   * nothing it said so far is given any more.
   */
  forget(server: string): void {
    this.#versions.set(server, (this.#versions.get(server) ?? 0) + 1);
    if (this.#kept.delete(server)) this.#results.drop((about) => about.server === server);
  }

  /**
   * The key of a call, `undefined` where its answer must not be kept or shared. `scope` is whose
   * calls may share it, and in which configuration.
   */
  keyOf(call: Call, scope: string): string | undefined {
    if (this.#limit === 0 || !isRepeatable(call.exchange)) return undefined;
    const version = this.#versions.get(call.server) ?? 0;
    return callKey(call, JSON.stringify([scope, version]));
  }

  /** What is kept under a key; counts as a hit. */
  find(key: string): KeptResult | undefined {
    const found = this.#results.get(key);
    if (found === undefined) return undefined;
    this.#hits++;
    return {
      resultText: decoder.decode(found.bytes),
      age: this.#now() - found.about.since,
    };
  }

  /** Keeps a response where it can be kept; `ttl` is milliseconds. */
  async keep(key: string, server: string, response: ResponseMessage, ttl: number): Promise<void> {
    if (!isKeepable(response)) return;
    this.#kept.add(server);
    const bytes = encoder.encode(rawAt(response.raw, ["result"]));
    await this.#results.set(key, { bytes, about: { server, since: this.#now() } }, ttl);
  }

  /** Counts a call that is not answered from here. */
  missed(): void {
    this.#misses++;
  }

  /** Answers a call from what is kept, together with equal calls in flight, or through `next`. */
  async answer(call: Call, next: Next, { scope, ttl }: KeepOptions): Promise<ResponseMessage> {
    const { exchange } = call;
    const key = this.keyOf(call, scope);
    if (key === undefined) return await next(call);
    for (;;) {
      const kept = this.find(key);
      if (kept !== undefined) return responseOf(exchange, kept.resultText);
      const shared = this.#calls.get(key);
      if (shared === undefined) return await this.#lead(key, call, next, ttl);
      const outcome = await shared.follow(exchange);
      if (outcome.kind === "private") {
        this.missed();
        return await next(call);
      }
      if (outcome.kind === "answer") {
        this.#hits++;
        return withIdOf(exchange, outcome.response.raw);
      }
    }
  }

  async #lead(key: string, call: Call, next: Next, ttl: number): Promise<ResponseMessage> {
    this.missed();
    const { server, exchange: leader } = call;
    const version = this.#versions.get(server);
    const shared: SharedCall = new SharedCall({
      leader,
      server,
      send: async (exchange) => {
        const response = await next({ ...call, exchange });
        // Before anybody is told, so that no equal call falls between the two.
        const isCurrent = version === this.#versions.get(server);
        if (isCurrent && !shared.wasAsked) await this.keep(key, server, response, ttl);
        return response;
      },
      isShareable,
      onClosed: () => {
        if (this.#calls.get(key) === shared) this.#calls.delete(key);
      },
    });
    this.#calls.set(key, shared);
    return await shared.lead();
  }

  #empty(): ByteCache<AboutResult> {
    return new ByteCache({
      maxBytes: this.#limit,
      maxEntryBytes: this.#limit * LARGEST_SHARE,
      now: this.#now,
    });
  }
}

/** Whether the same request again would be the same: not a round of an exchange, not a task. */
function isRepeatable({ request }: Exchange): boolean {
  const { task, inputResponses, requestState } = request.params ?? {};
  return task === undefined && inputResponses === undefined && requestState === undefined;
}

/** Whether others may have this response: it is neither a question nor a task of somebody. */
function isShareable(response: ResponseMessage): boolean {
  const { result } = response;
  if (result === undefined) return true;
  const { resultType } = result;
  return (resultType === undefined || resultType === "complete") &&
    createdTask(response, "tools/call") === undefined;
}

/** Whether the response is worth keeping: an error may be over in a moment. */
function isKeepable(response: ResponseMessage): boolean {
  return response.result !== undefined && response.result.isError !== true &&
    isShareable(response);
}

/** The response to a request with this result. */
export function responseOf({ request }: Exchange, resultText: string): ResponseMessage {
  return parseMessage(resultResponse(idTextOf(request), resultText)) as ResponseMessage;
}

function withIdOf({ request }: Exchange, raw: string): ResponseMessage {
  const own = editJson(raw, [{ path: ["id"], value: idTextOf(request) }]);
  return parseMessage(own) as ResponseMessage;
}
