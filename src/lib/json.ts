import process from "node:process";

/** Any JSON value, as `JSON.parse` returns it. */
export type Json = null | boolean | number | string | Json[] | JsonObject;

/** A JSON object; a missing key reads as `undefined`. */
export interface JsonObject {
  [key: string]: Json | undefined;
}

/** True for a JSON object: not null, not an array. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** What `make` gives, `undefined` where it throws; with `expected`, where it throws such an error. */
export function attempt<T>(make: () => T, expected?: new () => Error): T | undefined {
  try {
    return make();
  } catch (error) {
    if (expected !== undefined && !(error instanceof expected)) throw error;
    return undefined;
  }
}

/** The JSON in a text, `undefined` where there is none. */
export function parsedText(text: string): Json | undefined {
  return attempt(() => JSON.parse(text));
}

/** The JSON object in a text, `undefined` where there is none. */
export function parsedObject(text: string): JsonObject | undefined {
  const value = parsedText(text);
  return isObject(value) ? value : undefined;
}

/** Percent-encoded text decoded; as it is where it cannot be. */
export function decodedPercent(text: string): string {
  return attempt(() => decodeURIComponent(text)) ?? text;
}

/** What stands at a path of own keys and indexes, `undefined` where nothing does. */
export function valueAt(value: unknown, path: readonly (string | number)[]): Json | undefined {
  let at = value as Json | undefined;
  for (const key of path) {
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, key)) return undefined;
    at = (at as JsonObject)[key];
  }
  return at;
}

/**
 * JSON with the keys of every object in one fixed order and no white space, so that equal values
 * give equal text whatever order they were written in. Members that are `undefined` are left out, as in `JSON.stringify`. Meant for plain data of bounded depth: a cycle or a bigint
 * throws a `TypeError`, a nesting of thousands, or deeper than `most`, a `RangeError`.
 */
export function canonicalJson(value: unknown, most = Infinity): string {
  return JSON.stringify(sorted(value, new Set(), most)) ?? "null";
}

function sorted(value: unknown, ancestors: Set<object>, most: number): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (ancestors.has(value)) throw new TypeError("Cannot write canonical JSON: value has a cycle");
  if (ancestors.size >= most) throw new RangeError("Cannot write canonical JSON: too deep");
  ancestors.add(value);
  try {
    if (Array.isArray(value)) return value.map((item) => sorted(item, ancestors, most));
    const source = value as Record<string, unknown>;
    // No prototype, or a key "__proto__" would set one instead of a member. Keys that look like
    // array indexes come first in any object, in numeric order: still one order for one set.
    const result: Record<string, unknown> = Object.create(null);
    for (const key of Object.keys(source).sort()) {
      result[key] = sorted(source[key], ancestors, most);
    }
    return result;
  } finally {
    ancestors.delete(value);
  }
}

/**
 * What `write` makes of a value, `undefined` where that is nested too deep for the runtime's stack:
 * a server may say anything, and no client takes such a tool.
 */
export function unlessTooDeep<T>(write: () => T): T | undefined {
  return attempt(write, RangeError);
}

/** The parts as one array; `size` is the sum of their lengths, which every caller has counted. */
export function joinBytes(parts: readonly Uint8Array[], size: number): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

const ALPHABET = "abcdefghijklmnopqrstuvwxyz234567";

/**
 * The first `length` characters (5 bits each, at most 51) of the SHA-256 of `text`, in lower-case
 * base 32: `[a-z2-7]`, so that it fits in every identifier. Equal texts give equal tags in every
 * release and on every runtime. Short tags may collide: callers that need uniqueness check for it.
 */
export function shortHash(text: string, length = 8): string {
  const digest = nodeCrypto().createHash("sha256").update(text).digest();
  let tag = "";
  let bits = 0;
  let pending = 0;
  for (const byte of digest) {
    pending = (pending << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      if (tag.length === length) return tag;
      bits -= 5;
      tag += ALPHABET[(pending >> bits) & 31];
      pending &= (1 << bits) - 1;
    }
  }
  return tag;
}

/**
 * `node:crypto`, loaded when it is first needed: on Deno the module costs some 30 ms, a third of
 * the time to a listening gateway, and most starts hash nothing.
 */
export function nodeCrypto(): typeof import("node:crypto") {
  return process.getBuiltinModule("node:crypto");
}

/**
 * The SHA-256 in hexadecimal. Not through `node:crypto`, whose loading would cost a start more than
 * the whole cache does.
 */
export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return digest.toHex();
}
