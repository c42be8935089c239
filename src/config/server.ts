/** One entry of `mcpServers` to a {@link ServerConfig}. */

import { canonicalJson } from "../lib/canonical.ts";
import type { IssueCollector } from "./collector.ts";
import type { Env, ServerConfig, Settings } from "./config.ts";
import { expandTree, type TreeExpansion, type UsedVariable } from "./expand.ts";
import { type ConfigIssue, type ConfigPath, describeKind, quote } from "./issue.ts";
import { type CheckedServer, ServerSchema } from "./schema.ts";
import { buildTarget, findUnusable, reportMapKeys } from "./target.ts";
import { IGNORED_KEYS, reportUnknownKeys, validate } from "./validate.ts";
import { reportMalformed, unsetVariable, warnShortTimeout } from "./variables.ts";

const KNOWN_KEYS = Object.keys(ServerSchema.entries);

/** Nothing depends on these, so a `${NAME}` in them must not disable the server. */
const LITERAL_KEYS: readonly string[] = ["description", ...IGNORED_KEYS];

/** What {@link parseServer} needs beside the entry itself. */
export interface ServerContext {
  readonly env: Env;
  /** Where a server says nothing, these apply. */
  readonly settings: Settings;
  readonly collector: IssueCollector;
}

/** A server, unless its issues went to the collector, and the variables it used. */
export interface ParsedServer {
  readonly server?: ServerConfig;
  readonly used: readonly UsedVariable[];
}

type RawServer = Readonly<Record<string, unknown>>;

/** Parses one entry. Reports to the collector; an unset variable only disables this server. */
export function parseServer(name: string, source: unknown, context: ServerContext): ParsedServer {
  const { collector, env, settings } = context;
  const base: ConfigPath = ["mcpServers", name];
  const before = collector.issues.length;
  if (name === "") {
    collector.error(base, "found an empty server name, expected text", { part: "key" });
  }
  if (typeof source !== "object" || source === null || Array.isArray(source)) {
    collector.error(base, `found ${describeKind(source)}, expected a server object`);
    return { used: [] };
  }
  const expansion = expandTree(source, env, (key) => LITERAL_KEYS.includes(key));
  const raw = expansion.value as RawServer;
  reportMalformed(expansion, base, collector);
  const meant = reportUnknownKeys(raw, KNOWN_KEYS, base, collector);
  const checked = checkServer(source as RawServer, expansion, base, collector);
  reportTargetIssues(raw, meant, base, collector);
  reportAliases(raw, base, collector);
  for (const key of ["timeout", "startupTimeout"]) {
    warnShortTimeout(raw[key], [...base, key], collector);
  }
  reportIgnored(raw, base, collector);
  reportMapKeys(raw, base, collector);
  if (checked === undefined || collector.issues.length > before) return { used: expansion.used };

  const target = buildTarget(checked, raw);
  const { protocol, sharing } = checked;
  const roots = checked.roots ?? settings.roots;
  const problem = firstUnset(expansion, base, collector) ?? findUnusable(target, base, collector);
  const server: ServerConfig = {
    name,
    disabled: checked.disabled ?? !(checked.enabled ?? true),
    target,
    protocol,
    startupTimeout: checked.startupTimeout ?? settings.startupTimeout,
    timeout: checked.timeout ?? settings.timeout,
    prefix: checked.prefix ?? settings.prefix,
    separator: checked.separator ?? settings.separator,
    sharing,
    ...(roots === undefined ? {} : { roots }),
    key: canonicalJson({ target, protocol, sharing }),
    ...(problem === undefined ? {} : { problem }),
  };
  return { server, used: expansion.used };
}

/**
 * Checks the expanded entry. A value that is wrong only because a variable is unset is no issue of
 * the file: it is left out, and the default stands in for it until the variable is there.
 */
function checkServer(
  source: RawServer,
  expansion: TreeExpansion,
  base: ConfigPath,
  collector: IssueCollector,
): CheckedServer | undefined {
  const unset = new Set(expansion.unset.map(({ path }) => JSON.stringify(path)));
  const skip = (path: ConfigPath) => unset.has(JSON.stringify(path));
  const value = expansion.value as RawServer;
  const first = validate(ServerSchema, value, collector, { base, source, skip });
  if (first.output !== undefined || first.skipped.length === 0) return first.output;
  const remaining: Record<string, unknown> = Object.assign(Object.create(null), value);
  for (const [key] of first.skipped) delete remaining[String(key)];
  // What else is wrong has been reported by the first pass.
  const quiet = { base, source, skip: () => true };
  return validate(ServerSchema, remaining, collector, quiet).output;
}

function reportTargetIssues(
  raw: RawServer,
  meant: ReadonlySet<string>,
  base: ConfigPath,
  collector: IssueCollector,
): void {
  const hasCommand = "command" in raw;
  const hasUrl = "url" in raw;
  if (hasCommand && hasUrl) {
    collector.error([...base, "url"], 'found both "command" and "url", expected one of them', {
      part: "key",
      remedy: 'keep "command" to start a program, "url" to reach a running server',
    });
    return;
  }
  if (!hasCommand && !hasUrl) {
    if (meant.has("command") || meant.has("url")) return;
    collector.error(base, 'found neither "command" nor "url", expected one of them', {
      part: "key",
      remedy: 'add "command" to start a program, or "url" to reach a running server',
    });
    return;
  }
  const pin = raw["transport"] ?? raw["type"];
  const pinKey = "transport" in raw ? "transport" : "type";
  if (typeof pin === "string" && (pin === "stdio") !== hasCommand && isTransport(pin)) {
    const [has, expected] = hasCommand ? ["command", '"stdio"'] : ["url", '"http" or "sse"'];
    collector.error(
      [...base, pinKey],
      `found ${quote(pin)} beside "${has}", expected ${expected}`,
    );
  }
  const meaningless = hasCommand ? ["headers"] : ["args", "env", "cwd"];
  for (const key of meaningless.filter((key) => key in raw)) {
    const other = hasCommand ? "url" : "command";
    collector.warn([...base, key], `"${key}" has no effect without "${other}"`, { part: "key" });
  }
}

function isTransport(text: string): boolean {
  return ["stdio", "http", "streamable-http", "sse"].includes(text);
}

/** Two names for one setting must not contradict each other. */
function reportAliases(raw: RawServer, base: ConfigPath, collector: IssueCollector): void {
  const { transport, type, disabled, enabled } = raw;
  if (
    typeof transport === "string" && isTransport(transport) &&
    typeof type === "string" && isTransport(type) &&
    transport.replace("streamable-", "") !== type.replace("streamable-", "")
  ) {
    collector.error(
      [...base, "type"],
      `found ${quote(type)} beside "transport": ${quote(transport)}, expected the same`,
      { remedy: 'remove "type" or "transport"' },
    );
  }
  if (typeof disabled === "boolean" && disabled === enabled) {
    collector.error(
      [...base, "enabled"],
      `found ${enabled} beside "disabled": ${disabled}, expected the opposite`,
      { remedy: 'remove "enabled" or "disabled"' },
    );
  }
}

function reportIgnored(raw: RawServer, base: ConfigPath, collector: IssueCollector): void {
  for (const key of IGNORED_KEYS.filter((key) => key in raw)) {
    collector.warn([...base, key], `"${key}" is a setting of other clients and ignored here`, {
      part: "key",
      remedy: "approve tools in the client",
    });
  }
}

function firstUnset(
  { unset }: TreeExpansion,
  base: ConfigPath,
  collector: IssueCollector,
): ConfigIssue | undefined {
  const [first] = unset;
  if (first === undefined) return undefined;
  return unsetVariable([...base, ...first.path], first.name, collector);
}
