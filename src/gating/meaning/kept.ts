import { utimes } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { EmbeddingsConfig } from "../../config/types.ts";
import { isObject, type Json, sha256 } from "../../lib/json.ts";
import {
  type Bytes,
  type FromFile,
  jsonIn,
  keptName,
  readKept,
  removeUnused,
  replaceFile,
  type Seal,
  seal,
  systemReason,
  unseal,
} from "../../lib/own-file.ts";
import type { SearchLog } from "./embed.ts";
import { isUnit, KEY_LENGTH, MOST_NUMBERS, type Vector } from "./vectors.ts";

const SUFFIX = ".vectors";

/** What {@link VectorFile} stands on. */
export interface VectorFileOptions {
  /** See `cacheDirectory()`. */
  readonly directory: string;
  readonly config: Pick<EmbeddingsConfig, "url" | "model">;
  readonly log: Pick<SearchLog, "warning">;
  /** Milliseconds since the epoch. */
  readonly wall: () => number;
}

/**
 * The vectors of one model on disk, in the folder `vectors`. A cache: it may be lost or damaged, and
 * of several gateways that share it the last one's vectors stay; what is missing is asked for again.
 */
export class VectorFile {
  readonly #owner: VectorOwner;
  #hasComplained = false;

  constructor(private readonly options: VectorFileOptions) {
    const { origin, pathname } = new URL(options.config.url);
    this.#owner = { endpoint: origin + pathname, model: options.config.model };
  }

  /**
   * What is there. A file that cannot be used is named in one log line, and replaced by the next
   * {@link VectorFile.write}. Never rejects.
   */
  async read(): Promise<ReadonlyMap<string, Vector>> {
    const path = await this.#path();
    const vectors = await readKept(
      path,
      (file) => decodeVectors(file, this.#owner),
      (reason) =>
        this.options.log.warning(
          "Cannot use the kept vectors in {file}: {reason}; asking for them anew",
          { file: path, reason },
        ),
    );
    if (vectors === undefined) return new Map();
    // In use, though perhaps complete, so that nothing is written to it for long.
    const now = this.options.wall() / 1000;
    await utimes(path, now, now).catch(() => {});
    return vectors;
  }

  /**
   * Puts these in place of what is there; whether it could. Never rejects: one line says where that
   * cannot be.
   */
  async write(vectors: readonly (readonly [string, Vector])[]): Promise<boolean> {
    const path = await this.#path();
    try {
      await replaceFile(path, await encodeVectors(this.#owner, vectors));
      return true;
    } catch (error) {
      if (this.#hasComplained) return false;
      this.#hasComplained = true;
      this.options.log.warning(
        "Cannot keep vectors in {file}: {reason}; the next start will ask for them anew",
        { file: path, reason: systemReason(error) },
      );
      return false;
    }
  }

  /** Removes the vectors of models that were not used for 30 days. Never rejects. */
  async prune(): Promise<void> {
    const path = await this.#path();
    const keep = new Set([basename(path)]);
    const now = this.options.wall();
    await removeUnused(dirname(path), { suffix: SUFFIX, keep, now });
  }

  async #path(): Promise<string> {
    const { endpoint, model } = this.#owner;
    const digest = await sha256(new TextEncoder().encode(JSON.stringify([endpoint, model])));
    return join(this.options.directory, "vectors", keptName(model, digest, SUFFIX));
  }
}

// The file that vectors are kept in: its seal, one line of JSON, then all keys, then all numbers as
// 32-bit floats, little-endian as on every machine the runtimes are made for.
//
//     mcproxy-vectors 1 <SHA-256 of what follows>
//     {"endpoint": "http://127.0.0.1:11434/v1", "model": "…", "count": 3000, "numbers": 768}

/** Raised when the meaning of a file changes, or what is embedded of a tool. */
export const VECTOR_FORMAT_VERSION = 1;

/** Whose vectors these are: those of other models mean something else. */
export interface VectorOwner {
  /** The URL without credentials and query, which may have a key in it. */
  readonly endpoint: string;
  readonly model: string;
}

const SEAL: Seal = { magic: "mcproxy-vectors", content: "vectors", version: VECTOR_FORMAT_VERSION };
const KEY = new RegExp(`[a-z2-7]{${KEY_LENGTH}}`, "y");
const MAX_HEAD = 8_192;
const NEW_LINE = 10;
const WIDTH = Float32Array.BYTES_PER_ELEMENT;

/** The bytes of a file with these vectors, all of one size. */
export async function encodeVectors(
  { endpoint, model }: VectorOwner,
  vectors: readonly (readonly [string, Vector])[],
): Promise<Bytes> {
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
  file: Bytes,
  { endpoint, model }: VectorOwner,
): Promise<FromFile<ReadonlyMap<string, Vector>>> {
  const unsealed = await unseal(SEAL, file);
  if (!unsealed.ok) return unsealed;
  const body = unsealed.value;
  const end = body.subarray(0, MAX_HEAD).indexOf(NEW_LINE);
  const head = jsonIn(body.subarray(0, Math.max(end, 0)));
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
  return { ok: true, value: vectors };
}

const NONSENSE: FromFile<never> = { ok: false, reason: "found content that is no vectors" };

function isCount(value: Json | undefined): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
