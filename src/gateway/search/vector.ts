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

/** How alike two unit vectors of the same size are: 1 for the same, 0 for unrelated ones. */
export function similarity(one: Vector, other: Vector): number {
  // Four sums at a time: they need not wait for each other, which makes it twice as fast.
  let [a, b, c, d] = [0, 0, 0, 0];
  const length = Math.min(one.length, other.length);
  const whole = length - length % 4;
  for (let at = 0; at < whole; at += 4) {
    a += one[at]! * other[at]!;
    b += one[at + 1]! * other[at + 1]!;
    c += one[at + 2]! * other[at + 2]!;
    d += one[at + 3]! * other[at + 3]!;
  }
  for (let at = whole; at < length; at++) a += one[at]! * other[at]!;
  return a + b + c + d;
}

/** Whether it is what it is said to be. */
export function isUnit(vector: Vector): boolean {
  return Math.abs(similarity(vector, vector) - 1) < TOLERANCE;
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
