/** Keys that other clients write into the entry of a server, and what they mean here. */

import type { IssueCollector } from "./collector.ts";
import { type ConfigPath, quote } from "./issue.ts";
import { fromEntries, type Mapping } from "./mapping.ts";
import { isChoice, type ToolChoice, withChoices } from "./tool-choice.ts";

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
  if (typeof entry !== "object" || entry === null || Array.isArray(entry)) {
    mapping.server(name, entry, written);
    return;
  }
  const source = entry as Readonly<Record<string, unknown>>;
  const kept: [string, unknown][] = [];
  const choices: ToolChoice[] = [];
  for (const [key, value] of Object.entries(source)) {
    const client = isOauth(key, value)
      ? CLIENT_KEYS["oauth"]
      : Object.hasOwn(CLIENT_KEYS, key)
      ? CLIENT_KEYS[key]
      : undefined;
    if (client === undefined) kept.push([key, readValue(key, value)]);
    else if (client.means === undefined) warnIgnored(key, client, written, collector);
    else if (isChoice(client.means)) choices.push({ key, means: client.means, value });
    else if (client.means in source || kept.some(([other]) => other === client.means)) {
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
