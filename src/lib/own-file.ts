/** Files that are kept from one run to the next: for this user alone, versioned, bounded. */

import { lchown, lstat, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, isAbsolute, join } from "node:path";
import process from "node:process";
import { attempt, joinBytes, type Json, sha256 } from "./json.ts";
import { codeOf, messageOf } from "./text.ts";

/** Variables of the environment. */
type Variables = Readonly<Record<string, Path>>;
type Path = string | undefined;

/**
 * The directory for what may be lost: `CACHE_DIRECTORY` or `STATE_DIRECTORY` as systemd sets them
 * (of several the first), `$XDG_CACHE_HOME/mcproxy`, `~/.cache/mcproxy`. As the XDG specification
 * says, paths that are not absolute do not count; `undefined` where none is left. It need not exist.
 */
export function cacheDirectory(env: Variables): string | undefined {
  const { CACHE_DIRECTORY: cache, STATE_DIRECTORY: state, XDG_CACHE_HOME: xdg, HOME: home } = env;
  return ownDirectory([cache, state], xdg, home && join(home, ".cache"));
}

/**
 * The directory for what is no cache: `STATE_DIRECTORY` as systemd sets it, `$XDG_STATE_HOME/mcproxy`,
 * `~/.local/state/mcproxy`, and where all of these are missing that of {@link cacheDirectory}.
 */
export function stateDirectory(env: Variables): string | undefined {
  const { STATE_DIRECTORY: state, XDG_STATE_HOME: xdg, HOME: home } = env;
  return ownDirectory([state], xdg, home && join(home, ".local", "state")) ?? cacheDirectory(env);
}

/** The first that counts: systemd's are for us alone, of the others we get a part. */
function ownDirectory(systemd: readonly Path[], ...shared: readonly Path[]): Path {
  return [
    ...systemd.map((paths) => paths?.split(":")[0]),
    ...shared.map((path) => path && join(path, "mcproxy")),
  ].find((path) => path && isAbsolute(path));
}

/** Bytes a file may have; one that is bigger was not written by us. */
export const MAX_OWN_FILE = 64 * 1024 * 1024;

/** What a file says, or why it is not used, as the end of a sentence. */
export type FromFile<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly reason: string };

/** The bytes of a file. */
export type Bytes = Uint8Array<ArrayBuffer>;

/**
 * What a file says, `undefined` where there is none or it cannot be used: then `complain` is told
 * why, as the end of a sentence. Never rejects.
 */
export async function readKept<T>(
  path: string,
  decode: (file: Bytes) => Promise<FromFile<T>>,
  complain: (reason: string) => void,
): Promise<T | undefined> {
  const read = await readOwnFile(path);
  if (read === undefined) return undefined;
  const decoded = read.ok ? await decode(read.value) : read;
  if (decoded.ok) return decoded.value;
  complain(decoded.reason);
  return undefined;
}

/**
 * Reads a file that only this user can have written: where others may write to the directory, they
 * must not be able to put words into a server's mouth. `undefined` where there is none. Never rejects.
 *
 * @param user the user's id; absent where the system has none
 */
export async function readOwnFile(
  path: string,
  user: number | undefined = process.getuid?.(),
  isPrivate = false,
): Promise<FromFile<Bytes> | undefined> {
  try {
    // Not followed: reading what a link leads to, a pipe for one, may never end.
    const found = await lstat(path);
    if (!found.isFile()) return { ok: false, reason: "found no regular file" };
    if (user !== undefined && found.uid !== user) {
      return { ok: false, reason: `found a file of user ${found.uid}, expected one of ${user}` };
    }
    if (isPrivate && isReadableByOthers(found.mode)) {
      const remedy = `run: chmod 600 ${path}; others may know what is in it`;
      return { ok: false, reason: `found mode ${modeText(found.mode)}, expected 0600; ${remedy}` };
    }
    if (found.size > MAX_OWN_FILE) {
      return { ok: false, reason: `found ${found.size} bytes, expected at most ${MAX_OWN_FILE}` };
    }
    return { ok: true, value: await readFile(path) };
  } catch (error) {
    const reason = systemReason(error);
    return reason === "ENOENT" || reason === "ENOTDIR" ? undefined : { ok: false, reason };
  }
}

/** As {@link readOwnFile}, of what nobody else may read, either; a cache may lie where all can. */
export function readPrivate(path: string, user?: number): ReturnType<typeof readOwnFile> {
  return readOwnFile(path, user, true);
}

/** Whether somebody beside the owner may read it; always false where modes say nothing. */
export function isReadableByOthers(mode: number): boolean {
  return process.platform !== "win32" && (mode & 0o077) !== 0;
}

/** A mode as people write it: `0600`. */
export function modeText(mode: number): string {
  return (mode & 0o777).toString(8).padStart(4, "0");
}

/** What tells one state of a file from another; empty where there is none. Never rejects. */
export async function fileStamp(path: string): Promise<string> {
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined) return "";
  // Not the time of the change: Deno knows only the second.
  return [found.ino, found.size, found.mtimeMs, found.mode, found.uid].join();
}

/**
 * Puts a file in its place as a whole: whoever reads it, now or after a crash of this process, finds
 * the old bytes or the new ones, and of two writers the last one's. It is not forced to the disk: a
 * power cut may damage it, which the reader notices, and what is in it can be had again.
 * @param owner who gets it, by id: readers refuse another user's
 * @throws {Error} with the system's `code`, or for more than can be read again; nothing is left behind
 */
export async function replaceFile(
  path: string,
  bytes: Uint8Array,
  owner?: number,
): Promise<void> {
  if (bytes.length > MAX_OWN_FILE) throw new Error(`it would have ${bytes.length} bytes`);
  const temporary = `${path}.${crypto.randomUUID()}${TEMPORARY_SUFFIX}`;
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  try {
    await writeFile(temporary, bytes, { mode: 0o600, flag: "wx" });
    if (owner !== undefined) await lchown(temporary, owner, -1);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    throw error;
  }
}

/** The files that are called like this one with `rest` behind. @throws {Error} of the system */
export async function filesBeside(path: string, rest: RegExp): Promise<string[]> {
  const [folder, file] = [dirname(path), basename(path)];
  return (await readdir(folder))
    .filter((name) => name.startsWith(file) && rest.test(name.slice(file.length)))
    .map((name) => join(folder, name));
}

/** Which files {@link removeUnused} leaves alone. */
export interface UnusedOptions {
  /** How the names of the files end; all others stay. */
  readonly suffix: string;
  /** Names of files that stay whatever their age. */
  readonly keep: ReadonlySet<string>;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** Milliseconds after its last writing until a file counts as forgotten. */
const MAX_AGE = 30 * 24 * 3_600_000;

/** A writer that was killed does not finish its file: after this time, ms, it counts as killed. */
const MAX_WRITE = 3_600_000;

/**
 * Removes files nobody has written for 30 days, and what killed writers left behind. Never
 * rejects; what cannot be removed stays.
 */
export async function removeUnused(
  directory: string,
  { suffix, keep, now }: UnusedOptions,
): Promise<void> {
  for (const name of await readdir(directory).catch(() => [])) {
    if (!isKept(name, suffix) || keep.has(name)) continue;
    const path = join(directory, name);
    const age = name.endsWith(TEMPORARY_SUFFIX) ? MAX_WRITE : MAX_AGE;
    try {
      if ((await lstat(path)).mtimeMs < now - age) await rm(path);
    } catch {
      // Somebody else's, or gone already.
    }
  }
}

/** The system's word for what went wrong, such as `EACCES`, else the error's own. */
export function systemReason(error: unknown): string {
  return codeOf(error) ?? messageOf(error);
}

// What the files have in common that are kept from one run to the next: one line with format, version
// and digest, then the content.
//
//     mcproxy-lists 1 <SHA-256 of what follows, in hexadecimal>
//
// The digest finds what a disk or a broken copy has changed. It proves nothing about who wrote the
// file, so every member of the content is to be checked as well.

/** Which files are meant. */
export interface Seal {
  /** First word of the file. */
  readonly magic: string;
  /** What is in it, for messages: `lists`. */
  readonly content: string;
  /** Raised when the meaning of a file changes: older and newer files are then passed over. */
  readonly version: number;
}

const MAX_HEAD = 128;
const NEW_LINE = 10;

/** The bytes of a file with this content. */
export async function seal({ magic, version }: Seal, body: Bytes): Promise<Bytes> {
  const head = new TextEncoder().encode(`${magic} ${version} ${await sha256(body)}\n`);
  return joinBytes([head, body], head.length + body.length);
}

/** The content of a file, if it is whole. Never rejects, whatever the bytes are. */
export async function unseal(seal: Seal, file: Bytes): Promise<FromFile<Bytes>> {
  const end = file.subarray(0, MAX_HEAD).indexOf(NEW_LINE);
  const head = new TextDecoder().decode(file.subarray(0, Math.max(end, 0)));
  const [magic, version, digest, more] = head.split(" ");
  if (magic !== seal.magic || digest === undefined || more !== undefined) {
    return { ok: false, reason: `found no ${seal.content} of mcproxy` };
  }
  if (version !== String(seal.version)) {
    return { ok: false, reason: `found format ${version}, expected ${seal.version}` };
  }
  const body = file.subarray(end + 1);
  return await sha256(body) === digest
    ? { ok: true, value: body }
    : { ok: false, reason: "found damaged or incomplete content" };
}

/** The JSON in these bytes, `undefined` where there is none. */
export function jsonIn(bytes: Uint8Array): Json | undefined {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  return attempt(() => JSON.parse(decoder.decode(bytes)));
}

/** How the name of a file ends that is not complete yet. */
export const TEMPORARY_SUFFIX = ".tmp";

const MAX_READABLE = 40;
const TAG_LENGTH = 16;

/** The name of a file: a label for people, and the first digits of a hexadecimal digest. */
export function keptName(label: string, digest: string, suffix: string): string {
  const readable = label.replace(/[^A-Za-z0-9_-]+/g, "_").slice(0, MAX_READABLE);
  return `${readable}-${digest.slice(0, TAG_LENGTH)}${suffix}`;
}

/**
 * Recognises the files of {@link keptName} with this suffix, complete or not: nothing else is ever
 * removed.
 */
export function isKept(name: string, suffix: string): boolean {
  const [, rest] = KEPT.exec(name) ?? [];
  return rest === suffix ||
    (rest?.startsWith(suffix) === true && UNFINISHED.test(rest.slice(suffix.length)));
}

const KEPT = new RegExp(`^[A-Za-z0-9_-]{0,${MAX_READABLE}}-[0-9a-f]{${TAG_LENGTH}}(\\..*)$`);
/** What {@link replaceFile} calls a file that is not complete yet, behind its name. */
export const UNFINISHED = new RegExp(`^\\.[0-9a-f-]{36}\\${TEMPORARY_SUFFIX}$`);
