import { LIST_RULES, type ListKind } from "../protocol/lists.ts";
import type { View } from "./types.ts";

/**
 * The lists a client of this view must be told to read again: those whose entries, as it would
 * receive them, differ in any character or in their order. Cache hints alone are no change.
 * `before` is `undefined` for a view that was not there: then every list that has entries.
 */
export function changedLists(before: View | undefined, after: View): ListKind[] {
  if (before === after) return [];
  return LIST_RULES.map((rule) => rule.kind).filter((kind) => {
    const list = after.list(kind);
    return before === undefined ? list.count > 0 : !list.sameItems(before.list(kind));
  });
}
