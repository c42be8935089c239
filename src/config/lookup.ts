/** What expressions stand for: environment, credentials, files, commands, inputs and places. */

import { basename, resolve, sep } from "node:path";
import type { Env } from "./config.ts";
import type { Found, Lookup, Reference } from "./expand.ts";
import { quote } from "./issue.ts";
import type { FileOrigin } from "./tree.ts";

/** A value that had to be fetched, or why it could not be; `why` contains no secret. */
export type Fetched = { readonly value: string } | {
  readonly value?: never;
  readonly why: string;
  readonly remedy?: string;
};

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
