import type { ServerConfig } from "../config/types.ts";
import { type Clock, systemClock } from "../lib/time.ts";
import type { Exchange } from "../protocol/exchange.ts";
import type { Inventory } from "../protocol/lists.ts";
import type { NotificationMessage } from "../protocol/message.ts";
import { bestPhase, Chooser, Stickiness, type Taken } from "./choose.ts";
import { differenceOf, saysTheSame } from "./connection/inventory.ts";
import { Instance, Slot, slotLabel } from "./instance.ts";
import type { InstanceEvents, InstanceOptions } from "./opener.ts";
import type { Phase, UpstreamState } from "./state.ts";
import type { UpstreamLog } from "./transport/transport.ts";

/** How long instances may differ before that is worth a word, in ms: one is always first. */
const DIFFERENCE_DELAY = 2_000;

/**
 * The instances of one configured server, which look like one. Owned by its upstream;
 * {@link Pool.close} ends all of them for good.
 */
export class Pool {
  readonly slots: readonly Slot[];
  /** The instance where there is only one: nothing has to be chosen then. */
  readonly only: Slot | undefined;
  readonly stickiness: Stickiness<Slot>;
  /** One is ready, or the first attempt of each has finished. Never rejects. */
  readonly settled: Promise<void>;
  readonly #events: InstanceEvents;
  readonly #log: UpstreamLog;
  readonly #clock: Clock;
  readonly #chooser: Chooser;
  readonly #shown: ShownInventory;
  readonly #firstReady = Promise.withResolvers<void>();
  #config: ServerConfig;
  #phase: Phase;
  #interactive = false;
  #started = false;
  #subscribed: ReadonlySet<string> = new Set();
  /** Whose the subscriptions are: every change is to be told once. */
  #herald: Slot;
  #cancelComparison: (() => void) | undefined;
  /** What was said about differences. */
  #told: ReadonlySet<string> = new Set();

  constructor({ events = {}, ...options }: InstanceOptions) {
    const { config, log, clock = systemClock } = options;
    this.#config = config;
    this.#events = events;
    this.#log = log;
    this.#clock = clock;
    this.slots = config.instances.map((target, index) => {
      const number = index + 1;
      const several = config.instances.length > 1;
      const instance = new Instance({
        ...options,
        config: { ...config, target },
        log: several ? labelled(log, slotLabel(number, target)) : log,
        events: several ? this.#eventsOf(index) : events,
      });
      return new Slot(number, instance, target, clock);
    });
    this.only = this.slots.length === 1 ? this.slots[0] : undefined;
    this.#herald = this.slots[0]!;
    this.stickiness = new Stickiness(config.name, clock);
    this.#chooser = new Chooser({
      server: config.name,
      slots: this.slots,
      stickiness: this.stickiness,
      clock,
    });
    this.#shown = new ShownInventory(this.#herald.instance.inventory);
    this.#phase = this.state.phase;
    const all = Promise.all(this.#wanted.map(({ instance }) => instance.settled));
    this.settled = Promise.race([all.then(() => {}), this.#firstReady.promise]);
  }

  /** Where they are in their lives, the best of them first. */
  get state(): UpstreamState {
    return combinedState(this.slots.map(({ instance }) => instance.state));
  }

  /** What they offer; see {@link ShownInventory}. */
  get inventory(): Inventory {
    return this.only === undefined ? this.#shown.inventory : this.only.instance.inventory;
  }

  /** One of them has proven to be interactive, and so all are. */
  get interactive(): boolean {
    return this.slots.some(({ instance }) => instance.interactive);
  }

  /** How those that are ready differ from what is shown. */
  get differences(): readonly string[] {
    return this.only === undefined ? this.#shown.differences(this.slots) : [];
  }

  /** {@link Chooser.take} */
  take(exchange: Exchange, avoid?: ReadonlySet<Slot>): Promise<Taken> {
    return this.#chooser.take(exchange, avoid);
  }

  /** {@link Chooser.isElsewhere} */
  isElsewhere(others: ReadonlySet<Slot>): boolean {
    return this.#chooser.isElsewhere(others);
  }

  /** Starts them all at the same time; of lazy ones the first, the others where it is not enough. */
  start(known?: Inventory): void {
    this.#started = true;
    if (known !== undefined) this.#shown.recall(known);
    for (const { instance } of this.#wanted) instance.start(known);
  }

  /** {@link Instance.reconfigure} */
  reconfigure(config: ServerConfig): void {
    this.#config = config;
    this.slots.forEach(({ instance }, index) => {
      instance.reconfigure({ ...config, target: config.instances[index]! });
    });
    // Those that have not been needed so far.
    if (this.#started) { for (const { instance } of this.#wanted) instance.start(); }
  }

  /** {@link Instance.setLogLevel} */
  async setLogLevel(level: string): Promise<void> {
    await Promise.all(this.slots.map(({ instance }) => instance.setLogLevel(level)));
  }

  /** {@link Instance.setSessionLogLevel} */
  async setSessionLogLevel(session: string, level: string): Promise<void> {
    await Promise.all(
      this.slots.map(({ instance }) => instance.setSessionLogLevel(session, level)),
    );
  }

  /** {@link Instance.setSubscriptions}, on one of them. */
  async setSubscriptions(uris: ReadonlySet<string>): Promise<void> {
    this.#subscribed = new Set(uris);
    this.#findHerald();
    await this.#herald.instance.setSubscriptions(this.#subscribed);
  }

  /** {@link Instance.notifyClientRoots} */
  notifyClientRoots(session: string): void {
    for (const { instance } of this.slots) instance.notifyClientRoots(session);
  }

  /** {@link Instance.releaseSession} */
  releaseSession(session: string): void {
    this.stickiness.release(session);
    for (const { instance } of this.slots) instance.releaseSession(session);
  }

  /** Stops all of them at the same time. Never rejects. */
  async close(): Promise<void> {
    this.#cancelComparison?.();
    this.#cancelComparison = undefined;
    await Promise.all(this.slots.map(({ instance }) => instance.close()));
  }

  /** Those that are started from the beginning. */
  get #wanted(): readonly Slot[] {
    return this.#config.lazy ? this.slots.slice(0, 1) : this.slots;
  }

  #eventsOf(index: number): InstanceEvents {
    const own = () => this.slots[index]!;
    return {
      onStateChange: () => this.#changed(own()),
      onInventory: () => this.#compare(),
      onNotification: (message, exchange, session) => {
        if (session === undefined && this.#isRepetition(message, own())) return;
        this.#events.onNotification?.(message, exchange, session);
      },
      onRequest: (message, session) => this.#events.onRequest?.(message, session),
    };
  }

  /** Some servers announce updates to everybody, subscribed or not. */
  #isRepetition({ method }: NotificationMessage, slot: Slot): boolean {
    return method === "notifications/resources/updated" && slot !== this.#herald;
  }

  #changed(slot: Slot): void {
    if (slot.isReady) {
      this.#firstReady.resolve();
      this.#chooser.wake();
    }
    const { interactive } = this;
    if (interactive) { for (const { instance } of this.slots) instance.markInteractive(); }
    this.#findHerald();
    const { phase } = this.state;
    const inventoryChanged = this.#shown.refresh(this.slots);
    if (phase !== this.#phase || interactive !== this.#interactive) {
      this.#phase = phase;
      this.#interactive = interactive;
      this.#events.onStateChange?.();
    }
    if (inventoryChanged) this.#events.onInventory?.(this.#shown.inventory);
    if (slot.isReady) this.#compareLater();
  }

  #compare(): void {
    if (this.#shown.refresh(this.slots)) this.#events.onInventory?.(this.#shown.inventory);
    this.#compareLater();
  }

  #compareLater(): void {
    if (this.#phase === "closed") return;
    this.#cancelComparison ??= this.#clock.after(DIFFERENCE_DELAY, () => {
      this.#cancelComparison = undefined;
      const differences = this.differences;
      for (const text of differences) if (!this.#told.has(text)) this.#log.warn(text);
      this.#told = new Set(differences);
    });
  }

  /** The subscriptions move when the instance that has them is lost and another is there. */
  #findHerald(): void {
    if (this.#herald.isReady) return;
    const next = this.slots.find((slot) => slot.isReady);
    if (next === undefined) return;
    const before = this.#herald;
    this.#herald = next;
    if (this.#subscribed.size === 0) return;
    void before.instance.setSubscriptions(new Set());
    void next.instance.setSubscriptions(this.#subscribed);
  }
}

/** A log whose lines tell which instance they are about. */
function labelled(log: UpstreamLog, instance: string): UpstreamLog {
  return {
    debug: (message, props) => log.debug(message, { instance, ...props }),
    info: (message, props) => log.info(message, { instance, ...props }),
    warn: (message, props) => log.warn(message, { instance, ...props }),
    error: (message, props) => log.error(message, { instance, ...props }),
  };
}

/**
 * The state of a server by those of its instances, at least one: the best phase there is, and the
 * restarts of all. Of a single instance it is the very same object.
 */
export function combinedState(states: readonly UpstreamState[]): UpstreamState {
  const phase = bestPhase(states.map((state) => state.phase));
  const best = states.find((state) => state.phase === phase)!;
  if (states.length === 1) return best;
  return {
    ...best,
    restarts: states.reduce((sum, { restarts }) => sum + restarts, 0),
    wasReady: states.some(({ wasReady }) => wasReady),
  };
}

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
