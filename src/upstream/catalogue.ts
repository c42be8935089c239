import type { Clock } from "../lib/time.ts";
import { EMPTY_INVENTORY, type Inventory, LIST_RULES, type ListKind } from "../protocol/lists.ts";
import type { Connection } from "./connection/connection.ts";
import { declaresLists, type InventoryResult, readInventory } from "./connection/inventory.ts";
import type { UpstreamLog } from "./transport/transport.ts";

/** Milliseconds in which announcements of changes are one. */
const REFRESH_DELAY = 50;

/** What a {@link Catalogue} is made of. */
interface CatalogueOptions {
  readonly log: UpstreamLog;
  readonly clock: Clock;
  /** How long the server may take for one page, in ms, as configured now. */
  readonly timeout: () => number;
  /** A change the server has announced was read. */
  readonly onChange: (inventory: Inventory) => void;
}

/** What one server offers: what was read last, and read again when it says that it has changed. */
export class Catalogue {
  #inventory: Inventory = EMPTY_INVENTORY;
  #isKnown = false;
  #problems: InventoryResult["problems"] = {};
  #refresher: Refresher | undefined;
  /** Announced when there was nobody to read it. */
  readonly #early = new Set<ListKind>();

  constructor(private readonly options: CatalogueOptions) {}

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
    return [...Object.values(this.#problems).flat(), ...this.#inventory.mended?.faults ?? []];
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
    if (!declaresLists(connection.handshake)) {
      this.#refresher.mark(LIST_RULES.map(({ kind }) => kind));
    }
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
    const { clock, timeout, onChange } = this.options;
    const refresher: Refresher = new Refresher(clock, REFRESH_DELAY, async (kinds) => {
      const options = { previous: this.#inventory, kinds, timeout: timeout() };
      const { inventory, problems } = await readInventory(connection, options);
      // A connection that went away in between has nothing more to say.
      if (this.#refresher !== refresher) return false;
      this.#report(problems);
      if (inventory === this.#inventory) return false;
      this.#inventory = inventory;
      onChange(inventory);
      return true;
    });
    return refresher;
  }

  /** What was wrong with lists that were not read again still is, and is told once. */
  #report(problems: InventoryResult["problems"]): void {
    const known = this.problems;
    this.#problems = { ...this.#problems, ...problems };
    for (const problem of Object.values(problems).flat()) {
      if (!known.includes(problem)) this.options.log.warn(problem);
    }
  }
}

/** Longest pauses between reads that follow one upon the other, in ms: of what changes, and not. */
const MOST_REST = { changed: 1_000, same: 10_000 };

/**
 * Turns a storm of "this list changed" into few reads: marks within `delay` are one run, marks
 * during a run are one more run after it, so the last read always begins after the last mark. While
 * the storm goes on the pauses grow, further where nothing was found to have changed.
 */
export class Refresher {
  /** Pause after a run, and when it ended. */
  #rest: number;
  #endedAt = -Infinity;
  #marked = new Set<ListKind>();
  #cancel: (() => void) | undefined;
  #running = false;
  #stopped = false;

  /**
   * `delay` in ms: a server announces changes in bursts. `read` tells whether anything had changed,
   * and must not reject.
   */
  constructor(
    private readonly clock: Clock,
    private readonly delay: number,
    private readonly read: (kinds: ReadonlySet<ListKind>) => Promise<boolean>,
  ) {
    this.#rest = delay / 2;
  }

  /** These lists are no longer what was read. */
  mark(kinds: Iterable<ListKind>): void {
    for (const kind of kinds) this.#marked.add(kind);
    this.#schedule();
  }

  /** Forgets all marks and runs nothing any more; a run under way ends by itself. */
  stop(): void {
    this.#stopped = true;
    this.#cancel?.();
    this.#cancel = undefined;
    this.#marked.clear();
  }

  #schedule(): void {
    if (this.#stopped || this.#running || this.#cancel !== undefined) return;
    if (this.#marked.size === 0) return;
    const since = this.clock.now() - this.#endedAt;
    // It has been quiet.
    if (since > this.#rest) this.#rest = this.delay / 2;
    const wait = Math.max(this.delay, this.#rest - since);
    this.#cancel = this.clock.after(wait, () => void this.#run());
  }

  async #run(): Promise<void> {
    this.#cancel = undefined;
    this.#running = true;
    const kinds = this.#marked;
    this.#marked = new Set();
    const most = await this.read(kinds) ? MOST_REST.changed : MOST_REST.same;
    this.#rest = Math.min(this.#rest * 2, most);
    this.#endedAt = this.clock.now();
    this.#running = false;
    this.#schedule();
  }
}
