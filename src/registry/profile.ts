/** What a profile has of the servers. */

import type { ProfileConfig, TagRule } from "../config/types.ts";
import { type Glob, parseGlob } from "../lib/glob.ts";
import type { JsonObject } from "../lib/json.ts";
import {
  EMPTY_INVENTORY,
  type Inventory,
  type List,
  LIST_RULES,
  type ListItem,
  type ListKind,
} from "../protocol/lists.ts";
import { exposedName } from "../protocol/names.ts";
import {
  admits,
  admitsUri,
  anyMatch,
  compileFilter,
  isWithin,
  ownNames,
  PatternUse,
  riskOf,
  SHAPE_OF,
  type Unused,
  unusedPatterns,
} from "./filter.ts";
import { filters, type ShownServer, withLists } from "./shape.ts";
import { memoised } from "./source.ts";
import type { ShapeNotice } from "./types.ts";

/** What {@link profileMembers} gives. */
export interface ProfileMembers {
  /** In the order of the config. */
  readonly servers: readonly ShownServer[];
  /** What of the profile does not fit; none while a server of it has not been heard of. */
  readonly notices: readonly ShapeNotice[];
}

/** One list of one server in a profile, and all that it depends on beside list and profile. */
interface ProfileList {
  readonly context: readonly unknown[];
  readonly list: List;
  /** Patterns that match nothing in it. */
  readonly unused: Readonly<Record<"include" | "exclude", readonly string[]>>;
}

const lists = new WeakMap<List, WeakMap<ProfileConfig, ProfileList>>();
const joined = new WeakMap<Inventory, WeakMap<ProfileConfig, Inventory>>();

/**
 * The servers a profile chooses, less what it leaves out. A server of which nothing is left is not
 * there at all. Where nothing is left out the inventory is the very one that was given.
 */
export function profileMembers(
  profile: ProfileConfig,
  servers: readonly ShownServer[],
  rules: readonly TagRule[],
): ProfileMembers {
  const chosen = (profile.servers ?? []).map(parseGlob);
  const tags = new Set(profile.tags);
  const isWhole = ({ name, label, shape }: ShownServer) =>
    (profile.servers === undefined && profile.tags === undefined) ||
    anyMatch(chosen, [name, label]) || (shape?.tags ?? []).some((tag) => tags.has(tag));
  const parts = servers
    .map((server) => ({ server, whole: isWhole(server) }))
    .filter(({ whole }) => whole || tags.size > 0)
    .map(({ server, whole }) => ({
      server,
      whole,
      ...profileLists(profile, server, whole, rules),
    }));
  const members = parts.flatMap(({ server, whole, inventory }) => {
    if (inventory !== server.inventory || !whole) {
      if (LIST_RULES.every(({ kind }) => inventory.lists[kind].items.length === 0)) return [];
    }
    return [{
      ...server,
      inventory,
      prefix: profile.prefix ?? server.prefix,
      separator: profile.separator ?? server.separator,
      resourceFilters: filters(...server.resourceFilters, compileFilter(profile.resources)),
      isPartial: server.isPartial || !whole,
    }];
  });
  const isKnown = parts.every(({ server }) => server.own !== EMPTY_INVENTORY);
  // As if of a server with nothing: a profile may choose none.
  const asked = KINDS.map((kind) => ({ kind, unused: patternsOf(profile, kind) }));
  const notices = unusedPatterns(OPTIONS, [...asked, ...parts.flatMap(({ unused }) => unused)])
    .map((notice) => ({ ...notice, path: ["profiles", profile.name, ...notice.path] }));
  return { servers: members, notices: isKnown ? notices : [] };
}

const OPTIONS = ["include", "exclude"] as const;
const KINDS = ["tools", "prompts", "resources"] as const;

function patternsOf(profile: ProfileConfig, kind: ListKind): ProfileList["unused"] {
  const { include = [], exclude = [] } = profile[SHAPE_OF[kind]] ?? {};
  return { include, exclude };
}

function profileLists(
  profile: ProfileConfig,
  server: ShownServer,
  whole: boolean,
  rules: readonly TagRule[],
): { readonly inventory: Inventory; readonly unused: readonly Unused<"include" | "exclude">[] } {
  const { inventory, name, label, separator, shape } = server;
  const parts = LIST_RULES.map(({ kind }) => {
    const list = inventory.lists[kind];
    const byProfile = memoised(lists, list, () => new WeakMap());
    const context = [whole, name, label, separator, shape?.[SHAPE_OF[kind]]?.tags, rules];
    const before = byProfile.get(profile);
    if (before?.context.every((one, index) => one === context[index])) return { kind, ...before };
    const built = { context, ...profileList(kind, list, profile, server, whole, rules) };
    byProfile.set(profile, built);
    return { kind, ...built };
  });
  const shown = withLists(inventory, parts);
  if (shown === inventory) return { inventory, unused: parts };
  const byProfile = memoised(joined, inventory, () => new WeakMap());
  const before = byProfile.get(profile);
  if (before !== undefined && parts.every(({ kind, list }) => before.lists[kind] === list)) {
    return { inventory: before, unused: parts };
  }
  byProfile.set(profile, shown);
  return { inventory: shown, unused: parts };
}

function profileList(
  kind: ListKind,
  list: List,
  profile: ProfileConfig,
  server: ShownServer,
  whole: boolean,
  rules: readonly TagRule[],
): Omit<ProfileList, "context"> {
  const filter = profile[SHAPE_OF[kind]];
  const { include, exclude } = patternsOf(profile, kind);
  const risk = kind === "tools" ? profile.risk : undefined;
  if (whole && filter === undefined && risk === undefined) {
    return { list, unused: { include, exclude } };
  }
  const compiled = compileFilter(filter);
  const use = { include: new PatternUse(include), exclude: new PatternUse(exclude) };
  const tags = new Set(profile.tags);
  const ownTags = taggedBy(server.shape?.[SHAPE_OF[kind]]?.tags ?? [], tags);
  const allTags = taggedBy(rules, tags);
  const items = list.items.filter((item) => {
    const own = ownNames(kind, item);
    const names = namesOf(kind, item, own, server);
    if (!whole && !anyMatch(ownTags, own) && !anyMatch(allTags, names)) return false;
    use.include.note(names);
    use.exclude.note(names);
    return (SHAPE_OF[kind] === "resources" ? admitsUri : admits)(compiled, names) &&
      (risk === undefined ||
        isWithin(riskOf((JSON.parse(item.raw) as JsonObject).annotations), risk));
  });
  return {
    list: items.length === list.items.length ? list : { ...list, items },
    unused: { include: use.include.unused, exclude: use.exclude.unused },
  };
}

/** The patterns of those rules that give one of these tags. */
function taggedBy(rules: readonly TagRule[], tags: ReadonlySet<string>): readonly Glob[] {
  return rules.filter((rule) => rule.tags.some((tag) => tags.has(tag)))
    .map(({ match }) => parseGlob(match));
}

/**
 * What the patterns of a profile are matched with: beside the upstream's own name the one that the
 * configuration gives, and that with its server's name in front, which is what most clients see.
 */
function namesOf(
  kind: ListKind,
  { key }: ListItem,
  own: readonly string[],
  { name: server, label, separator }: ShownServer,
): readonly string[] {
  if (kind === "resources" || kind === "templates") return own;
  return [...own, key, exposedName({ server, label, separator, name: key, prefix: "always" })];
}
