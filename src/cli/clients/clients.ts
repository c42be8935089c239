/**
 * The clients whose configurations are known: where they are, how they are laid out, and what an
 * entry for the gateway looks like in each. One row a client; nothing else knows them by name.
 */

import type { Json } from "../../lib/json.ts";
import { type ClientPlaces, placesIn, type Surroundings } from "./places.ts";

/** How the gateway is reached: by its address, or by a program that a client starts. */
export interface Reach {
  readonly url: string;
  /** The program and the first of its arguments; `bridge` and the address come behind. */
  readonly command: readonly [string, ...string[]];
}

/** One row of the table. */
export interface ClientApp {
  /** What `--from` and `connect` take. */
  readonly name: string;
  /** As its makers write it. */
  readonly title: string;
  readonly format: "json" | "toml";
  /** Keys from the root to the object of servers. */
  readonly section: readonly string[];
  /** The files of a user, the one that is written to first. */
  user(places: ClientPlaces): readonly string[];
  /** The files of a project. */
  project(places: ClientPlaces): readonly string[];
  /** The entry that leads to the gateway. */
  entry(reach: Reach): Json;
}

/** The name of the gateway's entry in each client. */
export const ENTRY_NAME = "mcproxy";

const EDITORS = ["Code", "Code - Insiders", "VSCodium"];

/** All known clients, in the order they are listed. */
export const CLIENTS: readonly ClientApp[] = [
  {
    name: "claude-desktop",
    title: "Claude Desktop",
    format: "json",
    section: ["mcpServers"],
    user: (places) => [places.settings("Claude", "claude_desktop_config.json")],
    project: () => [],
    // Its file takes programs only; addresses are added in its settings, through the internet.
    entry: ({ url, command: [command, ...args] }) => ({ command, args: [...args, "bridge", url] }),
  },
  {
    name: "claude-code",
    title: "Claude Code",
    format: "json",
    section: ["mcpServers"],
    user: (places) => [places.named("CLAUDE_CONFIG_DIR", "", ".claude.json")],
    project: (places) => [places.project(".mcp.json")],
    entry: ({ url }) => ({ type: "http", url }),
  },
  {
    name: "cursor",
    title: "Cursor",
    format: "json",
    section: ["mcpServers"],
    user: (places) => [places.home(".cursor", "mcp.json")],
    project: (places) => [places.project(".cursor", "mcp.json")],
    entry: ({ url }) => ({ url }),
  },
  {
    name: "vscode",
    title: "VS Code",
    format: "json",
    section: ["servers"],
    user: (places) => EDITORS.map((editor) => places.settings(editor, "User", "mcp.json")),
    project: (places) => [places.project(".vscode", "mcp.json")],
    entry: ({ url }) => ({ type: "http", url }),
  },
  {
    name: "windsurf",
    title: "Windsurf",
    format: "json",
    section: ["mcpServers"],
    user: (places) => [places.home(".codeium", "windsurf", "mcp_config.json")],
    project: () => [],
    entry: ({ url }) => ({ serverUrl: url }),
  },
  {
    name: "zed",
    title: "Zed",
    format: "json",
    section: ["context_servers"],
    user: (places) => [places.config(places.isWindows ? "Zed" : "zed", "settings.json")],
    project: (places) => [places.project(".zed", "settings.json")],
    entry: ({ url }) => ({ url }),
  },
  {
    name: "cline",
    title: "Cline",
    format: "json",
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
    project: () => [],
    entry: ({ url }) => ({ type: "streamableHttp", url }),
  },
  {
    name: "codex",
    title: "Codex",
    format: "toml",
    section: ["mcp_servers"],
    user: (places) => [places.named("CODEX_HOME", ".codex", "config.toml")],
    project: (places) => [places.project(".codex", "config.toml")],
    entry: ({ url }) => ({ url }),
  },
  {
    name: "gemini",
    title: "Gemini CLI",
    format: "json",
    section: ["mcpServers"],
    user: (places) => [places.home(".gemini", "settings.json")],
    project: (places) => [places.project(".gemini", "settings.json")],
    entry: ({ url }) => ({ httpUrl: url }),
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
    ...client.project(places).map((path) => ({ client, scope: "project" as const, path })),
  ]).filter(({ path }) => !seen.has(path) && seen.add(path));
}
