/**
 * Credentials: values for `${NAME}` that are kept out of the configuration. A file maps names to
 * texts; systemd gives a directory with one file for each name.
 */

import { join, resolve } from "node:path";
import { isObject } from "../lib/json.ts";
import { isReadableByOthers, modeText } from "../lib/own-file.ts";
import { shellWord } from "../lib/text.ts";
import { placesOf } from "./document.ts";
import { fileIssue, parseText, readNames, readText, userDirectory } from "./files.ts";
import { type ConfigIssue, describeKind, quote } from "./issue.ts";
import type { Env } from "./types.ts";
import { IssueCollector } from "./validate.ts";

/** What was found. */
export interface Credentials {
  readonly values: Map<string, string>;
  readonly issues: ConfigIssue[];
}

/** What {@link loadCredentials} depends on. */
export interface CredentialsOptions {
  /** `MCP_CREDENTIALS_PATH`, `CREDENTIALS_DIRECTORY`, and where the user's files are. */
  readonly env: Env;
  /** Where a relative path starts, absolute. */
  readonly cwd: string;
  /** The file a flag names; it counts before all others. */
  readonly path?: string | undefined;
  /** Gets what was read or looked for. */
  readonly sources?: Map<string, string> | undefined;
}

/** A credential of systemd is at most 1 MB; nobody's password is. */
const MAX_CREDENTIAL_BYTES = 1024 * 1024;

/**
 * Reads the credentials file (named by a flag or `MCP_CREDENTIALS_PATH`, then it must be there; else
 * `mcproxy/credentials.json` beside the user's configuration) and systemd's `CREDENTIALS_DIRECTORY`.
 * The file has the say where both have a name. Never rejects.
 */
export async function loadCredentials(options: CredentialsOptions): Promise<Credentials> {
  const { env, cwd } = options;
  const found: Credentials = { values: new Map(), issues: [] };
  const directory = env["CREDENTIALS_DIRECTORY"];
  if (directory) await readDirectory(resolve(cwd, directory), options, found);
  const file = credentialsFile(options);
  if (file !== undefined) await readFile(file, options, found);
  return found;
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

async function readFile(
  { path, isNamed }: CredentialsFile,
  options: CredentialsOptions,
  found: Credentials,
): Promise<void> {
  const read = await readText(path, options);
  if (!read.ok) {
    if (read.missing && !isNamed) return;
    const remedy = read.missing
      ? "create it, or name another one with --credentials FILE or MCP_CREDENTIALS_PATH"
      : read.remedy;
    found.issues.push(fileIssue(path, `Cannot read the credentials: ${read.why}`, remedy));
  } else if (isReadableByOthers(read.mode)) {
    const message = `Cannot use the credentials: found mode ${modeText(read.mode)}, ` +
      "expected a file that only its owner can read";
    found.issues.push(fileIssue(path, message, `run: chmod 600 ${shellWord(path)}`));
  } else await addCredentials(read.text, path, found);
}

/** Adds a map of names to texts; no message shows a value. */
async function addCredentials(text: string, file: string, found: Credentials): Promise<void> {
  if (text.trim() === "") return;
  const parsed = await parseText(text, file);
  if (!parsed.ok) return void found.issues.push(...parsed.issues);
  const { document } = parsed;
  const collector = new IssueCollector(placesOf(document));
  const map = document.value;
  if (!isObject(map)) {
    collector.error([], `found ${describeKind(map)}, expected an object of names and texts`);
  } else {
    for (const name of document.keys([])) {
      const value = map[name];
      if (typeof value === "string") found.values.set(name, value);
      else if (name !== "$schema") {
        collector.error([name], `found ${describeKind(value)}, expected a string`, {
          remedy: typeof value === "number" ? "put it in double quotes" : undefined,
        });
      }
    }
  }
  found.issues.push(...collector.issues);
}

/** One file for each name. Who may read them is the business of whoever made the directory. */
async function readDirectory(
  directory: string,
  options: CredentialsOptions,
  found: Credentials,
): Promise<void> {
  const names = await readNames(directory, options.sources);
  if (names === undefined) {
    const message = "Cannot read the credentials: the directory cannot be listed";
    found.issues.push(fileIssue(directory, message, "check CREDENTIALS_DIRECTORY"));
    return;
  }
  for (const name of names) {
    if (name.startsWith(".")) continue;
    const path = join(directory, name);
    const read = await readText(path, { ...options, limit: MAX_CREDENTIAL_BYTES });
    if (!read.ok) {
      const message = `Cannot read the credential ${quote(name)}: ${read.why}`;
      found.issues.push(fileIssue(path, message, read.remedy));
    } else if (name === "credentials.json") {
      // The whole file as one credential: LoadCredential=credentials.json:/etc/mcproxy/…
      await addCredentials(read.text, path, found);
    } else found.values.set(name, read.text.trim());
  }
}
