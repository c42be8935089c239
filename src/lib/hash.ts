/** A short, stable tag for a text. */

import { nodeCrypto } from "./crypto.ts";

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
