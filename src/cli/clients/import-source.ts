/** Reads the servers out of the files of clients, each in our terms. */

import { basename, dirname } from "node:path";
import type { ConfigDocument, ConfigTree } from "../../config/document.ts";
import { type ConfigIssue, formatPath } from "../../config/issue.ts";
import { isRawObject, type RawObject, shapeDocument } from "../../config/layouts.ts";
import { parseTree, ROOT_KEYS } from "../../config/parse.ts";
import { loadPatterns, mentionsPatterns } from "../../config/schema-results.ts";
import { isNamedSecret, looksSecret, secretsOfUrl } from "../../config/secrets.ts";
import type { ServerConfig } from "../../config/types.ts";
import type { ValueStore } from "../../config/values.ts";
import { type ClientApp, findClient } from "./clients.ts";
import { sectionDocument, valueAt, withTimeout } from "./connect-edit.ts";
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
export interface Source {
  /** Absolute. */
  readonly file: string;
  readonly client: ClientApp | undefined;
  /** The project whose servers these are, where one file has those of several. */
  readonly project: string | undefined;
  readonly servers: readonly FoundServer[];
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
  source: SourceFile,
  store: ValueStore,
): Promise<readonly Source[]> {
  const { path, scope } = source;
  const client = source.client ?? (/\.toml$/i.test(path) ? findClient("codex") : undefined);
  const broken = (issues: readonly ConfigIssue[]): Source[] => [
    { file: path, client, project: undefined, servers: [], issues },
  ];
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
  return parts.map(({ document, project }) =>
    readPart(document, { file: path, client, project, folder: project ?? folder, store })
  );
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
  } else if (
    [["mcpServers"], ["servers"], ["context_servers"], ["mcp", "servers"]]
      .some((path) => valueAt(document.value, path) !== undefined)
  ) parts.push({ document, project: undefined });
  if (client === undefined || client.name === "claude-code") {
    for (const project of document.keys(["projects"])) {
      add(["projects", project, "mcpServers"], "mcpServers", project);
    }
  }
  return parts.filter(({ document: part, project }) =>
    project === undefined || part.keys(["mcpServers"]).length > 0
  );
}

interface PartContext extends Pick<Source, "file" | "client" | "project"> {
  /** Where the client starts its programs, as far as that is known. */
  readonly folder: string | undefined;
  readonly store: ValueStore;
}

function readPart(document: ConfigDocument, context: PartContext): Source {
  const { file, client, project } = context;
  const shaped = shapeDocument(document, ROOT_KEYS);
  if (!shaped.ok) return { file, client, project, servers: [], issues: shaped.issues };
  const { tree, warnings } = shaped;
  const section = tree.value["mcpServers"];
  if (!isRawObject(section)) {
    const place = tree.place(["mcpServers"]);
    const message = "found no object, expected an object of servers";
    const issue = { ...place, path: formatPath(place.path), message };
    return { file, client, project, servers: [], issues: [issue] };
  }
  const servers = tree.names.map((name) => {
    const place = formatPath(tree.place(["mcpServers", name]).path);
    const own = warnings.filter(({ path }) =>
      path === place || path.startsWith(`${place}.`) || path.startsWith(`${place}[`)
    );
    return readServer(name, section[name], { tree, warnings: own, context });
  });
  return { file, client, project, servers, issues: shaped.issues };
}

function readServer(
  name: string,
  raw: unknown,
  { tree, warnings, context: { folder, store } }: {
    readonly tree: ConfigTree;
    readonly warnings: readonly ConfigIssue[];
    readonly context: PartContext;
  },
): FoundServer {
  const entry = isRawObject(raw) ? located(inMilliseconds(raw), folder) : raw;
  const alone: ConfigTree = {
    ...tree,
    value: { mcpServers: Object.assign(Object.create(null), { [name]: entry }) },
    names: [name],
  };
  const { file } = tree.origin(["mcpServers", name]);
  const parsed = parseTree(alone, { files: [file], store, sources: [] });
  const base = { name, entry: isRawObject(entry) ? entry : {} };
  if (!parsed.ok) return { ...base, server: undefined, issues: parsed.issues, warnings };
  const server = parsed.config.servers.get(name);
  const problem = server?.disabled === false ? server.problem : undefined;
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

/** A copy of plain data with each text changed; keys stay. */
export function replaceTexts(value: unknown, change: (text: string) => string): unknown {
  if (typeof value === "string") return change(value);
  if (Array.isArray(value)) return value.map((item: unknown) => replaceTexts(item, change));
  if (!isRawObject(value)) return value;
  const copy: Record<string, unknown> = Object.create(null);
  for (const [key, inner] of Object.entries(value)) copy[key] = replaceTexts(inner, change);
  return copy;
}

/** Finds secrets that stand in entries as they are, and puts variables in their place. Pure. */

/** Gives names to values: one value has one name, and no name gets a second value. */
export class CredentialNames {
  readonly #taken: Map<string, string>;
  readonly #added = new Map<string, string>();
  readonly #env: Readonly<Record<string, string | undefined>>;

  /** `existing` are the credentials that are there; the environment comes before them. */
  constructor(
    existing: ReadonlyMap<string, string>,
    env: Readonly<Record<string, string | undefined>>,
  ) {
    this.#taken = new Map(existing);
    this.#env = env;
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
      const inherited = this.#env[name];
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
  if (isRawObject(env)) {
    moved["env"] = mapTexts(env, (key, text) => inText(key, text, key, `${name}_${key}`));
  }
  if (isRawObject(headers)) {
    moved["headers"] = mapTexts(headers, (key, text) => inText(key, text, headerName(name, key)));
  }
  if (isRawObject(auth)) {
    moved["auth"] = mapTexts(auth, (key, text) => inText(key, text, `${name}_${key}`));
  }
  if (typeof url === "string" && !url.includes("${")) {
    moved["url"] = inUrl(url, `${name}_KEY`, put);
  }
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
