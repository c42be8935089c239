/** One request to an endpoint that turns texts into vectors, as OpenAI's API has it. */

import type { EmbeddingsConfig } from "../../config/types.ts";
import { joinBytes, shortHash } from "../../lib/json.ts";
import { putLast } from "../../lib/recent.ts";
import { backOff, type Clock } from "../../lib/time.ts";
import type { Logger } from "../../log/mod.ts";
import { memoised } from "../../registry/source.ts";
import { networkFault } from "../../upstream/transport/failures.ts";
import { withoutCredentials } from "../../upstream/transport/http-client.ts";
import { summary } from "../hit.ts";
import type { ToolDocument, ToolText } from "../words/document.ts";
import { KEY_LENGTH, readVectors, type Vector } from "./vectors.ts";

/** The `fetch()` of the platform, as much as is used of it. */
export type Fetch = (url: URL, init: RequestInit) => Promise<Response>;

/** Which endpoint, and how it is asked. */
export interface EmbedOptions {
  readonly config: Pick<EmbeddingsConfig, "url" | "model" | "apiKey">;
  readonly fetch: Fetch;
  readonly clock: Clock;
  /** Milliseconds for the whole answer. */
  readonly limit: number;
  /** Gives up at once. */
  readonly signal: AbortSignal;
}

/** Why there are no vectors; the message is the end of a sentence, and has nothing of the answer. */
export class EmbedError extends Error {
  override readonly name = "EmbedError";
  /** HTTP's, where that is what is wrong. */
  readonly status: number | undefined;

  constructor(message: string, options: ErrorOptions & { readonly status?: number } = {}) {
    super(message, options);
    this.status = options.status;
  }
}

/** Bytes of an answer for each text: the longest vectors there are, written in full, and some more. */
const MOST_BYTES_A_TEXT = 512 * 1024;

/**
 * The unit vectors of the texts, in their order.
 * @throws {EmbedError} for whatever goes wrong; the signal's reason when it aborts
 */
export async function embed(
  texts: readonly string[],
  { config, fetch, clock, limit, signal }: EmbedOptions,
): Promise<readonly Vector[]> {
  signal.throwIfAborted();
  const late = new AbortController();
  const unschedule = clock.after(limit, () => late.abort());
  try {
    const both = AbortSignal.any([signal, late.signal]);
    const response = await fetch(...requestOf(texts, config, both));
    if (!response.ok) {
      await response.body?.cancel();
      // Neither followed nor quoted: both could tell the key to somebody.
      throw new EmbedError(`answered with HTTP status ${response.status}`, {
        status: response.status,
      });
    }
    const vectors = readVectors(await boundedText(response, texts.length * MOST_BYTES_A_TEXT));
    if (vectors.length === texts.length) return vectors;
    throw new EmbedError(`answered with ${vectors.length} vectors, expected ${texts.length}`);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof EmbedError) throw error;
    if (late.signal.aborted) throw new EmbedError(`gave no answer within ${limit} ms`);
    if (error instanceof SyntaxError) throw new EmbedError(`answered with ${error.message}`);
    throw new EmbedError(`could not be reached: ${networkFault(error).words}`);
  } finally {
    unschedule();
  }
}

function requestOf(
  texts: readonly string[],
  { url, model, apiKey }: EmbedOptions["config"],
  signal: AbortSignal,
): [URL, RequestInit] {
  const { url: target, headers } = withoutCredentials(url);
  const path = target.pathname.replace(/\/+$/, "");
  target.pathname = path.endsWith("/embeddings") ? path : `${path}/embeddings`;
  return [target, {
    method: "POST",
    headers: {
      ...headers,
      ...(apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }),
      "content-type": "application/json",
      accept: "application/json",
    },
    body: JSON.stringify({ model, input: texts }),
    redirect: "manual",
    signal,
  }];
}

async function boundedText(response: Response, limit: number): Promise<string> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of response.body ?? []) {
    size += part.length;
    // Leaving the loop lets go of the rest.
    if (size > limit) throw new EmbedError(`answered with more than ${limit} bytes`);
    parts.push(part);
  }
  return new TextDecoder().decode(joinBytes(parts, size));
}

// What an embedding model gets to see of tools and queries, and nothing else.

/** The text of one tool, and the key its vector is kept under. */
export interface EmbeddedText {
  readonly text: string;
  readonly key: string;
}

/** Characters: models read a few hundred words at most, and what a tool does is said first. */
const LONGEST_TEXT = 500;
const LONGEST_QUERY = 2_000;

// By document for searches, which look at all of them; by text for the documents of the next snapshot.
const byDocument = new WeakMap<ToolDocument, EmbeddedText>();
const byText = new WeakMap<ToolText, EmbeddedText>();

/** What stands for a tool: its name, what its description says first, its server. */
export function embeddedText(document: ToolDocument): EmbeddedText {
  return memoised(byDocument, document, () => {
    const text = textOf(document);
    const known = byText.get(document.text);
    if (known?.text === text) return known;
    const embedded = { text, key: shortHash(text, KEY_LENGTH) };
    byText.set(document.text, embedded);
    return embedded;
  });
}

function textOf({ name, text, server }: ToolDocument): string {
  const sentence = summary(text.description) || text.title;
  return [name, sentence.replace(/[.!?。]$/u, ""), server.title || server.name]
    .filter((part) => part !== "").join(". ").slice(0, LONGEST_TEXT).toWellFormed();
}

/** What is sent of a query; empty where there is nothing to send. */
export function embeddedQuery(query: string): string {
  return query.slice(0, LONGEST_QUERY).toWellFormed().trim();
}

/** What {@link QueryVectors} stands on. */
export interface QueryVectorsOptions {
  /** Asks the endpoint; rejects where it does not answer in as many milliseconds. */
  readonly ask: (text: string, limit: number) => Promise<Vector>;
  /** Milliseconds that a search waits. */
  readonly timeout: number;
  readonly clock: Clock;
  readonly outage: Pick<Outage, "down" | "up">;
}

/** Queries whose vectors are remembered. */
const MOST_KNOWN = 200;

/** Requests on their way; a search that would be one more goes without. */
const MOST_PENDING = 4;

/** A model that has to be loaded first answers late, and is warm then: milliseconds. */
const PATIENCE = 10_000;

const FIRST_PAUSE = 2_000;
const LONGEST_PAUSE = 300_000;

/**
 * The vectors of queries. A search waits only where the endpoint is known to answer in time: after a
 * failure the following searches go without for a while, then one of them, without waiting either,
 * tries whether it is back.
 */
export class QueryVectors {
  /** By text; the one used last is last. */
  readonly #known = new Map<string, Vector>();
  readonly #pending = new Map<string, Promise<Vector | undefined>>();
  /** In a row. */
  #failures = 0;
  #retryAt = -Infinity;

  constructor(private readonly options: QueryVectorsOptions) {}

  /** The vector of a query, now or within the time a search waits; `undefined` where there is none. */
  get(text: string): Vector | undefined | Promise<Vector | undefined> {
    const known = this.#known.get(text);
    if (known !== undefined) {
      this.#known.delete(text);
      this.#known.set(text, known);
      return known;
    }
    const { clock } = this.options;
    const pending = this.#pending.get(text);
    if (this.#failures > 0) {
      if (pending !== undefined || clock.now() < this.#retryAt) return undefined;
      // One at a time: whoever comes while this one is tried goes without.
      this.#retryAt = clock.now() + pauseAfterFailures(this.#failures);
      void this.#ask(text, { isTrial: true });
      return undefined;
    }
    if (pending !== undefined) return pending;
    return this.#pending.size < MOST_PENDING ? this.#ask(text) : undefined;
  }

  /** Never rejects, and resolves in time; a vector that comes later is still remembered. */
  #ask(text: string, { isTrial } = { isTrial: false }): Promise<Vector | undefined> {
    const { ask, timeout, clock } = this.options;
    const { promise, resolve } = Promise.withResolvers<Vector | undefined>();
    let isJudged = false;
    const judge = (reason?: string) => {
      if (isJudged) return;
      isJudged = true;
      unschedule();
      // What was asked at the same time fails at the same time: that is one failure.
      if (reason === undefined || isTrial || this.#failures === 0) this.#judge(reason);
    };
    const unschedule = clock.after(timeout, () => {
      judge(`gave no answer within ${timeout} ms`);
      resolve(undefined);
    });
    this.#pending.set(text, promise);
    ask(text, PATIENCE).then((vector) => {
      putLast(this.#known, text, vector, MOST_KNOWN);
      judge();
      resolve(vector);
    }).catch((error: unknown) => {
      // What is no such error is a stop.
      if (error instanceof EmbedError) judge(error.message);
      else unschedule();
      resolve(undefined);
    }).finally(() => this.#pending.delete(text));
    return promise;
  }

  #judge(reason: string | undefined): void {
    const { clock, outage } = this.options;
    if (reason === undefined) {
      this.#failures = 0;
      outage.up("queries");
      return;
    }
    this.#failures++;
    this.#retryAt = clock.now() + pauseAfterFailures(this.#failures);
    outage.down("queries", reason);
  }
}

/** Milliseconds until an endpoint that failed so many times in a row is tried again. */
export function pauseAfterFailures(failures: number): number {
  return backOff(failures, FIRST_PAUSE, LONGEST_PAUSE);
}

/** The logger, as far as it is used. */
export type SearchLog = Pick<Logger, "info" | "warning">;

/** What an endpoint is asked for; each may fail by itself. */
export type Purpose = "queries" | "tools";

/** What is worse without it. */
const WITHOUT: Readonly<Record<Purpose, string>> = {
  queries: "Search goes",
  tools: "Search finds tools that are new",
};

/** An endpoint that comes and goes fills no log: so long after one outage the next is not told of. */
const QUIET_MS = 10 * 60_000;

/**
 * Says in the log when an endpoint fails, and when it is back: each once, whatever is tried between.
 * Of outages that follow each other closely only one that lasts is told of.
 */
export class Outage {
  readonly #about: { readonly model: string; readonly host: string };
  readonly #failing = new Set<Purpose>();
  /** When an outage was told of, by the clock. */
  #toldAt = -Infinity;
  #isTold = false;

  constructor(
    private readonly log: SearchLog,
    { model, url }: Pick<EmbeddingsConfig, "model" | "url">,
    private readonly clock: Pick<Clock, "now">,
  ) {
    // Not more of the URL: it may have a key in it.
    this.#about = { model, host: new URL(url).host };
  }

  /** It did not work. @param reason the end of a sentence */
  down(use: Purpose, reason: string): void {
    this.#failing.add(use);
    const now = this.clock.now();
    if (this.#isTold || now - this.#toldAt < QUIET_MS) return;
    this.#isTold = true;
    this.#toldAt = now;
    this.log.warning(`${WITHOUT[use]} by words alone: {model} at {host} {reason}`, {
      ...this.#about,
      reason,
    });
  }

  /** It worked. */
  up(use: Purpose): void {
    if (!this.#failing.delete(use) || this.#failing.size > 0 || !this.#isTold) return;
    this.#isTold = false;
    this.log.info("Search has the embeddings of {model} at {host} again", this.#about);
  }
}
