/** The whole of results that were cut, for a while. */

import { resourceNotFound } from "../../protocol/eras.ts";
import { type Client, type Exchange, holderOf } from "../../protocol/exchange.ts";
import { idTextOf, resultResponse } from "../../protocol/message.ts";
import { modernMembers } from "../../registry/answers.ts";
import type { View } from "../../registry/types.ts";
import { ByteCache } from "./cache.ts";

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
 * secret has to be: where there is no holder to compare, knowing it is the right to read.
 */
export class ResultStore {
  readonly #results: ByteCache<{ readonly holder: string | undefined }>;
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
   * Keeps a result for `holder`, or for whoever knows its URI where that is undefined. Resolves
   * with the URI, or with `undefined` where it is too large to be kept.
   */
  async put(
    holder: string | undefined,
    parts: readonly StoredPart[],
  ): Promise<string | undefined> {
    const id = crypto.randomUUID();
    const uri = STORED_PREFIX + id;
    const contents = parts.map((part) => JSON.stringify({ uri, ...part })).join(",");
    const bytes = encoder.encode(`[${contents}]`);
    const isKept = await this.#results.set(id, { bytes, about: { holder } }, this.#age);
    return isKept ? uri : undefined;
  }

  /**
   * The `contents` of a stored result, as JSON; `undefined` for any URI that is not of this store,
   * which is another's to read.
   * @throws {RpcError} for one that is not kept any more, or not for this client
   */
  read(uri: string, client: Client): string | undefined {
    if (!uri.startsWith(STORED_PREFIX)) return undefined;
    const found = this.#results.get(uri.slice(STORED_PREFIX.length));
    if (found !== undefined && found.about.holder === holderOf(client)) {
      return decoder.decode(found.bytes);
    }
    const why = `Cannot read "${uri}": this result is not kept any more; call the tool again`;
    throw resourceNotFound(uri, why, client.era);
  }
}

/**
 * Answers `resources/read` for the whole of a result that was cut; `undefined` for every other
 * resource. To be asked first: an upstream must not be shown what the gateway keeps.
 * @throws {RpcError} for one that is not kept any more, or not for this client
 */
export function storedReply(
  { client, request }: Exchange,
  store: ResultStore,
  view: View,
): string | undefined {
  const uri = request.params?.uri;
  const contents = typeof uri === "string" ? store.read(uri, client) : undefined;
  if (contents === undefined) return undefined;
  // It never changes, and to keep it is the client's own choice.
  const envelope = client.era === "legacy" ? "" : `,${modernMembers(view, { ttlMs: 0 })}`;
  return resultResponse(idTextOf(request), `{"contents":${contents}${envelope}}`);
}
