/**
 * The file that vectors are kept in: its seal, one line of JSON, then all keys, then all numbers as
 * 32-bit floats, little-endian as on every machine the runtimes are made for.
 *
 *     mcproxy-vectors 1 <SHA-256 of what follows>
 *     {"endpoint": "http://127.0.0.1:11434/v1", "model": "…", "count": 3000, "numbers": 768}
 */

import { isObject, type Json } from "../../lib/json.ts";
import { type Seal, seal, unseal } from "../../lib/sealed-file.ts";
import { KEY_LENGTH } from "./embedded-text.ts";
import { isUnit, MOST_NUMBERS, type Vector } from "./vector.ts";

/** Raised when the meaning of a file changes, or what is embedded of a tool. */
export const VECTOR_FORMAT_VERSION = 1;

/** Whose vectors these are: those of other models mean something else. */
export interface VectorOwner {
  /** The URL without credentials and query, which may have a key in it. */
  readonly endpoint: string;
  readonly model: string;
}

/** What a file holds, or why it is not used, as the end of a sentence. */
export type DecodedVectors =
  | { readonly ok: true; readonly vectors: ReadonlyMap<string, Vector> }
  | { readonly ok: false; readonly reason: string };

const SEAL: Seal = {
  magic: "mcproxy-vectors",
  content: "vectors",
  version: VECTOR_FORMAT_VERSION,
};
const KEY = new RegExp(`[a-z2-7]{${KEY_LENGTH}}`, "y");
const MAX_HEAD = 8_192;
const NEW_LINE = 10;
const WIDTH = Float32Array.BYTES_PER_ELEMENT;

/** The bytes of a file with these vectors, all of one size. */
export async function encodeVectors(
  { endpoint, model }: VectorOwner,
  vectors: readonly (readonly [string, Vector])[],
): Promise<Uint8Array<ArrayBuffer>> {
  const numbers = vectors[0]?.[1].length ?? 0;
  const count = vectors.length;
  const head = new TextEncoder().encode(
    `${JSON.stringify({ endpoint, model, count, numbers })}\n` +
      vectors.map(([key]) => key).join(""),
  );
  const body = new Uint8Array(head.length + count * numbers * WIDTH);
  body.set(head);
  for (const [index, [, vector]] of vectors.entries()) {
    const bytes = new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength);
    body.set(bytes, head.length + index * numbers * WIDTH);
  }
  return await seal(SEAL, body);
}

/** The vectors in a file, if it is whole and this owner's. Never rejects, whatever the bytes are. */
export async function decodeVectors(
  file: Uint8Array<ArrayBuffer>,
  { endpoint, model }: VectorOwner,
): Promise<DecodedVectors> {
  const unsealed = await unseal(SEAL, file);
  if (!unsealed.ok) return unsealed;
  const { body } = unsealed;
  const end = body.subarray(0, MAX_HEAD).indexOf(NEW_LINE);
  const head = parsed(body.subarray(0, Math.max(end, 0)));
  if (!isObject(head) || head.endpoint !== endpoint || head.model !== model) {
    return { ok: false, reason: "found the vectors of another model" };
  }
  const { count, numbers } = head;
  const keysAt = end + 1;
  if (!isCount(count) || !isCount(numbers) || numbers > MOST_NUMBERS) return NONSENSE;
  const numbersAt = keysAt + count * KEY_LENGTH;
  if (body.length !== numbersAt + count * numbers * WIDTH) return NONSENSE;
  const keys = new TextDecoder().decode(body.subarray(keysAt, numbersAt));
  const vectors = new Map<string, Vector>();
  for (let index = 0; index < count; index++) {
    KEY.lastIndex = index * KEY_LENGTH;
    const [key] = KEY.exec(keys) ?? [];
    const at = numbersAt + index * numbers * WIDTH;
    // Copied, which slice() of a buffer of node:fs does not: numbers begin at multiples of their width.
    const vector = new Float32Array(new Uint8Array(body.subarray(at, at + numbers * WIDTH)).buffer);
    if (key === undefined || !isUnit(vector)) return NONSENSE;
    vectors.set(key, vector);
  }
  return { ok: true, vectors };
}

const NONSENSE: DecodedVectors = { ok: false, reason: "found content that is no vectors" };

function isCount(value: Json | undefined): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function parsed(bytes: Uint8Array): Json | undefined {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return undefined;
  }
}
