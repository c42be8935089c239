/** Replaces files that belong to somebody else: with a backup, as a whole, with their rights. */

import { mkdir, open, readFile, realpath, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { CliError, failed } from "../../app/io.ts";
import type { DocumentResult } from "../../config/document.ts";
import { fileIssue, parseText, readText } from "../../config/files.ts";
import { type ConfigIssue, describeKind } from "../../config/issue.ts";
import { isObject } from "../../lib/json.ts";
import { filesBeside } from "../../lib/own-file.ts";
import { codeOf } from "../../lib/text.ts";

/** What stands behind the name of a file in that of a backup; others are their owner's. */
const BACKUP = /^\.bak-\d{8}T\d{9}Z(-\d+)?$/;
/** So many of them are kept of each file. */
const MOST_BACKUPS = 5;

/**
 * Writes `text` in place of `before`, the text it was read with, following links, and returns the
 * path of the backup; undefined where there was no file. Readers find the old bytes or the new ones.
 * @throws {CliError} where it has changed since it was read or cannot be written; the file is as it
 * was then
 */
export async function rewriteFile(
  path: string,
  text: string,
  before: string | undefined,
): Promise<string | undefined> {
  try {
    const target = before === undefined ? path : await realpath(path);
    const rights = before === undefined ? 0o600 : (await stat(target)).mode & 0o777;
    await checkUnchanged(path, target, before);
    const backup = before === undefined ? undefined : await writeBackup(path, before, rights);
    const temporary = await writeTemporary(target, text, rights);
    try {
      await checkUnchanged(path, target, before);
      await rename(temporary, target);
      // One that stays does no harm.
      const drop = (old: string) => rm(old, { force: true }).catch(() => {});
      await Promise.all((await backupPaths(path)).slice(MOST_BACKUPS).map(drop));
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
    return backup;
  } catch (error) {
    throw asCliError(path, error);
  }
}

/** Removes a file that still has this text. @throws {CliError} */
export async function removeText(path: string, before: string): Promise<void> {
  try {
    await checkUnchanged(path, path, before);
    await rm(path);
  } catch (error) {
    throw asCliError(path, error);
  }
}

/**
 * Writes a file beside `path` that nobody takes for configuration, and returns its path. The caller
 * removes it. @throws {Error} of the system
 */
export async function writeTemporary(path: string, text: string, mode: number): Promise<string> {
  const temporary = join(dirname(path), `.${crypto.randomUUID()}.${basename(path)}`);
  await writeNew(temporary, text, mode);
  return temporary;
}

/** Writes a file that is not there yet, down to the disk. */
async function writeNew(path: string, text: string, mode: number): Promise<void> {
  const file = await open(path, "wx", mode);
  try {
    await file.writeFile(text);
    // The mask of the process may have taken rights away that the file had.
    await file.chmod(mode);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Makes a directory that only its owner can look into, where there is none. @throws {CliError} */
export async function makeDirectory(path: string): Promise<void> {
  const made = mkdir(path, { recursive: true, mode: 0o700 });
  await made.catch((error: unknown) => Promise.reject(asCliError(path, error)));
}

/** The texts of a file's backups, the newest first. None where the directory cannot be listed. */
export async function backupsOf(path: string): Promise<readonly string[]> {
  const paths = await backupPaths(path);
  return (await Promise.all(paths.map((one) => readFile(one, "utf8").catch(() => [])))).flat();
}

async function backupPaths(path: string): Promise<readonly string[]> {
  return (await filesBeside(path, BACKUP).catch(() => [])).sort().reverse();
}

/** The backup has no rights that the file has not, and none for others: it may hold secrets. */
async function writeBackup(path: string, text: string, rights: number): Promise<string> {
  const time = new Date().toISOString().replace(/[-:.]/g, "");
  for (let attempt = 1;; attempt++) {
    const backup = `${path}.bak-${time}${attempt === 1 ? "" : `-${attempt}`}`;
    try {
      await writeNew(backup, text, rights & 0o600);
      return backup;
    } catch (error) {
      if (codeOf(error) !== "EEXIST" || attempt >= 100) throw error;
    }
  }
}

async function checkUnchanged(
  path: string,
  target: string,
  before: string | undefined,
): Promise<void> {
  const found = await readFile(target, "utf8").catch((error: unknown) => {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  });
  if (found === before) return;
  const quoted = JSON.stringify(path);
  throw failed(`Cannot write ${quoted}: it has changed since it was read; run the command again`);
}

function asCliError(path: string, error: unknown): CliError {
  if (error instanceof CliError) return error;
  const code = codeOf(error);
  const why = code === "EACCES" || code === "EPERM"
    ? "permission denied; expected a file and a folder that you may write to"
    : code === "ENOENT" || code === "ENOTDIR"
    ? "its folder does not exist"
    : code === "EROFS"
    ? "the file system is read-only"
    : code ?? String(error);
  return failed(`Cannot write ${JSON.stringify(path)}: ${why}`, { cause: error });
}

/** A file's text with its byte order mark, `undefined` where there is none, or what is wrong. */
export type ClientFileText =
  | { readonly ok: true; readonly text: string | undefined }
  | { readonly ok: false; readonly issues: readonly ConfigIssue[] };

/** Reads a file that need not be there. Never rejects. */
export async function readClientFile(path: string): Promise<ClientFileText> {
  const read = await readText(path);
  if (!read.ok && read.missing) return { ok: true, text: undefined };
  if (!read.ok) {
    const issue = fileIssue(path, `Cannot read the file: ${read.why}`, read.remedy);
    return { ok: false, issues: [issue] };
  }
  const text = await readFile(path, "utf8").catch(() => undefined);
  if (text !== undefined) return { ok: true, text };
  return { ok: false, issues: [fileIssue(path, "Cannot read the file: it has just gone")] };
}

/** Parses by the ending of the name, TOML too. What is no object is an issue. Never rejects. */
export async function parseClientText(text: string, file: string): Promise<DocumentResult> {
  const parsed = /\.toml$/i.test(file)
    ? (await import("./toml.ts")).parseToml(text, file)
    : await parseText(text, file);
  if (!parsed.ok || isObject(parsed.document.value)) return parsed;
  const { document } = parsed;
  const message = `found ${describeKind(document.value)}, expected an object`;
  return { ok: false, issues: [{ file, ...document.position([]), path: "", message }] };
}
