/**
 * Cursors of our own (server/utilities/pagination): opaque to clients, kept by nobody. They are
 * tagged against damage and against cursors of others, not signed: what a client could make itself
 * gives it nothing that it may not list anyway.
 */

import { Buffer } from "node:buffer";
import { shortHash } from "../lib/hash.ts";
import type { Json } from "../lib/json.ts";

const TAG_LENGTH = 8;

/** A cursor that {@link openCursor} turns into this value again; of `[A-Za-z0-9_-]`, never empty. */
export function sealCursor(value: Json): string {
  return sealed(JSON.stringify(value));
}

/** What is in a cursor of ours, `undefined` for anything else (to be answered with -32602). */
export function openCursor(cursor: unknown): Json | undefined {
  if (typeof cursor !== "string") return undefined;
  const text = Buffer.from(cursor.slice(TAG_LENGTH), "base64url").toString("utf8");
  if (sealed(text) !== cursor) return undefined;
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}

function sealed(text: string): string {
  return shortHash(text, TAG_LENGTH) + Buffer.from(text, "utf8").toString("base64url");
}
