/** Where the files of a configuration are, and what is in them. */

import { lstat, open, readdir, readlink, stat } from "node:fs/promises";
import { delimiter, join, resolve } from "node:path";
import { attempt, joinBytes, sha256 } from "../lib/json.ts";
import { codeOf } from "../lib/text.ts";
import type { DocumentResult } from "./document.ts";
import { type ConfigIssue, issueAt, quote } from "./issue.ts";
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
    issues: [fileIssue(
      join(cwd, NAMES[0]!),
      "Cannot find a configuration file: looked for mcp-servers.json (or .jsonc, .yaml, .yml) in " +
        directories.map(quote).join(", "),
      "create one of them, or name a file with --config FILE or MCP_CONFIG_PATH",
    )],
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

/** A configuration is written by people; something bigger was named by mistake. */
export const MAX_CONFIG_BYTES: number = 5 * 1024 * 1024;

/**
 * What was read or looked for, by absolute path: the same text for the same bytes, names, or reason
 * why there are none.
 */
export type Sources = ReadonlyMap<string, string>;

/** The text of a file, or why there is none. */
export type ReadText =
  | { readonly ok: true; readonly text: string; readonly mode: number }
  | {
    readonly ok: false;
    readonly missing: boolean;
    readonly why: string;
    readonly remedy?: string | undefined;
  };

/** Options of {@link readText}. */
export interface ReadTextOptions {
  /** Most bytes, no more than the default. @default MAX_CONFIG_BYTES */
  readonly limit?: number;
  /** Gets what was found. */
  readonly sources?: Map<string, string> | undefined;
}

/** Reads UTF-8 text. Never rejects. */
export async function readText(
  path: string,
  { limit = MAX_CONFIG_BYTES, sources }: ReadTextOptions = {},
): Promise<ReadText> {
  const content = await lookAt(path);
  sources?.set(resolve(path), await tagOf(content));
  switch (content.kind) {
    case "directory":
      return unusable("found a directory, expected a file");
    case "special":
      return unusable("found a device, pipe or socket, expected a regular file");
    case "failure":
      return await explain(path, content.code);
    case "file": {
      const { bytes, size, mode } = content;
      if (bytes === undefined || size > limit) {
        const most = limit >= 1024 * 1024 ? `${limit / 1024 / 1024} MiB` : `${limit / 1024} KiB`;
        const found = `found ${size} bytes, expected at most ${most}`;
        return unusable(found, "check that this is the right file");
      }
      const text = attempt(() => new TextDecoder("utf-8", { fatal: true }).decode(bytes));
      if (text !== undefined) return { ok: true, text, mode };
      return unusable("found text that is not UTF-8", "save the file as UTF-8");
    }
  }
}

/** The names in a directory, sorted; undefined for what is none or cannot be listed. */
export async function readNames(
  path: string,
  sources?: Map<string, string>,
): Promise<readonly string[] | undefined> {
  const content = await lookAt(path);
  sources?.set(resolve(path), await tagOf(content));
  return content.kind === "directory" ? content.names : undefined;
}

/** Sources read at a time: bounds memory and open files. */
const AT_A_TIME = 8;

/** The process or the system is out of something, which says nothing about the file. */
const SHORTAGES: readonly string[] = ["EMFILE", "ENFILE", "ENOMEM", "EAGAIN"];

/**
 * What is there now, to be compared with what was read.
 * @throws {Error} where the process is out of descriptors or memory
 */
export async function readSources(paths: readonly string[]): Promise<Sources> {
  const sources = new Map<string, string>();
  for (let at = 0; at < paths.length; at += AT_A_TIME) {
    await Promise.all(
      paths.slice(at, at + AT_A_TIME).map(async (path) => {
        const content = await lookAt(path);
        if (content.kind === "failure" && SHORTAGES.includes(content.code)) {
          throw new Error(`Cannot read ${quote(path)}: ${content.code}`);
        }
        sources.set(path, await tagOf(content));
      }),
    );
  }
  return sources;
}

/** What is at a path. */
type Content =
  /** Without bytes where there are too many. */
  | {
    readonly kind: "file";
    readonly bytes?: Uint8Array<ArrayBuffer>;
    readonly size: number;
    readonly mode: number;
  }
  | { readonly kind: "directory"; readonly names: readonly string[] }
  | { readonly kind: "special" }
  /** The system's code, empty where it has none. */
  | { readonly kind: "failure"; readonly code: string };

async function lookAt(path: string): Promise<Content> {
  try {
    const stats = await stat(path);
    const mode = stats.mode & 0o777;
    if (stats.isDirectory()) return { kind: "directory", names: (await readdir(path)).sort() };
    // Reading a device or a pipe may never end.
    if (!stats.isFile()) return { kind: "special" };
    if (stats.size > MAX_CONFIG_BYTES) return { kind: "file", size: stats.size, mode };
    const bytes = await readBounded(path);
    const { length: size } = bytes;
    return { kind: "file", size, mode, ...(size > MAX_CONFIG_BYTES ? {} : { bytes }) };
  } catch (error) {
    return { kind: "failure", code: codeOf(error) ?? "" };
  }
}

const CHUNK = 64 * 1024;

/** A file may grow while it is read, and some file systems give 0 as the size of everything. */
async function readBounded(path: string): Promise<Uint8Array<ArrayBuffer>> {
  await using file = await open(path);
  const chunks: Uint8Array[] = [];
  let size = 0;
  while (size <= MAX_CONFIG_BYTES) {
    const { buffer, bytesRead } = await file.read(new Uint8Array(CHUNK), 0, CHUNK, null);
    if (bytesRead === 0) break;
    chunks.push(buffer.subarray(0, bytesRead));
    size += bytesRead;
  }
  return joinBytes(chunks, size);
}

async function tagOf(content: Content): Promise<string> {
  switch (content.kind) {
    case "directory":
      return `directory ${JSON.stringify(content.names.filter(isPlainEntry))}`;
    case "failure":
      return content.code;
    case "special":
      return "no file";
    case "file":
      return content.bytes === undefined ? "too big" : await sha256(content.bytes);
  }
}

/** Hidden files, of which Kubernetes and editors make many, and backups (`servers.json~`) are not. */
function isPlainEntry(name: string): boolean {
  return !name.startsWith(".") && !name.endsWith("~");
}

/** The issue about a file as a whole. */
export function fileIssue(file: string, message: string, remedy?: string): ConfigIssue {
  return issueAt({ file, line: 0, column: 0 }, [], message, remedy);
}

/** What is wrong with a file by the system's code, and what helps. */
const FAILURES: Readonly<Record<string, readonly [why: string, remedy: string]>> = {
  ENOTDIR: ["a part of its path is not a directory", "check the path"],
  ELOOP: ["its symbolic links go round in a circle", "mend or remove the link"],
  EACCES: [
    "permission denied",
    "make it readable for the user the gateway runs as, with chmod or chown",
  ],
};

/** Why a system call about `path` failed. */
async function explain(path: string, code: string): Promise<ReadText> {
  if (code === "ENOENT") {
    const target = await readlink(path).catch(() => undefined);
    if (target === undefined) return { ok: false, missing: true, why: "the file does not exist" };
    const why = `the link leads to ${quote(target)}, which does not exist; expected a file`;
    return unusable(why, "mend or remove the link");
  }
  const [why, remedy] = FAILURES[code === "EPERM" ? "EACCES" : code] ?? [code];
  return unusable(why === "" ? "its name or content cannot be read" : why, remedy);
}

function unusable(why: string, remedy?: string): ReadText {
  return { ok: false, missing: false, why, remedy };
}

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

/** A directory stands for its configuration files in the order of their names. */
export async function listFiles(
  path: string,
  sources: Map<string, string>,
): Promise<{ readonly files: readonly string[]; readonly issues: readonly ConfigIssue[] }> {
  const isDirectory = await stat(path).then((stats) => stats.isDirectory(), () => false);
  const names = isDirectory ? await readNames(path, sources) : undefined;
  // Reading it says what is wrong.
  if (names === undefined) return { files: [path], issues: [] };
  const files = names.filter(isConfigName).map((name) => join(path, name));
  if (files.length > 0) return { files, issues: [] };
  const message =
    "Cannot read the configuration: found a directory without configuration files, expected " +
    "*.json, *.jsonc, *.yaml or *.yml in it";
  return { files: [], issues: [fileIssue(path, message, "put one there, or name a file")] };
}

/** Hidden files are those of editors; credentials live beside the configuration. */
function isConfigName(name: string): boolean {
  return CONFIG_FILE.test(name) && !name.startsWith(".") && !/^credentials\./i.test(name);
}
