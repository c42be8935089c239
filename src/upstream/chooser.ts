import { anyCancelled, CancelSource } from "../lib/cancel.ts";
import type { Clock } from "../lib/clock.ts";
import { withSignal } from "../protocol/derived-exchange.ts";
import { RpcError } from "../protocol/errors.ts";
import type { Client, Exchange } from "../protocol/exchange.ts";
import { choose } from "./balance.ts";
import type { Line } from "./connection/line.ts";
import type { Slot } from "./slot.ts";
import type { Home, Stickiness } from "./stickiness.ts";
import { unavailable } from "./transport/failures.ts";

/** A line, and the instance it leads to: {@link Slot.leave} ends the use of it. */
export interface Taken {
  readonly line: Line;
  readonly slot: Slot;
}

/** What a {@link Chooser} is made of. */
export interface ChooserOptions {
  readonly server: string;
  /** At least one. */
  readonly slots: readonly Slot[];
  readonly stickiness: Stickiness<Slot>;
  readonly clock: Clock;
}

/** For how long one call tries one instance after the other, in ms. */
const PATIENCE = 10_000;

const NONE: ReadonlySet<Slot> = new Set();

/**
 * Which instance serves an exchange: the one it belongs to, else the least busy of the healthy.
 * Where none is ready, the most promising is waited for, and whichever becomes ready first is used.
 */
export class Chooser {
  readonly #options: ChooserOptions;
  /** Told when an instance is ready. */
  readonly #waiting = new Set<() => void>();
  #turn = 0;

  constructor(options: ChooserOptions) {
    this.#options = options;
  }

  /** An instance has become ready. */
  wake(): void {
    for (const wake of [...this.#waiting]) wake();
  }

  /** Whether there is a ready instance beside those of `others`. */
  isElsewhere(others: ReadonlySet<Slot>): boolean {
    return this.#options.slots.some((slot) => slot.isReady && !others.has(slot));
  }

  /**
   * A line for an exchange, on one of those to `avoid` only where no other is ready.
   * @throws {RpcError} what the last instance that was tried refuses with
   */
  async take(exchange: Exchange, avoid: ReadonlySet<Slot> = NONE): Promise<Taken> {
    const { clock, server } = this.#options;
    const home = this.#homeOf(exchange);
    if (home?.isOnly === true) return await over(home.place, exchange);
    const overdue = clock.now() + PATIENCE;
    const tried = new Set(this.isElsewhere(avoid) ? avoid : NONE);
    let failure: unknown = unavailable(server, "was stopped");
    for (;;) {
      const slot = this.#next(exchange, tried);
      if (slot === undefined) throw failure;
      try {
        const taken = slot.isReady
          ? await over(slot, exchange)
          : await this.#firstOf(slot, exchange);
        if (taken !== undefined) return taken;
      } catch (error) {
        const isOver = exchange.signal.aborted || clock.now() >= overdue;
        if (isOver || !(error instanceof RpcError)) throw error;
        failure = error;
        tried.add(slot);
      }
    }
  }

  #next(exchange: Exchange, tried: ReadonlySet<Slot>): Slot | undefined {
    const { slots, stickiness } = this.#options;
    const { client } = exchange;
    const home = this.#homeOf(exchange)?.place;
    if (home !== undefined && !tried.has(home) && canServe(home, client)) return home;
    const at = choose(slots, this.#turn, tried);
    if (at === undefined) return undefined;
    this.#turn = (at + 1) % slots.length;
    const slot = slots[at]!;
    // One that is busy is relieved by one that rests.
    if (slot.isReady && slot.inUse > 0) {
      slots.find(({ phase }) => phase === "idle")?.instance.wake();
    }
    // At once, so that the session's next call goes the same way and opens no second connection.
    if (this.#isExclusive(client)) stickiness.setSession(client.session!, slot);
    return slot;
  }

  #homeOf(exchange: Exchange): Home<Slot> | undefined {
    const { stickiness } = this.#options;
    const home = stickiness.homeOf(exchange);
    if (home !== undefined || !this.#isExclusive(exchange.client)) return home;
    const place = stickiness.ofSession(exchange.client.session!);
    return place && { place, isOnly: false };
  }

  /** Whether a client session is to have a connection of its own. */
  #isExclusive(client: Client): boolean {
    return client.session !== undefined && client.era === "legacy" &&
      this.#options.slots.some(({ instance }) => instance.isExclusiveFor(client));
  }

  /** Undefined when another instance has become ready sooner: then that is to be asked. */
  async #firstOf(slot: Slot, exchange: Exchange): Promise<Taken | undefined> {
    const giveUp = new CancelSource();
    const either = anyCancelled(exchange.signal, giveUp);
    const other = Promise.withResolvers<undefined>();
    const look = () => {
      if (!slot.isReady) other.resolve(undefined);
    };
    this.#waiting.add(look);
    const own = over(slot, withSignal(exchange, either.signal));
    let won = false;
    try {
      const first = await Promise.race([own, other.promise]);
      won = first !== undefined;
      return first;
    } finally {
      this.#waiting.delete(look);
      if (!won) {
        giveUp.cancel(new Error("another instance was ready sooner"));
        own.then(giveBack, () => {});
      }
      either.detach();
    }
  }
}

/** Counts as use of the instance from the first moment on, so that the next choice sees it. */
async function over(slot: Slot, exchange: Exchange): Promise<Taken> {
  slot.enter();
  try {
    return { line: await slot.instance.lineFor(exchange), slot };
  } catch (error) {
    slot.leave();
    throw error;
  }
}

function giveBack({ line, slot }: Taken): void {
  line.release();
  slot.leave();
}

/** A session's own connection may live where the shared one is lost. */
function canServe(slot: Slot, { session }: Client): boolean {
  return slot.isReady || (session !== undefined && slot.instance.hasOwn(session));
}
