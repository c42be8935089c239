import type { Inventory } from "../protocol/lists.ts";
import { differenceOf, saysTheSame } from "./connection/inventory-difference.ts";
import type { Slot } from "./slot.ts";

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
      return [`${capital(label)} offers other things than the rest: it ${difference}`];
    });
  }
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
