/** What `connect` makes of the text of a client's file. Reads and writes nothing. */

import { CliError, ExitCode } from "../../app/io.ts";
import { configurationError } from "../../app/plan.ts";
import type { ConfigDocument } from "../../config/document.ts";
import { describeKind } from "../../config/issue.ts";
import { isRawObject, type RawObject } from "../../config/layouts.ts";
import { isObject, type Json, type JsonObject } from "../../lib/json.ts";
import { type ClientApp, ENTRY_NAME } from "./clients.ts";
import { parseClientText } from "./files.ts";
import { applyEdits, type Edit, putProperty, removeProperty } from "./json-text.ts";

/** A text, and how it came to be. */
export interface Edited {
  readonly text: string;
  /** Offsets count from behind the byte order mark. */
  readonly edits: readonly Edit[];
}

/** What an edit is about. */
export interface EditContext {
  readonly client: ClientApp;
  /** Absolute, for messages and to tell the format. */
  readonly path: string;
  /** Where messages see paths from. */
  readonly cwd: string;
}

/** The keys from the root to the gateway's entry. */
export function entryPath({ section }: ClientApp): readonly string[] {
  return [...section, ENTRY_NAME];
}

/**
 * The gateway's entry in a file, if it has one.
 * @throws {CliError} exit code 3 where the file does not parse or its section is no object
 */
export async function readEntry(text: string, context: EditContext): Promise<unknown> {
  return valueAt(await valueOf(text, context), entryPath(context.client));
}

/** The text with the entry in it, in place of the one that is there. @throws {CliError} */
export async function withEntry(text: string, entry: Json, context: EditContext): Promise<Edited> {
  const { client } = context;
  const path = entryPath(client);
  const expected = structuredCloneOf(await valueOf(text, context));
  let parent = expected;
  for (const key of client.section) parent = (parent[key] ??= {}) as JsonObject;
  parent[ENTRY_NAME] = entry;
  return await edited(text, expected, context, async (body) => {
    if (client.format === "json") return putProperty(body, path, entry);
    const { putTable } = await import("./toml.ts");
    return putTable(body, path, entry as JsonObject);
  });
}

/** The text without the entry. @throws {CliError} */
export async function withoutEntry(text: string, context: EditContext): Promise<Edited> {
  const { client } = context;
  const path = entryPath(client);
  const expected = structuredCloneOf(await valueOf(text, context));
  const parent = valueAt(expected, client.section);
  if (isObject(parent)) delete parent[ENTRY_NAME];
  return await edited(text, expected, context, async (body) => {
    if (client.format === "json") return removeProperty(body, path);
    const { removeTable } = await import("./toml.ts");
    return removeTable(body, path);
  });
}

/** Edits, and looks at what came out: nothing but the entry may be different. */
async function edited(
  text: string,
  expected: JsonObject,
  context: EditContext,
  edit: (body: string) => Promise<readonly Edit[]>,
): Promise<Edited> {
  const mark = text.startsWith("\uFEFF") ? "\uFEFF" : "";
  const body = text.slice(mark.length);
  const edits = await edit(body);
  const result = applyEdits(body, edits);
  const parsed = result.trim() === ""
    ? undefined
    : await parseClientText(result, context.path).then((one) => one.ok ? one.document.value : null);
  if (textOf(parsed ?? {}, context) !== textOf(expected, context)) {
    throw new CliError(
      ExitCode.Failed,
      `Cannot edit ${JSON.stringify(context.path)}: its servers are written in a way that cannot ` +
        `be changed without rewriting them; expected to find ${
          context.client.section.join(".")
        } as other files have it`,
      { hint: "The file was left as it is; edit it by hand" },
    );
  }
  return { text: mark + result, edits };
}

/** Empty sections count as absent: TOML has no place for them once their last table has gone. */
function textOf(value: unknown, { client }: EditContext): string {
  if (client.format === "json") return JSON.stringify(value);
  const [key = ""] = client.section;
  return JSON.stringify(
    value,
    (name, inner: unknown) =>
      name === key && isObject(inner) && Object.keys(inner).length === 0 ? undefined : inner,
  );
}

async function valueOf(text: string, { client, path, cwd }: EditContext): Promise<JsonObject> {
  if (text.replace("\uFEFF", "").trim() === "") return {};
  const parsed = await parseClientText(text, path);
  if (!parsed.ok) throw configurationError(parsed.issues, cwd);
  const { document } = parsed;
  for (const depth of client.section.keys()) {
    const keys = client.section.slice(0, depth + 1);
    const found = valueAt(document.value, keys);
    if (found === undefined || isObject(found)) continue;
    const message = `found ${describeKind(found)}, expected an object of servers`;
    const issue = { file: path, ...document.position(keys), path: keys.join("."), message };
    throw configurationError([issue], cwd);
  }
  return document.value as JsonObject;
}

function structuredCloneOf(value: JsonObject): JsonObject {
  return JSON.parse(JSON.stringify(value)) as JsonObject;
}

/** What the entries of some clients mean in terms that a configuration of ours knows. Pure. */

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
