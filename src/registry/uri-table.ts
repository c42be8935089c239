/** The resources and resource templates of the aggregate. */

import { type ListPart, writePart } from "./list-part.ts";
import { ListText, mergeHints } from "./list-text.ts";
import { uniqueItems } from "./source.ts";
import type { Conflict, ServerEntry } from "./types.ts";
import { UriRouting } from "./uri-routing.ts";

/** One of the two lists, and its parts for the next build. */
interface UriList {
  readonly list: ListText;
  readonly parts: readonly ListPart[];
}

/** Everything about URIs in the aggregate. Immutable. */
export interface UriTable {
  readonly routing: UriRouting;
  readonly resources: UriList;
  readonly templates: UriList;
  readonly conflicts: readonly Conflict[];
}

/** Builds the table; texts that did not change are shared with `previous`. */
export function buildUriTable(
  servers: readonly ServerEntry[],
  previous: UriTable | undefined,
): UriTable {
  const routing = new UriRouting(servers);
  return Object.freeze({
    routing,
    resources: writeList("resources", servers, routing, previous?.resources),
    templates: writeList("templates", servers, routing, previous?.templates),
    conflicts: [
      ...duplicates("resources", servers, routing),
      ...duplicates("templates", servers, routing),
      ...routing.shared().map((shared): Conflict => ({ ...shared, type: "shared" })),
    ],
  });
}

const MEMBER = { resources: "uri", templates: "uriTemplate" } as const;

function writeList(
  kind: "resources" | "templates",
  servers: readonly ServerEntry[],
  routing: UriRouting,
  previous: UriList | undefined,
): UriList {
  const before = new Map(previous?.parts.map((part) => [part.server, part]));
  const parts = servers.map(({ name, inventory }) =>
    writePart(
      name,
      uniqueItems(inventory.lists[kind]).items,
      ({ key }) => {
        const exposed = exposedKey(kind, routing, name, key);
        return exposed === key ? [] : [{ path: [MEMBER[kind]], value: JSON.stringify(exposed) }];
      },
      before.get(name),
    )
  );
  const hints = mergeHints(servers.map(({ inventory }) => inventory.lists[kind]));
  const list = new ListText(kind, parts.flatMap((part) => part.texts), hints);
  return { parts, list: previous?.list.equals(list) ? previous.list : list };
}

function exposedKey(
  kind: "resources" | "templates",
  routing: UriRouting,
  server: string,
  key: string,
): string {
  return kind === "resources" ? routing.expose(server, key) : routing.exposeTemplate(server, key);
}

function duplicates(
  kind: "resources" | "templates",
  servers: readonly ServerEntry[],
  routing: UriRouting,
): readonly Conflict[] {
  return servers.flatMap(({ name: server, inventory }) =>
    uniqueItems(inventory.lists[kind]).duplicates.map((wanted): Conflict => ({
      kind,
      type: "duplicate",
      wanted,
      parties: [{ server, name: wanted, exposed: exposedKey(kind, routing, server, wanted) }],
    }))
  );
}
