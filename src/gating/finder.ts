import type { EmbeddingsConfig, Settings } from "../config/types.ts";
import { type Clock, systemClock, takingTurns, TURN } from "../lib/time.ts";
import { getLogger, type Logger } from "../log/mod.ts";
import { memoised } from "../registry/source.ts";
import type { Route, ServerEntry, View } from "../registry/types.ts";
import type { Gate, Snapshot } from "./gate.ts";
import type { Fetch } from "./meaning/embed.ts";
import { Semantic, type SemanticOptions } from "./meaning/semantic.ts";
import { combine, DEPTH, type Meant, nearest, type Vector } from "./meaning/vectors.ts";
import { factorOf, UseMemory, useReason } from "./use.ts";
import type { ToolDocument } from "./words/document.ts";
import {
  DEFAULT_LIMIT,
  fits,
  type Hit,
  type SearchIndex,
  type SearchOptions,
} from "./words/index.ts";
import { forgetIndexes, indexOf, knownIndex, prepareIndex } from "./words/search.ts";

/** What a {@link Finder} stands on. */
export interface FinderOptions {
  /** Those in force. `tags` is the same array as long as they are. */
  readonly settings: () => Pick<Settings, "embeddings" | "tags">;
  /** Where vectors and use are kept, see `cacheDirectory()`; without, they end with the process. */
  readonly directory?: string | undefined;
  readonly fetch?: Fetch;
  readonly clock?: Clock;
  /** Milliseconds since the epoch. */
  readonly wall?: () => number;
  readonly log?: Pick<Logger, "info" | "warning" | "error">;
}

/** A hit, with why it ranks higher than its words say. */
export interface FoundTool extends Hit {
  readonly reason?: string;
}

/** What a search gives. */
export interface FoundTools {
  readonly tools: readonly FoundTool[];
  /** How many more there would have been without the limit. */
  readonly more: number;
}

/**
 * Tools of all gates together that get vectors before anybody searches them: a configuration may have
 * a profile for each client.
 */
const MOST_UNASKED = 10_000;

/** What only searches need is let go after so many milliseconds without one. */
export const KEPT_FOR = 600_000;

/** Whose index is built at once: some hundredths of a second of work, and a tenth the first time. */
const MOST_AT_ONCE = 500;

/**
 * Finds tools behind a gate: by words, where embeddings are configured also by meaning, and where the
 * gate says so with an eye to what was used before. Words decide alone whenever the rest is not there
 * in time.
 */
export class Finder {
  readonly #settings: FinderOptions["settings"];
  readonly #parts: Omit<SemanticOptions, "config"> & Pick<Required<FinderOptions>, "log">;
  readonly #preparer: Preparer;
  readonly #use: UseMemory;
  /** Ids of views that were searched: they are prepared, gated or not. */
  readonly #searched = new Set<string>();
  #semantic: Semantic | undefined;
  /** Of endpoints that a reload took away. */
  readonly #closing = new Set<Promise<void>>();
  /** Indexes that are being built, by what they are built from. */
  readonly #building = new WeakMap<readonly ServerEntry[], Map<View, Generator<void>>>();
  /** When the last search was. */
  #searchedAt = -Infinity;
  /** Takes back that what searches need is let go. */
  #keep: (() => void) | undefined;
  #isClosed = false;

  constructor({ settings, directory, fetch, clock, wall, log }: FinderOptions) {
    this.#settings = settings;
    this.#parts = {
      directory,
      fetch: fetch ?? globalThis.fetch,
      clock: clock ?? systemClock,
      wall: wall ?? Date.now,
      log: log ?? getLogger("mcproxy", "search"),
    };
    this.#use = new UseMemory(this.#parts);
    this.#preparer = new Preparer({
      steps: (registry) => this.#steps(registry),
      onError: (error) => this.#parts.log.error("Preparing the search failed", { error }),
      clock: this.#parts.clock,
    });
  }

  /**
   * The best tools of a gate's view for a query, which may be any text. A promise only where the
   * vector of the query or the index of many tools is waited for; a vector that does not come is no
   * failure. With embeddings, scores are sums of reciprocal ranks (see `combine()`), else those of
   * the words.
   */
  find(
    { full, config }: Gate,
    registry: Snapshot,
    query: string,
    options: SearchOptions,
  ): FoundTools | Promise<FoundTools> {
    const before = this.#semantic;
    const semantic = this.#semanticFor(this.#settings().embeddings);
    if (semantic !== before) this.#preparer.later(registry);
    // Before the words: the endpoint works on it meanwhile.
    const vector = semantic?.query(query);
    const index = this.index(full, registry);
    const found = (index: SearchIndex, known: Vector | undefined): FoundTools =>
      this.#found(index, query, options, config.usageRanking, known, semantic);
    return index instanceof Promise || vector instanceof Promise
      ? Promise.all([index, vector]).then(([index, known]) => found(index, known))
      : found(index, vector);
  }

  /**
   * The index of a view, for somebody who searches it. A promise where it is not there and is of many
   * tools: then it is built in turns with everything else.
   */
  index(view: View, registry: Snapshot): SearchIndex | Promise<SearchIndex> {
    const { tags } = this.#settings();
    this.#searchedAt = this.#parts.clock.now();
    this.#letGoAfter(KEPT_FOR);
    if (!this.#searched.has(view.id)) {
      this.#searched.add(view.id);
      this.#preparer.later(registry);
    }
    const known = knownIndex(view, registry.entries, tags);
    if (known !== undefined) return known;
    if (view.counts.tools <= MOST_AT_ONCE) return indexOf(view, registry.entries, tags);
    return (async () => {
      for await (const _step of takingTurns(this.#build(view, registry.entries, tags)));
      return indexOf(view, registry.entries, tags);
    })();
  }

  /** Builds an index in steps. Whoever needs the same goes on with what the others have begun. */
  *#build(view: View, entries: readonly ServerEntry[], tags: Settings["tags"]): Generator<void> {
    const building = memoised(this.#building, entries, () => new Map());
    yield* building.getOrInsertComputed(view, () => prepareIndex(view, entries, tags));
    building.delete(view);
  }

  /**
   * There is another snapshot: what searches need of it is got ready later, in small pieces, for
   * gates that were searched lately. With embeddings, tools behind closed ones get vectors as well.
   */
  prepare(registry: Snapshot): void {
    // What a reload took away is asked nothing from now on.
    if (this.#semantic !== undefined) this.#semanticFor(this.#settings().embeddings);
    this.#preparer.later(registry);
  }

  /** A tool was called with success. To be told only where some gate has `usageRanking`. */
  called({ server, name }: Route): void {
    if (!this.#isClosed) this.#use.add(server, name);
  }

  /** Ends all that is under way, and writes what is to be kept. Never rejects. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#preparer.close();
    this.#keep?.();
    this.#leave();
    await Promise.all([this.#use.flush(), ...this.#closing]);
  }

  #found(
    index: SearchIndex,
    query: string,
    options: SearchOptions,
    usageRanking: boolean,
    vector: Vector | undefined,
    semantic: Semantic | undefined,
  ): FoundTools {
    if (usageRanking) void this.#use.load();
    const prior = usageRanking ? (tool: ToolDocument) => factorOf(this.#countOf(tool)) : undefined;
    const { limit = DEFAULT_LIMIT } = options;
    const byWords = (more: SearchOptions) => index.search(query, { ...options, prior, ...more });
    const byBoth = (near: readonly Meant[]) => {
      const also = near.map(({ index }) => index);
      return combine(byWords({ limit: Math.max(DEPTH, limit), also }), near, limit);
    };
    const { hits, more } = vector === undefined ? byWords({ limit }) : byBoth(
      nearest(vector, semantic!.meantIn(index).filter(({ document }) => fits(document, options))),
    );
    if (!usageRanking) return { tools: hits, more };
    const tools = hits.map((hit): FoundTool => {
      const reason = hit.isNamed === true ? undefined : useReason(this.#countOf(hit.document));
      return reason === undefined ? hit : { ...hit, reason };
    });
    return { tools, more };
  }

  #countOf({ server, name }: ToolDocument): number {
    return this.#use.count(server.name, name);
  }

  *#steps(registry: Snapshot): Generator<void, void> {
    const { aggregate, profiles } = registry.gates;
    const { tags, embeddings } = this.#settings();
    const documents: (readonly ToolDocument[])[] = [];
    let unasked = 0;
    for (const { full, config, isClosed } of [aggregate, ...profiles.values()]) {
      if (config.usageRanking) void this.#use.load();
      if (!this.#searched.has(full.id)) {
        const { tools } = full.counts;
        if (embeddings === undefined || !isClosed || unasked + tools > MOST_UNASKED) continue;
        unasked += tools;
      }
      yield* this.#build(full, registry.entries, tags);
      documents.push(indexOf(full, registry.entries, tags).documents);
      this.#letGoAfter(KEPT_FOR);
    }
    // They may have changed since the first step.
    this.#semanticFor(this.#settings().embeddings)?.want(documents.flat());
  }

  #letGoAfter(ms: number): void {
    if (this.#isClosed) return;
    const { clock } = this.#parts;
    this.#keep ??= clock.after(ms, () => {
      this.#keep = undefined;
      const left = this.#searchedAt + KEPT_FOR - clock.now();
      if (left > 0) return this.#letGoAfter(left);
      this.#searched.clear();
      forgetIndexes();
      if (this.#semantic?.isKept === true) this.#leave();
      // It has more to write, perhaps.
      else if (this.#semantic !== undefined) this.#letGoAfter(KEPT_FOR);
    }, true);
  }

  /** What the settings ask for: the same as long as they do. */
  #semanticFor(config: EmbeddingsConfig | undefined): Semantic | undefined {
    const current = this.#semantic;
    if (current !== undefined && config !== undefined && isSame(current.config, config)) {
      return current;
    }
    this.#leave();
    if (config === undefined || this.#isClosed) return undefined;
    return this.#semantic = new Semantic({ ...this.#parts, config });
  }

  #leave(): void {
    const left = this.#semantic;
    if (left === undefined) return;
    this.#semantic = undefined;
    const closing = left.close().finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }
}

function isSame(one: EmbeddingsConfig, other: EmbeddingsConfig): boolean {
  return one === other || JSON.stringify(one) === JSON.stringify(other);
}

/** What {@link Preparer} stands on. */
export interface PreparerOptions {
  /** What is to be done for a snapshot, in steps of a few milliseconds. */
  readonly steps: (registry: Snapshot) => Generator<void, void>;
  /** A step threw, and the others are not done: searches do themselves what they need. */
  readonly onError: (error: unknown) => void;
  readonly clock: Clock;
}

/** A start with ten servers makes ten snapshots: the work waits until it is quiet for so long, ms. */
const QUIET = 200;

/** Where it never is, the work begins after so many milliseconds. */
const PATIENCE = 2_000;

/** Does what a new snapshot needs, later and in small pieces, so that no request waits for it. */
export class Preparer {
  #next: { readonly registry: Snapshot; readonly since: number } | undefined;
  #unschedule: (() => void) | undefined;
  #isWorking = false;
  #isClosed = false;

  constructor(private readonly options: PreparerOptions) {}

  /** There is work for this snapshot, and none for older ones any more. */
  later(registry: Snapshot): void {
    if (this.#isClosed) return;
    this.#next = { registry, since: this.#next?.since ?? this.options.clock.now() };
    if (!this.#isWorking) this.#schedule();
  }

  /** Nothing is begun or gone on with after this. */
  close(): void {
    this.#isClosed = true;
    this.#next = undefined;
    this.#unschedule?.();
    this.#unschedule = undefined;
  }

  #schedule(): void {
    const { clock } = this.options;
    if (this.#next === undefined) return;
    const delay = Math.min(QUIET, Math.max(0, this.#next.since + PATIENCE - clock.now()));
    this.#after(delay, () => {
      const { registry } = this.#next!;
      this.#next = undefined;
      this.#isWorking = true;
      this.#work(this.options.steps(registry));
    });
  }

  #work(steps: Generator<void, void>): void {
    const { clock } = this.options;
    const end = clock.now() + TURN;
    let isDone = false;
    try {
      while (!isDone && clock.now() < end) isDone = steps.next().done === true;
    } catch (error) {
      isDone = true;
      this.options.onError(error);
    }
    if (!isDone) return this.#after(0, () => this.#work(steps));
    this.#isWorking = false;
    this.#schedule();
  }

  #after(ms: number, callback: () => void): void {
    this.#unschedule?.();
    this.#unschedule = this.options.clock.after(ms, () => {
      // What it would take back has an index in it.
      this.#unschedule = undefined;
      callback();
    });
  }
}
