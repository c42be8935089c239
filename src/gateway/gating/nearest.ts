import type { TagRule } from "../../config/shaping.ts";
import { suggest } from "../../lib/suggest.ts";
import type { Gate } from "../../registry/gating/gate.ts";
import { indexOf } from "../../registry/search.ts";
import type { Registry } from "../../registry/types.ts";

const MOST = 3;

/** Present tools that an unknown id may have meant, best first: misspelt, renamed, or gone since. */
export function nearestTools(
  { full }: Gate,
  registry: Registry,
  tags: readonly TagRule[],
  id: string,
): readonly string[] {
  const spelt = suggest(id, full.names("tool"));
  const alike = indexOf(full, registry.entries, tags).search(id, { limit: MOST }).hits;
  const ids = alike.map(({ document }) => document.id);
  // Words first: by letters alone "create_dir" is nearer to "read_file" than "create_directory" is.
  return [...new Set([...ids, ...(spelt === undefined ? [] : [spelt])])].slice(0, MOST);
}
