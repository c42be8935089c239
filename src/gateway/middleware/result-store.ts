import { ErrorCode, RpcError } from "../../protocol/errors.ts";
import type { Client } from "../../protocol/exchange.ts";
import { ByteCache } from "./byte-cache.ts";

/** Where URIs of stored results begin. */
export const STORED_PREFIX = "mcproxy://results/";

/** Bounds of what is stored. */
export interface StoreLimits {
  /** For all results together. */
  readonly bytes: number;
  /** For one. */
  readonly resultBytes: number;
  /** Milliseconds. */
  readonly age: number;
}

/** Enough for a conversation to come back to what it was shown a part of. */
export const STORE_LIMITS: StoreLimits = {
  bytes: 32 * 1024 * 1024,
  resultBytes: 8 * 1024 * 1024,
  age: 30 * 60_000,
};

/** One piece of a result: text, and what kind of text it is. */
export interface StoredPart {
  readonly mimeType: string;
  readonly text: string;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/**
 * Results that were too large to be given whole, for those they were for. The id is as long as a
 * secret has to be: where there is no session to compare, knowing it is the right to read.
 */
export class ResultStore {
  readonly #results: ByteCache<{ readonly principal: string | undefined }>;
  readonly #age: number;

  constructor(limits: StoreLimits = STORE_LIMITS, now: () => number = () => performance.now()) {
    this.#age = limits.age;
    this.#results = new ByteCache({
      maxBytes: limits.bytes,
      maxEntryBytes: limits.resultBytes,
      now,
    });
  }

  /**
   * Keeps a result for `principal`, or for whoever knows its URI where that is undefined. Resolves
   * with the URI, or with `undefined` where it is too large to be kept.
   */
  async put(
    principal: string | undefined,
    parts: readonly StoredPart[],
  ): Promise<string | undefined> {
    const id = crypto.randomUUID();
    const uri = STORED_PREFIX + id;
    const contents = parts.map((part) => JSON.stringify({ uri, ...part })).join(",");
    const bytes = encoder.encode(`[${contents}]`);
    const isKept = await this.#results.set(id, { bytes, about: { principal } }, this.#age);
    return isKept ? uri : undefined;
  }

  /**
   * The `contents` of a stored result, as JSON; `undefined` for any URI that is not of this store,
   * which is another's to read.
   * @throws {RpcError} for one that is not kept any more, or not for this client
   */
  read(uri: string, { session, era }: Client): string | undefined {
    if (!uri.startsWith(STORED_PREFIX)) return undefined;
    const found = this.#results.get(uri.slice(STORED_PREFIX.length));
    if (found !== undefined && found.about.principal === session) {
      return decoder.decode(found.bytes);
    }
    throw new RpcError(
      era === "legacy" ? ErrorCode.LegacyResourceNotFound : ErrorCode.InvalidParams,
      `Cannot read "${uri}": this result is not kept any more; call the tool again`,
      { uri },
    );
  }
}
