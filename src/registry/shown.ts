/** One server as one view shows it. */

import type { ArgumentRules } from "../protocol/arguments.ts";
import type { Inventory, List, ListItem } from "../protocol/lists.ts";
import { parseUriTemplate, type UriTemplate } from "../protocol/uri-template.ts";
import {
  admits,
  anyMatch,
  type CompiledFilter,
  compileFilter,
  EVERYTHING,
  ownNames,
} from "./filter.ts";
import { shapeInventory } from "./shape.ts";
import { memoised, uiLinks } from "./source.ts";
import type { ServerEntry } from "./types.ts";

/** A server's entry with the inventory that a view shows of it. */
export interface ShownServer extends ServerEntry {
  /** What it is called in names and headings. */
  readonly label: string;
  /** The inventory as the upstream has it. */
  readonly own: Inventory;
  /** What becomes of the arguments of calls, by the upstream's own name of the tool. */
  readonly rules: ReadonlyMap<string, ArgumentRules>;
  /** What decides about resources, listed or not; all of them must admit one. */
  readonly resourceFilters: readonly CompiledFilter[];
  /** Only what is listed can be read: the view has single entries of the server. */
  readonly isPartial: boolean;
}

/** The server in its shape. */
export function shownServer(entry: ServerEntry): ShownServer {
  const { inventory: own, shape } = entry;
  const { inventory, rules } = shapeInventory(own, shape);
  return {
    ...entry,
    label: shape?.alias ?? entry.name,
    inventory,
    own,
    rules,
    resourceFilters: filters(compileFilter(shape?.resources)),
    isPartial: false,
  };
}

/** Those of the filters that leave something out. */
export function filters(...all: readonly CompiledFilter[]): readonly CompiledFilter[] {
  return all.filter((filter) => filter !== EVERYTHING);
}

const byKey = new WeakMap<List, ReadonlyMap<string, ListItem>>();
const templates = new WeakMap<List, readonly UriTemplate[]>();

/**
 * Whether a view's clients may read `uri` of the server. A resource need not be listed to be read,
 * so filters are asked about the URI itself; one that a shown tool links to, or that a shown
 * template matches, may be read unless it is excluded.
 */
export function mayRead(server: ShownServer, uri: string): boolean {
  const { resourceFilters, isPartial, own, inventory: { lists } } = server;
  if (resourceFilters.length === 0 && !isPartial) return true;
  const listed = itemsByKey(own.lists.resources).get(uri);
  const names = listed === undefined ? [uri] : ownNames("resources", listed);
  if (resourceFilters.some(({ exclude }) => anyMatch(exclude, names))) return false;
  if (itemsByKey(lists.resources).has(uri)) return true;
  for (const links of uiLinks(lists.tools).values()) {
    if (links.some((link) => link.uri === uri)) return true;
  }
  const shownTemplates = memoised(
    templates,
    lists.templates,
    () => lists.templates.items.map(({ key }) => parseUriTemplate(key)),
  );
  if (shownTemplates.some((template) => template.matches(uri))) return true;
  return !isPartial &&
    resourceFilters.every(({ include }) => include === undefined || anyMatch(include, names));
}

/** Whether a view's clients may complete arguments of this URI template of the server. */
export function mayComplete(server: ShownServer, uriTemplate: string): boolean {
  const { resourceFilters, isPartial, own, inventory: { lists } } = server;
  if (resourceFilters.length === 0 && !isPartial) return true;
  if (itemsByKey(own.lists.templates).has(uriTemplate)) {
    return itemsByKey(lists.templates).has(uriTemplate);
  }
  return !isPartial && resourceFilters.every((filter) => admits(filter, [uriTemplate]));
}

function itemsByKey(list: List): ReadonlyMap<string, ListItem> {
  return memoised(byKey, list, () => new Map(list.items.map((item) => [item.key, item])));
}
