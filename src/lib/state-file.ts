/**
 * A file of the state directory that several processes read and change: for this user alone, one
 * change at a time, and encrypted where there is a key to it.
 */

import { rm } from "node:fs/promises";
import { attempt, type Json } from "./json.ts";
import { exclusively, FileError } from "./lock-file.ts";
import { filesBeside, jsonIn, readPrivate, replaceFile, UNFINISHED } from "./own-file.ts";
import { keepSecret } from "./secrets.ts";
import { messageOf } from "./text.ts";

/** How such a file is kept. */
export interface StateFileOptions {
  /** Whose it is, by id, where root acts for another user. */
  readonly owner?: number | undefined;
  /** Gives `MCPROXY_STATE_KEY`, where there is one: what is written is encrypted then. */
  readonly key?: (() => Promise<string | undefined>) | undefined;
  /** What helps where it is of no use: the end of a sentence. */
  readonly remedy: string;
}

/** One file; it is read anew each time. */
export class StateFile {
  constructor(readonly path: string, private readonly options: StateFileOptions) {}

  /** What is in it; undefined where there is none. @throws {FileError} */
  async read(): Promise<Json | undefined> {
    const { owner, remedy } = this.options;
    const read = await readPrivate(this.path, owner);
    if (read === undefined) return undefined;
    if (!read.ok) throw this.unusable(read.reason, `mend that, or ${remedy}`);
    return jsonIn(read.value) ?? await this.#decrypted(read.value);
  }

  /**
   * Puts in its place what becomes of it; nobody else changes it meanwhile. Nothing is written where
   * that is undefined, but all else must be as for a change. @throws {FileError}
   */
  change(
    edit: (content: Json | undefined) => Readonly<Record<string, unknown>> | undefined,
  ): Promise<void> {
    return exclusively(`${this.path}.lock`, async () => {
      const content = edit(await this.read());
      const key = await this.#key();
      if (content === undefined) return;
      // What a writer that was killed has left has secrets in it, too, and lasts for ever.
      const left = await filesBeside(this.path, UNFINISHED).catch(() => []);
      for (const one of left) await rm(one, { force: true });
      const text = key === undefined
        ? `${JSON.stringify(content, undefined, 2)}\n`
        : await new (await import("jose/jwt/encrypt")).EncryptJWT(content)
          .setProtectedHeader({ alg: "dir", enc: "A256GCM" }).encrypt(key);
      const { owner } = this.options;
      await replaceFile(this.path, new TextEncoder().encode(text), owner).catch((error) => {
        throw this.unusable(messageOf(error), "check its directory");
      });
    });
  }

  /** It cannot be used, and what helps. */
  unusable(why: string, remedy = this.options.remedy): FileError {
    return new FileError(`cannot use ${this.path}: ${why}; ${remedy}`);
  }

  async #key(): Promise<Uint8Array | undefined> {
    const text = (await this.options.key?.())?.trim();
    if (!text) return undefined;
    keepSecret(text);
    const alphabet = /[-_]/.test(text) ? "base64url" : "base64";
    const bytes = attempt(() => Uint8Array.fromBase64(text, { alphabet }));
    if (bytes?.length === 32) return bytes;
    throw this.unusable("MCPROXY_STATE_KEY is no key", "make one: openssl rand -base64 32");
  }

  async #decrypted(bytes: Uint8Array): Promise<Json> {
    const key = await this.#key();
    const remedy = `set the MCPROXY_STATE_KEY it was written with, or ${this.options.remedy}`;
    if (key === undefined) throw this.unusable("it is encrypted, or damaged", remedy);
    const { jwtDecrypt } = await import("jose/jwt/decrypt");
    const how = { keyManagementAlgorithms: ["dir"], contentEncryptionAlgorithms: ["A256GCM"] };
    const text = new TextDecoder().decode(bytes).trim();
    const { payload } = await jwtDecrypt(text, key, how).catch(() => {
      throw this.unusable("it is encrypted with another key, or damaged", remedy);
    });
    return payload as Json;
  }
}
