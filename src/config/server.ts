/** One entry of `mcpServers` to a {@link ServerConfig}. */

import { canonicalJson, isObject } from "../lib/json.ts";
import { fromEntries, type RawObject } from "./document.ts";
import {
  expandTree,
  isMissingIn,
  type Lookup,
  reportMalformed,
  type TreeExpansion,
  type UsedVariable,
  warnShortTimeout,
} from "./expand.ts";
import {
  type ConfigIssue,
  type ConfigPath,
  describeKind,
  quote,
  withoutUndefined,
} from "./issue.ts";
import { serverTransform } from "./schema-results.ts";
import { serverShape } from "./schema-shaping.ts";
import { type CheckedServer, lateSchemas, ServerSchema, TRANSPORTS } from "./schema.ts";
import type { ServerConfig, ServerTarget, Settings } from "./types.ts";
import { type IssueCollector, reportUnknownKeys, validate } from "./validate.ts";
import { parseEnvFile } from "./values.ts";

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
  /** The file says who is let in, rightly or not. */
  readonly hasUsers: boolean;
  readonly collector: IssueCollector;
  /** Gets the variables it used. */
  readonly used: UsedVariable[];
  /** Files that a server which is kept in must not see. */
  readonly hidden: readonly string[];
}

/**
 * Parses one entry; undefined where its issues went to the collector. An unset variable only
 * disables this server.
 */
export function parseServer(
  name: string,
  source: unknown,
  { lookup, settings, hasUsers, used, hidden, ...context }: ServerContext,
): ServerConfig | undefined {
  const collector = context.collector.below(["mcpServers", name]);
  const before = collector.issues.length;
  if (name === "") {
    collector.error([], "found an empty server name, expected text", { part: "key" });
  }
  if (!isObject(source)) {
    collector.error([], `found ${describeKind(source)}, expected a server object`);
    return undefined;
  }
  const expansion = expandTree(source, (key) => LITERAL_KEYS.includes(key) ? undefined : lookup);
  for (const variable of expansion.used) used.push(variable);
  const raw = expansion.value;
  reportMalformed(expansion, collector);
  const meant = reportUnknownKeys(raw, KNOWN_KEYS, collector);
  const checked = checkServer(source, expansion, collector);
  reportTargetIssues(raw, meant, collector);
  lateSchemas.confining?.checkConfining(raw, collector);
  reportAliases(raw, collector);
  for (const key of DURATIONS) warnShortTimeout(raw[key], key, collector);
  reportMapKeys(raw, collector);
  lateSchemas.login?.checkServerAuth(raw, collector, hasUsers);
  warnShellWords(source, collector);
  if (checked === undefined || collector.issues.length > before) return undefined;

  const { env, unread } = readEnvFile(raw, lookup);
  const instances = buildTargets(checked, { ...raw, env }, hidden);
  const { protocol, sharing } = checked;
  const [missing = unread] = expansion.missing;
  const problem = missing === undefined
    ? findUnusable(instances[0]!, collector)
    : collector.issue(missing.path, missing.why, { remedy: missing.remedy });
  return withoutUndefined({
    name,
    disabled: checked.disabled ?? !(checked.enabled ?? true),
    instances,
    protocol,
    startupTimeout: checked.startupTimeout ?? settings.startupTimeout,
    timeout: checked.timeout ?? settings.timeout,
    drainTimeout: checked.drainTimeout ?? settings.drainTimeout,
    healthInterval: checked.healthInterval ?? settings.healthInterval,
    healthThreshold: checked.healthThreshold ?? settings.healthThreshold,
    lazy: checked.lazy ?? false,
    idleTimeout: checked.idleTimeout,
    maxConcurrency: checked.maxConcurrency,
    maxQueue: checked.maxQueue ?? MAX_QUEUE,
    rate: checked.rate,
    prefix: checked.prefix ?? settings.prefix,
    separator: checked.separator ?? settings.separator,
    sharing,
    roots: checked.roots ?? settings.roots,
    pin: checked.pin ?? settings.pin,
    shape: serverShape(checked),
    transform: serverTransform(checked),
    key: canonicalJson({ instances, protocol, sharing }),
    problem,
  });
}

/** `env` with what `envFile` adds, or why that cannot be read. */
function readEnvFile(
  { env, envFile }: RawObject,
  lookup: Lookup,
): { readonly env: unknown; readonly unread?: TreeExpansion["missing"][number] } {
  if (typeof envFile !== "string") return { env };
  const found = lookup({ kind: "file", name: envFile });
  if (found.value === undefined) {
    return { env, unread: { ...found, name: envFile, path: ["envFile"] } };
  }
  return { env: Object.assign(Object.create(null), parseEnvFile(found.value), env) };
}

/**
 * Checks the expanded entry. A value that is wrong only because a variable is unset is no issue of
 * the file: it is left out, and the default stands in for it until the variable is there.
 */
function checkServer(
  source: RawObject,
  expansion: TreeExpansion,
  collector: IssueCollector,
): CheckedServer | undefined {
  const { value } = expansion;
  const first = validate(ServerSchema, value, collector, { source, skip: isMissingIn(expansion) });
  if (first.output !== undefined || first.skipped.length === 0) return first.output;
  const left = new Set(first.skipped.map(([key]) => key));
  const remaining = fromEntries(Object.entries(value).filter(([key]) => !left.has(key)));
  // What else is wrong has been reported by the first pass.
  return validate(ServerSchema, remaining, collector, { source, skip: () => true }).output;
}

function reportTargetIssues(
  raw: RawObject,
  meant: ReadonlySet<string>,
  collector: IssueCollector,
): void {
  // All that there is to say of an image is said where its options are.
  if ("image" in raw) return;
  const hasCommand = "command" in raw;
  const hasUrl = "url" in raw || "urls" in raw;
  if ("url" in raw && "urls" in raw) {
    collector.error(["urls"], 'found both "url" and "urls", expected one of them', {
      part: "key",
      remedy: 'put all addresses into "urls"',
    });
    return;
  }
  if (hasCommand && hasUrl) {
    const key = "url" in raw ? "url" : "urls";
    collector.error([key], `found both "command" and "${key}", expected one of them`, {
      part: "key",
      remedy: 'keep "command" to start a program, "url" to reach a running server',
    });
    return;
  }
  if (!hasCommand && !hasUrl) {
    if (["command", "image", "url", "urls"].some((key) => meant.has(key))) return;
    collector.error([], 'found neither "command" nor "url", expected one of them', {
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
    collector.error([pinKey], `found ${quote(pin)} beside "${has}", expected ${expected}`);
  }
  if ("maxQueue" in raw && !("maxConcurrency" in raw)) {
    collector.warn(["maxQueue"], '"maxQueue" has no effect without "maxConcurrency"', {
      part: "key",
    });
  }
  const meaningless = hasCommand
    ? ["headers", "auth"]
    : ["args", "env", "envFile", "cwd", "instances"];
  for (const key of meaningless.filter((key) => key in raw)) {
    const other = hasCommand ? "url" : "command";
    collector.warn([key], `"${key}" has no effect without "${other}"`, { part: "key" });
  }
}

function isTransport(text: string): boolean {
  return (TRANSPORTS as readonly string[]).includes(text);
}

/** Two names for one setting must not contradict each other. */
function reportAliases(raw: RawObject, collector: IssueCollector): void {
  const { transport, type, disabled, enabled } = raw;
  if (
    typeof transport === "string" && isTransport(transport) &&
    typeof type === "string" && isTransport(type) &&
    transport.replace("streamable-", "") !== type.replace("streamable-", "")
  ) {
    collector.error(
      ["type"],
      `found ${quote(type)} beside "transport": ${quote(transport)}, expected the same`,
      { remedy: 'remove "type" or "transport"' },
    );
  }
  if (typeof disabled === "boolean" && disabled === enabled) {
    collector.error(
      ["enabled"],
      `found ${enabled} beside "disabled": ${disabled}, expected the opposite`,
      { remedy: 'remove "enabled" or "disabled"' },
    );
  }
}

/**
 * The targets of a checked entry, one for each instance; `raw` is the same entry, expanded and
 * unchecked.
 */
function buildTargets(
  checked: CheckedServer,
  raw: RawObject,
  hidden: readonly string[],
): readonly ServerTarget[] {
  const { image, command = image, cwd, sandbox, instances = 1 } = checked;
  if (command !== undefined) {
    const { mounts = [], network = false } = checked;
    const target: ServerTarget = {
      kind: "stdio",
      command,
      args: checked.args ?? [],
      env: stringsOf(raw["env"]),
      ...(cwd === undefined ? {} : { cwd }),
      ...(sandbox === undefined ? {} : { sandbox, hidden }),
      ...(image === undefined ? {} : { image: { mounts, network }, hidden }),
    };
    return Array.from({ length: instances }, () => target);
  }
  const pin = checked.transport ?? checked.type;
  const transport = pin === undefined ? "auto" : pin === "sse" ? pin : "http";
  // A URL with an unset variable was left out of the check; it stays readable as written.
  const written = Array.isArray(raw["urls"]) ? raw["urls"].map(String) : [String(raw["url"])];
  const headers = stringsOf(raw["headers"]);
  const { auth } = checked;
  const login = auth === undefined || "header" in auth ? {} : { login: auth };
  if (auth !== undefined && "header" in auth) headers["Authorization"] = auth.header;
  return (checked.urls ?? (checked.url === undefined ? written : [checked.url])).map((url) => ({
    kind: "http",
    url,
    transport,
    headers,
    ...login,
  }));
}

/**
 * A copy of a checked record of strings. Not the schema's output: valibot passes over keys such as
 * "constructor", which are good names for a variable or a header.
 */
function stringsOf(value: unknown): Record<string, string> {
  const texts = Object.entries(value ?? {}).filter(([, item]) => typeof item === "string");
  return fromEntries(texts) as Record<string, string>;
}

/** Keys that valibot's record passes over unchecked. */
const UNCHECKED_KEYS = ["__proto__", "prototype", "constructor"];

/** RFC 9110, section 5.1: a field name is a token. */
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** Nobody between here and the program makes anything of what only a shell understands. */
function warnShellWords({ command, args, cwd, env }: RawObject, collector: IssueCollector): void {
  if (typeof command === "string" && /^[\w@.-]+\s+\S/.test(command)) {
    collector.warn(["command"], "found several words, which are taken for one program's name", {
      remedy: 'put the words behind the program into "args"',
    });
  }
  const lists = Object.entries({ args, env }).flatMap(([key, list]) =>
    Object.entries(isObject(list) || Array.isArray(list) ? list : {}).map(([member, value]) => {
      return [[key, Array.isArray(list) ? Number(member) : member], value] as const;
    })
  );
  for (const [path, value] of [[["command"], command], [["cwd"], cwd], ...lists] as const) {
    const [word] = (typeof value === "string" && /^(~|\$[A-Za-z_]\w*)(?=\/)/.exec(value)) || [];
    if (word === undefined) continue;
    const name = word === "~" ? "HOME" : word.slice(1);
    collector.warn(path, `found ${quote(word)}, which is passed on as it is: no shell is used`, {
      remedy: `write "\${${name}}"`,
    });
  }
}

/** Reports names in `env` and `headers` that no process and no request could carry. */
function reportMapKeys(raw: RawObject, collector: IssueCollector): void {
  for (const section of ["env", "headers"]) {
    const map = raw[section];
    if (!isObject(map)) continue;
    for (const [key, value] of Object.entries(map)) {
      const path = [section, key];
      if (UNCHECKED_KEYS.includes(key) && typeof value !== "string") {
        collector.error(path, `found ${describeKind(value)}, expected a string`);
      }
      if (section === "headers" && !HEADER_NAME.test(key)) {
        collector.error(path, `found ${quote(key)}, expected the name of an HTTP header`, {
          part: "key",
        });
      }
      if (section === "env" && (key === "" || /[=\0]/.test(key))) {
        collector.error(path, `found ${quote(key)}, expected the name of a variable`, {
          part: "key",
          remedy: 'a name is not empty and has no "="',
        });
      }
    }
  }
}

/**
 * The first value the target cannot be started with, such as a header with a line break. It mostly
 * comes from a variable, so it is a problem of this server and not of the file.
 */
function findUnusable(target: ServerTarget, collector: IssueCollector): ConfigIssue | undefined {
  const suspects: (readonly [ConfigPath, string])[] = target.kind === "http"
    ? Object.entries(target.headers).map(([key, value]) => [["headers", key], value])
    : [
      [["command"], target.command],
      ...target.args.map((arg, index) => [["args", index], arg] as const),
      ...Object.entries(target.env).map(([key, value]) => [["env", key], value] as const),
      [["cwd"], target.cwd ?? ""],
    ];
  for (const [path, value] of suspects) {
    if (value.includes("\0")) {
      return collector.issue(path, "found a NUL character, expected text without");
    }
    if (target.kind === "http" && /[^\t\x20-\x7e\x80-\xff]/.test(value)) {
      return collector.issue(
        path,
        "found a line break, control or non-Latin character, expected a plain header value",
        { remedy: "check the end of the variable it comes from" },
      );
    }
  }
  return undefined;
}
