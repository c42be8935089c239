/** Keys that other clients write into the entry of a server, and what they mean here. */

import { isObject } from "../lib/json.ts";
import { fromEntries, type Input, type RawObject } from "./document.ts";
import { type ConfigPath, describeKind, quote } from "./issue.ts";
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
  transportType: { means: "type", client: "Cline" },
  headersHelper: { client: "Claude Code", remedy: 'set "headers" or "auth"' },
  alwaysLoad: { client: "Claude Code" },
  gallery: { client: "VS Code" },
  version: { client: "VS Code" },
  dev: { client: "VS Code" },
  sandboxEnabled: { client: "VS Code", remedy: "the program runs with the gateway's own rights" },
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
  const before = collector.issues.length;
  const here = { place: ["mcpServers", name], written, mapping, issues: collector.below(written) };
  mapping.moved(here.place, written);
  const read = (key: string, value: unknown) =>
    readValue(key, value, collector.below(mapping.written([...here.place, key])));
  const kept = new Map<string, unknown>();
  const choices: ToolChoice[] = [];
  for (const [key, value] of Object.entries(entry)) {
    const { means, remedy } = clientKey(key, value) ?? { means: key };
    if (means === key) kept.set(key, read(key, value));
    else if (means === undefined) warnIgnored(key, here.issues, remedy);
    else if (means.startsWith(TOOLS)) {
      choices.push({ key, member: means.slice(TOOLS.length), value });
    } else if (means in entry || kept.has(means)) {
      here.issues.warn([key], `${quote(key)} has no effect beside "${means}"`, {
        part: "key",
        remedy: "remove one of them",
      });
    } else {
      kept.set(means, read(means, value));
      mapping.moved([...here.place, means], [...written, key]);
    }
  }
  addChoices(kept, choices, here);
  if (mapping.leavesOut && collector.issues.length > before) collector.leaveOut(before);
  else mapping.server(name, fromEntries(kept), written);
}

/** What becomes of a key that is none of ours. */
function clientKey(key: string, value: unknown): Partial<ClientKey> | undefined {
  // What Cursor calls "auth" is about OAuth, and what it says is none of ours.
  const isCursors = key === "auth" && isObject(value) && "CLIENT_ID" in value;
  // Nor what VS Code means by "sandbox": rules for files and domains.
  const isVscodes = key === "sandbox" && isObject(value) &&
    !("read" in value || "write" in value) &&
    ("filesystem" in value || isObject(value["network"]));
  const name = isCursors ? "oauth" : isVscodes ? "sandboxEnabled" : key;
  return Object.hasOwn(CLIENT_KEYS, name) ? CLIENT_KEYS[name] : undefined;
}

function readValue(key: string, value: unknown, issues: IssueCollector): unknown {
  if ((key === "env" || key === "headers") && isObject(value)) return texts(value, issues);
  if (key !== "type" && key !== "transport" || typeof value !== "string") return value;
  return Object.hasOwn(TRANSPORT_NAMES, value) ? TRANSPORT_NAMES[value] : value;
}

/** Numbers and booleans as the text other clients make of them; null means "not set" there. */
function texts(map: RawObject, issues: IssueCollector): RawObject {
  return fromEntries(
    Object.entries(map).flatMap(([name, value]) => {
      const isBare = typeof value === "number" || typeof value === "boolean";
      if (!isBare && value !== null) return [[name, value]];
      const [taken, remedy] = isBare ? ["as text", "put it in double quotes"] : ["for not set"];
      issues.warn([name], `found ${describeKind(value)}, taken ${taken}`, { remedy });
      return isBare ? [[name, String(value)]] : [];
    }),
  );
}

/** Warns of something that only another client makes anything of. */
export function warnIgnored(key: string, collector: IssueCollector, remedy?: string): void {
  collector.warn([key], `${quote(key)} is a setting of other clients and ignored here`, {
    part: "key",
    remedy,
  });
}

const TOOLS = "tools.";

/** A list of tools that another client keeps beside the server. */
interface ToolChoice {
  /** As the client calls it. */
  readonly key: string;
  /** The member of `tools` that says the same. */
  readonly member: string;
  readonly value: unknown;
}

/**
 * Brings such lists into the `tools` of an entry, beside what that says. The same thing said twice
 * is an error: whichever of the two were passed over, a tool could be offered that somebody has
 * ruled out.
 */
function addChoices(
  entry: Map<string, unknown>,
  choices: readonly ToolChoice[],
  { place, written, mapping, issues }: {
    readonly place: ConfigPath;
    readonly written: ConfigPath;
    readonly mapping: Mapping;
    readonly issues: IssueCollector;
  },
): void {
  const [first] = choices;
  if (first === undefined) return;
  const tools = entry.get("tools");
  const isList = Array.isArray(tools);
  // What is neither list nor object is complained about, and the lists would hide it.
  if (tools !== undefined && (typeof tools !== "object" || tools === null)) return;
  if (isList) mapping.moved([...place, "tools", "include"], [...written, "tools"]);
  else if (tools === undefined) mapping.moved([...place, "tools"], [...written, first.key]);
  const members = new Map(Object.entries(isList ? { include: tools } : tools ?? {}));
  const sayers = new Map(
    Array.from(members.keys(), (member) => [member, isList ? "tools" : TOOLS + member]),
  );
  for (const { key, member, value } of choices) {
    const other = sayers.get(member);
    if (other !== undefined) {
      const found = `found both ${quote(other)} and ${quote(key)}`;
      issues.error([key], `${found}, expected one of them`, {
        part: "key",
        remedy: `put all that ${quote(key)} lists into ${quote(other)}`,
      });
      continue;
    }
    sayers.set(member, key);
    members.set(member, value);
    mapping.moved([...place, "tools", member], [...written, key]);
  }
  entry.set("tools", fromEntries(members));
}

/** Collects the internal raw form of one file, and where each part of it was written. */
export class Mapping {
  /** Settings by their internal names, as written. */
  readonly settings: Record<string, unknown> = Object.create(null);
  /** Inputs of VS Code by id. */
  readonly inputs = new Map<string, Input>();
  readonly #servers = new Map<string, unknown>();
  readonly #written = new Map<string, ConfigPath>();
  #section: unknown;

  /** `leavesOut`: a server with a mistake is left out with a warning. */
  constructor(readonly leavesOut: boolean) {}

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

/** A copy of plain data with each text changed; keys stay. */
export function replaceTexts(value: unknown, change: (text: string) => string): unknown {
  if (typeof value === "string") return change(value);
  if (Array.isArray(value)) return value.map((item: unknown) => replaceTexts(item, change));
  if (!isObject(value)) return value;
  return fromEntries(Object.entries(value).map(([key, one]) => [key, replaceTexts(one, change)]));
}

/** An entry with the variables of a client, which `theirs` finds, in our syntax. */
function withVariables(entry: RawObject, theirs: RegExp, ours: string): RawObject {
  const named = replaceTexts(entry, (text) => text.replace(theirs, ours)) as RawObject;
  // No variable counts in this one.
  return "description" in entry ? { ...named, description: entry["description"] } : named;
}

/**
 * The entry of an OpenCode server in our terms. Its `command` is a list, its types are called
 * otherwise, and its variables are `{env:NAME}` and `{file:path}`.
 */
export function opencodeEntry(entry: RawObject): RawObject {
  const { type: _, command, environment, ...rest } = entry;
  const [program, ...args] = Array.isArray(command) ? command as unknown[] : [command];
  const ours = {
    ...rest,
    ...(program === undefined ? {} : { command: program }),
    ...(args.length === 0 ? {} : { args }),
    ...(environment === undefined ? {} : { env: environment }),
  };
  return withVariables(ours, /(?<!\$)\{(env|file):/g, "${$1:");
}

/**
 * The entry of a Gemini CLI server, where `$NAME` is a variable as `${NAME}` is. Where it is not
 * set it is text: part of a password, mostly. `ours` is what becomes of one.
 */
export function geminiEntry(entry: RawObject, ours = "${$1:-$$$1}"): RawObject {
  return withVariables(entry, /(?<!\$|:-)\$([A-Za-z_]\w*)/g, ours);
}
