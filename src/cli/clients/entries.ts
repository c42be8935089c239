/** What the entries of some clients mean in terms that a configuration of ours knows. Pure. */

import type { ConfigDocument } from "../../config/document.ts";
import { isRawObject, type RawObject } from "../../config/section.ts";

/** Brings an entry of the client of this name into our terms; what is none is left as it is. */
export function adaptEntry(client: string | undefined, entry: unknown): unknown {
  if (!isRawObject(entry)) return entry;
  switch (client) {
    case "codex":
      return codexEntry(entry);
    case "gemini":
      return withSelection(geminiEntry(entry), "includeTools", "excludeTools");
    case "cline":
      return withTimeout(entry, "timeout", "s");
    case "windsurf":
      return withSelection(entry, "enabledTools", "disabledTools");
    default:
      return entry;
  }
}

/** A number as text with its unit: without one it would be milliseconds. */
export function withTimeout(entry: RawObject, key: string, unit: "s" | "ms"): RawObject {
  const value = entry[key];
  return typeof value === "number" ? { ...entry, [key]: `${value}${unit}` } : entry;
}

/** Lists of names become a selection of tools, so that nothing is offered that was not before. */
function withSelection(entry: RawObject, include: string, exclude: string): RawObject {
  const { [include]: wanted, [exclude]: unwanted, ...rest } = entry;
  const tools = {
    ...(isNames(wanted) ? { include: wanted } : {}),
    ...(isNames(unwanted) ? { exclude: unwanted } : {}),
  };
  return Object.keys(tools).length === 0 || "tools" in entry ? entry : { ...rest, tools };
}

function isNames(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.length > 0 &&
    value.every((one) => typeof one === "string" && one !== "");
}

function codexEntry(entry: RawObject): RawObject {
  const {
    enabled,
    env_vars,
    http_headers,
    env_http_headers,
    bearer_token_env_var,
    startup_timeout_sec,
    startup_timeout_ms,
    tool_timeout_sec,
    ...rest
  } = entry;
  const headers: Record<string, unknown> = {
    ...(isRawObject(http_headers) ? http_headers : {}),
    ...mapValues(env_http_headers, (name) => `\${${name}}`),
    ...(typeof bearer_token_env_var === "string"
      ? { Authorization: `Bearer \${${bearer_token_env_var}}` }
      : {}),
  };
  const passed = Array.isArray(env_vars)
    ? Object.fromEntries(env_vars.filter(isText).map((name) => [name, `\${${name}:-}`]))
    : {};
  const env = { ...passed, ...(isRawObject(entry["env"]) ? entry["env"] : {}) };
  // What only Codex asks or answers for its user is nobody's business here.
  const known = Object.entries(rest).filter(([key]) => !CODEX_ONLY.includes(key));
  const startup = typeof startup_timeout_sec === "number"
    ? `${startup_timeout_sec}s`
    : typeof startup_timeout_ms === "number"
    ? `${startup_timeout_ms}ms`
    : undefined;
  return withSelection(
    {
      ...Object.fromEntries(known),
      ...(Object.keys(env).length === 0 ? {} : { env }),
      ...(Object.keys(headers).length === 0 ? {} : { headers }),
      ...(startup === undefined ? {} : { startupTimeout: startup }),
      ...(typeof tool_timeout_sec === "number" ? { timeout: `${tool_timeout_sec}s` } : {}),
      ...(enabled === false ? { disabled: true } : {}),
    },
    "enabled_tools",
    "disabled_tools",
  );
}

const CODEX_ONLY = [
  "required",
  "scopes",
  "oauth_resource",
  "default_tools_approval_mode",
  "supports_parallel_tool_calls",
  "tools",
];

function isText(value: unknown): value is string {
  return typeof value === "string";
}

function mapValues(map: unknown, change: (text: string) => string): RawObject {
  if (!isRawObject(map)) return {};
  return Object.fromEntries(
    Object.entries(map).map(([key, value]) => [key, isText(value) ? change(value) : value]),
  );
}

/** A `url` without a type is the older transport there; `$NAME` is a variable as `${NAME}` is. */
function geminiEntry(entry: RawObject): RawObject {
  const variables = (text: string) => text.replace(/\$([A-Za-z_]\w*)/g, "${$1}");
  const { env, headers, args } = entry;
  const isSse = isText(entry["url"]) && !("httpUrl" in entry) && !("type" in entry);
  return {
    ...entry,
    ...(isRawObject(env) ? { env: mapValues(env, variables) } : {}),
    ...(isRawObject(headers) ? { headers: mapValues(headers, variables) } : {}),
    ...(Array.isArray(args)
      ? { args: args.map((arg: unknown) => isText(arg) ? variables(arg) : arg) }
      : {}),
    ...(isSse ? { type: "sse" } : {}),
  };
}

/**
 * One section of a client's file as a document of its own, without the settings beside it. It is
 * called `layout` there, which is how the layouts are told apart; places stay those of the file.
 */
export function sectionDocument(
  document: ConfigDocument,
  path: readonly string[],
  { layout, client }: { readonly layout: string; readonly client: string | undefined },
): ConfigDocument {
  const section = valueAt(document.value, path);
  const adapted = isRawObject(section)
    ? Object.assign(
      Object.create(null),
      Object.fromEntries(
        document.keys(path).map((name) => [name, adaptEntry(client, section[name])]),
      ),
    )
    : section;
  const inputs = layout === "servers" ? valueAt(document.value, ["inputs"]) : undefined;
  return {
    file: document.file,
    value: { [layout]: adapted, ...(inputs === undefined ? {} : { inputs }) },
    position: ([key, ...rest], part) =>
      document.position(key === layout ? [...path, ...rest] : key === undefined ? [] : [key], part),
    keys([key, ...rest]) {
      if (key === undefined) return inputs === undefined ? [layout] : [layout, "inputs"];
      return key === layout ? document.keys([...path, ...rest]) : document.keys([key, ...rest]);
    },
  };
}

/** The value at a path of keys, if there is one. */
export function valueAt(value: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((node, key) => isRawObject(node) ? node[key] : undefined, value);
}
