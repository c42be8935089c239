/** One request to an endpoint that turns texts into vectors, as OpenAI's API has it. */

import type { EmbeddingsConfig } from "../../config/gating.ts";
import { joinBytes } from "../../lib/bytes.ts";
import type { Clock } from "../../lib/clock.ts";
import { networkFault, withoutCredentials } from "../../upstream/transport/http-client.ts";
import { readVectors, type Vector } from "./vector.ts";

/** The `fetch()` of the platform, as much as is used of it. */
export type Fetch = (url: URL, init: RequestInit) => Promise<Response>;

/** Which endpoint, and how it is asked. */
export interface EmbedOptions {
  readonly config: Pick<EmbeddingsConfig, "url" | "model" | "apiKey">;
  readonly fetch: Fetch;
  readonly clock: Clock;
  /** Milliseconds for the whole answer. */
  readonly limit: number;
  /** Gives up at once. */
  readonly signal: AbortSignal;
}

/** Why there are no vectors; the message is the end of a sentence, and has nothing of the answer. */
export class EmbedError extends Error {
  override readonly name = "EmbedError";
  /** HTTP's, where that is what is wrong. */
  readonly status: number | undefined;

  constructor(message: string, options: ErrorOptions & { readonly status?: number } = {}) {
    super(message, options);
    this.status = options.status;
  }
}

/** Bytes of an answer for each text: the longest vectors there are, written in full, and some more. */
const MOST_BYTES_A_TEXT = 512 * 1024;

/**
 * The unit vectors of the texts, in their order.
 * @throws {EmbedError} for whatever goes wrong; the signal's reason when it aborts
 */
export async function embed(
  texts: readonly string[],
  { config, fetch, clock, limit, signal }: EmbedOptions,
): Promise<readonly Vector[]> {
  signal.throwIfAborted();
  const late = new AbortController();
  const unschedule = clock.after(limit, () => late.abort());
  try {
    const both = AbortSignal.any([signal, late.signal]);
    const response = await fetch(...requestOf(texts, config, both));
    if (!response.ok) {
      await response.body?.cancel();
      // Neither followed nor quoted: both could tell the key to somebody.
      throw new EmbedError(`answered with HTTP status ${response.status}`, {
        status: response.status,
      });
    }
    const vectors = readVectors(await boundedText(response, texts.length * MOST_BYTES_A_TEXT));
    if (vectors.length === texts.length) return vectors;
    throw new EmbedError(`answered with ${vectors.length} vectors, expected ${texts.length}`);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof EmbedError) throw error;
    if (late.signal.aborted) throw new EmbedError(`gave no answer within ${limit} ms`);
    if (error instanceof SyntaxError) {
      throw new EmbedError(`answered with ${error.message}`);
    }
    throw new EmbedError(`could not be reached: ${networkFault(error).words}`);
  } finally {
    unschedule();
  }
}

function requestOf(
  texts: readonly string[],
  { url, model, apiKey }: EmbedOptions["config"],
  signal: AbortSignal,
): [URL, RequestInit] {
  const { url: target, headers } = withoutCredentials(url);
  const path = target.pathname.replace(/\/+$/, "");
  target.pathname = path.endsWith("/embeddings") ? path : `${path}/embeddings`;
  return [target, {
    method: "POST",
    headers: {
      ...headers,
      ...(apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }),
      "content-type": "application/json",
      accept: "application/json",
    },
    body: JSON.stringify({ model, input: texts }),
    redirect: "manual",
    signal,
  }];
}

async function boundedText(response: Response, limit: number): Promise<string> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of response.body ?? []) {
    size += part.length;
    // Leaving the loop lets go of the rest.
    if (size > limit) throw new EmbedError(`answered with more than ${limit} bytes`);
    parts.push(part);
  }
  return new TextDecoder().decode(joinBytes(parts, size));
}
