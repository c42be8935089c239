import type { EmbeddingsConfig } from "../../config/types.ts";
import { type Clock, pause, within } from "../../lib/time.ts";
import type { ToolDocument } from "../words/document.ts";
import type { SearchIndex } from "../words/index.ts";
import {
  embed,
  embeddedQuery,
  type EmbeddedText,
  embeddedText,
  EmbedError,
  type Fetch,
  Outage,
  pauseAfterFailures,
  QueryVectors,
  type SearchLog,
} from "./embed.ts";
import { VectorFile } from "./kept.ts";
import { type Meant, type Vector, VectorStore } from "./vectors.ts";

/** What {@link Semantic} stands on. */
export interface SemanticOptions {
  readonly config: EmbeddingsConfig;
  /** Where vectors are kept from one run to the next. */
  readonly directory: string | undefined;
  readonly fetch: Fetch;
  readonly clock: Clock;
  /** Milliseconds since the epoch. */
  readonly wall: () => number;
  readonly log: SearchLog;
}

/** Milliseconds for the answer to a batch of tools: nobody waits for it. */
const BATCH_PATIENCE = 60_000;

/** Milliseconds from the first new vector to writing all of them. */
const WRITE_DELAY = 30_000;

/** One endpoint and model: the vectors of tools and queries, where they come from and are kept. */
export class Semantic {
  readonly config: EmbeddingsConfig;
  readonly #store = new VectorStore();
  readonly #file: VectorFile | undefined;
  readonly #filler: Filler;
  readonly #queries: QueryVectors;
  readonly #stop = new AbortController();
  readonly #loaded: Promise<void>;
  /** Whether the file has all that there is; `undefined` as long as it is being read. */
  #isOnDisk: boolean | undefined;
  /** By the version of the store: a search looks at thousands of them. */
  readonly #meant = new WeakMap<SearchIndex, { version: number; tools: readonly Meant[] }>();
  #unschedule: (() => void) | undefined;
  #writing: Promise<void> = Promise.resolve();

  constructor(private readonly options: SemanticOptions) {
    const { config, clock, log, directory } = options;
    this.config = config;
    this.#file = directory === undefined ? undefined : new VectorFile({ ...options, directory });
    const outage = new Outage(log, config, clock);
    this.#filler = new Filler({
      ask: (texts) => this.#ask(texts, BATCH_PATIENCE),
      store: this.#store,
      clock,
      outage,
      onAdded: () => this.#writeLater(),
      onDone: (tools) => {
        log.info("Embedded {tools} tools with {model}", { tools, model: config.model });
        this.#writeNow();
      },
      signal: this.#stop.signal,
    });
    this.#queries = new QueryVectors({
      ask: async (text, limit) => (await this.#ask([text], limit))[0]!,
      timeout: config.timeout,
      clock,
      outage,
    });
    this.#loaded = this.#load();
  }

  /** The tools of an index that have a vector, in its order. The same list as long as it is true. */
  meantIn(index: SearchIndex): readonly Meant[] {
    const { version } = this.#store;
    const known = this.#meant.get(index);
    if (known?.version === version) return known.tools;
    const tools = index.documents.flatMap((document, at): readonly Meant[] => {
      const vector = this.#store.get(embeddedText(document).key);
      return vector === undefined ? [] : [{ document, index: at, vector }];
    });
    this.#meant.set(index, { version, tools });
    return tools;
  }

  /**
   * The vector of a query: at once where it is known, otherwise within the configured time.
   * `undefined` where there is none, or nothing to compare it with.
   */
  query(query: string): Vector | undefined | Promise<Vector | undefined> {
    const text = embeddedQuery(query);
    if (text === "") return undefined;
    return this.#isOnDisk !== undefined
      ? this.#vectorOf(text)
      : within(this.config.timeout, this.#loaded).then(() => this.#vectorOf(text));
  }

  /** Whether another one of the same configuration would read from disk all that this one has. */
  get isKept(): boolean {
    return this.#isOnDisk === true && this.#unschedule === undefined && !this.#filler.isRunning;
  }

  /** All tools that are to be found by meaning. Their vectors come in the background. */
  want(documents: readonly ToolDocument[]): void {
    void this.#loaded.then(() => {
      if (!this.#stop.signal.aborted) this.#filler.want(documents.map(embeddedText));
    });
  }

  /** Asks nothing any more, and writes what it has. Never rejects. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#loaded;
    await this.#filler.idle();
    if (this.#unschedule !== undefined) this.#writeNow();
    await this.#writing;
  }

  #vectorOf(text: string): Vector | undefined | Promise<Vector | undefined> {
    return this.#store.size === 0 ? undefined : this.#queries.get(text);
  }

  async #load(): Promise<void> {
    if (this.#file === undefined) return void (this.#isOnDisk = false);
    this.#store.load(await this.#file.read());
    this.#isOnDisk = true;
    await this.#file.prune();
  }

  async #ask(texts: readonly string[], limit: number): Promise<readonly Vector[]> {
    const { config, fetch, clock } = this.options;
    const { signal } = this.#stop;
    const vectors = await embed(texts, { config, fetch, clock, limit, signal });
    const numbers = vectors[0]!.length;
    const before = this.#store.size;
    if (!this.#store.accepts(numbers)) {
      throw new EmbedError(`answered with vectors of ${numbers} numbers, not as many as before`);
    }
    if (this.#store.size < before) this.#filler.again();
    return vectors;
  }

  #writeLater(): void {
    this.#unschedule ??= this.options.clock.after(WRITE_DELAY, () => this.#writeNow());
  }

  #writeNow(): void {
    this.#unschedule?.();
    this.#unschedule = undefined;
    this.#isOnDisk = false;
    this.#writing = this.#writing.then(async () => {
      this.#isOnDisk = await this.#file?.write([...this.#store.entries()]) ?? false;
    });
  }
}

/** What {@link Filler} stands on. */
export interface FillerOptions {
  /** Asks the endpoint. */
  readonly ask: (texts: readonly string[]) => Promise<readonly Vector[]>;
  readonly store: VectorStore;
  readonly clock: Clock;
  readonly outage: Pick<Outage, "down" | "up">;
  /** Vectors were added. */
  readonly onAdded: () => void;
  /** All texts that can have a vector have one; how many were added since the last time. */
  readonly onDone: (added: number) => void;
  readonly signal: AbortSignal;
}

/** Texts of one request: reading the answer takes a few milliseconds of everybody's time. */
const BATCH = 32;

/** What an endpoint says to a request that it never will answer: too many texts, or too long ones. */
const REFUSALS: ReadonlySet<number | undefined> = new Set([400, 413, 422]);

/** Texts refused one after the other; then it is the endpoint that does not work. */
const MOST_REFUSED = 5;

/** Gets the vectors of tools in the background, one request at a time, for as long as it takes. */
export class Filler {
  /** Keys by text. */
  #wanted: ReadonlyMap<string, string> = new Map();
  /** Keys of texts that the endpoint does not take. */
  readonly #refused = new Set<string>();
  #batch = BATCH;
  #refusedInRow = 0;
  #hasForgiven = false;
  #running: Promise<void> | undefined;

  constructor(private readonly options: FillerOptions) {}

  /** These texts are to have vectors, and no others any more. */
  want(texts: Iterable<EmbeddedText>): void {
    this.#wanted = new Map(Array.from(texts, ({ text, key }) => [text, key]));
    this.options.store.touch(this.#wanted.values());
    this.again();
  }

  /** Looks once more what is missing. */
  again(): void {
    this.#running ??= this.#run().finally(() => this.#running = undefined);
  }

  /** Whether something is under way. */
  get isRunning(): boolean {
    return this.#running !== undefined;
  }

  /** Resolves when nothing is under way. Never rejects. */
  async idle(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    const { clock, outage, signal, onDone } = this.options;
    let failures = 0;
    let added = 0;
    while (!signal.aborted) {
      const batch = this.#missing();
      if (batch.length === 0) break;
      try {
        added += await this.#fill(batch);
        failures = 0;
        outage.up("tools");
      } catch (error) {
        if (signal.aborted) return;
        const { message, status } = error as EmbedError;
        if (REFUSALS.has(status) && this.#canNarrow(batch)) continue;
        outage.down("tools", message);
        await pause(pauseAfterFailures(++failures), clock, signal);
      }
    }
    if (added > 0) onDone(added);
  }

  #missing(): readonly (readonly [text: string, key: string])[] {
    const { store } = this.options;
    const batch: (readonly [string, string])[] = [];
    // Where not all fit, those that do are as good as any.
    let left = (store.room ?? Infinity) - this.#having();
    for (const entry of this.#wanted) {
      if (batch.length >= this.#batch || left <= 0) break;
      if (store.get(entry[1]) !== undefined || this.#refused.has(entry[1])) continue;
      batch.push(entry);
      left--;
    }
    return batch;
  }

  /** How many of the wanted ones are there. */
  #having(): number {
    let count = 0;
    for (const key of this.#wanted.values()) {
      if (this.options.store.get(key) !== undefined) count++;
    }
    return count;
  }

  async #fill(batch: readonly (readonly [string, string])[]): Promise<number> {
    const { ask, store, onAdded } = this.options;
    const vectors = await ask(batch.map(([text]) => text));
    for (const [index, [, key]] of batch.entries()) store.add(key, vectors[index]!);
    this.#recovered(batch.length);
    onAdded();
    return batch.length;
  }

  /** What was refused before a success was refused for itself, or because nothing was taken. */
  #recovered(taken: number): void {
    if (this.#refusedInRow >= MOST_REFUSED && !this.#hasForgiven) {
      // Once: if it was the texts after all, this would never end.
      this.#hasForgiven = true;
      this.#refused.clear();
    }
    // After several bad texts the others need not go alone.
    if (this.#refusedInRow > 0 && taken === 1) this.#batch = BATCH;
    this.#refusedInRow = 0;
  }

  /**
   * Endpoints bound how much they take at once; what is refused alone is not asked for again. Where
   * that happens to text after text it is not the texts.
   */
  #canNarrow(batch: readonly (readonly [string, string])[]): boolean {
    if (batch.length > 1) {
      this.#batch = Math.ceil(batch.length / 2);
      return true;
    }
    // It was this text, and perhaps not how many there were.
    if (this.#refusedInRow === 0) this.#batch = BATCH;
    this.#refused.add(batch[0]![1]);
    return ++this.#refusedInRow < MOST_REFUSED;
  }
}
