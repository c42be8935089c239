/** Filters of the configuration, ready to be asked. */

import type { Filter, ShapedKind, TagRule } from "../config/types.ts";
import { type Glob, parseGlob } from "../lib/glob.ts";
import { rawAt } from "../lib/json-edit.ts";
import type { ListItem, ListKind } from "../protocol/lists.ts";
import { exposedName } from "../protocol/names.ts";
import { memoised } from "./source.ts";
import type { ServerEntry, ShapeNotice } from "./types.ts";

/** A {@link Filter} with its patterns read. Whatever has several names is matched by any of them. */
export interface CompiledFilter {
  /** Absent: everything is included. */
  readonly include: readonly Glob[] | undefined;
  readonly exclude: readonly Glob[];
}

/** Nothing is left out. */
export const EVERYTHING: CompiledFilter = { include: undefined, exclude: [] };

const compiled = new WeakMap<Filter, CompiledFilter>();

/** Reads the patterns, once for each filter object. */
export function compileFilter(filter: Filter | undefined): CompiledFilter {
  if (filter?.include === undefined && filter?.exclude === undefined) return EVERYTHING;
  return memoised(compiled, filter, () => ({
    include: filter.include?.map(parseGlob),
    exclude: (filter.exclude ?? []).map(parseGlob),
  }));
}

/** Whether any of the patterns matches any of the names. */
export function anyMatch(globs: readonly Glob[], names: readonly string[]): boolean {
  return globs.some((glob) => names.some((name) => glob.matches(name)));
}

/** Whether what has these names is there. */
export function admits(
  { include, exclude }: CompiledFilter,
  names: readonly string[],
): boolean {
  return (include === undefined || anyMatch(include, names)) && !anyMatch(exclude, names);
}

/**
 * What the patterns of a server are matched with: the upstream's own name; of resources and
 * templates the URI and the name.
 */
export function ownNames(kind: ListKind, item: ListItem): readonly string[] {
  const own = item.origin ?? item.key;
  if (kind === "tools" || kind === "prompts") return [own];
  const name: unknown = JSON.parse(rawAt(item.raw, ["name"]) ?? "null");
  return typeof name === "string" ? [own, name] : [own];
}

/** Of these patterns those that match nothing of all that was asked for. */
export class PatternUse {
  readonly #unused: Map<string, Glob>;

  constructor(patterns: readonly string[]) {
    this.#unused = new Map(patterns.map((pattern) => [pattern, parseGlob(pattern)]));
  }

  /** Notes what matches one of these names. */
  note(names: readonly string[]): void {
    for (const [pattern, glob] of this.#unused) {
      if (anyMatch([glob], names)) this.#unused.delete(pattern);
    }
  }

  /** The patterns that have matched nothing so far, in their order. */
  get unused(): readonly string[] {
    return [...this.#unused.keys()];
  }
}

/** Which part of a shape is about a list. */
export const SHAPE_OF: Readonly<Record<ListKind, ShapedKind>> = {
  tools: "tools",
  prompts: "prompts",
  resources: "resources",
  templates: "resources",
};

/** Patterns by option that match nothing in one list. */
export interface Unused<Option extends string> {
  readonly kind: ListKind;
  readonly unused: Readonly<Record<Option, readonly string[]>>;
}

/** Resources and templates have their patterns in common: one match in any list is a use. */
export function unusedPatterns<Option extends string>(
  options: readonly Option[],
  parts: readonly Unused<Option>[],
): readonly ShapeNotice[] {
  return [...Map.groupBy(parts, ({ kind }) => SHAPE_OF[kind])].flatMap(([kind, lists]) =>
    options.flatMap((option) => {
      const [first, ...others] = lists.map(({ unused }) => unused[option]);
      return first!
        .filter((pattern) => others.every((unused) => unused.includes(pattern)))
        .map((subject): ShapeNotice => ({ type: "unused", path: [kind, option], subject }));
    })
  );
}

/**
 * Reads the rules once and says the tags of each tool of a server: those of the server, those its own
 * rules give by the upstream's name, and those the rules for all servers give by any of its names,
 * as in profiles.
 */
export function tagsOf(
  { name: server, separator, shape }: Pick<ServerEntry, "name" | "separator" | "shape">,
  rules: readonly TagRule[],
): (item: ListItem) => readonly string[] {
  const ofServer = shape?.tags ?? [];
  const own = compiledRules(shape?.tools?.tags ?? []);
  const all = compiledRules(rules);
  const label = shape?.alias ?? server;
  return (item) => {
    if (own.length + all.length === 0) return ofServer;
    const ownName = item.origin ?? item.key;
    const names = () => [
      ownName,
      item.key,
      exposedName({ server, label, separator, name: item.key, prefix: "always" }),
    ];
    const matching = [
      ...own.filter(({ match }) => match.matches(ownName)),
      ...all.filter(({ match }) => anyMatch([match], names())),
    ];
    return [...new Set([...ofServer, ...matching.flatMap(({ tags }) => tags)])];
  };
}

function compiledRules(rules: readonly TagRule[]) {
  return rules.map(({ match, tags }) => ({ match: parseGlob(match), tags }));
}
