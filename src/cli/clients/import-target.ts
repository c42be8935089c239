/** The file servers are added to, and the one their secrets are moved into. */

import { rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { failed, type Io, UsageError } from "../../app/io.ts";
import { configurationError } from "../../app/plan.ts";
import { credentialsFile, loadCredentials } from "../../config/credentials.ts";
import type { RawObject } from "../../config/document.ts";
import { fileIssue, resolveConfigFiles, userDirectory } from "../../config/files.ts";
import { shapeDocument } from "../../config/layouts.ts";
import { loadConfig, ROOT_KEYS } from "../../config/load.ts";
import { isNamedSecret, looksSecret, secretsOfUrl } from "../../config/secrets.ts";
import { canonicalJson, isObject, type Json, valueAt } from "../../lib/json.ts";
import type { OptionValues } from "../command.ts";
import { makeDirectory, parseClientText, readClientFile, writeTemporary } from "./files.ts";
import { sectionOf } from "./import-source.ts";
import { applyEdits, putProperty } from "./json-text.ts";

/** A configuration file that may not be there yet. */
export interface Target {
  /** Absolute. */
  readonly path: string;
  /** As it was read; undefined where there is no file. */
  readonly text: string | undefined;
  /** Keys from the root to the object of servers. */
  readonly section: readonly string[];
  /** In the internal raw form. */
  readonly value: RawObject;
}

/**
 * Reads the file that `--config` or `MCP_CONFIG_PATH` names, else the usual one, else none yet.
 * @throws {CliError} where it cannot be added to
 */
export async function readTarget(options: OptionValues, io: Io): Promise<Target> {
  const path = await findTarget(options, io);
  const read = await readClientFile(path);
  if (!read.ok) throw configurationError(read.issues);
  const { text } = read;
  const fresh: Target = { path, text, section: ["mcpServers"], value: {} };
  if (text === undefined || text.trim() === "") return fresh;
  const parsed = await parseClientText(text, path);
  if (!parsed.ok) throw configurationError(parsed.issues);
  const { document } = parsed;
  const section = sectionOf(document) ?? fresh.section;
  const servers = valueAt(document.value, section);
  if (servers !== undefined && !isObject(servers)) {
    const key = section.join(".");
    const message = "found no object, expected an object of servers to add to";
    const issue = { file: path, ...document.position(section), path: key, message };
    throw configurationError([issue]);
  }
  const shaped = shapeDocument(document, ROOT_KEYS);
  if (!shaped.ok) throw configurationError(shaped.issues);
  return { ...fresh, section, value: shaped.tree.value };
}

async function findTarget({ config }: OptionValues, { env, cwd }: Io): Promise<string> {
  const found = await resolveConfigFiles({ path: config, env, cwd });
  if (found.ok) {
    const [path, ...more] = found.paths;
    if (path !== undefined && more.length === 0) return path;
    throw new UsageError(
      `Cannot add to ${found.paths.length} files; expected one: --config FILE`,
    );
  }
  const directory = userDirectory(env);
  if (directory !== undefined) return join(directory, "mcproxy", "mcp-servers.json");
  return join(cwd, "mcp-servers.json");
}

/** The servers of a target by name. */
export function serversOf({ value }: Target): ReadonlyMap<string, unknown> {
  const servers = value["mcpServers"];
  return new Map(isObject(servers) ? Object.entries(servers) : []);
}

/**
 * The text of the target with the servers in it.
 * @throws {CliError} where anything else would not be as it was
 */
export async function withServers(
  target: Target,
  servers: ReadonlyMap<string, unknown>,
): Promise<string> {
  const { path, section, value } = target;
  try {
    const result = await addTo(target, section, servers);
    const parsed = await parseClientText(result, path);
    const shaped = parsed.ok ? shapeDocument(parsed.document, ROOT_KEYS) : parsed;
    if (shaped.ok && without(shaped.tree.value, servers) === without(value, servers)) return result;
  } catch {
    // Told below: whatever the library says of it names no remedy.
  }
  const message = `Cannot add servers to ${JSON.stringify(path)}: its layout cannot be kept; ` +
    `expected an object "${section.join(".")}"`;
  const hint = "The file was left as it is; name another one with --config FILE";
  throw failed(message, { hint });
}

/** A configuration without the servers of these names, as a text to compare. */
function without({ mcpServers, ...rest }: RawObject, names: ReadonlyMap<string, unknown>): string {
  const servers = isObject(mcpServers) ? Object.entries(mcpServers) : [];
  const others = servers.filter(([name]) => !names.has(name));
  return canonicalJson({ ...rest, mcpServers: Object.fromEntries(others) });
}

/**
 * The text of a file, JSON or YAML, with these values at `section`, and without those that are
 * undefined; what else is there is not touched. Blank text begins a file.
 * @throws {Error} where something on the way to a value is no object
 */
export async function addTo(
  { path, text = "" }: Pick<Target, "path" | "text">,
  section: readonly string[],
  values: ReadonlyMap<string, unknown>,
): Promise<string> {
  const mark = text.startsWith("\uFEFF") ? "\uFEFF" : "";
  const body = text.slice(mark.length);
  // Without what only a parser knows: prototypes, dates.
  const additions = [...values].map(([name, value]): Addition => [
    [...section, name],
    (value && JSON.parse(JSON.stringify(value))) as Json | undefined,
  ]);
  if (/\.ya?ml$/i.test(path)) return mark + await addToYaml(body, additions);
  return mark + additions.reduce(
    (result, [path, value]) => applyEdits(result, putProperty(result, path, value)),
    body,
  );
}

type Addition = readonly [path: readonly string[], value: Json | undefined];

/** Comments stay where they are; spaces inside a line may become what the library writes. */
async function addToYaml(text: string, additions: readonly Addition[]): Promise<string> {
  const { parseDocument } = await import("yaml");
  const document = parseDocument(text);
  for (const [path, value] of additions) {
    if (value === undefined) document.deleteIn(path);
    else document.setIn(path, document.createNode(value));
  }
  const indent = /^( +)\S/m.exec(text)?.[1]?.length ?? 2;
  const indentSeq = !/^( *)[^\s#-][^\n]*:[ \t]*\n\1- /m.test(text);
  const result = document.toString({ lineWidth: 0, indent: Math.max(1, indent), indentSeq });
  return text.includes("\r\n") ? result.replaceAll(/\r?\n/g, "\r\n") : result;
}

/** The credentials that are there, and the file for more. */
export interface CredentialsTarget extends Pick<Target, "path" | "text"> {
  readonly values: ReadonlyMap<string, string>;
}

/** Reads the credentials. @throws {CliError} where they cannot be used or have no place */
export async function readCredentials(
  { credentials }: OptionValues,
  { env, cwd }: Io,
): Promise<CredentialsTarget> {
  const where = { env, cwd, path: credentials };
  const file = credentialsFile(where);
  if (file === undefined) {
    throw new UsageError("Cannot move secrets: found no home; expected --credentials FILE");
  }
  const read = await readClientFile(file.path);
  if (!read.ok) throw configurationError(read.issues);
  const loaded = await loadCredentials(where);
  // The one that was named may be missing here: it is about to be made.
  const issues = read.text === undefined
    ? loaded.issues.filter((issue) => issue.file !== file.path)
    : loaded.issues;
  if (issues.length > 0) throw configurationError(issues);
  return { path: file.path, text: read.text, values: loaded.values };
}

/**
 * Loads the files as they would be, from beside their places, where nobody takes them for real.
 * @throws {CliError} where they do not load or cannot be written
 */
export async function validateDraft(
  target: Target,
  text: string,
  credentials: { readonly path: string; readonly text: string } | undefined,
  options: OptionValues,
  { env, cwd }: Io,
): Promise<void> {
  const temporary: string[] = [];
  const write = async (path: string, content: string): Promise<string> => {
    await makeDirectory(dirname(path));
    const file = await writeTemporary(path, content, 0o600).catch((cause: unknown) => {
      const folder = JSON.stringify(dirname(path));
      throw failed(`Cannot write to ${folder}; expected a folder that you may write to`, { cause });
    });
    temporary.push(file);
    return file;
  };
  try {
    const draft = await write(target.path, text);
    const secrets = credentials === undefined
      ? options.credentials
      : await write(credentials.path, credentials.text);
    const result = await loadConfig(draft, { env, cwd, credentials: secrets });
    if (result.ok) return;
    // What was wrong before is told with the places it has in the file as it is.
    const before = target.text === undefined
      ? undefined
      : await loadConfig(target.path, { env, cwd, credentials: secrets });
    if (before?.ok === false) throw configurationError(before.issues);
    const real = result.issues.map((issue) =>
      basename(issue.file) === basename(draft) ? { ...issue, file: target.path } : issue
    );
    throw configurationError(
      [fileIssue(target.path, "Cannot write the file: it would not load"), ...real],
    );
  } finally {
    await Promise.all(temporary.map((file) => rm(file, { force: true })));
  }
}

/** Gives names to values: one value has one name, and no name gets a second value. */
export class CredentialNames {
  readonly #taken: Map<string, string>;
  readonly #added = new Map<string, string>();

  /** `existing` are the credentials that are there; the environment comes before them. */
  constructor(
    existing: ReadonlyMap<string, string>,
    private readonly env: Readonly<Record<string, string | undefined>>,
  ) {
    this.#taken = new Map(existing);
  }

  /** Credentials to be written. */
  get added(): ReadonlyMap<string, string> {
    return this.#added;
  }

  /** The name of a value: the first of the candidates that is free or has this value already. */
  nameOf(value: string, candidates: readonly string[]): string {
    const names = candidates.map(variableName);
    const last = names.at(-1)!;
    for (let count = 0;; count++) {
      const name = names[count] ?? `${last}_${count - names.length + 2}`;
      const inherited = this.env[name];
      if (inherited && inherited !== value) continue;
      const other = this.#taken.get(name);
      if (other === undefined) {
        this.#taken.set(name, value);
        this.#added.set(name, value);
        return name;
      }
      if (other === value) return name;
    }
  }
}

function variableName(text: string): string {
  const name = text.toUpperCase().replaceAll(/[^A-Z0-9_]+/g, "_").replaceAll(/^_+|_+$/g, "");
  return /^[A-Z_]/.test(name) ? name : `_${name}`;
}

/** An entry without literal secrets, and how many there were. */
export interface Moved {
  readonly entry: RawObject;
  readonly count: number;
}

/** Moves the secrets of the server `name` into `names`. */
export function moveSecrets(name: string, entry: RawObject, names: CredentialNames): Moved {
  let count = 0;
  const put = (value: string, ...candidates: string[]): string => {
    count++;
    return `\${${names.nameOf(value, candidates)}}`;
  };
  const inText = (key: string, text: string, ...candidates: string[]): string => {
    // What has a variable in it is not literal; what is written around it is not looked at.
    if (text.includes("${")) return text;
    if (text.includes("://")) return inUrl(text, candidates.at(-1) ?? `${name}_${key}`, put);
    const [, scheme, token] = /^((?:Bearer|Basic|Token)\s+)(\S+)$/i.exec(text) ?? [];
    if (scheme !== undefined && token !== undefined) return scheme + put(token, ...candidates);
    return looksSecret(key, text) ? put(text, ...candidates) : text;
  };
  const moved: Record<string, unknown> = { ...entry };
  const { env, headers, args, url, auth } = entry;
  if (isObject(env)) {
    moved["env"] = mapTexts(env, (key, text) => inText(key, text, key, `${name}_${key}`));
  }
  if (isObject(headers)) {
    moved["headers"] = mapTexts(headers, (key, text) => inText(key, text, headerName(name, key)));
  }
  if (isObject(auth)) {
    moved["auth"] = mapTexts(auth, (key, text) => inText(key, text, `${name}_${key}`));
  }
  if (typeof url === "string" && !url.includes("${")) moved["url"] = inUrl(url, `${name}_KEY`, put);
  if (Array.isArray(args)) {
    moved["args"] = args.map((arg: unknown, at) => {
      if (typeof arg !== "string" || arg.includes("${")) return arg;
      const [, start, option, value] = /^(--?([\w-]+)=)(.*)$/s.exec(arg) ?? [];
      if (start !== undefined && option !== undefined && value !== undefined) {
        return start + inText(option, value, `${name}_${option}`);
      }
      const before = /^--?([\w-]+)$/.exec(String(args[at - 1] ?? ""))?.[1];
      const header = /^([\w-]+:\s*)(.+)$/s.exec(arg);
      if (before === "header" && header !== null) {
        const key = header[1]!.replace(/:\s*$/, "");
        return header[1]! + inText(key, header[2]!, headerName(name, key));
      }
      if (arg.includes("://")) return inUrl(arg, `${name}_KEY`, put);
      // Only an option says what a word behind it is; random ones are names of packages, too.
      return before !== undefined && !arg.startsWith("-") && isNamedSecret(before, arg)
        ? put(arg, `${name}_${before}`)
        : arg;
    });
  }
  return { entry: count === 0 ? entry : moved, count };
}

function headerName(server: string, header: string): string {
  return `${server}_${/^authorization$/i.test(header) ? "token" : header}`;
}

function mapTexts(map: RawObject, change: (key: string, text: string) => string): RawObject {
  const copy: Record<string, unknown> = Object.create(null);
  for (const [key, value] of Object.entries(map)) {
    copy[key] = typeof value === "string" ? change(key, value) : value;
  }
  return copy;
}

/** As they stand in the text, percent signs and all. */
function inUrl(
  url: string,
  candidate: string,
  put: (value: string, ...candidates: string[]) => string,
): string {
  return [...new Set(secretsOfUrl(url))]
    .filter((secret) => secret.length >= 4 && url.includes(secret))
    .sort((a, b) => b.length - a.length)
    .reduce((text, secret) => {
      const at = text.lastIndexOf(secret);
      return at === -1
        ? text
        : text.slice(0, at) + put(secret, candidate) + text.slice(at + secret.length);
    }, url);
}
