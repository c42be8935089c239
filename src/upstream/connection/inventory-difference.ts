import { type Inventory, type List, LIST_RULES } from "../../protocol/lists.ts";

/** How many names a difference lists. */
const MOST_NAMES = 5;

/** Whether two inventories say the same, whoever they are from. */
export function saysTheSame(a: Inventory, b: Inventory): boolean {
  if (a === b) return true;
  return a.era === b.era && a.capabilities === b.capabilities && a.serverInfo === b.serverInfo &&
    a.instructions === b.instructions &&
    LIST_RULES.every(({ kind }) => {
      const [one, other] = [a.lists[kind], b.lists[kind]];
      return one === other || (
        one.ttlMs === other.ttlMs && one.cacheScope === other.cacheScope &&
        one.items.length === other.items.length &&
        one.items.every(({ raw }, index) => raw === other.items[index]!.raw)
      );
    });
}

/**
 * In which lists `other` differs from `shown`, as a clause: `has more tools ("a"); lacks prompts
 * ("b")`. Undefined where it offers the same things, in whatever order.
 */
export function differenceOf(shown: Inventory, other: Inventory): string | undefined {
  if (shown === other) return undefined;
  const clauses: string[] = [];
  if (shown.era !== other.era) {
    clauses.push(`speaks the ${other.era} era, not the ${shown.era} one`);
  }
  for (const { kind } of LIST_RULES) {
    const [mine, theirs] = [byKey(shown.lists[kind]), byKey(other.lists[kind])];
    const extra = [...theirs.keys()].filter((key) => !mine.has(key));
    const missing = [...mine.keys()].filter((key) => !theirs.has(key));
    const changed = [...mine].filter(([key, raw]) => theirs.has(key) && theirs.get(key) !== raw)
      .map(([key]) => key);
    if (extra.length > 0) clauses.push(`has more ${kind} (${names(extra)})`);
    if (missing.length > 0) clauses.push(`lacks ${kind} (${names(missing)})`);
    if (changed.length > 0) clauses.push(`describes ${kind} otherwise (${names(changed)})`);
  }
  return clauses.length === 0 ? undefined : clauses.join("; ");
}

function byKey({ items }: List): ReadonlyMap<string, string> {
  return new Map(items.map(({ key, raw }) => [key, raw]));
}

function names(keys: readonly string[]): string {
  const some = keys.slice(0, MOST_NAMES).map((key) => JSON.stringify(key)).join(", ");
  return keys.length > MOST_NAMES ? `${some} and ${keys.length - MOST_NAMES} more` : some;
}
