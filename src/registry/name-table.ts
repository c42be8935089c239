/** The tools or the prompts of the aggregate: who is exposed under which name. */

import type { JsonEdit } from "../lib/json-edit.ts";
import type { ListItem } from "../protocol/lists.ts";
import { exposedNames } from "../protocol/names.ts";
import { type ListPart, writePart } from "./list-part.ts";
import { ListText, mergeHints } from "./list-text.ts";
import { uniqueItems } from "./source.ts";
import type { Conflict, Route, ServerEntry } from "./types.ts";

/** Edits of an entry beyond its name. */
export type ExtraEdits = (server: string, item: ListItem) => readonly JsonEdit[];

/** Everything about one kind of named things in the aggregate. Immutable. */
export interface NameTable {
  readonly routes: readonly Route[];
  /** Parallel to `routes`. */
  readonly names: readonly string[];
  /** By exposed name, else by the upstream's own where that is unique. */
  find(name: string): Route | undefined;
  /** Who has this name as its own, where it is exposed by none. */
  ambiguous(name: string): readonly Route[];
  readonly list: ListText;
  readonly parts: readonly ListPart[];
  readonly conflicts: readonly Conflict[];
}

/** Builds the table; texts that did not change are shared with `previous`. */
export function buildNameTable(
  kind: "tools" | "prompts",
  servers: readonly ServerEntry[],
  extraEdits: ExtraEdits,
  previous: NameTable | undefined,
): NameTable {
  const owned = servers.map((entry) => ({ entry, ...uniqueItems(entry.inventory.lists[kind]) }));
  const sources = owned.flatMap(({ entry, items }) =>
    items.map(({ key: name }) => ({
      server: entry.name,
      name,
      prefix: entry.prefix,
      separator: entry.separator,
    }))
  );
  const { names, collisions } = exposedNames(sources);
  const routes = sources.map(({ server, name }, index): Route =>
    Object.freeze({ server, name, exposed: names[index]! })
  );

  const before = new Map(previous?.parts.map((part) => [part.server, part]));
  let offset = 0;
  const parts = owned.map(({ entry: { name: server }, items }) => {
    const start = offset;
    offset += items.length;
    const editsOf = (item: ListItem, index: number): readonly JsonEdit[] => {
      const exposed = names[start + index]!;
      const extra = extraEdits(server, item);
      return exposed === item.key
        ? extra
        : [{ path: ["name"], value: JSON.stringify(exposed) }, ...extra];
    };
    return writePart(server, items, editsOf, before.get(server));
  });
  const list = new ListText(
    kind,
    parts.flatMap((part) => part.texts),
    mergeHints(servers.map(({ inventory }) => inventory.lists[kind])),
  );

  return Object.freeze({
    routes,
    names,
    ...lookup(routes),
    list: previous?.list.equals(list) ? previous.list : list,
    parts,
    conflicts: [
      ...owned.flatMap(({ entry, duplicates }) =>
        duplicates.map((wanted): Conflict => ({
          kind,
          type: "duplicate",
          wanted,
          parties: routes.filter(({ server, name }) => server === entry.name && name === wanted),
        }))
      ),
      ...collisions.map(({ wanted, remedy, members }): Conflict => ({
        kind,
        type: remedy,
        wanted,
        parties: members.map((index) => routes[index]!),
      })),
    ],
  });
}

/** Apart from the builder: closures made there would keep all it has read alive. */
function lookup(routes: readonly Route[]): Pick<NameTable, "find" | "ambiguous"> {
  const exposed = new Map(routes.map((route) => [route.exposed, route]));
  let own: Map<string, Route[]> | undefined;
  // Needed for the rare name that is not an exposed one, so not built before.
  const ownNamed = (name: string): readonly Route[] =>
    (own ??= Map.groupBy(routes, (route) => route.name)).get(name) ?? [];
  return {
    find(name) {
      const route = exposed.get(name);
      if (route !== undefined) return route;
      const candidates = ownNamed(name);
      return candidates.length === 1 ? candidates[0] : undefined;
    },
    ambiguous(name) {
      if (exposed.has(name)) return [];
      const candidates = ownNamed(name);
      return candidates.length > 1 ? candidates : [];
    },
  };
}
