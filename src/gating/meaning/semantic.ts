import type { EmbeddingsConfig } from "../../config/gating.ts";
import type { Clock } from "../../lib/clock.ts";
import type { ToolDocument } from "../words/document.ts";
import type { SearchIndex } from "../words/search-index.ts";
import type { Meant } from "./combine.ts";
import { embed, EmbedError, type Fetch } from "./embed.ts";
import { embeddedQuery, embeddedText } from "./embedded-text.ts";
import { Filler } from "./filler.ts";
import { Outage, type SearchLog } from "./outage.ts";
import { QueryVectors } from "./query-vectors.ts";
import { VectorFile } from "./vector-file.ts";
import { VectorStore } from "./vector-store.ts";
import type { Vector } from "./vector.ts";

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
  readonly #options: SemanticOptions;
  readonly #store = new VectorStore();
  readonly #file: VectorFile;
  readonly #filler: Filler;
  readonly #queries: QueryVectors;
  readonly #stop = new AbortController();
  readonly #loaded: Promise<void>;
  /** By the version of the store: a search looks at thousands of them. */
  readonly #meant = new WeakMap<SearchIndex, { version: number; tools: readonly Meant[] }>();
  #unschedule: (() => void) | undefined;
  #writing: Promise<void> = Promise.resolve();

  constructor(options: SemanticOptions) {
    const { config, clock, log } = options;
    this.config = config;
    this.#options = options;
    this.#file = new VectorFile(options);
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
    return text === "" || this.#store.size === 0 ? undefined : this.#queries.get(text);
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

  async #load(): Promise<void> {
    this.#store.load(await this.#file.read());
    await this.#file.prune();
  }

  async #ask(texts: readonly string[], limit: number): Promise<readonly Vector[]> {
    const { config, fetch, clock } = this.#options;
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
    this.#unschedule ??= this.#options.clock.after(WRITE_DELAY, () => this.#writeNow());
  }

  #writeNow(): void {
    this.#unschedule?.();
    this.#unschedule = undefined;
    this.#writing = this.#writing.then(() => this.#file.write([...this.#store.entries()]));
  }
}
