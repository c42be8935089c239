import type { LRUCache } from "lru-cache";
import type { CacheRule } from "../../config/types.ts";
import { editJson, type JsonEdit, rawAt, rawElements, rawMembers } from "../../lib/json-edit.ts";
import { canonicalJson, nodeCrypto } from "../../lib/json.ts";
import { ENVELOPE_KEYS, MetaKey } from "../../protocol/eras.ts";
import type { Exchange } from "../../protocol/exchange.ts";
import {
  idTextOf,
  metaOf,
  parseMessage,
  type ResponseMessage,
  resultResponse,
  withId,
} from "../../protocol/message.ts";
import { createdTask } from "../../protocol/tasks.ts";
import type { Call, Middleware, Next } from "./middleware.ts";
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

/** One result may take this part of the cache. */
const LARGEST_SHARE = 1 / 4;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/**
 * Results that may be given again, of all servers, and the calls in flight for such results. What
 * is kept is what the upstream said, without the request's id.
 */
export class ResultCache {
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
  constructor(limit: number, private readonly now: () => number = () => performance.now()) {
    this.#limit = limit;
    this.#results = this.#empty();
  }

  /** Bytes of all that is kept. A change empties the cache. */
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
    return { resultText: decoder.decode(found.bytes), age: this.now() - found.about.since };
  }

  /** Keeps a response where it can be kept; `ttl` is milliseconds. */
  async keep(key: string, server: string, response: ResponseMessage, ttl: number): Promise<void> {
    if (!isKeepable(response)) return;
    this.#kept.add(server);
    const bytes = encoder.encode(rawAt(response.raw, ["result"]));
    await this.#results.set(key, { bytes, about: { server, since: this.now() } }, ttl);
  }

  /** Counts a call that is not answered from here. */
  missed(): void {
    this.#misses++;
  }

  /**
   * Answers a call from what is kept, together with equal calls in flight, or through `next`.
   *
   * @param scope whose calls may share an answer, and in which configuration
   * @param ttl milliseconds
   */
  async answer(call: Call, next: Next, scope: string, ttl: number): Promise<ResponseMessage> {
    const { exchange } = call;
    const key = this.keyOf(call, scope);
    if (key === undefined) return await next(call);
    for (;;) {
      const kept = this.find(key);
      if (kept !== undefined) return responseOf(cached(exchange), kept.resultText);
      const shared = this.#calls.get(key);
      if (shared === undefined) return await this.#lead(key, call, next, ttl);
      const outcome = await shared.follow(exchange);
      if (outcome.kind === "private") {
        this.missed();
        return await next(call);
      }
      if (outcome.kind === "answer") {
        this.#hits++;
        return withId(outcome.response, cached(exchange).request);
      }
    }
  }

  async #lead(key: string, call: Call, next: Next, ttl: number): Promise<ResponseMessage> {
    this.missed();
    const { server, exchange: leader } = call;
    const version = this.#versions.get(server);
    const shared: SharedCall = new SharedCall({
      leader,
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
      now: this.now,
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
  return response.result !== undefined && response.result.isError !== true && isShareable(response);
}

/** The exchange, with a note that no server answers it. */
function cached(exchange: Exchange): Exchange {
  if (exchange.record !== undefined) exchange.record.cached = true;
  return exchange;
}

/** The response to a request with this result. */
export function responseOf({ request }: Exchange, resultText: string): ResponseMessage {
  return parseMessage(resultResponse(idTextOf(request), resultText)) as ResponseMessage;
}

/**
 * Gives a tool's result again for the same arguments. Everybody gets only what he was answered
 * himself, unless the rule makes results public; a client that cannot be recognised gets no others.
 * `settings` is text that changes with whatever a result depends on beside the call.
 */
export function cacheResults(rule: CacheRule, cache: ResultCache, settings: string): Middleware {
  const { ttl } = rule;
  return (call, next) => {
    const whose = rule.public ? "" : call.holder;
    if (whose === undefined) return next(call);
    const scope = JSON.stringify([rule.public, whose, settings]);
    return cache.answer(call, next, scope, ttl);
  };
}

/** Longer than this no server is believed. Milliseconds. */
const LONGEST_TTL = 24 * 60 * 60_000;

/**
 * Gives what was read from a resource again, for as long as its server said it may be (`ttlMs` of
 * `resources/read`, 2026-07-28), and only what it said is `public`: modern clients, the only ones
 * that are told, cannot be told apart. Where they can, each gets his own all the same: what a server
 * calls public is so among those who may use it. It is the one kind of call whose results say so;
 * nothing has to be set for it.
 */
export function cacheReads(cache: ResultCache): Middleware {
  // Most servers never say so, and then nothing is looked up.
  const hinting = new Set<string>();
  return async (call, next) => {
    const { exchange, server, holder } = call;
    if (exchange.client.era === "legacy") return await next(call);
    const scope = holder === undefined ? "reads" : `reads ${holder}`;
    const keyBefore = hinting.has(server) ? cache.keyOf(call, scope) : undefined;
    if (keyBefore !== undefined) {
      const kept = cache.find(keyBefore);
      if (kept !== undefined) return left(responseOf(cached(exchange), kept.resultText), kept.age);
      cache.missed();
    }
    const response = await next(call);
    const { ttlMs, cacheScope } = response.result ?? {};
    if (cacheScope !== "public" || typeof ttlMs !== "number" || !(ttlMs > 0)) return response;
    hinting.add(server);
    // After a change in between, the key of before is nobody's any more.
    const key = keyBefore ?? cache.keyOf(call, scope);
    if (key !== undefined) await cache.keep(key, server, response, Math.min(ttlMs, LONGEST_TTL));
    return response;
  };

  /** What is left of the time it may be kept by those who get it now. */
  function left(response: ReturnType<typeof responseOf>, age: number) {
    const ttlMs = Math.max(0, Math.floor(Number(response.result?.ttlMs) - age));
    const raw = editJson(response.raw, [{ path: ["result", "ttlMs"], value: String(ttlMs) }]);
    return { ...response, raw, result: { ...response.result, ttlMs } };
  }
}

// What makes two calls the same call.

/** Members of `_meta` that are about this one request and not about its answer. */
const PASSING: ReadonlySet<string> = new Set([
  ...ENVELOPE_KEYS,
  MetaKey.ProgressToken,
  "traceparent",
  "tracestate",
  "baggage",
]);

/** Deeper nesting than any tool asks for. */
const MAX_DEPTH = 64;

/**
 * A key that only equal calls have: same server, same method, same parameters as the upstream gets
 * them whatever the order of their members, from clients it cannot tell apart. `scope` is whose
 * calls may share it, and in which configuration. Undefined for parameters too deep to compare.
 */
export function callKey({ exchange, server, edits }: Call, scope: string): string | undefined {
  const { client, request } = exchange;
  const raw = editJson(request.raw, [...edits, ...passingEdits(metaOf(request.params))]);
  const params = canonicalText(rawAt(raw, ["params"]) ?? "{}");
  if (params === undefined) return undefined;
  // A server may answer by what the client can do; and texts differ between the eras.
  const facts = [scope, server, request.method, client.era, canonicalJson(client.capabilities)];
  return nodeCrypto().createHash("sha256").update(JSON.stringify([...facts, params]))
    .digest("base64url");
}

function passingEdits(meta: object): readonly JsonEdit[] {
  const keys = Object.keys(meta);
  const path = ["params", "_meta"];
  if (keys.every((key) => PASSING.has(key))) return [{ path, value: undefined }];
  return keys.filter((key) => PASSING.has(key))
    .map((key) => ({ path: [...path, key], value: undefined }));
}

/**
 * JSON with members in one order and no space between tokens. Unlike `canonicalJson` it compares
 * what is written, not what it is parsed to: numbers beyond 2^53 that differ stay different, and so
 * does an object that repeats a key, of which the upstream may see another value than we do.
 */
function canonicalText(text: string, depth = 0): string | undefined {
  if (depth > MAX_DEPTH) return undefined;
  const elements = rawElements(text)?.map((element) => canonicalText(element, depth + 1));
  if (elements !== undefined) {
    return elements.includes(undefined) ? undefined : `[${elements.join(",")}]`;
  }
  const members = rawMembers(text);
  if (members === undefined) return text.trim();
  const texts = members
    .toSorted(([one], [other]) => one < other ? -1 : one > other ? 1 : 0)
    .map(([key, value]) => [JSON.stringify(key), canonicalText(value, depth + 1)] as const);
  if (texts.some(([, value]) => value === undefined)) return undefined;
  return `{${texts.map(([key, value]) => `${key}:${value}`).join(",")}}`;
}

/** What a {@link ByteCache} holds under one key: bytes, and what is said of them. */
export interface CachedBytes<About> {
  readonly bytes: Uint8Array;
  readonly about: About;
}

/** Bounds of a {@link ByteCache}. */
export interface ByteCacheOptions {
  /** All that is held together, keys included. */
  readonly maxBytes: number;
  /** The largest single entry; one must not drive out all others. */
  readonly maxEntryBytes: number;
  /** Milliseconds, from any start. */
  readonly now: () => number;
}

/** What an entry costs beside its bytes and its key, about. */
const OVERHEAD = 256;

/**
 * Texts kept for a while, as bytes: a string of a result would keep the whole message it was cut
 * from, and its size is nobody's to know. What has not been used for the longest time goes first.
 * The library behind it is loaded with the first entry.
 */
export class ByteCache<About extends object> {
  #cache: LRUCache<string, CachedBytes<About>> | undefined;

  constructor(private readonly options: ByteCacheOptions) {}

  /** Entries that are held, expired ones included until they are looked for. */
  get entries(): number {
    return this.#cache?.size ?? 0;
  }

  /** Bytes they are taken to need. */
  get bytes(): number {
    return this.#cache?.calculatedSize ?? 0;
  }

  /** What is held under the key and has not expired. */
  get(key: string): CachedBytes<About> | undefined {
    return this.#cache?.get(key);
  }

  /** Holds an entry for `ttl` milliseconds at most; resolves with whether it does. */
  async set(key: string, entry: CachedBytes<About>, ttl: number): Promise<boolean> {
    const { maxEntryBytes } = this.options;
    if (sizeOf(key, entry.bytes.length) > maxEntryBytes || !(ttl >= 1)) return false;
    (this.#cache ?? await this.#load()).set(key, entry, { ttl: Math.floor(ttl) });
    return true;
  }

  /** Lets go of all entries of which `matches` says yes. */
  drop(matches: (about: About) => boolean): void {
    if (this.#cache === undefined) return;
    for (const [key, { about }] of [...this.#cache.entries()]) {
      if (matches(about)) this.#cache.delete(key);
    }
  }

  async #load(): Promise<LRUCache<string, CachedBytes<About>>> {
    const { LRUCache } = await import("lru-cache");
    const { maxBytes, now } = this.options;
    // Somebody else may have come first.
    return this.#cache ??= new LRUCache<string, CachedBytes<About>>({
      maxSize: maxBytes,
      sizeCalculation: ({ bytes }, key) => sizeOf(key, bytes.length),
      // A start at 0 would mean an entry without end to it.
      perf: { now: () => now() + 1 },
      ttlResolution: 0,
    });
  }
}

function sizeOf(key: string, bytes: number): number {
  return bytes + 2 * key.length + OVERHEAD;
}
