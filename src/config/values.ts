/** What expressions stand for: environment, credentials, files, commands, inputs and places. */

import { basename, resolve, sep } from "node:path";
import { isReadableByOthers, modeText } from "../lib/own-file.ts";
import type { Fetched } from "./command.ts";
import type { FileOrigin } from "./document.ts";
import type { Found, Lookup, Reference } from "./expand.ts";
import { fileIssue, readText } from "./files.ts";
import { type ConfigIssue, quote } from "./issue.ts";
import type { Env } from "./types.ts";

/** Everything values are taken from. */
export interface ValueStore {
  readonly env: Env;
  /** By name; the environment comes before them. */
  readonly credentials: ReadonlyMap<string, string>;
  /** Whether commands may be run at all. */
  readonly allowCommands: boolean;
  /** Gives what is in files and what commands print, as far as it is there already. */
  readonly fetch?: ((wanted: Wanted) => Fetched | undefined) | undefined;
}

/** Something that takes time to get. */
export interface Wanted {
  readonly kind: "file" | "cmd";
  /** An absolute path, or the text of a command. */
  readonly name: string;
  /** Where a command is run. */
  readonly directory: string;
}

/** Secrets are short; a bigger file was named by mistake. */
const MAX_FILE_BYTES = 64 * 1024;

/**
 * Gets files and runs commands, all that is asked for at once and each a single time. Whoever asks
 * does not wait: what is not there has no value yet, and is asked for again after the wait.
 */
export class Fetches {
  /** Of files that others can read. */
  readonly warnings: ConfigIssue[] = [];
  readonly #found = new Map<string, Fetched | undefined>();
  #pending: Promise<void>[] = [];

  /** Commands get `env`, and `sources` the files that were read or looked for. */
  constructor(private readonly env: Env, private readonly sources: Map<string, string>) {}

  /** {@link ValueStore.fetch}. */
  readonly fetch = (wanted: Wanted): Fetched | undefined => {
    const { kind, name, directory } = wanted;
    // One command of one directory runs once, however often it is written.
    const key = kind === "file" ? name : JSON.stringify([directory, name]);
    if (!this.#found.has(key)) {
      this.#found.set(key, undefined);
      const fetching = kind === "file" ? this.#read(name) : this.#run(wanted);
      this.#pending.push(fetching.then((fetched) => void this.#found.set(key, fetched)));
    }
    return this.#found.get(key);
  };

  /** Waits for all that was asked for since the last time; whether that was anything. */
  async settle(): Promise<boolean> {
    const pending = this.#pending;
    this.#pending = [];
    await Promise.all(pending);
    return pending.length > 0;
  }

  async #read(path: string): Promise<Fetched> {
    const read = await readText(path, { sources: this.sources, limit: MAX_FILE_BYTES });
    if (!read.ok) {
      const remedy = read.missing ? "create it, or name another one" : read.remedy;
      return { why: `Cannot read ${quote(path)}: ${read.why}`, remedy };
    }
    if (isReadableByOthers(read.mode)) {
      const found = `found mode ${modeText(read.mode)}, so others can read this secret`;
      const remedy = "take the rights of group and others away, with chmod 600";
      this.warnings.push(fileIssue(path, `${found}; expected 0600`, remedy));
    }
    return { value: read.text.trim() };
  }

  async #run({ name, directory }: Wanted): Promise<Fetched> {
    const { commandOutput } = await import("./command.ts");
    return await commandOutput(name, { env: this.env, cwd: directory });
  }
}

/** A store of an environment alone. */
export function storeOf(env: Env): ValueStore {
  return { env, credentials: new Map(), allowCommands: false };
}

/** The lookup for what is written in the file `origin` names. */
export function lookupIn(store: ValueStore, origin: FileOrigin): Lookup {
  return ({ kind, name }) => SOURCES[kind](name, store, origin);
}

type Source = (name: string, store: ValueStore, origin: FileOrigin) => Found;

const SOURCES: Readonly<Record<Reference["kind"], Source>> = {
  name: (name, store) => named(name, store) ?? unset(name, name),
  env: (name, store) => ofEnvironment(name, store) ?? unset(name, `env:${name}`),
  input,
  file,
  cmd: command,
  place,
};

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

function unset(name: string, written: string): Found {
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
  const fetched = store.fetch?.({ kind: "file", name, directory: origin.directory });
  return fetched === undefined ? { why: `file ${quote(name)} has not been read` } : secret(fetched);
}

function command(name: string, store: ValueStore, { directory }: FileOrigin): Found {
  if (!store.allowCommands) {
    return {
      why: 'found "${cmd:…}", which is run only where the configuration says so',
      remedy: 'add "allowCommands": true beside the servers if you trust every command in it',
    };
  }
  const fetched = store.fetch?.({ kind: "cmd", name, directory });
  return fetched === undefined ? { why: "its command has not been run" } : secret(fetched);
}

function secret(fetched: Fetched): Found {
  return fetched.value === undefined ? fetched : { value: fetched.value, from: "secret" };
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

/**
 * The variables in the text of a file as `envFile` names it: `NAME=value` lines. Lines may begin with `export`; values may be in quotes,
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
