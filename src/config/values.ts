/** Fetches what expressions ask for: the contents of files and the output of commands. */

import { basename, resolve, sep } from "node:path";
import process from "node:process";
import type { Fetched } from "./command.ts";
import type { FileOrigin } from "./document.ts";
import type { Found, Lookup, Reference } from "./expand.ts";
import { fileIssue, isReadableByOthers, readText } from "./files.ts";
import { type ConfigIssue, quote } from "./issue.ts";
import type { Env } from "./types.ts";

/** Secrets are short; a bigger file was named by mistake. */
const MAX_FILE_BYTES = 64 * 1024;

/** A file may be named by what another one contains; nobody goes deeper. */
const MAX_ROUNDS = 3;

/** What was fetched. */
export interface FetchResult {
  readonly store: ValueStore;
  /** Files that others can read. */
  readonly warnings: readonly ConfigIssue[];
  /** The files asked for, absolute, there or not. */
  readonly sources: readonly string[];
}

/** Options of {@link fetchWanted}. */
export interface FetchOptions {
  readonly signal?: AbortSignal | undefined;
}

/**
 * Fills `store` with all that `touch` asks it for. Everything is fetched at once, each file and each
 * command one time. Rejects for an aborted `signal` only.
 */
export async function fetchWanted(
  store: ValueStore,
  touch: (store: ValueStore) => void,
  { signal }: FetchOptions = {},
): Promise<FetchResult> {
  const files = new Map(store.files);
  const commands = new Map(store.commands);
  const warnings: ConfigIssue[] = [];
  const sources = new Set<string>();
  const filled: ValueStore = { ...store, files, commands };
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const wanted = new Map<string, Wanted>();
    touch({ ...filled, onWanted: (one) => wanted.set(`${one.kind}:${keyOf(one)}`, one) });
    if (wanted.size === 0) break;
    await Promise.all([...wanted.values()].map(async (one) => {
      if (one.kind === "cmd") {
        commands.set(keyOf(one), await runCommand(one, store.env, signal));
        return;
      }
      sources.add(one.name);
      const { fetched, warning } = await readValue(one.name, signal);
      files.set(one.name, fetched);
      if (warning !== undefined) warnings.push(warning);
    }));
  }
  return { store: filled, warnings, sources: [...sources] };
}

function keyOf({ kind, name, directory }: Wanted): string {
  return kind === "cmd" ? commandKey(name, directory) : name;
}

async function readValue(
  path: string,
  signal: AbortSignal | undefined,
): Promise<{ readonly fetched: Fetched; readonly warning?: ConfigIssue }> {
  const read = await readText(path, { limit: MAX_FILE_BYTES, signal });
  if (!read.ok) {
    const why = `Cannot read ${quote(path)}: ${read.why}`;
    const remedy = read.missing ? "create it, or name another one" : read.remedy;
    return { fetched: { why, ...(remedy === undefined ? {} : { remedy }) } };
  }
  const fetched = { value: read.text.trim() };
  if (!isReadableByOthers(read.mode, process.platform)) return { fetched };
  const mode = read.mode.toString(8).padStart(4, "0");
  return {
    fetched,
    warning: fileIssue(
      path,
      `found mode ${mode}, so others can read this secret; expected 0600`,
      "take the rights of group and others away, with chmod 600",
    ),
  };
}

async function runCommand(
  { name, directory }: Wanted,
  env: Env,
  signal: AbortSignal | undefined,
): Promise<Fetched> {
  const { commandOutput } = await import("./command.ts");
  return await commandOutput(name, { cwd: directory, env, signal });
}

/** What expressions stand for: environment, credentials, files, commands, inputs and places. */

/** Everything values are taken from. All of it is at hand: a lookup reads and runs nothing. */
export interface ValueStore {
  readonly env: Env;
  /** By name; the environment comes before them. */
  readonly credentials: ReadonlyMap<string, string>;
  /** The contents of files by absolute path. */
  readonly files: ReadonlyMap<string, Fetched>;
  /** The output of commands by their text. */
  readonly commands: ReadonlyMap<string, Fetched>;
  /** Whether commands may be run at all. */
  readonly allowCommands: boolean;
  /** Told of each file or command that is asked for and not there. */
  readonly onWanted?: (wanted: Wanted) => void;
}

/** Something to be fetched before a string can be expanded. */
export interface Wanted {
  readonly kind: "file" | "cmd";
  /** An absolute path, or the text of a command. */
  readonly name: string;
  /** Where a command is run. */
  readonly directory: string;
}

/** A store of an environment alone. */
export function storeOf(env: Env): ValueStore {
  return {
    env,
    credentials: new Map(),
    files: new Map(),
    commands: new Map(),
    allowCommands: false,
  };
}

/** The lookup for what is written in the file `origin` names. */
export function lookupIn(store: ValueStore, origin: FileOrigin): Lookup {
  return (reference) => {
    const { kind, name } = reference;
    switch (kind) {
      case "name":
        return named(name, store) ?? unset(reference);
      case "env":
        return ofEnvironment(name, store) ?? unset(reference);
      case "input":
        return input(name, store, origin);
      case "file":
        return file(name, store, origin);
      case "cmd":
        return command(name, store, origin);
      case "place":
        return place(name, store, origin);
    }
  };
}

function ofEnvironment(name: string, { env }: ValueStore): Found | undefined {
  const value = Object.hasOwn(env, name) ? env[name] : undefined;
  return value === undefined ? undefined : { value, from: "environment" };
}

/** The environment, then credentials; a variable that is set and empty gives way to a credential. */
function named(name: string, store: ValueStore): Found | undefined {
  const inherited = ofEnvironment(name, store);
  const credential = store.credentials.get(name);
  if (credential === undefined || inherited?.value) return inherited;
  return { value: credential, from: "secret" };
}

function unset({ kind, name }: Reference): Found {
  const written = kind === "env" ? `env:${name}` : name;
  return {
    why: `environment variable "${name}" is not set`,
    remedy: `set it, or write a default: "\${${written}:-default}"`,
  };
}

function input(id: string, store: ValueStore, { inputs }: FileOrigin): Found {
  const variable = inputVariable(id);
  const found = named(variable, store) ?? named(id, store);
  // Whatever its name is like, an input is most likely a password.
  if (found?.value !== undefined) return { value: found.value, from: "secret" };
  const fallback = inputs.get(id)?.default;
  if (fallback !== undefined) return { value: fallback, from: "place" };
  return {
    why: `input ${quote(id)} has no value`,
    remedy: `set the environment variable ${variable}, or put ${
      quote(id)
    } into the credentials file`,
  };
}

/** The variable an input is read from: `INPUT_API_KEY` for `api-key`. */
function inputVariable(id: string): string {
  return `INPUT_${id.toUpperCase().replaceAll(/[^A-Z0-9]/g, "_")}`;
}

/** The absolute path of a file a configuration names; `~/` is the home of the user. */
function pathFrom({ directory }: FileOrigin, path: string, env: Env): string {
  const home = env["HOME"];
  const expanded = path.startsWith("~/") && home ? `${home}/${path.slice(2)}` : path;
  return resolve(directory, expanded);
}

function file(path: string, store: ValueStore, origin: FileOrigin): Found {
  const name = pathFrom(origin, path, store.env);
  const fetched = store.files.get(name);
  if (fetched?.value !== undefined) return { value: fetched.value, from: "secret" };
  if (fetched === undefined) {
    store.onWanted?.({ kind: "file", name, directory: origin.directory });
    return { why: `file ${quote(name)} has not been read` };
  }
  return fetched;
}

function command(text: string, store: ValueStore, { directory }: FileOrigin): Found {
  if (!store.allowCommands) {
    return {
      why: 'found "${cmd:…}", which is run only where the configuration says so',
      remedy: 'add "allowCommands": true beside the servers if you trust every command in it',
    };
  }
  const fetched = store.commands.get(commandKey(text, directory));
  if (fetched?.value !== undefined) return { value: fetched.value, from: "secret" };
  if (fetched === undefined) {
    store.onWanted?.({ kind: "cmd", name: text, directory });
    return { why: "its command has not been run" };
  }
  return fetched;
}

/** One command of one directory runs once, however often it is written. */
export function commandKey(text: string, directory: string): string {
  return JSON.stringify([directory, text]);
}

function place(name: string, { env }: ValueStore, { workspaceFolder }: FileOrigin): Found {
  const value = {
    workspaceFolder,
    workspaceFolderBasename: basename(workspaceFolder),
    userHome: env["HOME"] ?? env["USERPROFILE"],
    pathSeparator: sep,
    "/": sep,
  }[name];
  return value === undefined
    ? { why: `"${name}" is not known: HOME is not set`, remedy: "set HOME" }
    : { value, from: "place" };
}

/** Files of `NAME=value` lines, as `envFile` names them. */

/**
 * The variables in the text of such a file. Lines may begin with `export`; values may be in quotes,
 * in double ones `\n` and the like count; `#` begins a comment. Nothing is expanded, and a line that
 * is none of this is passed over, as the clients do that read these files.
 */
export function parseEnvFile(text: string): Readonly<Record<string, string>> {
  const values: Record<string, string> = Object.create(null);
  for (const line of text.split(/\r?\n/)) {
    const [, name, rest = ""] = /^\s*(?:export\s+)?([A-Za-z_][\w.-]*)\s*=\s*(.*)$/.exec(line) ?? [];
    if (name !== undefined) values[name] = readEnvValue(rest.trim());
  }
  return values;
}

function readEnvValue(text: string): string {
  const double = /^"((?:[^"\\]|\\.)*)"/.exec(text)?.[1];
  if (double !== undefined) {
    return double.replaceAll(/\\(.)/g, (_, letter: string) => ESCAPES[letter] ?? letter);
  }
  const single = /^'([^']*)'/.exec(text)?.[1];
  return single ?? text.replace(/\s+#.*$|^#.*$/, "");
}

const ESCAPES: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t" };
