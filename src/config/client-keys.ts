/** Keys that other clients write into the entry of a server, and what they mean here. */

import { isObject } from "../lib/json.ts";
import { fromEntries, type Input } from "./document.ts";
import { type ConfigPath, quote } from "./issue.ts";
import type { IssueCollector } from "./validate.ts";

/** What becomes of one key. */
export interface ClientKey {
  /** The key of ours that says the same, `tools.…` for one inside of `tools`. */
  readonly means?: string;
  /** Which client writes it, for the schema. */
  readonly client: string;
  /** What to do instead, where it means nothing here. */
  readonly remedy?: string;
}

const APPROVAL = "approve tools in the client";

/** The keys by name. A key of ours is never among them. */
export const CLIENT_KEYS: Readonly<Record<string, ClientKey>> = {
  serverUrl: { means: "url", client: "Windsurf" },
  httpUrl: { means: "url", client: "Gemini CLI" },
  alwaysAllow: { client: "Cline and Roo Code", remedy: APPROVAL },
  autoApprove: { client: "Cline", remedy: APPROVAL },
  trust: { client: "Gemini CLI", remedy: APPROVAL },
  includeTools: { means: "tools.include", client: "Gemini CLI and Amp" },
  excludeTools: { means: "tools.exclude", client: "Gemini CLI" },
  enabledTools: { means: "tools.include", client: "several clients" },
  disabledTools: { means: "tools.exclude", client: "Windsurf, Roo Code and Kiro" },
  enabled_tools: { means: "tools.include", client: "Codex" },
  disabled_tools: { means: "tools.exclude", client: "Codex" },
  gallery: { client: "VS Code" },
  version: { client: "VS Code" },
  dev: { client: "VS Code" },
  sandboxEnabled: { client: "VS Code", remedy: "the program runs with the gateway's own rights" },
  sandbox: { client: "VS Code", remedy: "the program runs with the gateway's own rights" },
  watchPaths: { client: "Roo Code" },
  remote: { client: "Zed" },
  source: { client: "Zed" },
  settings: { client: "Zed", remedy: 'pass what the program needs in "env" or "args"' },
  oauth: { client: "Gemini CLI and Claude Code", remedy: 'set "headers" or "auth"' },
  authProviderType: { client: "Gemini CLI", remedy: 'set "headers" or "auth"' },
  iconPath: { client: "several clients" },
  name: { client: "several clients", remedy: "the key of the entry is the name" },
};

/** Values of `type` and `transport` that other clients write. */
const TRANSPORT_NAMES: Readonly<Record<string, string>> = {
  streamableHttp: "streamable-http",
  streamable_http: "streamable-http",
};

/**
 * Adds the entry of a server to the mapping with the keys of other clients mapped to ours or left
 * out, each of those with a warning. What is no object is passed on to be complained about.
 */
export function addServer(
  name: string,
  entry: unknown,
  written: ConfigPath,
  { mapping, collector }: { readonly mapping: Mapping; readonly collector: IssueCollector },
): void {
  if (!isObject(entry)) {
    mapping.server(name, entry, written);
    return;
  }
  const kept: [string, unknown][] = [];
  const choices: ToolChoice[] = [];
  for (const [key, value] of Object.entries(entry)) {
    const client = isOauth(key, value)
      ? CLIENT_KEYS["oauth"]
      : Object.hasOwn(CLIENT_KEYS, key)
      ? CLIENT_KEYS[key]
      : undefined;
    if (client === undefined) kept.push([key, readValue(key, value)]);
    else if (client.means === undefined) warnIgnored(key, client, written, collector);
    else if (isChoice(client.means)) choices.push({ key, means: client.means, value });
    else if (client.means in entry || kept.some(([other]) => other === client.means)) {
      collector.warn([...written, key], `${quote(key)} has no effect beside "${client.means}"`, {
        part: "key",
        remedy: "remove one of them",
      });
    } else {
      kept.push([client.means, value]);
      mapping.moved(["mcpServers", name, client.means], [...written, key]);
    }
  }
  const shaped = withChoices(fromEntries(kept), choices, { name, written, mapping, collector });
  mapping.server(name, shaped, written);
}

/** What Cursor calls "auth" is about OAuth, and what it says is none of ours. */
function isOauth(key: string, value: unknown): boolean {
  return key === "auth" && typeof value === "object" && value !== null && "CLIENT_ID" in value;
}

function readValue(key: string, value: unknown): unknown {
  if (key !== "type" && key !== "transport" || typeof value !== "string") return value;
  return Object.hasOwn(TRANSPORT_NAMES, value) ? TRANSPORT_NAMES[value] : value;
}

function warnIgnored(
  key: string,
  { remedy }: ClientKey,
  written: ConfigPath,
  collector: IssueCollector,
): void {
  collector.warn(
    [...written, key],
    `${quote(key)} is a setting of other clients and ignored here`,
    {
      part: "key",
      remedy,
    },
  );
}

/** Lists of tools that other clients keep beside the server, brought into its `tools`. */

/** What such a list means here. */
export type ChoiceMeaning = "tools.include" | "tools.exclude";

/** One list of another client. */
export interface ToolChoice {
  /** As the client calls it. */
  readonly key: string;
  readonly means: ChoiceMeaning;
  readonly value: unknown;
}

/** What {@link withChoices} needs beside the entry. */
export interface ChoiceContext {
  /** The server's name. */
  readonly name: string;
  /** Where the server was written. */
  readonly written: ConfigPath;
  readonly mapping: Mapping;
  readonly collector: IssueCollector;
}

/** Tells a key that chooses tools from the others. */
export function isChoice(means: string): means is ChoiceMeaning {
  return means === "tools.include" || means === "tools.exclude";
}

/**
 * The entry of a server with the lists in its `tools`, beside what that says. The same thing said
 * twice is an error: whichever of the two were passed over, a tool could be offered that somebody
 * has ruled out.
 */
export function withChoices(
  entry: Readonly<Record<string, unknown>>,
  choices: readonly ToolChoice[],
  { name, written, mapping, collector }: ChoiceContext,
): Readonly<Record<string, unknown>> {
  const [first] = choices;
  if (first === undefined) return entry;
  const place = ["mcpServers", name, "tools"];
  const { tools } = entry;
  const isList = Array.isArray(tools);
  // What is neither list nor object is complained about, and the lists would hide it.
  if (tools !== undefined && (typeof tools !== "object" || tools === null)) return entry;
  if (isList) mapping.moved([...place, "include"], [...written, "tools"]);
  else if (tools === undefined) mapping.moved(place, [...written, first.key]);
  const members = new Map(Object.entries(isList ? { include: tools } : tools ?? {}));
  const sayers = new Map([...members.keys()].map((member) => [member, ownKey(member, isList)]));
  for (const { key, means, value } of choices) {
    const member = means.slice("tools.".length);
    const other = sayers.get(member);
    if (other !== undefined) {
      const found = `found both ${quote(other)} and ${quote(key)}`;
      collector.error([...written, key], `${found}, expected one of them`, {
        part: "key",
        remedy: `put all that ${quote(key)} lists into ${quote(other)}`,
      });
      continue;
    }
    sayers.set(member, key);
    members.set(member, value);
    mapping.moved([...place, member], [...written, key]);
  }
  return fromEntries([...Object.entries(entry), ["tools", fromEntries(members)]]);
}

function ownKey(member: string, isList: boolean): string {
  return isList ? "tools" : `tools.${member}`;
}

/** What a layout is mapped to, and where each part of it was written. */

/** Collects the internal raw form of one file; made by one shape, read by `shape.ts`. */
export class Mapping {
  /** Settings by their internal names, as written. */
  readonly settings: Record<string, unknown> = Object.create(null);
  /** Inputs of VS Code by id. */
  readonly inputs = new Map<string, Input>();
  readonly #servers = new Map<string, unknown>();
  readonly #written = new Map<string, ConfigPath>();
  #section: unknown;

  /** A setting, and where it was written. */
  setting(name: string, value: unknown, written: ConfigPath): void {
    this.settings[name] = value;
    this.moved([name], written);
  }

  /** The section of servers when it is no object: it is kept to be complained about. */
  brokenSection(value: unknown, written: ConfigPath): void {
    this.#section = value;
    this.moved(["mcpServers"], written);
  }

  /** The section of servers, empty so far. */
  openSection(written: ConfigPath): void {
    this.#section = this.#servers;
    this.moved(["mcpServers"], written);
  }

  /** One server. */
  server(name: string, entry: unknown, written: ConfigPath): void {
    this.#servers.set(name, entry);
    this.moved(["mcpServers", name], written);
  }

  /** Whether a server of this name is there already. */
  has(name: string): boolean {
    return this.#servers.has(name);
  }

  /** Says where what is at `path` now was written. */
  moved(path: ConfigPath, written: ConfigPath): void {
    this.#written.set(JSON.stringify(path), written);
  }

  /** The path as written: that of the nearest ancestor that was mapped, and what is below. */
  written(path: ConfigPath): ConfigPath {
    for (let length = path.length; length > 0; length--) {
      const known = this.#written.get(JSON.stringify(path.slice(0, length)));
      if (known !== undefined) return [...known, ...path.slice(length)];
    }
    return path;
  }

  /** The names of the servers in the order of the file. */
  get names(): readonly string[] {
    return [...this.#servers.keys()];
  }

  /** The raw form; without `mcpServers` where the file has no such section. */
  value(): Readonly<Record<string, unknown>> {
    const value: Record<string, unknown> = Object.assign(Object.create(null), this.settings);
    if (this.#section === undefined) return value;
    value["mcpServers"] = this.#section === this.#servers
      ? fromEntries(this.#servers)
      : this.#section;
    return value;
  }
}
