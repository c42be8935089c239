import { quotedNames } from "../lib/text.ts";
import { type Inventory, type List, LIST_RULES } from "../protocol/lists.ts";
import type { Slot } from "./choose.ts";
import { saysTheSame } from "./connection/inventory.ts";

/**
 * What a server with several instances offers: what the instance says that was ready first, for as
 * long as that is ready. They are meant to list the same things.
 */
export class ShownInventory {
  #inventory: Inventory;
  #leader: Slot | undefined;
  /** What {@link ShownInventory.inventory} was last compared with. */
  #compared: Inventory;

  constructor(first: Inventory) {
    this.#inventory = first;
    this.#compared = first;
  }

  /** The very same object while nothing in it has changed, whoever says it. */
  get inventory(): Inventory {
    return this.#inventory;
  }

  /** What was offered in an earlier run is shown until an instance is ready. */
  recall(known: Inventory): void {
    if (this.#leader === undefined) this.#inventory = this.#compared = known;
  }

  /** Looks at the instances as they are now; true when the inventory has changed. */
  refresh(slots: readonly Slot[]): boolean {
    if (this.#leader?.isReady !== true) {
      this.#leader = slots.find((slot) => slot.isReady) ?? this.#leader;
    }
    const said = this.#leader?.instance.inventory ?? this.#inventory;
    if (said === this.#compared) return false;
    this.#compared = said;
    if (saysTheSame(said, this.#inventory)) return false;
    this.#inventory = said;
    return true;
  }

  /** How the instances that are ready differ from what is shown, each in a sentence. */
  differences(slots: readonly Slot[]): string[] {
    return slots.flatMap(({ isReady, instance, label }) => {
      const difference = isReady ? differenceOf(this.#inventory, instance.inventory) : undefined;
      if (difference === undefined) return [];
      const name = label.charAt(0).toUpperCase() + label.slice(1);
      return [`${name} offers other things than the rest: it ${difference}`];
    });
  }
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
    if (extra.length > 0) clauses.push(`has more ${kind} (${quotedNames(extra)})`);
    if (missing.length > 0) clauses.push(`lacks ${kind} (${quotedNames(missing)})`);
    if (changed.length > 0) clauses.push(`describes ${kind} otherwise (${quotedNames(changed)})`);
  }
  return clauses.length === 0 ? undefined : clauses.join("; ");
}

function byKey({ items }: List): ReadonlyMap<string, string> {
  return new Map(items.map(({ key, raw }) => [key, raw]));
}
