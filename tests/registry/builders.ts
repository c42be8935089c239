/** Builders for registry tests. */

import {
  EMPTY_INVENTORY,
  type Inventory,
  type List,
  type ListItem,
  type ListKind,
  listRule,
} from "../../src/protocol/lists.ts";
import type { ServerEntry } from "../../src/registry/types.ts";

/** An entry as an upstream would list it: its key, an extra member, and odd spacing to preserve. */
export function item(kind: ListKind, key: string, extra = ""): ListItem {
  const member = JSON.stringify(listRule(kind).key);
  return { key, raw: `{ "x-n": 1.0, ${member} :${JSON.stringify(key)}${extra && `, ${extra}`} }` };
}

/** A list of such entries. */
export function list(kind: ListKind, keys: readonly string[], rest: Partial<List> = {}): List {
  return { items: keys.map((key) => item(kind, key)), ...rest };
}

/** An inventory with these keys, or these lists. */
export function inventory(
  given: Partial<Record<ListKind, readonly string[] | List>>,
  rest: Partial<Omit<Inventory, "lists">> = {},
): Inventory {
  const lists = { ...EMPTY_INVENTORY.lists };
  for (const [kind, keys] of Object.entries(given) as [ListKind, readonly string[] | List][]) {
    lists[kind] = "items" in keys ? keys : list(kind, keys);
  }
  return { ...EMPTY_INVENTORY, lists, ...rest };
}

/** A server with the default naming. */
export function entry(
  name: string,
  offers: Inventory | Partial<Record<ListKind, readonly string[] | List>> = {},
  rest: Partial<ServerEntry> = {},
): ServerEntry {
  return {
    name,
    prefix: "always",
    separator: "_",
    inventory: "lists" in offers ? offers as Inventory : inventory(offers),
    stale: false,
    ...rest,
  };
}
