/** Which tags a tool has. */

import type { ServerShape, TagRule } from "../config/shaping.ts";
import { parseGlob } from "../lib/glob.ts";
import type { ListItem } from "../protocol/lists.ts";
import { exposedName } from "../protocol/names.ts";
import { anyMatch } from "./filter.ts";

/** Whose tools they are. */
interface Tagged {
  readonly name: string;
  readonly separator: string;
  readonly shape?: ServerShape | undefined;
}

/**
 * Reads the rules once and says the tags of each tool of a server: those of the server, those its own
 * rules give by the upstream's name, and those the rules for all servers give by any of its names,
 * as in profiles.
 */
export function tagsOf(
  { name: server, separator, shape }: Tagged,
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
