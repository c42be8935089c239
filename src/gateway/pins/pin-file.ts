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
}

/** All servers, by name. */
export type PinBook = Map<string, ServerPins>;

const VERSION = 1;
/** Characters of texts that are kept of a server; without text there is no comparison to show. */
const MOST_TEXT = 2 * 1024 * 1024;
/** Definitions that are kept of a server. */
const [MOST_PINNED, MOST_WAITING] = [5_000, 1_000];

/** The file in a state directory. */
export function pinFile(directory: string): string {
  return join(directory, "pins.json");
}

/**
 * Reads the file; one that others could have written or read is refused. Never rejects.
 * @param owner whose it may be; by default ours
 */
export async function readPins(path: string, owner?: number): Promise<FromFile<PinBook>> {
  const read = await readPrivate(path, owner);
  if (read === undefined) return { ok: true, value: new Map() };
  if (!read.ok) return read;
  const book = attempt(() => bookOf(jsonIn(read.value)));
  if (book !== undefined) return { ok: true, value: book };
  return { ok: false, reason: "found damaged or incomplete content" };
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
  const servers = [...book].map(([name, { pinned, waiting }]) => {
    let room = MOST_TEXT;
    const written = (pins: PinMap, most: number) =>
      Object.fromEntries(
        pins.entries().take(most).map(([id, pin]) => {
          const text = room < 0 ? undefined : pin.text;
          room -= text?.length ?? 0;
          return [id, { sha256: pin.sha256, raw: pin.raw, text: room < 0 ? undefined : text }];
        }),
      );
    // First what somebody has to look at.
    const waits = written(waiting, MOST_WAITING);
    return [name, { waiting: waits, pinned: written(pinned, MOST_PINNED) }];
  });
  const content = { version: VERSION, servers: Object.fromEntries(servers) };
  return new TextEncoder().encode(JSON.stringify(content));
}

const PinSchema = v.object({ sha256: v.string(), raw: v.string(), text: v.optional(v.string()) });

/** @throws {Error} where that is none */
function bookOf(content: Json | undefined): PinBook {
  if (valueAt(content, ["version"]) !== VERSION) throw new TypeError();
  const pins = (value: Json | undefined) => mapOf(value, (pin) => v.parse(PinSchema, pin));
  return mapOf(valueAt(content, ["servers"]), (server) => ({
    pinned: pins(valueAt(server, ["pinned"])),
    waiting: pins(valueAt(server, ["waiting"])),
  }));
}

/** Of all own members: a schema passes over a server that is called "constructor". */
function mapOf<T>(value: Json | undefined, read: (one: Json | undefined) => T): Map<string, T> {
  if (!isObject(value)) throw new TypeError();
  return new Map(Object.entries(value).map(([name, one]) => [name, read(one)]));
}
