import { KEY_LENGTH } from "./embedded-text.ts";
import type { Vector } from "./vector.ts";

/** Bytes of all vectors and their keys: what is stored must fit into one file. */
export const MOST_BYTES = 60 * 1024 * 1024;

/** The vectors of tools by their texts' keys, all of one size. */
export class VectorStore {
  /** The one wanted or added last is last. */
  readonly #vectors = new Map<string, Vector>();
  readonly #mostBytes: number;
  #numbers: number | undefined;
  /** Whether the endpoint gives vectors of this size now; those of a file may be another model's. */
  #isConfirmed = false;
  #version = 0;

  constructor(mostBytes: number = MOST_BYTES) {
    this.#mostBytes = mostBytes;
  }

  /** How many there are. */
  get size(): number {
    return this.#vectors.size;
  }

  /** Another one whenever {@link VectorStore.get} may say something else than before. */
  get version(): number {
    return this.#version;
  }

  /** How many fit; `undefined` as long as their size is not known. */
  get room(): number | undefined {
    return this.#numbers === undefined
      ? undefined
      : Math.floor(this.#mostBytes / (this.#numbers * Float32Array.BYTES_PER_ELEMENT + KEY_LENGTH));
  }

  /** By key, those least wanted first. */
  entries(): Iterable<readonly [string, Vector]> {
    return this.#vectors.entries();
  }

  /** The vector of a text. */
  get(key: string): Vector | undefined {
    return this.#vectors.get(key);
  }

  /** Adds what a file has. */
  load(vectors: Iterable<readonly [string, Vector]>): void {
    this.#version++;
    for (const [key, vector] of vectors) {
      this.#numbers ??= vector.length;
      if (vector.length === this.#numbers && !this.#vectors.has(key)) {
        this.#vectors.set(key, vector);
      }
    }
    this.#trim();
  }

  /**
   * Whether vectors of so many numbers from the endpoint go with these. Where only a file says
   * otherwise the file is wrong: another model has taken the name, and all of it is forgotten.
   */
  accepts(numbers: number): boolean {
    if (this.#numbers !== numbers) {
      if (this.#isConfirmed) return false;
      this.#vectors.clear();
      this.#version++;
      this.#numbers = numbers;
    }
    return this.#isConfirmed = true;
  }

  /** Adds a vector that {@link VectorStore.accepts}. */
  add(key: string, vector: Vector): void {
    this.#version++;
    this.#vectors.delete(key);
    this.#vectors.set(key, vector);
    this.#trim();
  }

  /** These are in use; others go first where there is no room. */
  touch(keys: Iterable<string>): void {
    for (const key of keys) {
      const vector = this.#vectors.get(key);
      if (vector === undefined) continue;
      this.#vectors.delete(key);
      this.#vectors.set(key, vector);
    }
  }

  #trim(): void {
    const room = this.room ?? Infinity;
    for (const key of this.#vectors.keys()) {
      if (this.#vectors.size <= room) return;
      this.#vectors.delete(key);
    }
  }
}
