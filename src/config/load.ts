/** Reads a configuration file from disk and parses it. */

import { lstat, readFile, readlink, stat } from "node:fs/promises";
import type { ConfigResult, Env } from "./config.ts";
import { quote } from "./issue.ts";
import { parseConfig } from "./parse.ts";

/** A configuration is written by people; something bigger was named by mistake. */
export const MAX_CONFIG_BYTES = 5 * 1024 * 1024;

/** Options of {@link loadConfig}. */
export interface LoadConfigOptions {
  /** Where `${NAME}` looks. */
  readonly env: Env;
  readonly signal?: AbortSignal;
}

/**
 * Loads the file at `path`. Whatever is wrong with it (missing, unreadable, a directory, too big,
 * not UTF-8, invalid) is an issue; only an aborted `signal` makes it reject, with its reason.
 */
export async function loadConfig(
  path: string,
  { env, signal }: LoadConfigOptions,
): Promise<ConfigResult> {
  signal?.throwIfAborted();
  let bytes: Uint8Array;
  try {
    const { size, ...kind } = await inspect(path);
    if (kind.isDirectory) {
      return unusable(path, "Cannot read the configuration: found a directory, expected a file", {
        remedy: `name the file in it, such as ${quote(`${path.replace(/\/+$/, "")}/${FILE_NAME}`)}`,
      });
    }
    // Reading a device or a pipe may never end.
    if (!kind.isFile) {
      return unusable(
        path,
        "Cannot read the configuration: found a device, pipe or socket, expected a regular file",
      );
    }
    if (size > MAX_CONFIG_BYTES) return tooBig(path, size);
    bytes = await readFile(path, signal === undefined ? {} : { signal });
  } catch (error) {
    signal?.throwIfAborted();
    return await explain(path, error);
  }
  signal?.throwIfAborted();
  // It may have grown since it was looked at.
  if (bytes.length > MAX_CONFIG_BYTES) return tooBig(path, bytes.length);
  const text = decode(bytes);
  if (text === undefined) {
    return unusable(path, "Cannot read the configuration: found text that is not UTF-8", {
      remedy: "save the file as UTF-8",
    });
  }
  return parseConfig(text, { file: path, env });
}

const FILE_NAME = "mcp-servers.json";

interface FileKind {
  readonly size: number;
  readonly isFile: boolean;
  readonly isDirectory: boolean;
}

async function inspect(path: string): Promise<FileKind> {
  const stats = await stat(path);
  return { size: stats.size, isFile: stats.isFile(), isDirectory: stats.isDirectory() };
}

function decode(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

function tooBig(path: string, size: number): ConfigResult {
  const limit = MAX_CONFIG_BYTES / 1024 / 1024;
  return unusable(
    path,
    `Cannot read the configuration: found ${size} bytes, expected at most ${limit} MiB`,
    { remedy: "check that this is the right file" },
  );
}

async function explain(path: string, error: unknown): Promise<ConfigResult> {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const action = "Cannot read the configuration:";
  switch (code) {
    case "ENOENT": {
      const target = await danglingTarget(path);
      if (target !== undefined) {
        return unusable(
          path,
          `${action} the link leads to ${quote(target)}, which does not exist; expected a file`,
          { remedy: "mend or remove the link" },
        );
      }
      return unusable(path, `${action} the file does not exist`, {
        remedy: "create it, or name another one with --config FILE",
      });
    }
    case "ENOTDIR":
      return unusable(path, `${action} a part of its path is not a directory`, {
        remedy: "check the path",
      });
    case "EACCES":
    case "EPERM":
      return unusable(path, `${action} permission denied`, {
        remedy: "make it readable for the user the gateway runs as, with chmod or chown",
      });
    case "ELOOP":
      return unusable(path, `${action} its symbolic links go round in a circle`, {
        remedy: "mend or remove the link",
      });
    default:
      return unusable(path, `${action} ${code === "" ? String(error) : code}`);
  }
}

async function danglingTarget(path: string): Promise<string | undefined> {
  try {
    return (await lstat(path)).isSymbolicLink() ? await readlink(path) : undefined;
  } catch {
    return undefined;
  }
}

function unusable(
  file: string,
  message: string,
  options: { readonly remedy?: string } = {},
): ConfigResult {
  return { ok: false, issues: [{ file, line: 0, column: 0, path: "", message, ...options }] };
}
