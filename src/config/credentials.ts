/**
 * Credentials: values for `${NAME}` that are kept out of the configuration. A file maps names to
 * texts; systemd gives a directory with one file for each name.
 */

import { readdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import process from "node:process";
import { placesOf } from "./document.ts";
import { fileIssue, isReadableByOthers, parseText, readText, userDirectory } from "./files.ts";
import { type ConfigIssue, describeKind, quote } from "./issue.ts";
import type { Env } from "./types.ts";
import { IssueCollector } from "./validate.ts";

/** What was found, and where was looked. */
export interface Credentials {
  readonly values: ReadonlyMap<string, string>;
  readonly issues: readonly ConfigIssue[];
  /** Absolute paths, there or not. */
  readonly sources: readonly string[];
}

/** What {@link loadCredentials} depends on. */
export interface CredentialsOptions {
  /** `MCP_CREDENTIALS_PATH`, `CREDENTIALS_DIRECTORY`, and where the user's files are. */
  readonly env: Env;
  /** Where a relative path starts, absolute. */
  readonly cwd: string;
  /** The file a flag names; it counts before all others. */
  readonly path?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A credential of systemd is at most 1 MB; nobody's password is. */
const MAX_CREDENTIAL_BYTES = 1024 * 1024;

/**
 * Reads the credentials file (named by a flag or `MCP_CREDENTIALS_PATH`, then it must be there; else
 * `mcproxy/credentials.json` beside the user's configuration) and systemd's `CREDENTIALS_DIRECTORY`.
 * The file has the say where both have a name. Rejects for an aborted `signal` only.
 */
export async function loadCredentials(options: CredentialsOptions): Promise<Credentials> {
  const { env } = options;
  const values = new Map<string, string>();
  const issues: ConfigIssue[] = [];
  const sources: string[] = [];
  const directory = env["CREDENTIALS_DIRECTORY"];
  if (directory) {
    await readDirectory(resolve(options.cwd, directory), { ...options, values, issues, sources });
  }
  const file = credentialsFile(options);
  if (file !== undefined) {
    sources.push(file.path);
    const read = await readCredentialsFile(file, options.signal);
    for (const [name, value] of read.values) values.set(name, value);
    issues.push(...read.issues);
  }
  return { values, issues, sources };
}

/** Where the credentials file is. */
export interface CredentialsFile {
  /** Absolute. */
  readonly path: string;
  /** Somebody asked for this one. */
  readonly isNamed: boolean;
}

/** The file that {@link loadCredentials} reads, there or not; undefined without a home. */
export function credentialsFile(
  { env, cwd, path }: CredentialsOptions,
): CredentialsFile | undefined {
  const named = path ?? env["MCP_CREDENTIALS_PATH"];
  if (named) return { path: resolve(cwd, named), isNamed: true };
  const directory = userDirectory(env);
  if (directory === undefined) return undefined;
  return { path: join(directory, "mcproxy", "credentials.json"), isNamed: false };
}

interface FileCredentials {
  readonly values: ReadonlyMap<string, string>;
  readonly issues: readonly ConfigIssue[];
}

async function readCredentialsFile(
  { path, isNamed }: CredentialsFile,
  signal: AbortSignal | undefined,
): Promise<FileCredentials> {
  const none = new Map<string, string>();
  const read = await readText(path, { signal });
  if (!read.ok) {
    if (read.missing && !isNamed) return { values: none, issues: [] };
    const remedy = read.missing
      ? "create it, or name another one with --credentials FILE or MCP_CREDENTIALS_PATH"
      : read.remedy;
    const message = `Cannot read the credentials: ${read.why}`;
    return { values: none, issues: [fileIssue(path, message, remedy)] };
  }
  if (isReadableByOthers(read.mode, process.platform)) {
    const mode = read.mode.toString(8).padStart(4, "0");
    const message = `Cannot use the credentials: found mode ${mode}, ` +
      "expected a file that only its owner can read";
    return {
      values: none,
      issues: [fileIssue(path, message, `run: chmod 600 ${shellWord(path)}`)],
    };
  }
  return await parseCredentials(read.text, path);
}

/** Parses a map of names to texts; no message shows a value. */
async function parseCredentials(text: string, file: string): Promise<FileCredentials> {
  const values = new Map<string, string>();
  if (text.trim() === "") return { values, issues: [] };
  const parsed = await parseText(text, file);
  if (!parsed.ok) return { values, issues: parsed.issues };
  const { document } = parsed;
  const collector = new IssueCollector(placesOf(document));
  const map = document.value;
  if (typeof map !== "object" || map === null || Array.isArray(map)) {
    collector.error([], `found ${describeKind(map)}, expected an object of names and texts`);
    return { values, issues: collector.issues };
  }
  for (const name of document.keys([])) {
    const value = (map as Readonly<Record<string, unknown>>)[name];
    if (typeof value === "string") values.set(name, value);
    else if (name !== "$schema") {
      collector.error([name], `found ${describeKind(value)}, expected a string`, {
        remedy: typeof value === "number" ? "put it in double quotes" : undefined,
      });
    }
  }
  return { values, issues: collector.issues };
}

interface DirectoryContext {
  readonly values: Map<string, string>;
  readonly issues: ConfigIssue[];
  readonly sources: string[];
  readonly signal?: AbortSignal | undefined;
}

/** One file for each name. Who may read them is the business of whoever made the directory. */
async function readDirectory(directory: string, context: DirectoryContext): Promise<void> {
  const { values, issues, sources, signal } = context;
  sources.push(directory);
  let names: string[];
  try {
    names = (await readdir(directory)).filter((name) => !name.startsWith(".")).sort();
  } catch {
    const message = "Cannot read the credentials: the directory cannot be listed";
    issues.push(fileIssue(directory, message, "check CREDENTIALS_DIRECTORY"));
    return;
  }
  for (const name of names) {
    const path = join(directory, name);
    const read = await readText(path, { limit: MAX_CREDENTIAL_BYTES, signal });
    if (!read.ok) {
      issues.push(
        fileIssue(path, `Cannot read the credential ${quote(name)}: ${read.why}`, read.remedy),
      );
    } else if (name === "credentials.json") {
      // The whole file as one credential: LoadCredential=credentials.json:/etc/mcproxy/…
      const parsed = await parseCredentials(read.text, path);
      for (const [key, value] of parsed.values) values.set(key, value);
      issues.push(...parsed.issues);
    } else values.set(name, read.text.trim());
  }
}

/** A path as a shell takes it. */
function shellWord(path: string): string {
  return /^[\w./@%+:,-]+$/.test(path) ? path : `'${path.replaceAll("'", String.raw`'\''`)}'`;
}
