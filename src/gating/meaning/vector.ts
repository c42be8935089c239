/** Directions of meaning. */

import { isObject, type Json } from "../../lib/json.ts";

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
  const answer = parsed(text);
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

function parsed(text: string): Json {
  try {
    return JSON.parse(text);
  } catch {
    throw new SyntaxError("something that is no JSON");
  }
}
