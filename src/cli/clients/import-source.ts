/** Reads the servers out of the files of clients, each in our terms. */

import { basename, dirname } from "node:path";
import { geminiEntry, replaceTexts } from "../../config/client-keys.ts";
import type { ConfigDocument, ConfigTree, RawObject } from "../../config/document.ts";
import { type ConfigIssue, formatPath } from "../../config/issue.ts";
import { shapeDocument } from "../../config/layouts.ts";
import { parseTree, ROOT_KEYS } from "../../config/load.ts";
import { loadPatterns, mentionsPatterns } from "../../config/schema-results.ts";
import { loadOptions } from "../../config/schema.ts";
import type { ServerConfig } from "../../config/types.ts";
import type { ValueStore } from "../../config/values.ts";
import { isObject, valueAt } from "../../lib/json.ts";
import { type ClientApp, findClient } from "./clients.ts";
import { parseClientText, readClientFile } from "./files.ts";

/** A server of a client. */
export interface FoundServer {
  readonly name: string;
  /** What a configuration of ours would have; of one with issues as far as it goes. */
  readonly entry: RawObject;
  /** As it would be run; undefined where it has issues. */
  readonly server: ServerConfig | undefined;
  readonly issues: readonly ConfigIssue[];
  /** What is left out of it, and what means something else here. */
  readonly warnings: readonly ConfigIssue[];
}

/** The servers of one section of one file. */
export interface Source<Server = FoundServer> {
  /** Absolute. */
  readonly file: string;
  readonly client: ClientApp | undefined;
  /** The project whose servers these are, where one file has those of several. */
  readonly project: string | undefined;
  readonly servers: readonly Server[];
  /** What is wrong with the file as a whole. */
  readonly issues: readonly ConfigIssue[];
}

/** A file to be read. */
export interface SourceFile {
  readonly path: string;
  readonly client: ClientApp | undefined;
  readonly scope: "user" | "project" | "named";
}

/**
 * The sections of a file that have servers; none where the file is not there. A file that somebody
 * named must be there and have some. `store` has the values of variables, so that those without
 * one can be told. Never rejects.
 */
export async function readImportSources(
  { path, scope, client: named }: SourceFile,
  store: ValueStore,
): Promise<readonly Source[]> {
  const client = named ?? (/\.toml$/i.test(path) ? findClient("codex") : undefined);
  const source = { file: path, client, project: undefined };
  const broken = (issues: readonly ConfigIssue[]) => [{ ...source, servers: [], issues }];
  const read = await readClientFile(path);
  if (!read.ok) return broken(read.issues);
  const isNamed = scope === "named";
  const whole = { file: path, line: 0, column: 0, path: "" };
  if (read.text === undefined) {
    const message = "Cannot read the file: it does not exist";
    return isNamed ? broken([{ ...whole, message, remedy: "name another one" }]) : [];
  }
  if (!isNamed && read.text.trim() === "") return [];
  if (mentionsPatterns(read.text)) await loadPatterns();
  await loadOptions([read.text, ...Object.keys(store.env)].join(" "));
  const parsed = await parseClientText(read.text, path);
  if (!parsed.ok) return broken(parsed.issues);
  const parts = partsOf(parsed.document, client);
  if (parts.length === 0 && isNamed) {
    const keys = client === undefined
      ? "mcpServers, servers or context_servers"
      : client.section.join(".");
    return broken([{ ...whole, message: `found no servers, expected ${keys}` }]);
  }
  const folder = scope === "user" ? undefined : folderOf(path);
  return parts.map(({ document, project }) => ({
    ...source,
    project,
    ...readPart(document, project ?? folder, store),
  }));
}

/** Keys from the root to the object of servers, in whichever layout a file has one. */
export function sectionOf({ value }: ConfigDocument): readonly string[] | undefined {
  return [["mcpServers"], ["servers"], ["context_servers"], ["mcp", "servers"], ["mcp"]]
    .find((keys) => valueAt(value, keys) !== undefined);
}

/** `.vscode/mcp.json` belongs to the folder above. */
function folderOf(path: string): string {
  const folder = dirname(path);
  return /^\.\w/.test(basename(folder)) ? dirname(folder) : folder;
}

interface Part {
  readonly document: ConfigDocument;
  readonly project: string | undefined;
}

function partsOf(document: ConfigDocument, client: ClientApp | undefined): readonly Part[] {
  const parts: Part[] = [];
  const add = (path: readonly string[], layout: string, project?: string) => {
    if (valueAt(document.value, path) === undefined) return;
    const part = sectionDocument(document, path, { layout, client: client?.name });
    parts.push({ document: part, project });
  };
  if (client !== undefined) {
    add(client.section, client.format === "toml" ? "mcpServers" : client.section[0]!);
  } else if (sectionOf(document) !== undefined) parts.push({ document, project: undefined });
  if (client === undefined || client.name === "claude-code") {
    for (const project of document.keys(["projects"])) {
      add(["projects", project, "mcpServers"], "mcpServers", project);
    }
  }
  return parts.filter(({ document: part, project }) =>
    project === undefined || part.keys(["mcpServers"]).length > 0
  );
}

/** `folder` is where the client starts its programs, as far as that is known. */
function readPart(
  document: ConfigDocument,
  folder: string | undefined,
  store: ValueStore,
): Pick<Source, "servers" | "issues"> {
  const shaped = shapeDocument(document, ROOT_KEYS, false);
  if (!shaped.ok) return { servers: [], issues: shaped.issues };
  const { tree, warnings, issues } = shaped;
  if (!isObject(tree.value["mcpServers"])) {
    const place = tree.place(["mcpServers"]);
    const message = "found no object, expected an object of servers";
    return { servers: [], issues: [{ ...place, path: formatPath(place.path), message }] };
  }
  const servers = tree.names.map((name) => {
    const place = formatPath(tree.place(["mcpServers", name]).path);
    const own = warnings.filter(({ path }) =>
      path === place || path.startsWith(`${place}.`) || path.startsWith(`${place}[`)
    );
    return readServer(name, tree, own, folder, store);
  });
  return { servers, issues };
}

function readServer(
  name: string,
  tree: ConfigTree,
  warnings: readonly ConfigIssue[],
  folder: string | undefined,
  store: ValueStore,
): FoundServer {
  const raw = valueAt(tree.value, ["mcpServers", name]);
  const entry = isObject(raw) ? located(inMilliseconds(raw), folder) : raw;
  const alone: ConfigTree = {
    ...tree,
    value: { mcpServers: Object.assign(Object.create(null), { [name]: entry }) },
    names: [name],
  };
  const { file } = tree.origin(["mcpServers", name]);
  const parsed = parseTree(alone, { files: [file], store });
  const base = { name, entry: isObject(entry) ? entry : {} };
  if (!parsed.ok) return { ...base, server: undefined, issues: parsed.issues, warnings };
  const server = parsed.config.servers.get(name);
  if (server === undefined) return { ...base, server, issues: parsed.warnings, warnings };
  const problem = server.disabled ? undefined : server.problem;
  return {
    ...base,
    server,
    issues: [],
    warnings: [...warnings, ...parsed.warnings, ...(problem === undefined ? [] : [problem])],
  };
}

/** The file it is added to may be of a layout that counts seconds. */
function inMilliseconds(entry: RawObject): RawObject {
  return ["timeout", "startupTimeout"].reduce((one, key) => withTimeout(one, key, "ms"), entry);
}

/** What depends on the folder of a project keeps its meaning elsewhere. */
function located(entry: RawObject, folder: string | undefined): RawObject {
  if (folder === undefined) return entry;
  const placed = replaceTexts(
    entry,
    (text) =>
      text.replaceAll("${workspaceFolder}", () => folder)
        .replaceAll("${workspaceFolderBasename}", () => basename(folder)),
  ) as RawObject;
  const { command, args, cwd } = placed;
  const words: readonly unknown[] = [command, ...(Array.isArray(args) ? args : [])];
  const isRelative = words.some((word) => typeof word === "string" && /^\.\.?[\\/]/.test(word));
  return isRelative && cwd === undefined ? { ...placed, cwd: folder } : placed;
}

/** Brings an entry of the client of this name into our terms; what is none is left as it is. */
function adaptEntry(client: string | undefined, entry: unknown): unknown {
  if (!isObject(entry)) return entry;
  switch (client) {
    case "codex":
      return codexEntry(entry);
    case "gemini": {
      // A `url` without a type is the older transport there.
      const isSse = isText(entry["url"]) && !("httpUrl" in entry) && !("type" in entry);
      const typed = isSse ? { ...entry, type: "sse" } : entry;
      return withSelection(geminiEntry(typed, "${$1}"), "includeTools", "excludeTools");
    }
    case "cline":
      return withTimeout(entry, "timeout", "s");
    case "windsurf":
      return withSelection(entry, "enabledTools", "disabledTools");
    default:
      return entry;
  }
}

/** A number as text with its unit: without one it would be milliseconds. */
function withTimeout(entry: RawObject, key: string, unit: "s" | "ms"): RawObject {
  const value = entry[key];
  return typeof value === "number" ? { ...entry, [key]: `${value}${unit}` } : entry;
}

/** Lists of names become a selection of tools, so that nothing is offered that was not before. */
function withSelection(entry: RawObject, include: string, exclude: string): RawObject {
  const { [include]: wanted, [exclude]: unwanted, ...rest } = entry;
  const tools = {
    ...(isNames(wanted) ? { include: wanted } : {}),
    ...(isNames(unwanted) ? { exclude: unwanted } : {}),
  };
  return Object.keys(tools).length === 0 || "tools" in entry ? entry : { ...rest, tools };
}

function isNames(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.length > 0 &&
    value.every((one) => typeof one === "string" && one !== "");
}

function codexEntry(entry: RawObject): RawObject {
  const {
    enabled,
    env_vars,
    http_headers,
    env_http_headers,
    bearer_token_env_var,
    startup_timeout_sec,
    startup_timeout_ms,
    tool_timeout_sec,
    ...rest
  } = entry;
  const headers: Record<string, unknown> = {
    ...(isObject(http_headers) ? http_headers : {}),
    ...mapValues(env_http_headers, (name) => `\${${name}}`),
    ...(typeof bearer_token_env_var === "string"
      ? { Authorization: `Bearer \${${bearer_token_env_var}}` }
      : {}),
  };
  const passed = Array.isArray(env_vars)
    ? Object.fromEntries(env_vars.filter(isText).map((name) => [name, `\${${name}:-}`]))
    : {};
  const env = { ...passed, ...(isObject(entry["env"]) ? entry["env"] : {}) };
  // What only Codex asks or answers for its user is nobody's business here.
  const known = Object.entries(rest).filter(([key]) => !CODEX_ONLY.includes(key));
  const startup = typeof startup_timeout_sec === "number"
    ? `${startup_timeout_sec}s`
    : typeof startup_timeout_ms === "number"
    ? `${startup_timeout_ms}ms`
    : undefined;
  return withSelection(
    {
      ...Object.fromEntries(known),
      ...(Object.keys(env).length === 0 ? {} : { env }),
      ...(Object.keys(headers).length === 0 ? {} : { headers }),
      ...(startup === undefined ? {} : { startupTimeout: startup }),
      ...(typeof tool_timeout_sec === "number" ? { timeout: `${tool_timeout_sec}s` } : {}),
      ...(enabled === false ? { disabled: true } : {}),
    },
    "enabled_tools",
    "disabled_tools",
  );
}

const CODEX_ONLY = [
  "required",
  "scopes",
  "oauth_resource",
  "default_tools_approval_mode",
  "supports_parallel_tool_calls",
  "tools",
];

function isText(value: unknown): value is string {
  return typeof value === "string";
}

function mapValues(map: unknown, change: (text: string) => string): RawObject {
  if (!isObject(map)) return {};
  return Object.fromEntries(
    Object.entries(map).map(([key, value]) => [key, isText(value) ? change(value) : value]),
  );
}

/**
 * One section of a client's file as a document of its own, without the settings beside it. It is
 * called `layout` there, which is how the layouts are told apart; places stay those of the file.
 */
function sectionDocument(
  document: ConfigDocument,
  path: readonly string[],
  { layout, client }: { readonly layout: string; readonly client: string | undefined },
): ConfigDocument {
  const section = valueAt(document.value, path);
  const adapted = isObject(section)
    ? Object.assign(
      Object.create(null),
      Object.fromEntries(
        document.keys(path).map((name) => [name, adaptEntry(client, section[name])]),
      ),
    )
    : section;
  const inputs = layout === "servers" ? valueAt(document.value, ["inputs"]) : undefined;
  return {
    file: document.file,
    value: { [layout]: adapted, ...(inputs === undefined ? {} : { inputs }) },
    position: ([key, ...rest], part) =>
      document.position(key === layout ? [...path, ...rest] : key === undefined ? [] : [key], part),
    keys([key, ...rest]) {
      if (key === undefined) return inputs === undefined ? [layout] : [layout, "inputs"];
      return key === layout ? document.keys([...path, ...rest]) : document.keys([key, ...rest]);
    },
  };
}

/** What says where a server is and how it is reached; the rest may have been set here since. */
const TARGET_KEYS = ["command", "image", "args", "cwd", "env", "url", "headers"];

/** Whether two entries have the same target. A variable in the one we have stands for any text. */
export function isSame(ours: unknown, theirs: unknown): boolean {
  if (!isObject(ours) || !isObject(theirs)) return false;
  return TARGET_KEYS.every((key) => matches(ours[key], theirs[key]));
}

function matches(ours: unknown, theirs: unknown): boolean {
  if (typeof ours === "string" && typeof theirs === "string") {
    return ours === theirs || matchesPattern(ours, theirs);
  }
  if (Array.isArray(ours) || Array.isArray(theirs)) {
    const [one, other] = [ours ?? [], theirs ?? []];
    return Array.isArray(one) && Array.isArray(other) && one.length === other.length &&
      one.every((item, at) => matches(item, other[at]));
  }
  if (isObject(ours) || isObject(theirs)) {
    const [one, other] = [ours ?? {}, theirs ?? {}];
    if (!isObject(one) || !isObject(other)) return false;
    const keys = Object.keys(one);
    return keys.length === Object.keys(other).length &&
      keys.every((key) => Object.hasOwn(other, key) && matches(one[key], other[key]));
  }
  return ours === theirs;
}

/** `Bearer ${TOKEN}` is the same as what it was made from. */
function matchesPattern(ours: string, theirs: string): boolean {
  const parts = ours.split(/\$\{[^{}]*\}/);
  if (parts.length === 1) return false;
  const last = parts.pop()!;
  let at = 0;
  for (const [index, part] of parts.entries()) {
    const found = index === 0 ? (theirs.startsWith(part) ? 0 : -1) : theirs.indexOf(part, at);
    if (found === -1) return false;
    at = found + part.length;
  }
  return theirs.length - last.length >= at && theirs.endsWith(last);
}
