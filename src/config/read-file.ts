/** Reads one file of a configuration, and says in words what keeps it from being read. */

import { lstat, readFile, readlink, stat } from "node:fs/promises";
import { type ConfigIssue, quote } from "./issue.ts";

/** A configuration is written by people; something bigger was named by mistake. */
export const MAX_CONFIG_BYTES: number = 5 * 1024 * 1024;

/** The text of a file, or why there is none. */
export type ReadText =
  | { readonly ok: true; readonly text: string; readonly mode: number }
  | {
    readonly ok: false;
    readonly missing: boolean;
    readonly why: string;
    readonly remedy?: string;
  };

/** Options of {@link readText}. */
export interface ReadTextOptions {
  /** Most bytes. @default MAX_CONFIG_BYTES */
  readonly limit?: number;
  readonly signal?: AbortSignal | undefined;
}

/** Reads UTF-8 text. Rejects for an aborted `signal` only, with its reason. */
export async function readText(
  path: string,
  { limit = MAX_CONFIG_BYTES, signal }: ReadTextOptions = {},
): Promise<ReadText> {
  signal?.throwIfAborted();
  let bytes: Uint8Array;
  let mode: number;
  try {
    const stats = await stat(path);
    if (stats.isDirectory()) return unusable("found a directory, expected a file");
    // Reading a device or a pipe may never end.
    if (!stats.isFile()) {
      return unusable("found a device, pipe or socket, expected a regular file");
    }
    if (stats.size > limit) return tooBig(stats.size, limit);
    mode = stats.mode & 0o777;
    bytes = await readFile(path, signal === undefined ? {} : { signal });
  } catch (error) {
    signal?.throwIfAborted();
    return await explain(path, error);
  }
  signal?.throwIfAborted();
  // It may have grown since it was looked at.
  if (bytes.length > limit) return tooBig(bytes.length, limit);
  const text = decode(bytes);
  if (text !== undefined) return { ok: true, text, mode };
  return unusable("found text that is not UTF-8", "save the file as UTF-8");
}

/** The issue about a file as a whole. */
export function fileIssue(file: string, message: string, remedy?: string): ConfigIssue {
  return {
    file,
    line: 0,
    column: 0,
    path: "",
    message,
    ...(remedy === undefined ? {} : { remedy }),
  };
}

function decode(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

function tooBig(size: number, limit: number): ReadText {
  const most = limit >= 1024 * 1024 ? `${limit / 1024 / 1024} MiB` : `${limit / 1024} KiB`;
  return unusable(
    `found ${size} bytes, expected at most ${most}`,
    "check that this is the right file",
  );
}

/** Why a system call about `path` failed. */
async function explain(path: string, error: unknown): Promise<ReadText> {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  switch (code) {
    case "ENOENT": {
      const target = await danglingTarget(path);
      if (target !== undefined) {
        return unusable(
          `the link leads to ${quote(target)}, which does not exist; expected a file`,
          "mend or remove the link",
        );
      }
      return { ok: false, missing: true, why: "the file does not exist" };
    }
    case "ENOTDIR":
      return unusable("a part of its path is not a directory", "check the path");
    case "EACCES":
    case "EPERM":
      return unusable(
        "permission denied",
        "make it readable for the user the gateway runs as, with chmod or chown",
      );
    case "ELOOP":
      return unusable("its symbolic links go round in a circle", "mend or remove the link");
    default:
      return unusable(code === "" ? "its name or content cannot be read" : code);
  }
}

async function danglingTarget(path: string): Promise<string | undefined> {
  try {
    return (await lstat(path)).isSymbolicLink() ? await readlink(path) : undefined;
  } catch {
    return undefined;
  }
}

function unusable(why: string, remedy?: string): ReadText {
  return { ok: false, missing: false, why, ...(remedy === undefined ? {} : { remedy }) };
}

/** Whether somebody beside the owner may read it; always false where modes say nothing. */
export function isReadableByOthers(mode: number, platform: string): boolean {
  return platform !== "win32" && (mode & 0o077) !== 0;
}
