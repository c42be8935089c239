/** Directions of meaning. */

import { isObject, type Json, parsedText } from "../../lib/json.ts";
import type { ToolDocument } from "../words/document.ts";
import { best, fuse, type Hit, type SearchResult } from "../words/index.ts";

/** A vector of length 1. */
export type Vector = Float32Array<ArrayBuffer>;

/** Numbers in a vector; no model has more. */
export const MOST_NUMBERS = 16_384;

/** 32-bit numbers, and what models call length 1, are that exact. */
const TOLERANCE = 1e-3;

/**
 * The vectors in the answer of an endpoint, by their `index`, all of the same size.
 * @throws {SyntaxError} where it is no such answer; the message is the end of "answered with"
 */
export function readVectors(text: string): readonly Vector[] {
  const answer = parsedText(text);
  if (answer === undefined) throw new SyntaxError("something that is no JSON");
  const data = isObject(answer) ? answer.data : undefined;
  if (!Array.isArray(data)) throw new SyntaxError('something without "data"');
  const vectors: Vector[] = [];
  for (const [position, entry] of data.entries()) {
    const { index, embedding } = isObject(entry) ? entry : {};
    const at = typeof index === "number" ? index : position;
    if (!Number.isInteger(at) || at < 0 || at >= data.length || vectors[at] !== undefined) {
      throw new SyntaxError("an index out of order");
    }
    vectors[at] = readVector(embedding);
  }
  const sizes = new Set(vectors.map((vector) => vector.length));
  if (sizes.size > 1) throw new SyntaxError("vectors of different sizes");
  return vectors;
}

/** How alike a unit vector is to others of its size: 1 for the same, 0 for unrelated ones. */
export function similarities(one: Vector, others: readonly Vector[]): Float64Array {
  const found = new Float64Array(others.length);
  const numbers = Float64Array.from(one);
  const whole = others.length - others.length % 4;
  // Four at a time: sums need not wait for each other. Each adds up in the same order as alone, so
  // that the same vector is as near wherever it stands.
  for (let index = 0; index < whole; index += 4) {
    const first = others[index]!;
    const second = others[index + 1]!;
    const third = others[index + 2]!;
    const fourth = others[index + 3]!;
    let a = 0;
    let b = 0;
    let c = 0;
    let d = 0;
    for (let at = 0; at < numbers.length; at++) {
      const number = numbers[at]!;
      a += number * first[at]!;
      b += number * second[at]!;
      c += number * third[at]!;
      d += number * fourth[at]!;
    }
    found[index] = a;
    found[index + 1] = b;
    found[index + 2] = c;
    found[index + 3] = d;
  }
  for (let index = whole; index < others.length; index++) {
    const other = others[index]!;
    let sum = 0;
    for (let at = 0; at < numbers.length; at++) sum += numbers[at]! * other[at]!;
    found[index] = sum;
  }
  return found;
}

/** Whether it is what it is said to be. */
export function isUnit(vector: Vector): boolean {
  let square = 0;
  for (let at = 0; at < vector.length; at++) square += vector[at]! ** 2;
  return Math.abs(square - 1) < TOLERANCE;
}

function readVector(embedding: Json | undefined): Vector {
  if (!Array.isArray(embedding) || embedding.length === 0 || embedding.length > MOST_NUMBERS) {
    throw new SyntaxError("an embedding that is no list of numbers");
  }
  let square = 0;
  for (const number of embedding) {
    // JSON has no NaN, but null for it, and 1e999 for infinity.
    if (typeof number !== "number" || !Number.isFinite(number)) {
      throw new SyntaxError("an embedding with something that is no number");
    }
    square += number * number;
  }
  const length = Math.sqrt(square);
  const vector = Float32Array.from(embedding as number[], (number) => number / length);
  if (!isUnit(vector)) throw new SyntaxError("an embedding without direction");
  return vector;
}

/** Bytes of all vectors and their keys: what is stored must fit into one file. */
export const MOST_BYTES = 60 * 1024 * 1024;

/** The vectors of tools by their texts' keys, all of one size. */
export class VectorStore {
  /** The one wanted or added last is last. */
  readonly #vectors = new Map<string, Vector>();
  #numbers: number | undefined;
  /** Whether the endpoint gives vectors of this size now; those of a file may be another model's. */
  #isConfirmed = false;
  #version = 0;

  constructor(private readonly mostBytes: number = MOST_BYTES) {}

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
      : Math.floor(this.mostBytes / (this.#numbers * Float32Array.BYTES_PER_ELEMENT + KEY_LENGTH));
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

/** How far down each ranking is looked at. */
export const DEPTH = 50;

/** What is ranked by meaning. */
export interface Meant {
  readonly document: ToolDocument;
  /** Where the document is in the index. */
  readonly index: number;
  readonly vector: Vector;
}

/** The tools nearest in meaning, nearest first, of equals by id. */
export function nearest(query: Vector, tools: readonly Meant[], limit = DEPTH): Meant[] {
  const scores = similarities(query, tools.map(({ vector }) => vector));
  return [...best([...tools.keys()], limit, scores)]
    .sort((one, other) =>
      scores[other]! - scores[one]! ||
      (tools[one]!.document.id < tools[other]!.document.id ? -1 : 1)
    )
    .slice(0, limit).map((index) => tools[index]!);
}

/**
 * Joins both by reciprocal rank; tools that the query names stay first. The scores are sums of
 * reciprocal ranks: at most 2/61, and 1 more for tools that are named.
 *
 * @param lexical the first by words, at least {@link DEPTH} and `limit`, and how many more are found
 * by either
 * @param meant the nearest in meaning, nearest first
 */
export function combine(
  lexical: SearchResult,
  meant: readonly Pick<Meant, "document">[],
  limit: number,
): SearchResult {
  const byId = new Map<string, Hit>(
    meant.map(({ document }) => [document.id, { document, score: 0 }]),
  );
  for (const hit of lexical.hits) byId.set(hit.document.id, hit);
  const ids = (found: readonly { readonly document: ToolDocument }[]) =>
    found.map(({ document }) => document.id);
  const fused = fuse(ids(lexical.hits), ids(meant)).map(({ id, score }): Hit => {
    const hit = byId.get(id)!;
    return { ...hit, score: hit.isNamed === true ? 1 + score : score };
  });
  const hits = [
    ...fused.filter(({ isNamed }) => isNamed === true),
    ...fused.filter(({ isNamed }) => isNamed !== true),
  ].slice(0, limit);
  return { hits, more: lexical.hits.length + lexical.more - hits.length };
}

/** Characters of a key. */
export const KEY_LENGTH = 26;
