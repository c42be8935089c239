import type { TagRule } from "../config/shaping.ts";
import { suggest } from "../lib/suggest.ts";
import type { Registry } from "../registry/types.ts";
import type { Gate } from "./gate.ts";
import { indexOf } from "./words/search.ts";

const MOST = 3;

/** More than a slip of the fingers is for words to find: letters of thousands of names take long. */
const MOST_EDITS = 3;

/** Present tools that an unknown id may have meant, best first: misspelt, renamed, or gone since. */
export function nearestTools(
  { full }: Gate,
  registry: Registry,
  tags: readonly TagRule[],
  id: string,
): readonly string[] {
  const spelt = suggest(id, full.names("tool"), MOST_EDITS);
  const alike = indexOf(full, registry.entries, tags).search(id, { limit: MOST }).hits;
  const ids = alike.map(({ document }) => document.id);
  return [...new Set([...(spelt === undefined ? [] : [spelt]), ...ids])].slice(0, MOST);
}

/** Ids that nobody has may be anything; only so much of one is repeated. Characters. */
const LONGEST_ID = 100;

/** Enough of an unknown id to recognise it by. */
export function shownId(id: string): string {
  return id.length > LONGEST_ID ? `${id.slice(0, LONGEST_ID)}…` : id;
}
