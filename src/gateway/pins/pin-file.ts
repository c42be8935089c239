/**
 * The file in which it stands what was approved of the servers' definitions, and what waits for it.
 * Gateways and commands share it: who writes reads it again before, under a lock.
 *
 *     {"version": 1, "servers": {"linear": {
 *       "pinned": {"tool create_issue": {"sha256": "…", "raw": "…", "text": "{…}"}},
 *       "waiting": {"tool steal": {"sha256": "…", "raw": "…", "text": "{…}"}}}}}
 */

import { join } from "node:path";
import * as v from "valibot";
import { attempt, isObject, type Json, valueAt } from "../../lib/json.ts";
import { exclusively } from "../../lib/lock-file.ts";
import { type FromFile, jsonIn, readPrivate, replaceFile } from "../../lib/own-file.ts";

/** One definition. */
export interface Pin {
  /** SHA-256 of its canonical JSON, base64url. */
  readonly sha256: string;
  /** The same of what the server wrote: what is equal need not be read to be known. */
  readonly raw: string;
  /** The canonical JSON; missing where it is not needed, or the server has too much of it. */
  readonly text?: string | undefined;
}

/** Definitions by `tool NAME`, `prompt NAME` and `instructions`. */
export type PinMap = ReadonlyMap<string, Pin>;

/** What is known of a server. */
export interface ServerPins {
  readonly pinned: PinMap;
  readonly waiting: PinMap;
  /** Kinds, the first word of an item, of which it has not been heard: the first ones are pinned. */
  readonly open: readonly string[];
}

/** All servers, by name. */
export type PinBook = Map<string, ServerPins>;

/** A pin without its text. */
export const DIGESTS = v.object({ sha256: v.string(), raw: v.string() });
const WHOLE: v.GenericSchema<unknown, Pin> = v.object({
  ...DIGESTS.entries,
  text: v.optional(v.string()),
});
const VERSION = 1;
/** Characters of texts that are kept of each; without text there is no comparison to show. */
const MOST_TEXT = 2 * 1024 * 1024;
/** Definitions that wait are shown so many at a time; what is pinned has the bound of all files. */
const MOST_WAITING = 1_000;

/** The file in a state directory. */
export function pinFile(directory: string): string {
  return join(directory, "pins.json");
}

/**
 * Reads the file; one that others could have written or read is refused. Never rejects.
 * @param uid whose it may be; by default ours
 * @param by what is read of each pin
 */
export async function readPins(path: string, uid?: number, by = WHOLE): Promise<FromFile<PinBook>> {
  const read = await readPrivate(path, uid);
  if (read === undefined) return { ok: true, value: new Map() };
  if (!read.ok) return read;
  const book = attempt(() => bookOf(jsonIn(read.value), by));
  const reason = "found damaged or incomplete content";
  return book === undefined ? { ok: false, reason } : { ok: true, value: book };
}

/**
 * Reads the file, changes what it says, and puts it in its place; nobody else writes meanwhile.
 * @throws {Error} where it cannot be read or written
 */
export async function updatePins(
  path: string,
  change: (book: PinBook) => void,
  owner?: number,
): Promise<void> {
  await exclusively(`${path}.lock`, async () => {
    const read = await readPins(path, owner);
    if (!read.ok) throw new Error(read.reason);
    change(read.value);
    await replaceFile(path, encoded(read.value), owner);
  });
}

function encoded(book: PinBook): Uint8Array {
  const servers = [...book].map(([name, { pinned, waiting, open }]) => {
    return [name, { waiting: written(waiting, MOST_WAITING), pinned: written(pinned), open }];
  });
  const content = { version: VERSION, servers: Object.fromEntries(servers) };
  return new TextEncoder().encode(JSON.stringify(content));
}

/** With those texts for which there is room. */
function written(pins: PinMap, most = Infinity): Record<string, Pin> {
  let room = MOST_TEXT;
  return Object.fromEntries(
    pins.entries().take(most).map(([id, { sha256, raw, text = "" }]) => {
      const isShown = text !== "" && text.length <= room;
      if (isShown) room -= text.length;
      return [id, { sha256, raw, text: isShown ? text : undefined }];
    }),
  );
}

/** @throws {Error} where that is none */
function bookOf(content: Json | undefined, schema: typeof WHOLE): PinBook {
  if (valueAt(content, ["version"]) !== VERSION) throw new TypeError();
  const pins = (value: Json | undefined) => mapOf(value, (pin) => v.parse(schema, pin));
  return mapOf(valueAt(content, ["servers"]), (server) => ({
    pinned: pins(valueAt(server, ["pinned"])),
    waiting: pins(valueAt(server, ["waiting"])),
    open: v.parse(v.optional(v.array(v.string()), []), valueAt(server, ["open"])),
  }));
}

/** Of all own members: a schema passes over a server that is called "constructor". */
function mapOf<T>(value: Json | undefined, read: (one: Json | undefined) => T): Map<string, T> {
  if (!isObject(value)) throw new TypeError();
  return new Map(Object.entries(value).map(([name, one]) => [name, read(one)]));
}
