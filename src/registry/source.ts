/**
 * What a build reads from an upstream's list. Lists are immutable, so each is read once, however
 * many snapshots it takes part in.
 */

import type { JsonEdit } from "../lib/json-edit.ts";
import { type Json, type JsonObject, unlessTooDeep, valueAt } from "../lib/json.ts";
import { type CountTokens, estimateTokens } from "../lib/tokens.ts";
import type { Era } from "../protocol/eras.ts";
import type { Inventory, List, ListItem, ListKind } from "../protocol/lists.ts";
import { itemEdits } from "../protocol/projection.ts";

/** A list without repetitions. */
export interface UniqueList {
  /** In the upstream's order; of entries with the same key the first. */
  readonly items: readonly ListItem[];
  /** The keys that came more than once. */
  readonly duplicates: readonly string[];
}

const unique = new WeakMap<List, UniqueList>();

/** The list's entries, each key once. */
export function uniqueItems(list: List): UniqueList {
  return memoised(unique, list, () => {
    const items = new Map<string, ListItem>();
    const duplicates = new Set<string>();
    for (const item of list.items) {
      if (items.has(item.key)) duplicates.add(item.key);
      else items.set(item.key, item);
    }
    return { items: [...items.values()], duplicates: [...duplicates] };
  });
}

/** One place in a tool's text that names a UI resource. */
export interface UiLink {
  readonly path: readonly string[];
  readonly uri: string;
}

/** Where a tool's text may name its UI resource: the current and the first form of the extension. */
const UI_LINK_PATHS: readonly (readonly string[])[] = [
  ["_meta", "ui", "resourceUri"],
  ["_meta", "ui/resourceUri"],
];

const links = new WeakMap<List, ReadonlyMap<string, readonly UiLink[]>>();
const NO_LINKS: ReadonlyMap<string, readonly UiLink[]> = new Map();

/**
 * The UI resources that tools refer to (MCP Apps), by tool name. They need not be listed as
 * resources, and are rewritten like those that are.
 */
export function uiLinks(tools: List): ReadonlyMap<string, readonly UiLink[]> {
  return memoised(links, tools, () => {
    const found = new Map<string, readonly UiLink[]>();
    for (const { key, raw } of uniqueItems(tools).items) {
      // Parsing every tool would cost more than the rest of a build; few have a UI.
      if (!raw.includes("resourceUri")) continue;
      const tool: unknown = JSON.parse(raw);
      const mine = UI_LINK_PATHS.flatMap((path) => {
        const uri = valueAt(tool, path);
        return typeof uri === "string" ? [{ path, uri }] : [];
      });
      if (mine.length > 0) found.set(key, mine);
    }
    return found.size === 0 ? NO_LINKS : found;
  });
}

const hidden = new WeakMap<List, ReadonlySet<string>>();
const NO_KEYS: ReadonlySet<string> = new Set();

/**
 * The tools that only a server's own UI may call: their `_meta.ui.visibility` is a list without
 * `model` (ext-apps 2026-01-26, visibility). Absent means everybody.
 */
export function appOnlyTools(tools: List): ReadonlySet<string> {
  return memoised(hidden, tools, () => {
    const keys = uniqueItems(tools).items.filter(({ raw }) => {
      if (!raw.includes('"visibility"')) return false;
      const visibility = valueAt(JSON.parse(raw), ["_meta", "ui", "visibility"]);
      return Array.isArray(visibility) && !visibility.includes("model");
    }).map(({ key }) => key);
    return keys.length === 0 ? NO_KEYS : new Set(keys);
  });
}

/** The edits of the entries that differ towards the other era, by key. */
export type EraEdits = ReadonlyMap<string, readonly JsonEdit[]>;

const projections: Readonly<Record<Era, WeakMap<List, EraEdits>>> = {
  legacy: new WeakMap(),
  modern: new WeakMap(),
};
const NO_EDITS: EraEdits = new Map();

/** What of a list that was read in the era `from` has to differ for clients of `to`. */
export function eraEdits(kind: ListKind, list: List, from: Era | undefined, to: Era): EraEdits {
  if (from === undefined || from === to) return NO_EDITS;
  return memoised(projections[to], list, () => {
    const edits = uniqueItems(list).items.flatMap((item): [string, readonly JsonEdit[]][] => {
      const mine = itemEdits(kind, item, from, to);
      return mine.length === 0 ? [] : [[item.key, mine]];
    });
    return edits.length === 0 ? NO_EDITS : new Map(edits);
  });
}

/** Whether legacy clients see this tool of a server with a wrapped output schema. */
export function isOutputWrapped(
  { era, lists: { tools } }: Pick<Inventory, "era" | "lists">,
  tool: string,
): boolean {
  return era === "modern" && eraEdits("tools", tools, era, "legacy").has(tool);
}

/** What a client puts into a model's context of a tool: its name, description and input schema. */
export function contextText({ name, description, inputSchema }: JsonObject): string {
  const text = (schema: Json | undefined) =>
    JSON.stringify({ name, description, input_schema: schema });
  return unlessTooDeep(() => text(inputSchema)) ?? text(undefined);
}

/** How many tokens {@link contextText} takes; without a tokenizer, about how many. */
export function toolTokens(definition: JsonObject, count: CountTokens = estimateTokens): number {
  return count(contextText(definition));
}

/**
 * What was read from an object that never changes, read once: remembered as long as the object is.
 * `read` must depend on the key alone.
 */
export function memoised<K extends object, V>(memo: WeakMap<K, V>, key: K, read: () => V): V {
  return memo.getOrInsertComputed(key, read);
}
