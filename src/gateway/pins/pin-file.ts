/**
 * The file in which it stands what was approved of the servers' definitions, and what waits for it.
 * Gateways and commands share it: who writes reads it again before, under a lock.
 *
 *     {"version": 1, "servers": {"linear": {"seen": 1795210496000,
 *       "pinned": {"tool create_issue": {"sha256": "…", "raw": "…", "text": "{…}"}},
 *       "waiting": {"tool steal": {"sha256": "…", "raw": "…", "text": "{…}"}}}}}
 */

import { lstat, mkdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import * as v from "valibot";
import { attempt, type Json } from "../../lib/json.ts";
import { type FromFile, jsonIn, readPrivateFile, replaceFile } from "../../lib/own-file.ts";
import { codeOf } from "../../lib/text.ts";
import { pause, systemClock } from "../../lib/time.ts";

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
  /** When a gateway last had it, milliseconds since the epoch. */
  readonly seen: number;
  readonly pinned: PinMap;
  readonly waiting: PinMap;
}

/** All servers, by name. */
export type PinBook = Map<string, ServerPins>;

const VERSION = 1;
/** Characters of texts that are kept of a server; without text there is no comparison to show. */
const MOST_TEXT = 2 * 1024 * 1024;
const MOST_PINNED = 5_000;
const MOST_WAITING = 1_000;
/** Bytes. */
const LARGEST_FILE = 32 * 1024 * 1024;
/** Who locked the file for so long was killed, milliseconds. */
const STALE_LOCK = 10_000;
/** Milliseconds between two looks at a lock. */
const LOCK_PAUSE = 25;

/** Why a file is not used that is worth nothing to anybody. */
export const DAMAGED = "found damaged or incomplete content";

/** The file in a state directory. */
export function pinFile(directory: string): string {
  return join(directory, "pins.json");
}

/** What tells one state of the file from another; empty where there is none. */
export async function pinStamp(path: string): Promise<string> {
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined) return "";
  // Not the time of the change: Deno knows only the second.
  const { ino, size, mtimeMs, mode, uid } = found;
  return `${ino} ${size} ${mtimeMs} ${mode} ${uid}`;
}

/**
 * Reads the file; one that others could have written or read is refused. Never rejects.
 * @param owner whose it may be; by default ours
 */
export async function readPins(path: string, owner?: number): Promise<FromFile<PinBook>> {
  const read = await readPrivateFile(path, owner);
  if (read === undefined) return { ok: true, value: new Map() };
  if (!read.ok) return read;
  const book = bookOf(jsonIn(read.value));
  return book === undefined ? { ok: false, reason: DAMAGED } : { ok: true, value: book };
}

/**
 * Reads the file, changes what it says, and puts it in its place; nobody else writes meanwhile.
 * @throws {Error} where it cannot be read or written
 */
export async function updatePins(
  path: string,
  change: (book: PinBook) => void,
  owner?: number,
): Promise<{ readonly book: PinBook; readonly stamp: string }> {
  return await locked(path, async () => {
    const read = await readPins(path, owner);
    if (!read.ok) throw new Error(read.reason);
    change(read.value);
    const whole = encoded(read.value, MOST_TEXT);
    const bytes = whole.length <= LARGEST_FILE ? whole : encoded(read.value, 0);
    if (bytes.length > LARGEST_FILE) throw new Error(`it would have ${bytes.length} bytes`);
    await replaceFile(path, bytes, owner);
    return { book: read.value, stamp: await pinStamp(path) };
  });
}

async function locked<T>(path: string, work: () => Promise<T>): Promise<T> {
  const lock = `${path}.lock`;
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const patience = performance.now() + 2 * STALE_LOCK;
  for (;;) {
    try {
      await writeFile(lock, "", { mode: 0o600, flag: "wx" });
      break;
    } catch (error) {
      if (codeOf(error) !== "EEXIST") throw error;
      const made = await lstat(lock).then(({ mtimeMs }) => mtimeMs, () => Infinity);
      if (made < Date.now() - STALE_LOCK) await rm(lock, { force: true });
      else if (performance.now() > patience) throw new Error(`"${lock}" is in use`);
      else await pause(LOCK_PAUSE, systemClock);
    }
  }
  try {
    return await work();
  } finally {
    await rm(lock, { force: true });
  }
}

function encoded(book: PinBook, mostText: number): Uint8Array {
  const servers = [...book].map(([name, { seen, pinned, waiting }]) => {
    let room = mostText;
    const written = (pins: PinMap, most: number) =>
      Object.fromEntries(
        pins.entries().take(most).map(([id, pin]) => {
          room -= pin.text?.length ?? 0;
          return [id, room >= 0 ? pin : { ...pin, text: undefined }];
        }),
      );
    // First what somebody has to look at.
    const waits = written(waiting, MOST_WAITING);
    return [name, { seen, waiting: waits, pinned: written(pinned, MOST_PINNED) }];
  });
  const content = { version: VERSION, servers: Object.fromEntries(servers) };
  return new TextEncoder().encode(JSON.stringify(content));
}

const PinsSchema = v.record(
  v.string(),
  v.object({ sha256: v.string(), raw: v.string(), text: v.optional(v.string()) }),
);
const FileSchema = v.object({
  version: v.literal(VERSION),
  servers: v.record(
    v.string(),
    v.object({ seen: v.number(), pinned: PinsSchema, waiting: PinsSchema }),
  ),
});

function bookOf(content: Json | undefined): PinBook | undefined {
  if (!v.is(FileSchema, content)) return undefined;
  // As it was read: a server may be called "constructor", which the schema passes over.
  return attempt(() =>
    new Map(
      Object.entries(content.servers).map(([name, { seen, pinned, waiting }]) => [name, {
        seen,
        pinned: new Map(Object.entries(pinned)),
        waiting: new Map(Object.entries(waiting)),
      }]),
    )
  );
}
