import type { Clock } from "../../lib/clock.ts";
import { EMPTY_INVENTORY, type Inventory, type ListKind } from "../../protocol/lists.ts";
import type { UpstreamLog } from "../transport/log.ts";
import type { Connection } from "./connection.ts";
import type { InventoryResult } from "./inventory.ts";
import { readLists } from "./read-lists.ts";
import { Refresher } from "./refresher.ts";

/** Milliseconds in which announcements of changes are one. */
const REFRESH_DELAY = 50;

/** What a {@link Catalogue} is made of. */
export interface CatalogueOptions {
  readonly log: UpstreamLog;
  readonly clock: Clock;
  /** How long the server may take for one page, in ms, as configured now. */
  readonly timeout: () => number;
  /** A change the server has announced was read. */
  readonly onChange: (inventory: Inventory) => void;
}

/** What one server offers: what was read last, and read again when it says that it has changed. */
export class Catalogue {
  readonly #options: CatalogueOptions;
  #inventory: Inventory = EMPTY_INVENTORY;
  #isKnown = false;
  #problems: readonly string[] = [];
  #refresher: Refresher | undefined;
  /** Announced when there was nobody to read it. */
  readonly #early = new Set<ListKind>();

  constructor(options: CatalogueOptions) {
    this.#options = options;
  }

  /** What was read last; empty while nothing is known. */
  get inventory(): Inventory {
    return this.#inventory;
  }

  /** The same, undefined while nothing is known. */
  get known(): Inventory | undefined {
    return this.#isKnown ? this.#inventory : undefined;
  }

  /** What was read in an earlier run counts until something has been read in this one. */
  recall(inventory: Inventory): void {
    if (this.#isKnown) return;
    this.#inventory = inventory;
    this.#isKnown = true;
  }

  /** What was wrong with it. */
  get problems(): readonly string[] {
    return this.#problems;
  }

  /** The server has announced that these have changed. */
  mark(kinds: Iterable<ListKind>): void {
    if (this.#refresher !== undefined) this.#refresher.mark(kinds);
    else for (const kind of kinds) this.#early.add(kind);
  }

  /**
   * Takes what was read over a new connection, and follows the changes announced from then on.
   * Returns whether it is something else than before.
   */
  follow(connection: Connection, { inventory, problems }: InventoryResult): boolean {
    this.#refresher = this.#createRefresher(connection);
    const changed = inventory !== this.#inventory;
    this.#inventory = inventory;
    this.#isKnown = true;
    this.#report(problems);
    // Changes announced while the lists were being read may be in them or not.
    this.#refresher.mark(this.#early);
    this.#early.clear();
    return changed;
  }

  /** The connection that was followed is no longer used. */
  leave(): void {
    this.#refresher?.stop();
    this.#refresher = undefined;
  }

  #createRefresher(connection: Connection): Refresher {
    const { clock, timeout, onChange } = this.#options;
    const refresher: Refresher = new Refresher({
      clock,
      delay: REFRESH_DELAY,
      run: async (kinds) => {
        const options = { previous: this.#inventory, kinds, timeout: timeout() };
        const { inventory, problems } = await readLists(connection, options);
        // A connection that went away in between has nothing more to say.
        if (this.#refresher !== refresher) return;
        this.#report(problems);
        if (inventory === this.#inventory) return;
        this.#inventory = inventory;
        onChange(inventory);
      },
    });
    return refresher;
  }

  #report(problems: readonly string[]): void {
    this.#problems = problems;
    for (const problem of problems) this.#options.log.warn(problem);
  }
}
