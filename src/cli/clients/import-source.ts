/** Reads the servers out of the files of clients, each in our terms. */

import { basename, dirname } from "node:path";
import type { ServerConfig } from "../../config/config.ts";
import type { ConfigDocument } from "../../config/document.ts";
import { type ConfigIssue, formatPath } from "../../config/issue.ts";
import type { ValueStore } from "../../config/lookup.ts";
import { parseTree, ROOT_KEYS } from "../../config/parse.ts";
import { loadPatterns, mentionsPatterns } from "../../config/patterns.ts";
import { isRawObject, type RawObject } from "../../config/section.ts";
import { shapeDocument } from "../../config/shape.ts";
import type { ConfigTree } from "../../config/tree.ts";
import { type ClientApp, findClient } from "./clients.ts";
import { sectionDocument, valueAt, withTimeout } from "./entries.ts";
import { parseClientText, readClientFile } from "./read.ts";

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
