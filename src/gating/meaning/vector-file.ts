import { utimes } from "node:fs/promises";
import { join } from "node:path";
import type { EmbeddingsConfig } from "../../config/gating.ts";
import { keptName } from "../../gateway/members/list-cache-place.ts";
import { codeOf, readOwnFile, removeUnused, replaceFile } from "../../lib/list-cache-disk.ts";
import { sha256 } from "../../lib/sealed-file.ts";
import type { SearchLog } from "./outage.ts";
import { decodeVectors, encodeVectors, type VectorOwner } from "./vector-format.ts";
import type { Vector } from "./vector.ts";

const SUFFIX = ".vectors";

/** Milliseconds after which the vectors of a model nobody uses are removed. */
const MAX_AGE = 30 * 24 * 3_600_000;

/** What {@link VectorFile} stands on. */
export interface VectorFileOptions {
  /** See `cacheDirectory()`; without, nothing is kept. */
  readonly directory: string | undefined;
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
  readonly #options: VectorFileOptions;
  readonly #owner: VectorOwner;
  #hasComplained = false;

  constructor(options: VectorFileOptions) {
    this.#options = options;
    const { origin, pathname } = new URL(options.config.url);
    this.#owner = { endpoint: origin + pathname, model: options.config.model };
  }

  /**
   * What is there. A file that cannot be used is named in one log line, and replaced by the next
   * {@link VectorFile.write}. Never rejects.
   */
  async read(): Promise<ReadonlyMap<string, Vector>> {
    const path = await this.#path();
    const read = path === undefined ? undefined : await readOwnFile(path);
    if (path === undefined || read === undefined) return new Map();
    const decoded = read.ok ? await decodeVectors(read.bytes, this.#owner) : read;
    if (decoded.ok) {
      // In use, though perhaps complete, so that nothing is written to it for long.
      const now = this.#options.wall() / 1000;
      await utimes(path, now, now).catch(() => {});
      return decoded.vectors;
    }
    this.#options.log.warning(
      "Cannot use the kept vectors in {file}: {reason}; asking for them anew",
      { file: path, reason: decoded.reason },
    );
    return new Map();
  }

  /** Puts these in place of what is there. Never rejects: one line says where that cannot be. */
  async write(vectors: readonly (readonly [string, Vector])[]): Promise<void> {
    const path = await this.#path();
    if (path === undefined) return;
    try {
      await replaceFile(path, await encodeVectors(this.#owner, vectors));
    } catch (error) {
      if (this.#hasComplained) return;
      this.#hasComplained = true;
      this.#options.log.warning(
        "Cannot keep vectors in {file}: {reason}; the next start will ask for them anew",
        { file: path, reason: codeOf(error) },
      );
    }
  }

  /** Removes the vectors of models that were not used for 30 days. Never rejects. */
  async prune(): Promise<void> {
    const { directory, wall } = this.#options;
    if (directory === undefined) return;
    const keep = new Set([await this.#name()]);
    await removeUnused(join(directory, "vectors"), {
      suffix: SUFFIX,
      keep,
      now: wall(),
      maxAge: MAX_AGE,
    });
  }

  async #path(): Promise<string | undefined> {
    const { directory } = this.#options;
    return directory === undefined ? undefined : join(directory, "vectors", await this.#name());
  }

  async #name(): Promise<string> {
    const { endpoint, model } = this.#owner;
    const digest = await sha256(new TextEncoder().encode(JSON.stringify([endpoint, model])));
    return keptName(model, digest, SUFFIX);
  }
}
