/**
 * Ids of sessions that say by themselves what the session is, so that a gateway that has never seen
 * one, or has forgotten it, can go on with it. They are sealed: nobody else can make or read one.
 */

import { Buffer } from "node:buffer";
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { attempt, isObject, type JsonObject } from "../../lib/json.ts";
import { jsonIn } from "../../lib/own-file.ts";

/** What an id says; short names, because it goes with every request. */
export interface SealedSession {
  /** What the session is written down by. */
  readonly i: string;
  /** Which process began it. */
  readonly h: string;
  /** What it is called there. */
  readonly l?: string;
  /** When that was, milliseconds since the epoch. */
  readonly t: number;
  /** The key of its endpoint. */
  readonly e: string;
  /** The protocol version that was agreed on. */
  readonly v: string;
  /** The client's capabilities. */
  readonly c: JsonObject;
  /** The client's own name and version. */
  readonly n: JsonObject;
  /** Whose it is; null where nobody has to say who he is. */
  readonly p: string | null;
}

const PREFIX = "v1.";
const CIPHER = "aes-256-gcm";
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** Headers longer than this are refused by many a proxy. */
const MAX_ID = 4_096;

/** The id that says this; `undefined` where it would be too long for a header. */
export function sealId(session: SealedSession, key: Uint8Array): string | undefined {
  // What a client says of itself may be nested too deep to be written again.
  const text = attempt(() => JSON.stringify(session));
  if (text === undefined || text.length > MAX_ID) return undefined;
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(Buffer.from(PREFIX));
  const sealed = cipher.update(text, "utf8");
  const all = Buffer.concat([nonce, sealed, cipher.final(), cipher.getAuthTag()]);
  const id = PREFIX + all.toString("base64url");
  return id.length > MAX_ID ? undefined : id;
}

/** What an id says; `undefined` for one that was not made with this key, or changed since. */
export function openId(id: string, key: Uint8Array): SealedSession | undefined {
  if (id.length > MAX_ID || !id.startsWith(PREFIX)) return undefined;
  const all = Buffer.from(id.slice(PREFIX.length), "base64url");
  // What a reader of base64 passes over would make a second id of the same session.
  if (PREFIX + all.toString("base64url") !== id) return undefined;
  if (all.length <= NONCE_BYTES + TAG_BYTES) return undefined;
  try {
    const nonce = all.subarray(0, NONCE_BYTES);
    const decipher = createDecipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES });
    decipher.setAAD(Buffer.from(PREFIX));
    decipher.setAuthTag(all.subarray(-TAG_BYTES));
    const opened = decipher.update(all.subarray(NONCE_BYTES, -TAG_BYTES));
    const session = jsonIn(Buffer.concat([opened, decipher.final()]));
    // Another version of the gateway may have made it.
    const isWhole = isObject(session) && typeof session.i === "string" &&
      typeof session.t === "number" && typeof session.v === "string" && isObject(session.c) &&
      isObject(session.n);
    return isWhole ? session as JsonObject & SealedSession : undefined;
  } catch {
    return undefined;
  }
}
