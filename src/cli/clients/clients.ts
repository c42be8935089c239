/**
 * The clients whose configurations are known: where they are, how they are laid out, and what an
 * entry for the gateway looks like in each. One row a client. Pure: nothing here looks at the disk.
 */

import { posix, win32 } from "node:path";
import { isObject, type Json, type JsonObject } from "../../lib/json.ts";

/** How the gateway is reached: by its address, or by a program that a client starts. */
export interface Reach {
  readonly url: string;
  /** The program and the first of its arguments; `bridge` and the address come behind. */
  readonly command: readonly [string, ...string[]];
  /** What the client is let in by, where one is needed. */
  readonly key?: string | undefined;
}

/** The headers with the key, under the name that a client has for them. */
function headersWith({ key }: Reach, name = "headers"): JsonObject {
  return key === undefined ? {} : { [name]: { Authorization: `Bearer ${key}` } };
}

/** One row of the table. */
export interface ClientApp {
  /** What `--from` and `connect` take. */
  readonly name: string;
  /** As its makers write it. */
  readonly title: string;
  /** What its files are written in; JSON where nothing is said. */
  readonly format?: "toml";
  /** Keys from the root to the object of servers. */
  readonly section: readonly string[];
  /** The files of a user, the one that is written to first. */
  user(places: ClientPlaces): readonly string[];
  /** The files of a project, where it has any. */
  project?(places: ClientPlaces): readonly string[];
  /** The entry that leads to the gateway. */
  entry(reach: Reach): Json;
  /** Its own command that takes an entry out; the name comes behind. */
  readonly remover?: string;
  /** What keeps the gateway's tools away all the same, and what to do about it. */
  readonly note?: string;
}

/** The name of the gateway's entry in each client. */
export const ENTRY_NAME = "mcproxy";

const EDITORS = ["Code", "Code - Insiders", "VSCodium"];

/** All known clients, in the order they are listed. */
export const CLIENTS: readonly ClientApp[] = [
  {
    name: "claude-desktop",
    title: "Claude Desktop",
    section: ["mcpServers"],
    user: (places) => [places.settings("Claude", "claude_desktop_config.json")],
    // Its file takes programs only; addresses are added in its settings, through the internet.
    entry: ({ url, command: [command, ...args], key }) => ({
      command,
      args: [...args, "bridge", url],
      ...(key === undefined ? {} : { env: { MCPROXY_KEY: key } }),
    }),
  },
  {
    name: "claude-code",
    title: "Claude Code",
    section: ["mcpServers"],
    user: (places) => [places.named("CLAUDE_CONFIG_DIR", "", ".claude.json")],
    project: (places) => [places.project(".mcp.json")],
    entry: (reach) => ({ type: "http", url: reach.url, ...headersWith(reach) }),
    remover: "claude mcp remove --scope user",
  },
  {
    name: "cursor",
    title: "Cursor",
    section: ["mcpServers"],
    user: (places) => [places.home(".cursor", "mcp.json")],
    project: (places) => [places.project(".cursor", "mcp.json")],
    entry: (reach) => ({ url: reach.url, ...headersWith(reach) }),
  },
  {
    name: "vscode",
    title: "VS Code",
    section: ["servers"],
    user: (places) => EDITORS.map((editor) => places.settings(editor, "User", "mcp.json")),
    project: (places) => [places.project(".vscode", "mcp.json")],
    entry: (reach) => ({ type: "http", url: reach.url, ...headersWith(reach) }),
  },
  {
    name: "windsurf",
    title: "Windsurf",
    section: ["mcpServers"],
    user: (places) => [places.home(".codeium", "windsurf", "mcp_config.json")],
    entry: (reach) => ({ serverUrl: reach.url, ...headersWith(reach) }),
  },
  {
    name: "zed",
    title: "Zed",
    section: ["context_servers"],
    user: (places) => [places.config(places.isWindows ? "Zed" : "zed", "settings.json")],
    project: (places) => [places.project(".zed", "settings.json")],
    entry: (reach) => ({ url: reach.url, ...headersWith(reach) }),
  },
  {
    name: "cline",
    title: "Cline",
    section: ["mcpServers"],
    user: (places) => [
      ...[...EDITORS, "Cursor", "Windsurf"].map((editor) =>
        places.settings(
          editor,
          "User",
          "globalStorage",
          "saoudrizwan.claude-dev",
          "settings",
          "cline_mcp_settings.json",
        )
      ),
      places.home(".cline", "data", "settings", "cline_mcp_settings.json"),
    ],
    entry: (reach) => ({ type: "streamableHttp", url: reach.url, ...headersWith(reach) }),
  },
  {
    name: "codex",
    title: "Codex",
    format: "toml",
    section: ["mcp_servers"],
    user: (places) => [places.named("CODEX_HOME", ".codex", "config.toml")],
    project: (places) => [places.project(".codex", "config.toml")],
    entry: (reach) => ({ url: reach.url, ...headersWith(reach, "http_headers") }),
    remover: "codex mcp remove",
    // Not written: with it Codex does not start at all while the gateway is away.
    note: 'Codex waits one second for a server; "required = true" makes it wait, or not start',
  },
  {
    name: "gemini",
    title: "Gemini CLI",
    section: ["mcpServers"],
    user: (places) => [places.home(".gemini", "settings.json")],
    project: (places) => [places.project(".gemini", "settings.json")],
    entry: (reach) => ({ httpUrl: reach.url, ...headersWith(reach) }),
    remover: "gemini mcp remove --scope user",
    note: "Gemini CLI starts no server in a folder it does not trust: /permissions trusts one",
  },
  {
    name: "opencode",
    title: "OpenCode",
    section: ["mcp"],
    user: (places) =>
      ["opencode.json", "opencode.jsonc"].map((file) =>
        places.isWindows
          ? places.home(".config", "opencode", file)
          : places.config("opencode", file)
      ),
    project: (places) => [places.project("opencode.json"), places.project("opencode.jsonc")],
    entry: (reach) => ({ type: "remote", url: reach.url, enabled: true, ...headersWith(reach) }),
  },
];

/** The client of this name. */
export function findClient(name: string): ClientApp | undefined {
  return CLIENTS.find((client) => client.name === name);
}

/** A file that may be there. */
export interface ClientFile {
  readonly client: ClientApp;
  readonly scope: "user" | "project";
  /** Absolute. */
  readonly path: string;
}

/** The files of the clients, the user's before the project's; each path once. */
export function clientFiles(
  clients: readonly ClientApp[],
  surroundings: Surroundings,
): readonly ClientFile[] {
  const places = placesIn(surroundings);
  const seen = new Set<string>();
  return clients.flatMap((client): ClientFile[] => [
    ...client.user(places).map((path) => ({ client, scope: "user" as const, path })),
    ...(client.project?.(places) ?? []).map((path) => ({
      client,
      scope: "project" as const,
      path,
    })),
  ]).filter(({ path }) => !seen.has(path) && seen.add(path));
}

/** What the places depend on. */
export interface Surroundings {
  /** As `process.platform` names it. */
  readonly platform: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Working directory, absolute: where a project's files are looked for. */
  readonly cwd: string;
  /** The user's home, absolute. */
  readonly home: string;
}

/** Answers where the usual directories are, with paths as the platform writes them. */
export interface ClientPlaces {
  readonly isWindows: boolean;
  /** Joins steps below the home. */
  home(...steps: string[]): string;
  /** Below where applications keep the settings of a user. */
  settings(...steps: string[]): string;
  /** Below where programs that follow XDG, also on macOS, keep their settings. */
  config(...steps: string[]): string;
  /** Below the directory a variable names, else below the home. */
  named(variable: string, fallback: string, ...steps: string[]): string;
  /** Below the working directory. */
  project(...steps: string[]): string;
}

/** The places of one machine and user. */
export function placesIn({ platform, env, cwd, home }: Surroundings): ClientPlaces {
  const { join, isAbsolute } = platform === "win32" ? win32 : posix;
  const absolute = (variable: string): string | undefined => {
    const value = env[variable];
    return value !== undefined && isAbsolute(value) ? value : undefined;
  };
  const xdg = absolute("XDG_CONFIG_HOME") ?? join(home, ".config");
  const roaming = absolute("APPDATA") ?? join(home, "AppData", "Roaming");
  const settings = platform === "win32"
    ? roaming
    : platform === "darwin"
    ? join(home, "Library", "Application Support")
    : xdg;
  const config = platform === "win32" ? roaming : xdg;
  return {
    isWindows: platform === "win32",
    home: (...steps) => join(home, ...steps),
    settings: (...steps) => join(settings, ...steps),
    config: (...steps) => join(config, ...steps),
    named: (variable, fallback, ...steps) =>
      join(absolute(variable) ?? join(home, fallback), ...steps),
    project: (...steps) => join(cwd, ...steps),
  };
}

/**
 * Whether an entry of a client, in its words or in ours, leads to a gateway at one of `urls`: to
 * import one would be a loop.
 */
export function leadsToGateway(entry: unknown, urls: readonly string[]): boolean {
  if (!isObject(entry)) return false;
  const args = Array.isArray(entry.args) ? entry.args : [];
  if (startsGateway(entry.command, args)) return true;
  return [...addressesOf(entry), ...args].some((text) =>
    typeof text === "string" && urls.some((url) => isBelow(text, url))
  );
}

/** Whether an entry under the gateway's own name is one that `connect` has written. */
export function isConnection(entry: unknown): boolean {
  if (!isObject(entry)) return false;
  const args = Array.isArray(entry.args) ? entry.args : [];
  if (args.at(-2) === "bridge" && isAddress(args.at(-1))) return true;
  return addressesOf(entry).some(isAddress);
}

function addressesOf({ url, serverUrl, httpUrl }: JsonObject): readonly unknown[] {
  return [url, serverUrl, httpUrl];
}

function isAddress(text: unknown): boolean {
  return typeof text === "string" && /\/mcp$/.test(URL.parse(text)?.pathname ?? "");
}

/** `mcproxy …`, or `deno run -A main.ts bridge …`. */
function startsGateway(command: unknown, args: readonly unknown[]): boolean {
  if (typeof command !== "string") return false;
  const words = [command, ...args].map((word) => typeof word === "string" ? word : "");
  if (/(?:^|[\\/])mcproxy(?:\.exe)?$/.test(command)) return true;
  const at = words.findIndex((word) => /(?:^|[\\/])(?:main\.[jt]s|mcproxy)$/.test(word));
  return at !== -1 && ["bridge", "--stdio"].some((word) => words.indexOf(word, at) !== -1);
}

function isBelow(text: string, gateway: string): boolean {
  const [one, other] = [URL.parse(text), URL.parse(gateway)];
  if (one === null || other === null || portOf(one) !== portOf(other)) return false;
  if (hostOf(one) !== hostOf(other)) return false;
  const base = other.pathname.replace(/\/mcp\/?$/, "").replace(/\/$/, "");
  const path = one.pathname;
  if (path !== base && !path.startsWith(`${base}/`)) return false;
  return /^\/?$|^\/(mcp|sse|messages|servers|profiles|gated|ungated)(\/|$)/.test(
    path.slice(base.length),
  );
}

function portOf({ port, protocol }: URL): string {
  return port || (protocol === "https:" ? "443" : "80");
}

/** All names of this machine are one. */
function hostOf({ hostname }: URL): string {
  return /^(localhost|127(\.\d+){3}|0\.0\.0\.0|\[::1?\])$/.test(hostname) ? "localhost" : hostname;
}
