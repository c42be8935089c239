import { type ListKind, listRule } from "../protocol/lists.ts";
import type { Era } from "../protocol/versions.ts";
import type { Endpoint } from "./endpoint.ts";

/** Someone who wants to know when a list in its view has changed. */
export interface ListListener {
  readonly endpoint: Endpoint;
  /** The same list may read differently in the other era. */
  readonly era: Era;
  /** The lists of its view that have changed; called only when there are any. */
  listsChanged(kinds: readonly ListKind[]): void;
}

/** The notifications that announce these changes; resources and templates share one. */
export function changeMethods(kinds: Iterable<ListKind>): readonly string[] {
  return [...new Set(Array.from(kinds, (kind) => listRule(kind).changed))];
}
