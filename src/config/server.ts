/** One entry of `mcpServers` to a {@link ServerConfig}. */

import { canonicalJson } from "../lib/canonical.ts";
import type { IssueCollector } from "./collector.ts";
import type { ServerConfig, Settings } from "./config.ts";
import { parseEnvFile } from "./env-file.ts";
import { expandTree, type Lookup, type TreeExpansion, type UsedVariable } from "./expand.ts";
import { type ConfigIssue, type ConfigPath, describeKind, quote } from "./issue.ts";
import { serverShape } from "./schema-shaping.ts";
import { type CheckedServer, ServerSchema } from "./schema.ts";
import { buildTargets, findUnusable, reportAuth, reportMapKeys } from "./target.ts";
import { serverTransform } from "./transform.ts";
import { reportUnknownKeys, validate } from "./validate.ts";
import { missingValue, reportMalformed, warnShortTimeout } from "./variables.ts";

const KNOWN_KEYS = Object.keys(ServerSchema.entries);

/** Nothing depends on these, so a `${NAME}` in them must not disable the server. */
const LITERAL_KEYS: readonly string[] = ["description"];

/** Calls that wait for a server whose `maxConcurrency` is reached, by default. */
const MAX_QUEUE = 100;

/** Where a bare number is easily meant as seconds. */
const DURATIONS = ["timeout", "startupTimeout", "drainTimeout", "healthInterval", "idleTimeout"];

/** What {@link parseServer} needs beside the entry itself. */
export interface ServerContext {
  readonly lookup: Lookup;
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
  const { collector, lookup, settings } = context;
  const base: ConfigPath = ["mcpServers", name];
  const before = collector.issues.length;
  if (name === "") {
    collector.error(base, "found an empty server name, expected text", { part: "key" });
  }
  if (typeof source !== "object" || source === null || Array.isArray(source)) {
    collector.error(base, `found ${describeKind(source)}, expected a server object`);
    return { used: [] };
  }
  const expansion = expandServer(source, lookup);
  const raw = expansion.value as RawServer;
  reportMalformed(expansion, base, collector);
  const meant = reportUnknownKeys(raw, KNOWN_KEYS, base, collector);
  const checked = checkServer(source as RawServer, expansion, base, collector);
  reportTargetIssues(raw, meant, base, collector);
  reportAliases(raw, base, collector);
  for (const key of DURATIONS) warnShortTimeout(raw[key], [...base, key], collector);
  reportMapKeys(raw, base, collector);
  reportAuth(raw, base, collector);
  if (checked === undefined || collector.issues.length > before) return { used: expansion.used };

  const envFile = readEnvFile(raw, lookup);
  const { why, remedy } = envFile;
  const unread = why === undefined
    ? undefined
    : collector.issue([...base, "envFile"], why, { remedy });
  const instances = buildTargets(checked, { ...raw, env: envFile.env });
  const target = instances[0]!;
  const { protocol, sharing } = checked;
  const transform = serverTransform(checked);
  const roots = checked.roots ?? settings.roots;
  const shape = serverShape(checked);
  const problem = firstMissing(expansion, base, collector) ?? unread ??
    findUnusable(target, base, collector);
  const server: ServerConfig = {
    name,
    disabled: checked.disabled ?? !(checked.enabled ?? true),
    target,
    instances,
    protocol,
    startupTimeout: checked.startupTimeout ?? settings.startupTimeout,
    timeout: checked.timeout ?? settings.timeout,
    drainTimeout: checked.drainTimeout ?? settings.drainTimeout,
    healthInterval: checked.healthInterval ?? settings.healthInterval,
    healthThreshold: checked.healthThreshold ?? settings.healthThreshold,
    lazy: checked.lazy ?? false,
    ...(checked.idleTimeout === undefined ? {} : { idleTimeout: checked.idleTimeout }),
    ...(checked.maxConcurrency === undefined ? {} : { maxConcurrency: checked.maxConcurrency }),
    maxQueue: checked.maxQueue ?? MAX_QUEUE,
    prefix: checked.prefix ?? settings.prefix,
    separator: checked.separator ?? settings.separator,
    sharing,
    ...(roots === undefined ? {} : { roots }),
    ...(shape === undefined ? {} : { shape }),
    ...(transform === undefined ? {} : { transform }),
    key: canonicalJson({ instances, protocol, sharing }),
    ...(problem === undefined ? {} : { problem }),
  };
  return { server, used: expansion.used };
}

/** Asks the lookup for everything that {@link parseServer} will. */
export function touchServer(source: object, lookup: Lookup): void {
  readEnvFile(expandServer(source, lookup).value as RawServer, lookup);
}

/** `env` with what `envFile` adds, or why that cannot be read. */
function readEnvFile(
  { env, envFile }: RawServer,
  lookup: Lookup,
): { readonly env: unknown; readonly why?: string; readonly remedy?: string | undefined } {
  if (typeof envFile !== "string") return { env };
  const found = lookup({ kind: "file", name: envFile });
  if (found.value === undefined) return { env, why: found.why, remedy: found.remedy };
  return { env: Object.assign(Object.create(null), parseEnvFile(found.value), env) };
}

/** Expands the strings of an entry that is an object. */
function expandServer(source: object, lookup: Lookup): TreeExpansion {
  return expandTree(source, lookup, (key) => LITERAL_KEYS.includes(key));
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
  const unset = new Set(expansion.missing.map(({ path }) => JSON.stringify(path)));
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
  const hasUrl = "url" in raw || "urls" in raw;
  if ("url" in raw && "urls" in raw) {
    collector.error([...base, "urls"], 'found both "url" and "urls", expected one of them', {
      part: "key",
      remedy: 'put all addresses into "urls"',
    });
    return;
  }
  if (hasCommand && hasUrl) {
    const key = "url" in raw ? "url" : "urls";
    collector.error([...base, key], `found both "command" and "${key}", expected one of them`, {
      part: "key",
      remedy: 'keep "command" to start a program, "url" to reach a running server',
    });
    return;
  }
  if (!hasCommand && !hasUrl) {
    if (["command", "url", "urls"].some((key) => meant.has(key))) return;
    collector.error(base, 'found neither "command" nor "url", expected one of them', {
      part: "key",
      remedy: 'add "command" to start a program, or "url" to reach a running server',
    });
    return;
  }
  const pin = raw["transport"] ?? raw["type"];
  const pinKey = "transport" in raw ? "transport" : "type";
  if (typeof pin === "string" && (pin === "stdio") !== hasCommand && isTransport(pin)) {
    const [has, expected] = hasCommand
      ? ["command", '"stdio"']
      : ["url" in raw ? "url" : "urls", '"http" or "sse"'];
    collector.error(
      [...base, pinKey],
      `found ${quote(pin)} beside "${has}", expected ${expected}`,
    );
  }
  if ("maxQueue" in raw && !("maxConcurrency" in raw)) {
    collector.warn([...base, "maxQueue"], '"maxQueue" has no effect without "maxConcurrency"', {
      part: "key",
    });
  }
  const meaningless = hasCommand
    ? ["headers", "auth"]
    : ["args", "env", "envFile", "cwd", "instances"];
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

function firstMissing(
  { missing }: TreeExpansion,
  base: ConfigPath,
  collector: IssueCollector,
): ConfigIssue | undefined {
  const [first] = missing;
  return first === undefined ? undefined : missingValue([...base, ...first.path], first, collector);
}
