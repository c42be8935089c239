/**
 * The key of one listener for the commands of this machine: whoever can read the state directory of
 * a gateway may do what it can do. Two lines, `mcproxy_…` and the address it is for.
 */

import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { attempt } from "../lib/json.ts";
import { replaceFile, systemReason } from "../lib/own-file.ts";
import { hostInUrl } from "../lib/text.ts";
import { getLogger } from "../log/mod.ts";

const log = getLogger("mcproxy");

/** What a {@link LocalKey} is kept for. */
export interface LocalKeyOptions {
  /** The state directory. */
  readonly directory: string;
  /** Where the gateway listens. */
  readonly host: string;
  readonly port: number;
  readonly key: string;
}

/** The file with the key of a listener, from when it listens to its stop. */
export class LocalKey {
  readonly #path: string;
  readonly #text: string;
  #isClosed = false;
  /** Resolves when the file is there, or cannot be. */
  readonly written: Promise<void>;

  /** Begins to write, for nobody to wait for. */
  constructor({ directory, host, port, key }: LocalKeyOptions) {
    this.#path = localKeyFile(directory, port);
    this.#text = `${key}\n${hostInUrl(host)}\n`;
    this.written = this.#write();
  }

  async #write(): Promise<void> {
    try {
      await replaceFile(this.#path, new TextEncoder().encode(this.#text));
      if (this.#isClosed) this.#remove();
    } catch (error) {
      const told = { file: this.#path, reason: systemReason(error) };
      log.debug("Cannot write the local key {file}: {reason}", told);
    }
  }

  /**
   * Removes the file, if it is still this one's. At once: as long as the port is held, no successor
   * can have written its own in between.
   */
  close(): void {
    this.#isClosed = true;
    this.#remove();
  }

  #remove(): void {
    attempt(() => {
      if (readFileSync(this.#path, "utf8") === this.#text) rmSync(this.#path);
    });
  }
}

/** The file with the key of the gateway at this port. */
export function localKeyFile(directory: string, port: number | string): string {
  return join(directory, `local.${port}.key`);
}
