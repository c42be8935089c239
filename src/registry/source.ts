/**
 * What a build reads from an upstream's list. Lists are immutable, so each is read once, however
 * many snapshots it takes part in.
 */

import { isObject } from "../lib/json.ts";
import type { List, ListItem } from "../protocol/lists.ts";

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

function valueAt(value: unknown, path: readonly string[]): unknown {
  let at = value;
  for (const key of path) {
    if (!isObject(at) || !Object.hasOwn(at, key)) return undefined;
    at = at[key];
  }
  return at;
}

function memoised<K extends object, V>(memo: WeakMap<K, V>, key: K, read: () => V): V {
  const known = memo.get(key);
  if (known !== undefined) return known;
  const value = read();
  memo.set(key, value);
  return value;
}
