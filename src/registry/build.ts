import { AggregateView } from "./aggregate.ts";
import { DirectView } from "./direct.ts";
import type { Registry, ServerEntry, View } from "./types.ts";

export type { Capabilities, Declaration, Declarations } from "./capabilities.ts";
export type { CacheHints, ListText } from "./list-text.ts";
export type { Page } from "./page.ts";
export type {
  Conflict,
  Counts,
  NamedKind,
  Registry,
  ResourceRoute,
  Route,
  ServerEntry,
  View,
} from "./types.ts";

/** What a snapshot is built from. */
export interface RegistryInput {
  readonly version: number;
  /** In the order of the config, which is the order of the lists; names are unique. */
  readonly servers: readonly ServerEntry[];
}

/**
 * Builds a snapshot. The result depends on the input alone: `previous` only saves work, for what
 * was built from the same objects is taken over, down to the serialised bytes of a list.
 * @throws {Error} where two servers have the same name
 */
export function buildRegistry(
  { version, servers }: RegistryInput,
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
  const before = previous?.aggregate;
  const aggregate = AggregateView.build(
    servers,
    before instanceof AggregateView ? before : undefined,
  );
  return Object.freeze({
    version,
    aggregate,
    servers: views,
    conflicts: aggregate.conflicts,
    entries: servers,
  });
}
