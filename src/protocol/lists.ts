/**
 * The four lists an upstream may offer, how each is asked for, and what the protocol wants of their
 * entries. One table, so that neither the inventory nor the registry repeats itself four times.
 */

import { Buffer } from "node:buffer";
import { editJson, type JsonEdit } from "../lib/json-edit.ts";
import {
  isObject,
  type Json,
  type JsonObject,
  parsedText,
  shortHash,
  unlessTooDeep,
  valueAt,
} from "../lib/json.ts";
import { cut, quotedNames } from "../lib/text.ts";
import { takingTurns } from "../lib/time.ts";
import type { Era } from "./eras.ts";

/** The kinds of things a server lists. */
export type ListKind = "tools" | "prompts" | "resources" | "templates";

/** How one kind is listed on the wire. */
export interface ListRule {
  readonly kind: ListKind;
  /** The list request. */
  readonly method: string;
  /** The array's member in the result. */
  readonly field: string;
  /** The member of an item that identifies it. */
  readonly key: "name" | "uri" | "uriTemplate";
  /** The server capability that must be declared; 11 of 19 real servers answer -32601 without. */
  readonly capability: "tools" | "prompts" | "resources";
  /** The notification that says this list changed. */
  readonly changed: string;
}

/** All kinds, in the order they are asked for. */
export const LIST_RULES: readonly ListRule[] = ([
  ["tools", "tools", "tools/list", "tools", "name"],
  ["prompts", "prompts", "prompts/list", "prompts", "name"],
  ["resources", "resources", "resources/list", "resources", "uri"],
  ["templates", "resources", "resources/templates/list", "resourceTemplates", "uriTemplate"],
] as const).map(([kind, capability, method, field, key]) => {
  const changed = `notifications/${capability}/list_changed`;
  return { kind, capability, method, field, key, changed };
});

/** The rule of one kind. */
export function listRule(kind: ListKind): ListRule {
  return LIST_RULES.find((rule) => rule.kind === kind)!;
}

/** One listed tool, prompt, resource or template. */
export interface ListItem {
  /** Its name, URI or URI template, as the upstream wrote it, or as the configuration renames it. */
  readonly key: string;
  /** Its JSON text, as the upstream wrote it, less what the configuration changes. */
  readonly raw: string;
  /** What the upstream calls it, where {@link ListItem.key} is another name. */
  readonly origin?: string;
}

/** One complete list: all pages, in the upstream's order. */
export interface List {
  readonly items: readonly ListItem[];
  /** Modern era: how long the upstream says it stays true, ms (SEP-2549). */
  readonly ttlMs?: number;
  /** Modern era: `private` must not cross authorization contexts (SEP-2549). */
  readonly cacheScope?: "public" | "private";
  /** It could not be had so far: nobody knows what is on it. */
  readonly isUnread?: true;
}

/** Everything one upstream offers, as of its last complete refresh. Immutable. */
export interface Inventory {
  /** JSON texts, as the upstream wrote them. */
  readonly capabilities: string;
  readonly serverInfo: string;
  /** The era the lists were read in; absent: what is listed is taken as fit for either. */
  readonly era?: Era;
  readonly instructions: string | undefined;
  readonly lists: Readonly<Record<ListKind, List>>;
  /**
   * What views of several servers show instead, where it is not as the protocol has it: their
   * clients would refuse all of a list for one entry. `faults`: what was wrong, for log and status.
   */
  readonly mended?: { readonly inventory: Inventory; readonly faults: readonly string[] };
}

/** The inventory of a server that has not answered yet. */
export const EMPTY_INVENTORY: Inventory = {
  capabilities: "{}",
  serverInfo: "{}",
  instructions: undefined,
  lists: {
    tools: { items: [] },
    prompts: { items: [] },
    resources: { items: [] },
    templates: { items: [] },
  },
};

// What the protocol wants of what a server says of itself and of what it lists.

type Value = Json | undefined;

/**
 * What a value must be: of this type, a text that matches, a list of such, an object with these
 * members (`!` behind one that is needed, `*` for any), or what a function makes of it.
 */
type Rule = string | RegExp | readonly [Rule] | Members | ((value: Value) => Value);
interface Members {
  readonly [member: string]: Rule;
}

function each(rule: Rule, ...names: readonly string[]): Members {
  return Object.fromEntries(names.map((name) => [name, rule]));
}

const COMMON: Members = {
  ...each("string", "title", "description"),
  icons: [{ "src!": "string", mimeType: "string", sizes: ["string"], theme: /^(light|dark)$/ }],
  _meta: {},
};
/** Arguments are an object, and structured content was before 2026-07-28. */
const OBJECT_SCHEMA: Rule = {
  "type!": (type) => [type ?? "object"].flat().includes("object") ? "object" : undefined,
  $schema: "string",
  // Before 2026-07-28 none in here was a flag.
  properties: { "*": (one) => isObject(one) ? one : one === false ? { not: {} } : {} },
  required: ["string"],
};
const TOOL: Members = {
  ...COMMON,
  "inputSchema!": (schema) => sound(schema ?? {}, OBJECT_SCHEMA),
  outputSchema: OBJECT_SCHEMA,
  annotations: {
    title: "string",
    ...each("boolean", "readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"),
  },
  execution: { taskSupport: /^(required|optional|forbidden)$/ },
};
/** Its structured content may be anything; older clients are shown it in an object. */
const MODERN_TOOL: Members = {
  ...TOOL,
  outputSchema: (schema) =>
    isObject(schema) && schema.type !== "object" ? schema : sound(schema, OBJECT_SCHEMA),
};
const RESOURCE: Members = {
  ...COMMON,
  mimeType: "string",
  size: "number",
  annotations: {
    audience: [/^(user|assistant)$/],
    priority: (one) => typeof one === "number" && one >= 0 && one <= 1 ? one : undefined,
    lastModified: /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/,
  },
};
const PROMPT: Members = {
  ...COMMON,
  arguments: [{
    "name!": "string",
    ...each("string", "title", "description"),
    required: "boolean",
  }],
};
const ENTRIES = { tools: TOOL, prompts: PROMPT, resources: RESOURCE, templates: RESOURCE };
const CAPABILITIES: Members = {
  ...each({ listChanged: "boolean", subscribe: "boolean" }, "tools", "prompts", "resources"),
  ...each({}, "logging", "completions"),
  ...each({ "*": {} }, "tasks", "experimental", "extensions"),
};

/** The value where it is as the rule wants it, else what it must have meant, if anything. */
function sound(value: Value, rule: Rule): Value {
  if (typeof rule === "function") return rule(value);
  // deno-lint-ignore valid-typeof -- the rules are written in this file
  if (typeof rule === "string") return typeof value === rule ? value : undefined;
  if (rule instanceof RegExp) {
    return typeof value === "string" && rule.test(value) ? value : undefined;
  }
  if (rule instanceof Array) {
    if (!Array.isArray(value)) return undefined;
    const all = value.map((one) => sound(one, rule[0]));
    const isSound = all.every((one, at) => one === value[at]);
    return isSound ? value : all.filter((one) => one !== undefined);
  }
  // PHP writes an empty object as an array; `true` says that there is one.
  const given = value === true || (Array.isArray(value) && value.length === 0) ? {} : value;
  if (!isObject(given)) return undefined;
  const { "*": any } = rule;
  const changed: [string, Value][] = [];
  for (const name of Object.keys(any === undefined ? rule : given)) {
    const isNeeded = any === undefined && name.endsWith("!");
    const key = isNeeded ? name.slice(0, -1) : name;
    if (given[key] === undefined && !isNeeded) continue;
    const one = sound(given[key], any ?? rule[name]!);
    if (one === undefined && isNeeded) return undefined;
    if (one !== given[key]) changed.push([key, one]);
  }
  return changed.length === 0 ? given : Object.fromEntries([...Object.entries(given), ...changed]);
}

/** Each change is looked for in all of the text, so that more in one object are one. */
const MOST_CHANGES = 8;

/** What leads from one to the other; what has to change far inside is written anew. */
function changes(before: Value, after: Value, path: readonly string[] = []): JsonEdit[] {
  if (before === after) return [];
  const anew = () => [{ path, value: after === undefined ? undefined : JSON.stringify(after) }];
  if (path.length === 2 || !isObject(before) || !isObject(after)) return anew();
  const all: JsonEdit[] = [];
  for (const key of Object.keys(after)) {
    all.push(...changes(before[key], after[key], [...path, key]));
    if (path.length > 0 && all.length > MOST_CHANGES) return anew();
  }
  return all;
}

/** The inventory as a server has it, with what of it clients of several can be given; in turns. */
export async function checkedInventory(whole: Inventory): Promise<Inventory> {
  const faults = new Map<string, string[]>();
  const tell = (fault: string, key: string) => {
    if (faults.get(fault)?.push(key) === undefined) faults.set(fault, [key]);
  };
  const mend = (kind: string, key: string, raw: string, rule: Rule) => {
    const text = unlessTooDeep(() => {
      const value = JSON.parse(raw) as JsonObject;
      const isNamed = key === "" || typeof value.name === "string";
      const after = sound(isNamed ? value : { ...value, name: key }, rule);
      if (after === undefined) return undefined;
      const edits = changes(value, after);
      for (const { path } of edits) {
        const given = valueAt(value, path);
        const fault = given === undefined ? "missing" : given === null ? "null" : "not valid";
        tell(`Mended ${kind}: "${cut(path.join("."), 100)}" is ${fault}`, key);
      }
      return editJson(raw, edits);
    });
    if (text === undefined) tell(`Left out ${kind}: "inputSchema" is not valid`, key);
    return text;
  };
  const capabilities = mend("capabilities", "", whole.capabilities, CAPABILITIES) ?? "{}";
  const lists: [ListKind, List][] = [];
  for (const { kind } of LIST_RULES) {
    const list = whole.lists[kind];
    const rule = kind === "tools" && whole.era === "modern" ? MODERN_TOOL : ENTRIES[kind];
    const before = faults.size;
    const items: ListItem[] = [];
    for await (const item of takingTurns(list.items)) {
      const raw = mend(kind, item.key, item.raw, rule);
      if (raw !== undefined) items.push(raw === item.raw ? item : { ...item, raw });
    }
    lists.push([kind, faults.size === before ? list : { ...list, items }]);
  }
  if (faults.size === 0) return whole;
  const told = [...faults].map(([fault, keys]) =>
    keys[0] === "" ? fault : `${fault} (${quotedNames(keys)})`
  );
  const shown = { ...whole, capabilities, lists: Object.fromEntries(lists) as Inventory["lists"] };
  return { ...whole, mended: { inventory: shown, faults: told } };
}

// Cursors of our own (server/utilities/pagination): opaque to clients, kept by nobody. They are
// tagged against damage and against cursors of others, not signed: what a client could make itself
// gives it nothing that it may not list anyway.

const TAG_LENGTH = 8;

/** A cursor that {@link openCursor} turns into this value again; of `[A-Za-z0-9_-]`, never empty. */
export function sealCursor(value: Json): string {
  return sealed(JSON.stringify(value));
}

/** The cursor of a request; null and an empty text say as much as none. */
export function cursorOf({ params }: { readonly params?: JsonObject | undefined }): unknown {
  const cursor = params?.cursor;
  return cursor === null || cursor === "" ? undefined : cursor;
}

/** What is in a cursor of ours, `undefined` for anything else (to be answered with -32602). */
export function openCursor(cursor: unknown): Json | undefined {
  if (typeof cursor !== "string") return undefined;
  const text = Buffer.from(cursor.slice(TAG_LENGTH), "base64url").toString("utf8");
  if (sealed(text) !== cursor) return undefined;
  return parsedText(text);
}

function sealed(text: string): string {
  return shortHash(text, TAG_LENGTH) + Buffer.from(text, "utf8").toString("base64url");
}
