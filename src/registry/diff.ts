import { LIST_RULES, type ListKind } from "../protocol/lists.ts";
import type { Era } from "../protocol/versions.ts";
import type { View } from "./types.ts";

/**
 * The lists a client of this view must be told to read again: those whose entries, as it would
 * receive them, differ in any character or in their order. Cache hints alone are no change.
 * `before` is `undefined` for a view that was not there: then every list that has entries. Without
 * an era the lists are compared as the upstreams wrote them.
 */
export function changedLists(
  before: View | undefined,
  after: View,
  era?: Era,
): ListKind[] {
  if (before === after) return [];
  return LIST_RULES.map((rule) => rule.kind).filter((kind) => {
    const list = after.list(kind, era);
    return before === undefined ? list.count > 0 : !list.sameItems(before.list(kind, era));
  });
}
