/** The tools or the prompts of the aggregate: who is exposed under which name. */

import type { JsonEdit } from "../lib/json-edit.ts";
import type { Era } from "../protocol/eras.ts";
import type { ListItem } from "../protocol/lists.ts";
import { exposedNames } from "../protocol/names.ts";
import { type ListPart, ListText, mergeHints, writePart } from "./lists.ts";
import type { ShownServer } from "./shape.ts";
import { appOnlyTools, eraEdits, uniqueItems } from "./source.ts";
import type { Conflict, Route } from "./types.ts";

/** Edits of an entry beyond its name. */
export type ExtraEdits = (server: string, item: ListItem) => readonly JsonEdit[];

/** Everything about one kind of named things in the aggregate. Immutable. */
export interface NameTable {
  readonly routes: readonly Route[];
  /** The exposed names of what is listed, in the order of the list. */
  readonly names: readonly string[];
  /** By exposed name, else by the one without its server or the upstream's own, where unique. */
  find(name: string): Route | undefined;
  /** Who has this name as its own, where it is exposed by none. */
  ambiguous(name: string): readonly Route[];
  /** Whether what the server calls `own` is in the table. */
  has(server: string, own: string): boolean;
  /** As the upstreams wrote it. */
  readonly list: ListText;
  /** As clients of either era get it; the same object where nothing differs. */
  readonly eraLists: Readonly<Record<Era, ListText>>;
  readonly parts: readonly ListPart[];
  readonly eraParts: Readonly<Record<Era, readonly ListPart[]>>;
  readonly conflicts: readonly Conflict[];
}

/** Builds the table; texts that did not change are shared with `previous`. */
export function buildNameTable(
  kind: "tools" | "prompts",
  servers: readonly ShownServer[],
  extraEdits: ExtraEdits,
  previous: NameTable | undefined,
): NameTable {
  const owned = servers.map((entry) => ({ entry, ...uniqueItems(entry.inventory.lists[kind]) }));
  const sources = owned.flatMap(({ entry, items }) =>
    items.map(({ key: name, origin }) => ({
      server: entry.name,
      label: entry.label,
      name,
      origin,
      prefix: entry.prefix,
      separator: entry.separator,
    }))
  );
  const { names, collisions } = exposedNames(sources);
  const routes = sources.map(({ server, name, origin = name }, index): Route =>
    Object.freeze({ server, name: origin, exposed: names[index]! })
  );

  let offset = 0;
  const starts = owned.map(({ items }) => (offset += items.length) - items.length);
  const editsOf = (part: number, item: ListItem, index: number): readonly JsonEdit[] => {
    const exposed = names[starts[part]! + index]!;
    const extra = extraEdits(owned[part]!.entry.name, item);
    return exposed === item.key
      ? extra
      : [{ path: ["name"], value: JSON.stringify(exposed) }, ...extra];
  };
  const parts = owned.map(({ entry: { name: server }, items }, part) =>
    writePart(server, items, (item, index) => editsOf(part, item, index), previous?.parts)
  );
  const partsFor = (era: Era): readonly ListPart[] =>
    owned.map(({ entry: { name: server, inventory }, items }, part) => {
      const differing = eraEdits(kind, inventory.lists[kind], inventory.era, era);
      if (differing.size === 0) return parts[part]!;
      const edits = (item: ListItem, index: number) => [
        ...editsOf(part, item, index),
        ...differing.get(item.key) ?? [],
      ];
      return writePart(server, items, edits, previous?.eraParts[era]);
    });
  const eraParts = { legacy: partsFor("legacy"), modern: partsFor("modern") };

  const unlisted = owned.map(({ entry: { inventory } }) =>
    kind === "tools" ? appOnlyTools(inventory.lists.tools) : NOTHING
  );
  const isListed = (part: number, item: ListItem) => !unlisted[part]!.has(item.key);
  const hints = mergeHints(servers.map(({ inventory }) => inventory.lists[kind]));
  const written = (of: readonly ListPart[], known: ListText | undefined): ListText => {
    const texts = of.flatMap((part, at) =>
      part.texts.filter((_text, index) => isListed(at, part.items[index]!))
    );
    return ListText.of(kind, texts, hints, known);
  };
  const list = written(parts, previous?.list);
  const listFor = (era: Era): ListText =>
    eraParts[era].every((part, index) => part === parts[index])
      ? list
      : written(eraParts[era], previous?.eraLists[era]);

  return Object.freeze({
    routes,
    names: owned.flatMap(({ items }, part) =>
      items.flatMap((item, index) => isListed(part, item) ? [names[starts[part]! + index]!] : [])
    ),
    ...lookup(routes, sources.map(({ name }) => name)),
    list,
    eraLists: { legacy: listFor("legacy"), modern: listFor("modern") },
    parts,
    eraParts,
    conflicts: [
      ...owned.flatMap(({ entry, duplicates }) =>
        duplicates.map((wanted): Conflict => ({
          kind,
          type: "duplicate",
          wanted,
          parties: routes.filter(({ server }, index) =>
            server === entry.name && sources[index]!.name === wanted
          ),
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

const NOTHING: ReadonlySet<string> = new Set();

/**
 * Finds routes, `shown` being their names without a server's. Apart from the builder: closures made
 * there would keep all it has read alive.
 */
function lookup(
  routes: readonly Route[],
  shown: readonly string[],
): Pick<NameTable, "find" | "ambiguous" | "has"> {
  const exposed = new Map(routes.map((route) => [route.exposed, route]));
  let byShown: Map<string, Route[]> | undefined;
  let byOwn: Map<string, Route[]> | undefined;
  // Needed for the rare name that is not an exposed one, so not built before.
  const ownNamed = (name: string): readonly Route[] =>
    (byOwn ??= Map.groupBy(routes, (route) => route.name)).get(name) ?? [];
  // A UI calls the tools of its server by the names that this one knows, renamed or not.
  const named = (name: string): readonly Route[] =>
    (byShown ??= Map.groupBy(routes, (_, index) => shown[index]!)).get(name) ?? ownNamed(name);
  return {
    find(name) {
      const route = exposed.get(name);
      if (route !== undefined) return route;
      const candidates = named(name);
      return candidates.length === 1 ? candidates[0] : undefined;
    },
    ambiguous(name) {
      if (exposed.has(name)) return [];
      const candidates = named(name);
      return candidates.length > 1 ? candidates : [];
    },
    has: (server, own) => ownNamed(own).some((route) => route.server === server),
  };
}
