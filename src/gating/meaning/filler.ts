import { type Clock, pause } from "../../lib/clock.ts";
import type { EmbedError } from "./embed.ts";
import type { EmbeddedText } from "./embedded-text.ts";
import type { Outage } from "./outage.ts";
import { pauseAfterFailures } from "./query-vectors.ts";
import type { VectorStore } from "./vector-store.ts";
import type { Vector } from "./vector.ts";

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
  readonly #options: FillerOptions;
  /** Keys by text. */
  #wanted: ReadonlyMap<string, string> = new Map();
  /** Keys of texts that the endpoint does not take. */
  readonly #refused = new Set<string>();
  #batch = BATCH;
  #refusedInRow = 0;
  #hasForgiven = false;
  #running: Promise<void> | undefined;

  constructor(options: FillerOptions) {
    this.#options = options;
  }

  /** These texts are to have vectors, and no others any more. */
  want(texts: Iterable<EmbeddedText>): void {
    this.#wanted = new Map(Array.from(texts, ({ text, key }) => [text, key]));
    this.#options.store.touch(this.#wanted.values());
    this.again();
  }

  /** Looks once more what is missing. */
  again(): void {
    this.#running ??= this.#run().finally(() => this.#running = undefined);
  }

  /** Resolves when nothing is under way. Never rejects. */
  async idle(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    const { clock, outage, signal, onDone } = this.#options;
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
    const { store } = this.#options;
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
      if (this.#options.store.get(key) !== undefined) count++;
    }
    return count;
  }

  async #fill(batch: readonly (readonly [string, string])[]): Promise<number> {
    const { ask, store, onAdded } = this.#options;
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
