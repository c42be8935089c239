/** A key that is kept from one run to the next. */

import { Buffer } from "node:buffer";
import { link, rename, rm } from "node:fs/promises";
import { readPrivate, replaceFile, systemReason, TEMPORARY_SUFFIX } from "./own-file.ts";

const KEY_BYTES = 32;

/**
 * The key that is kept in a file for this user alone, made where there is none. Where that cannot be
 * it is one for this process, and `complain` is told why, as the end of a sentence; with `mends` what
 * is no key is replaced by it. Never rejects.
 */
export async function keptKey(
  path: string | undefined,
  complain: (reason: string) => void,
  mends = false,
): Promise<Uint8Array> {
  const made = crypto.getRandomValues(new Uint8Array(KEY_BYTES));
  const found = path === undefined ? undefined : await keyIn(path);
  if (typeof found === "string") complain(found);
  else if (found !== undefined) return found;
  if (path === undefined || (found !== undefined && !mends)) return made;
  const temporary = `${path}.${crypto.randomUUID()}${TEMPORARY_SUFFIX}`;
  try {
    await replaceFile(temporary, new TextEncoder().encode(`${made.toBase64()}\n`));
    // Another gateway may be faster; or what is there is no key, or the disk has no links.
    const isFirst = await link(temporary, path).then(() => true, () => false);
    const theirs = isFirst ? made : await keyIn(path);
    if (typeof theirs === "object") return theirs;
    await rename(temporary, path);
  } catch (error) {
    complain(systemReason(error));
  } finally {
    await rm(temporary, { force: true }).catch(() => {});
  }
  return made;
}

/** A key, or why what is there is none; undefined where nothing is. */
async function keyIn(path: string): Promise<Uint8Array | string | undefined> {
  const read = await readPrivate(path);
  if (read?.ok !== true) return read?.reason;
  const key = new Uint8Array(Buffer.from(new TextDecoder().decode(read.value), "base64"));
  if (key.length === KEY_BYTES) return key;
  return `found ${key.length} bytes, expected ${KEY_BYTES} in base64`;
}
