/** Where the configuration is. */

import { lstat, readFile, readlink, stat } from "node:fs/promises";
import { delimiter, join, resolve } from "node:path";
import { codeOf } from "../lib/text.ts";
import type { DocumentResult } from "./document.ts";
import { type ConfigIssue, quote } from "./issue.ts";
import { parseJsonc } from "./jsonc.ts";
import type { Env } from "./types.ts";

/** What the search depends on. */
export interface FindConfigOptions {
  readonly env: Env;
  /** The working directory, absolute. */
  readonly cwd: string;
}

/** The names that are looked for in each place, best first. */
const NAMES = ["mcp-servers.json", "mcp-servers.jsonc", "mcp-servers.yaml", "mcp-servers.yml"];

/**
 * Where the files of the user are. As the XDG specification says, an `XDG_CONFIG_HOME` that is not
 * absolute is ignored. Undefined where the environment names no home.
 */
export function userDirectory(env: Env): string | undefined {
  const home = env["HOME"];
  const xdg = env["XDG_CONFIG_HOME"];
  return xdg?.startsWith("/") ? xdg : home ? join(home, ".config") : undefined;
}

/** The directories to look in, best first: the working directory, the user's, the machine's. */
export function configDirectories({ env, cwd }: FindConfigOptions): readonly string[] {
  const user = userDirectory(env);
  return [cwd, ...(user === undefined ? [] : [join(user, "mcproxy")]), "/etc/mcproxy"];
}

/** Options of {@link resolveConfigFiles}. */
export interface ResolveConfigOptions extends FindConfigOptions {
  /** What `--config` named, once or several times; it counts, there or not. */
  readonly path?: string | readonly string[] | undefined;
}

/** The files and directories to load, in this order, or why there is none. */
export type ResolvedConfigFiles =
  | { readonly ok: true; readonly paths: readonly string[] }
  | { readonly ok: false; readonly issues: readonly ConfigIssue[] };

/**
 * The files to load: those that `path`, else `MCP_CONFIG_PATH` (several with the separator of
 * `PATH` between) names, without a look at them, so that loading says what is wrong with them; else
 * the first `mcp-servers.*` there is. A wrong name must not be passed over in silence.
 */
export async function resolveConfigFiles(
  { path, env, cwd }: ResolveConfigOptions,
): Promise<ResolvedConfigFiles> {
  const flags = path === undefined ? [] : typeof path === "string" ? [path] : path;
  const variable = env["MCP_CONFIG_PATH"]?.split(delimiter).filter((one) => one !== "") ?? [];
  const named = flags.length > 0 ? flags : variable;
  if (named.length > 0) return { ok: true, paths: named.map((one) => resolve(cwd, one)) };
  const directories = configDirectories({ env, cwd });
  for (const directory of directories) {
    for (const name of NAMES) {
      const candidate = join(directory, name);
      if (await exists(candidate)) return { ok: true, paths: [candidate] };
    }
  }
  return {
    ok: false,
    issues: [{
      file: "mcp-servers.json",
      line: 0,
      column: 0,
      path: "",
      message: "Cannot find a configuration file: looked for mcp-servers.json (or .jsonc, .yaml, " +
        `.yml) in ${directories.map(quote).join(", ")}`,
      remedy: "create one of them, or name a file with --config FILE or MCP_CONFIG_PATH",
    }],
  };
}

/**
 * Only a plain "not there" counts as absent: a file that cannot be reached and a link that leads
 * nowhere are worth an issue.
 */
async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    const code = codeOf(error);
    return code !== "ENOENT" && code !== "ENOTDIR";
  }
}

/** Reads one file of a configuration, and says in words what keeps it from being read. */

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
  const code = codeOf(error) ?? "";
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

/** Which parser a file is for. */

/** Files of a directory that count as configuration, by their names. */
export const CONFIG_FILE: RegExp = /\.(jsonc?|ya?ml)$/i;

/**
 * Parses the text of a file by the ending of its name; what has another one is JSON. The parser of
 * YAML is loaded when it is first needed. Never rejects because of the text.
 */
export async function parseText(text: string, file: string): Promise<DocumentResult> {
  if (!/\.ya?ml$/i.test(file)) return parseJsonc(text, file);
  const { parseYaml } = await import("./yaml.ts");
  return parseYaml(text, file);
}
