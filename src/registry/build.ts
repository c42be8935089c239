import { formatPath } from "../config/issue.ts";
import type { ProfileConfig, TagRule } from "../config/types.ts";
import type { Era } from "../protocol/eras.ts";
import { LIST_RULES, type ListKind } from "../protocol/lists.ts";
import { exposedName } from "../protocol/names.ts";
import { AggregateView } from "./aggregate.ts";
import { DirectView } from "./direct.ts";
import { profileMembers } from "./profile.ts";
import { shapeInventory, shownServer } from "./shape.ts";
import type { Conflict, Registry, ServerEntry, ShapeNotice, View } from "./types.ts";

/** What a snapshot is built from. */
export interface RegistryInput {
  readonly version: number;
  /** In the order of the config, which is the order of the lists; names are unique. */
  readonly servers: readonly ServerEntry[];
  /** Names are unique. */
  readonly profiles?: readonly ProfileConfig[];
  /** Tags of the entries of all servers. */
  readonly tags?: readonly TagRule[];
  /** All that are configured, switched off or not: names with their prefixes mean them. */
  readonly configured?: Iterable<NamedServer>;
}

const NO_TAGS: readonly TagRule[] = [];

/** A server as far as the names of its tools are concerned. */
type NamedServer = Pick<ServerEntry, "name" | "prefix" | "separator" | "shape">;

/** How names begin that mean a server. */
function prefixesOf(configured: Iterable<NamedServer>): ReadonlyMap<string, string> {
  const prefixes = new Map<string, string>();
  for (const { name: server, prefix, separator, shape } of configured) {
    const label = shape?.alias ?? server;
    if (prefix === "never") continue;
    prefixes.set(server, exposedName({ server, label, separator, name: "", prefix: "always" }));
  }
  return prefixes;
}

/**
 * Builds a snapshot. The result depends on the input alone: `previous` only saves work, for what
 * was built from the same objects is taken over, down to the serialised bytes of a list.
 * @throws {Error} where two servers have the same name
 */
export function buildRegistry(
  { version, servers, profiles = [], tags = NO_TAGS, configured = servers }: RegistryInput,
  previous?: Registry,
): Registry {
  const views = new Map<string, View>();
  for (const entry of servers) {
    if (views.has(entry.name)) {
      throw new Error(
        `Cannot build the registry: server "${entry.name}" is given twice; expected unique names`,
      );
    }
    const before = previous?.servers.get(entry.name);
    views.set(
      entry.name,
      DirectView.build(entry, before instanceof DirectView ? before : undefined),
    );
  }
  const merged = servers.map((entry) => ({
    ...entry,
    inventory: entry.inventory.mended?.inventory ?? entry.inventory,
  }));
  const shown = merged.map(shownServer);
  const prefixes = prefixesOf(configured);
  const aggregate = AggregateView.build(
    { id: "*", servers: shown, prefixes },
    aggregateIn(previous?.aggregate),
  );
  const built = profiles.map((profile) => {
    const { name, instructions: preface } = profile;
    const { servers, notices } = profileMembers(profile, shown, tags);
    const before = aggregateIn(previous?.profiles.get(name));
    const input = { id: `profiles/${name}`, preface, servers, prefixes };
    return { name, view: AggregateView.build(input, before, aggregate), notices };
  });
  return Object.freeze({
    version,
    aggregate,
    servers: views,
    profiles: new Map(built.map(({ name, view }) => [name, view])),
    notices: [...merged.flatMap(noticesOf), ...built.flatMap(({ notices }) => notices)],
    conflicts: aggregate.conflicts,
    entries: servers,
  });
}

function aggregateIn(view: View | undefined): AggregateView | undefined {
  return view instanceof AggregateView ? view : undefined;
}

function noticesOf({ name, inventory, shape }: ServerEntry): readonly ShapeNotice[] {
  return shapeInventory(inventory, shape).notices
    .map((notice) => ({ ...notice, path: ["mcpServers", name, ...notice.path] }));
}

/** A notice in one line, for the log and for `check`. */
export function noticeText({ type, path, subject, about = "" }: ShapeNotice): string {
  const what = JSON.stringify(subject);
  const other = JSON.stringify(about);
  const said = {
    unused: `${what} matches nothing that is offered`,
    taken: `${what} keeps its name, for the server has another ${other}`,
    missing: `tool ${other} has no parameter ${what}`,
    required: `tool ${other} requires the hidden parameter ${what}; ` +
      'give it a value in "fixed" or "defaults"',
  }[type];
  return `${formatPath(path)}: ${said}`;
}

const NOUN = {
  tools: "Tool",
  prompts: "Prompt",
  resources: "Resource",
  templates: "Resource template",
} as const;

/** A conflict in one line, for the log and for `check`. */
export function conflictText({ kind, type, wanted, parties }: Conflict): string {
  const what = `${NOUN[kind]} ${JSON.stringify(wanted)}`;
  if (type === "duplicate") {
    return `${what} is listed more than once by server "${parties[0]?.server}": the first counts`;
  }
  const who = parties
    .map(({ server, exposed }) => `${JSON.stringify(exposed)} (server "${server}")`)
    .join(", ");
  return `${what} is offered more than once: exposed as ${who}`;
}

/**
 * The lists a client of this view must be told to read again: those whose entries, as it would
 * receive them, differ in any character or in their order. Cache hints alone are no change.
 * `before` is `undefined` for a view that was not there: then every list that has entries. Without
 * an era the lists are compared as the upstreams wrote them.
 */
export function changedLists(before: View | undefined, after: View, era?: Era): ListKind[] {
  if (before === after) return [];
  return LIST_RULES.map((rule) => rule.kind).filter((kind) => {
    const list = after.list(kind, era);
    return before === undefined ? list.count > 0 : !list.sameItems(before.list(kind, era));
  });
}
