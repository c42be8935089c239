import type { Client } from "../protocol/exchange.ts";
import { type ListKind, listRule } from "../protocol/lists.ts";
import type { Era } from "../protocol/versions.ts";
import { changedLists } from "../registry/diff.ts";
import type { Registry } from "../registry/types.ts";
import { type Endpoint, viewOf } from "./endpoint.ts";

/** Someone who wants to know when a list in its view has changed. */
export interface ListListener {
  readonly endpoint: Endpoint;
  /** The same list may read differently in the other era. */
  readonly era: Era;
  /** Who it is, where that makes a difference to its lists: a legacy session's client. */
  readonly client?: Client | undefined;
  /** The lists of its view that have changed; called only when there are any. */
  listsChanged(kinds: readonly ListKind[]): void;
}

/** The notifications that announce these changes; resources and templates share one. */
export function changeMethods(kinds: Iterable<ListKind>): readonly string[] {
  return [...new Set(Array.from(kinds, (kind) => listRule(kind).changed))];
}

/**
 * Tells each listener of the lists that differ between two snapshots. `changedFor` has the last word
 * on what has changed for one of them.
 */
export function announceChanges(
  listeners: Iterable<ListListener>,
  before: Registry,
  after: Registry,
  changedFor: (listener: ListListener, kinds: readonly ListKind[]) => readonly ListKind[],
): void {
  const changes = new Map<string, readonly ListKind[]>();
  for (const listener of listeners) {
    const { endpoint, era } = listener;
    const key = `${era} ${endpoint.key}`;
    let kinds = changes.get(key);
    if (kinds === undefined) {
      const view = viewOf(after, endpoint);
      kinds = view === undefined ? [] : changedLists(viewOf(before, endpoint), view, era);
      changes.set(key, kinds);
    }
    const changed = changedFor(listener, kinds);
    if (changed.length > 0) listener.listsChanged(changed);
  }
}
