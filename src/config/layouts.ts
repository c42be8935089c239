/** Tells the layout of a file by its keys, and brings it into the internal raw form. */

import { basename, dirname, resolve } from "node:path";
import { isObject } from "../lib/json.ts";
import { addServer, geminiEntry, Mapping, opencodeEntry, warnIgnored } from "./client-keys.ts";
import {
  type ConfigDocument,
  type ConfigTree,
  type FileOrigin,
  fromEntries,
  type Input,
  placesOf,
  type RawObject,
} from "./document.ts";
import { type ConfigIssue, type ConfigPath, describeKind, quote } from "./issue.ts";
import { IssueCollector, reportUnknownKeys } from "./validate.ts";

/** A file in the internal raw form, or what is wrong with its layout. */
export type ShapeResult =
  | {
    readonly ok: true;
    readonly tree: ConfigTree;
    /** Of the layout alone: what is in the tree has not been checked. */
    readonly issues: readonly ConfigIssue[];
    readonly warnings: readonly ConfigIssue[];
  }
  | { readonly ok: false; readonly issues: readonly ConfigIssue[] };

/** Sections of servers; a file has one of them. */
const SECTIONS = ["mcpServers", "servers", "context_servers"] as const;

/** All that counts beside the servers in the files of clients. */
const HARMLESS_KEYS: readonly string[] = ["$schema"];

/**
 * Maps a document. `known` are the settings the root may have; others are kept in the tree to be
 * complained about, except in files where everything else is an editor's. `leavesOut`: a server with
 * a mistake is left out with a warning.
 */
export function shapeDocument(
  document: ConfigDocument,
  known: readonly string[],
  leavesOut = isClientFile(document.file),
): ShapeResult {
  const collector = new IssueCollector(placesOf(document));
  const root = document.value;
  if (!isObject(root)) {
    const found = describeKind(root);
    collector.error([], `found ${found}, expected an object with "mcpServers"`);
    return { ok: false, issues: collector.issues };
  }
  const [first, second] = SECTIONS.filter((key) => key in root);
  if (first !== undefined && second !== undefined) {
    collector.error([second], `found both ${quote(first)} and ${quote(second)}, expected one`, {
      part: "key",
      remedy: `put all servers into "${first}", or the others into a file of their own`,
    });
    return { ok: false, issues: collector.issues };
  }
  const mapping = new Mapping(leavesOut);
  const { file } = document;
  const counting = isClientFile(file) ? HARMLESS_KEYS : known;
  mapShape(root, { document, mapping, collector, known: counting });
  const directory = dirname(resolve(file));
  const workspaceFolder = basename(directory) === ".vscode" ? dirname(directory) : directory;
  const origin: FileOrigin = { file, directory, workspaceFolder, inputs: mapping.inputs };
  const tree: ConfigTree = {
    value: mapping.value(),
    names: mapping.names,
    origin: () => origin,
    place(path, part) {
      const written = mapping.written(path);
      return { file, path: written, ...document.position(written, part) };
    },
  };
  return { ok: true, tree, issues: collector.issues, warnings: collector.warnings };
}

function mapShape(root: RawObject, context: ShapeContext): void {
  const { mcp } = root;
  const isPlain = "mcpServers" in root || !isObject(mcp);
  if (isPlain && isClientFile(context.document.file)) return mapClients(root, context);
  if ("context_servers" in root) return mapZed(root, context);
  if ("proxy" in root || ("servers" in root && "features" in root)) return mapProxy(root, context);
  if ("servers" in root) return mapVscode(root, context);
  if (isPlain) return mapPlain(root, context);
  if ("servers" in mcp) return mapVscodeSettings(mcp, context);
  mapOpencode(mcp, context);
}

/** Files of clients with all their settings; what is odd in one must not keep the rest out. */
export function isClientFile(file: string): boolean {
  return /(^|[\\/])(\.claude\.json|\.gemini[\\/]settings\.json|opencode\.jsonc?)$/.test(file);
}

/** What every layout works with. */
interface ShapeContext {
  readonly document: ConfigDocument;
  readonly mapping: Mapping;
  readonly collector: IssueCollector;
  /** The settings the root may have. */
  readonly known: readonly string[];
}

/** What an entry means in our terms; undefined to leave it out (it has said so then). */
type Adapt = (entry: RawObject, path: ConfigPath, name: string) => RawObject | undefined;

/** Adds every server of the section at `path`; `adapt` gets each entry that is an object. */
function addSection(
  section: unknown,
  path: ConfigPath,
  context: ShapeContext,
  adapt: Adapt = (entry) => entry,
): void {
  const { document, mapping } = context;
  if (!isObject(section)) {
    mapping.brokenSection(section, path);
    return;
  }
  mapping.openSection(path);
  for (const name of document.keys(path)) {
    const entry = section[name];
    const written = [...path, name];
    const adapted = isObject(entry) ? adapt(entry, written, name) : entry;
    if (adapted !== undefined) addServer(name, adapted, written, context);
  }
}

/**
 * The settings beside `section` in a file that is mostly another program's: those that are `known`
 * count, and one warning tells of all others.
 */
function mapBeside(
  section: string,
  whose: string,
  { document, mapping, collector, known }: ShapeContext,
): void {
  const root = document.value as RawObject;
  const keys = document.keys([]).filter((key) => key !== section);
  const [first, ...more] = keys.filter((key) => !known.includes(key));
  if (first !== undefined) {
    const are = more.length === 0 ? "is a setting" : `and ${more.length} more are settings`;
    collector.warn([first], `${quote(first)} ${are} of ${whose} and ignored here`, { part: "key" });
  }
  for (const key of keys) {
    if (known.includes(key)) mapping.setting(key, root[key], [key]);
  }
}

/** The files of Claude Code and Gemini CLI. */
function mapClients(root: RawObject, context: ShapeContext): void {
  mapBeside("mcpServers", "its client", context);
  const isGeminis = context.document.file.endsWith("settings.json");
  const adapt: Adapt = (entry) => isGeminis ? geminiEntry(entry) : entry;
  addSection(root["mcpServers"], ["mcpServers"], context, adapt);
}

/** Settings of Claude Desktop that stand beside `mcpServers` in its file. */
const CLIENT_SETTINGS: readonly string[] = ["globalShortcut", "preferences"];

/** The layout of most clients, and ours: `mcpServers`, and settings beside it. */
function mapPlain(root: RawObject, context: ShapeContext): void {
  const { document, mapping, collector } = context;
  for (const key of document.keys([])) {
    if (key === "mcpServers") addSection(root[key], ["mcpServers"], context);
    else if (key === "inputs") addInputs(root[key], ["inputs"], context);
    else if (CLIENT_SETTINGS.includes(key)) warnIgnored(key, collector);
    else mapping.setting(key, root[key], [key]);
  }
}

/** Keys of `proxy`, and the settings they are; undefined for those that are none here. */
const PROXY_KEYS: Readonly<Record<string, string | undefined>> = {
  host: "host",
  port: "port",
  log_level: "logLevel",
  name: undefined,
  transport: undefined,
};

/** Levels of other programs. */
const LEVELS: Readonly<Record<string, string>> = { warn: "warning", critical: "fatal" };

/**
 * The layout with `proxy` (how the gateway listens), `servers` (an object, or an array of entries
 * with `name`) and `features`. Its `timeout` counts seconds.
 */
function mapProxy(root: RawObject, context: ShapeContext): void {
  const { document, mapping } = context;
  for (const key of document.keys([])) {
    if (key === "proxy") mapSettings(root[key], context);
    else if (key === "features") reportFeatures(root[key], context);
    else if (key === "servers") mapServers(root[key], context);
    else if (key === "mcpServers") addSection(root[key], [key], context, withSeconds);
    else mapping.setting(key, root[key], [key]);
  }
}

function mapSettings(proxy: unknown, { document, mapping, collector }: ShapeContext): void {
  if (!isObject(proxy)) {
    collector.error(["proxy"], `found ${describeKind(proxy)}, expected an object`);
    return;
  }
  for (const key of document.keys(["proxy"])) {
    const path = ["proxy", key];
    const value = proxy[key];
    if (!Object.hasOwn(PROXY_KEYS, key)) {
      reportUnknownKeys({ [key]: value }, Object.keys(PROXY_KEYS), collector.below(["proxy"]));
      continue;
    }
    const setting = PROXY_KEYS[key];
    if (setting !== undefined) {
      mapping.setting(setting, setting === "logLevel" ? level(value) : value, path);
    } else if (key === "name") {
      collector.warn(path, '"name" has no effect: the gateway is called mcproxy', { part: "key" });
    } else if (value === "stdio") {
      collector.warn(path, '"stdio" has no effect: the gateway listens', {
        remedy: 'start it with "mcproxy serve --stdio"',
      });
    } else if (typeof value !== "string") {
      collector.error(path, `found ${describeKind(value)}, expected a string`);
    }
  }
}

function level(value: unknown): unknown {
  if (typeof value !== "string") return value;
  const name = value.toLowerCase();
  return Object.hasOwn(LEVELS, name) ? LEVELS[name] : name;
}

function reportFeatures(features: unknown, { document, collector }: ShapeContext): void {
  if (!isObject(features)) {
    collector.error(["features"], `found ${describeKind(features)}, expected an object`);
    return;
  }
  for (const name of document.keys(["features"])) {
    // What is switched off asks for nothing.
    if (features[name] === false) continue;
    collector.warn(["features", name], `feature ${quote(name)} is not known and ignored here`, {
      part: "key",
    });
  }
}

function mapServers(servers: unknown, context: ShapeContext): void {
  const { mapping, collector } = context;
  if (!Array.isArray(servers)) {
    addSection(servers, ["servers"], context, withSeconds);
    return;
  }
  mapping.openSection(["servers"]);
  servers.forEach((entry: unknown, index) => {
    const path: ConfigPath = ["servers", index];
    const name = isObject(entry) ? entry["name"] : undefined;
    if (!isObject(entry) || typeof name !== "string" || name === "") {
      collector.error(path, 'found a server without "name", expected an object with one');
    } else if (mapping.has(name)) {
      collector.error([...path, "name"], `found server ${quote(name)} a second time`, {
        remedy: "remove or rename one of them",
      });
    } else {
      const { name: _name, ...rest } = entry;
      addServer(name, withSeconds(rest), path, context);
    }
  });
}

function withSeconds(entry: RawObject): RawObject {
  const { timeout } = entry;
  if (typeof timeout !== "number") return entry;
  return fromEntries([...Object.entries(entry), ["timeout", `${timeout}s`]]);
}

/** The layout of VS Code's `.vscode/mcp.json`: `servers` and `inputs`. */
function mapVscode(root: RawObject, context: ShapeContext): void {
  for (const key of context.document.keys([])) {
    if (key === "servers") addSection(root[key], [key], context);
    else if (key === "inputs") addInputs(root[key], [key], context);
    else context.mapping.setting(key, root[key], [key]);
  }
}

/** VS Code's older settings: both are below `mcp`. */
function mapVscodeSettings(section: RawObject, context: ShapeContext): void {
  mapBeside("mcp", "VS Code", context);
  addSection(section["servers"], ["mcp", "servers"], context);
  if ("inputs" in section) addInputs(section["inputs"], ["mcp", "inputs"], context);
}

/** OpenCode's settings: `mcp` has the servers. */
function mapOpencode(section: RawObject, context: ShapeContext): void {
  mapBeside("mcp", "OpenCode", context);
  const { mapping } = context;
  addSection(section, ["mcp"], context, (entry, path, name) => {
    const { command } = entry;
    const move = (ours: ConfigPath, theirs: ConfigPath) =>
      mapping.moved(["mcpServers", name, ...ours], [...path, ...theirs]);
    move(["env"], ["environment"]);
    if (Array.isArray(command)) {
      move(["args"], ["command"]);
      command.forEach((_, at) => move(at === 0 ? ["command"] : ["args", at - 1], ["command", at]));
    }
    return opencodeEntry(entry);
  });
}

/** Reads `inputs`: what `${input:id}` may ask for. */
function addInputs(value: unknown, path: ConfigPath, { mapping, collector }: ShapeContext): void {
  if (!Array.isArray(value)) {
    collector.error(path, 'found no array, expected an array of inputs with "id" each');
    return;
  }
  value.forEach((input: unknown, index) => {
    const id = isObject(input) ? input["id"] : undefined;
    if (typeof id !== "string" || id === "") {
      collector.error([...path, index], 'found an input without "id", expected an object with one');
      return;
    }
    const fallback = (input as RawObject)["default"];
    const declared: Input = typeof fallback === "string" ? { default: fallback } : {};
    mapping.inputs.set(id, declared);
  });
}

/**
 * The layout of Zed: `context_servers` in its settings, of which those count that are `known`. The
 * entries are `{"source": "custom", "command": "…"}`, or older ones whose `command` is an object
 * with `path`, `args` and `env`.
 */
function mapZed(root: RawObject, context: ShapeContext): void {
  const { mapping, collector } = context;
  mapBeside("context_servers", "Zed", context);
  addSection(root["context_servers"], ["context_servers"], context, (entry, path, name) => {
    const { command, source, ...rest } = entry;
    const isOfExtension = source === "extension" ||
      (source === undefined && rest["settings"] !== undefined);
    if (isOfExtension && command === undefined && !("url" in entry)) {
      collector.warn(path, "the server of an extension of Zed is left out", {
        part: "key",
        remedy: 'to serve it here, add the "command" that starts it',
      });
      return undefined;
    }
    if (!isObject(command)) return command === undefined ? rest : { ...rest, command };
    const parts: [string, unknown][] = Object.entries(rest);
    for (const [key, value] of Object.entries(command)) {
      const ours = key === "path" ? "command" : key;
      parts.push([ours, value]);
      mapping.moved(["mcpServers", name, ours], [...path, "command", key]);
    }
    return fromEntries(parts);
  });
}
