import type { ServerConfig } from "../config/types.ts";
import type { JsonEdit } from "../lib/json-edit.ts";
import { type Clock, systemClock } from "../lib/time.ts";
import type { Exchange } from "../protocol/exchange.ts";
import type { Inventory } from "../protocol/lists.ts";
import type { ResponseMessage } from "../protocol/message.ts";
import { Calls } from "./calls.ts";
import { Chooser, Slot, slotLabel } from "./choose.ts";
import type { OnceLine } from "./connection/line.ts";
import { Instance } from "./instance.ts";
import type { UpstreamEvents, UpstreamOptions } from "./opener.ts";
import { ShownInventory } from "./shown.ts";
import { combinedState, type Phase, type UpstreamState } from "./state.ts";
import { combinedStatus, countsOf, type UpstreamStatus } from "./status.ts";
import type { UpstreamLog } from "./transport/transport.ts";

/** How long instances may differ before that is worth a word, in ms: one is always first. */
const DIFFERENCE_DELAY = 2_000;

/**
 * One configured server, as the gateway sees it: its instances, which look like one. Owned by the
 * gateway; {@link Upstream.close} ends it for good.
 */
export class Upstream {
  readonly name: string;
  /** An instance is ready, or the first attempt of each has finished. Never rejects. */
  readonly settled: Promise<void>;
  readonly #slots: readonly Slot[];
  readonly #events: UpstreamEvents;
  readonly #log: UpstreamLog;
  readonly #clock: Clock;
  readonly #chooser: Chooser;
  readonly #calls: Calls;
  readonly #shown: ShownInventory;
  readonly #firstReady = Promise.withResolvers<void>();
  #config: ServerConfig;
  #phase: Phase;
  #wasInteractive = false;
  #started = false;
  #subscribed: ReadonlySet<string> = new Set();
  /** Whose the subscriptions are: every change is to be told once. */
  #herald: Slot;
  #cancelComparison: (() => void) | undefined;
  /** What was said about differences. */
  #told: ReadonlySet<string> = new Set();

  constructor(options: UpstreamOptions) {
    const { config, log, events = {}, clock = systemClock } = options;
    this.name = config.name;
    this.#config = config;
    this.#events = events;
    this.#log = log;
    this.#clock = clock;
    const several = config.instances.length > 1;
    this.#slots = config.instances.map((target, index) => {
      const label = slotLabel(index + 1, target);
      const instance = new Instance({
        ...options,
        config: { ...config, instances: [target] },
        log: several ? labelled(log, label) : log,
        events: several ? this.#eventsOf(index) : events,
      });
      return new Slot(label, instance, clock);
    });
    this.#chooser = new Chooser(config.name, this.#slots, clock);
    this.#calls = new Calls(config, this.#chooser, clock, events.recheck);
    this.#herald = this.#slots[0]!;
    this.#shown = new ShownInventory(this.#herald.instance.inventory);
    this.#phase = this.state.phase;
    const all = Promise.all(this.#wanted.map(({ instance }) => instance.settled));
    this.settled = Promise.race([all.then(() => {}), this.#firstReady.promise]);
  }

  get config(): ServerConfig {
    return this.#config;
  }

  /** Where its instances are in their lives, the best of them first. */
  get state(): UpstreamState {
    return combinedState(this.#slots.map(({ instance }) => instance.state));
  }

  /** What it offered last; kept while it is away. See {@link ShownInventory}. */
  get inventory(): Inventory {
    return this.#chooser.only?.instance.inventory ?? this.#shown.inventory;
  }

  /** It asks clients things that cannot be attributed on a connection they share. */
  get interactive(): boolean {
    return this.#slots.some(({ instance }) => instance.lines.interactive);
  }

  /**
   * Begins to connect, all instances at the same time; of lazy ones the first, the others where it
   * is not enough. Does nothing when it has begun, or cannot; a lazy one whose lists are known waits
   * for a use.
   */
  start(): void {
    this.#started = true;
    for (const { instance } of this.#wanted) instance.start();
  }

  /** What it offered in an earlier run; it counts until the server has answered. */
  recall(known: Inventory): void {
    this.#shown.recall(known);
    for (const { instance } of this.#wanted) instance.recall(known);
  }

  /**
   * Takes on what has changed in the configuration while {@link ServerConfig.key} has not: limits
   * and names. Connections stay as they are; higher limits let in calls that wait.
   */
  reconfigure(config: ServerConfig): void {
    this.#config = config;
    this.#slots.forEach(({ instance }, index) => {
      instance.reconfigure({ ...config, instances: [config.instances[index]!] });
    });
    // Those that have not been needed so far.
    if (this.#started) { for (const { instance } of this.#wanted) instance.start(); }
    this.#calls.reconfigure(config);
  }

  /**
   * Passes a client's request on. Waits for a connection that is being made; a server in back-off
   * is tried at once.
   * @throws {RpcError} UpstreamUnavailable naming the server and its last error, or what
   * {@link Line.forward} throws
   */
  forward(exchange: Exchange, edits: readonly JsonEdit[]): Promise<ResponseMessage> {
    const line = this.#calls.lineFor(exchange);
    return line instanceof Promise
      ? line.then((ready) => ready.forwardOnce(exchange, edits))
      : line.forwardOnce(exchange, edits);
  }

  /**
   * The connection that serves this exchange: the one place that chooses. To be released when the
   * exchange has ended.
   * @throws {RpcError} as {@link Upstream.forward}, and when no more connections may be opened
   */
  lineFor(exchange: Exchange): OnceLine | Promise<OnceLine> {
    return this.#calls.lineFor(exchange);
  }

  /** Resolves when no call is in flight any more, a parked or waiting one included. */
  whenIdle(): Promise<void> {
    return this.#calls.whenIdle();
  }

  /** {@link Instance.setLogLevel} */
  async setLogLevel(level: string): Promise<void> {
    await Promise.all(this.#slots.map(({ instance }) => instance.setLogLevel(level)));
  }

  /** {@link Lines.setSessionLogLevel} */
  async setSessionLogLevel(session: string, level: string): Promise<void> {
    await Promise.all(
      this.#slots.map(({ instance }) => instance.lines.setSessionLogLevel(session, level)),
    );
  }

  /** {@link Instance.setSubscriptions}, on one of them. */
  async setSubscriptions(uris: ReadonlySet<string>): Promise<void> {
    this.#subscribed = new Set(uris);
    this.#findHerald();
    await this.#herald.instance.setSubscriptions(this.#subscribed);
  }

  /** A client's roots have changed: tells the legacy connections it speaks to. */
  notifyClientRoots(session: string): void {
    for (const { instance } of this.#slots) instance.notifyClientRoots(session);
  }

  /** A client session has ended, and its own connection with it. */
  releaseSession(session: string): void {
    this.#chooser.stickiness.release(session);
    for (const { instance } of this.#slots) instance.releaseSession(session);
  }

  /** A snapshot for status pages; plain data, no secrets. */
  status(): UpstreamStatus {
    const { total: calls, failed: failedCalls, waiting: queued } = this.#calls;
    const used = { calls, failedCalls, queued };
    const { only } = this.#chooser;
    if (only !== undefined) return { ...only.instance.status(), ...used, instances: undefined };
    const { name, interactive, state: { phase: state, restarts } } = this;
    const counts = countsOf(this.inventory);
    const problems = this.#shown.differences(this.#slots);
    return combinedStatus(
      { name, state, restarts, interactive, problems, counts, ...used },
      this.#slots.map(({ instance, label: name, calls, failed: failedCalls }) => {
        return { ...instance.status(), name, calls, failedCalls };
      }),
    );
  }

  /** Stops for good, within about 3 s; calls in flight fail. Never rejects. */
  async close(): Promise<void> {
    this.#calls.close();
    this.#cancelComparison?.();
    this.#cancelComparison = undefined;
    await Promise.all(this.#slots.map(({ instance }) => instance.close()));
  }

  /** Those that are started from the beginning. */
  get #wanted(): readonly Slot[] {
    return this.#config.lazy ? this.#slots.slice(0, 1) : this.#slots;
  }

  #eventsOf(index: number): UpstreamEvents {
    const own = () => this.#slots[index]!;
    return {
      onStateChange: () => this.#changed(own()),
      onInventory: () => this.#compare(),
      onNotification: (message, exchange, session) => {
        // Some servers announce updates to everybody, subscribed or not.
        const isUpdate = message.method === "notifications/resources/updated";
        if (session === undefined && isUpdate && own() !== this.#herald) return;
        this.#events.onNotification?.(message, exchange, session);
      },
      onRequest: (message, session) => this.#events.onRequest?.(message, session),
      ownerOf: (params) => this.#events.ownerOf?.(params),
    };
  }

  #changed(slot: Slot): void {
    if (slot.isReady) {
      this.#firstReady.resolve();
      this.#chooser.wake();
    }
    const { interactive } = this;
    if (interactive) { for (const { instance } of this.#slots) instance.lines.markInteractive(); }
    this.#findHerald();
    const { phase } = this.state;
    const inventoryChanged = this.#shown.refresh(this.#slots);
    if (phase !== this.#phase || interactive !== this.#wasInteractive) {
      this.#phase = phase;
      this.#wasInteractive = interactive;
      this.#events.onStateChange?.();
    }
    if (inventoryChanged) this.#events.onInventory?.(this.#shown.inventory);
    if (slot.isReady) this.#compareLater();
  }

  #compare(): void {
    if (this.#shown.refresh(this.#slots)) this.#events.onInventory?.(this.#shown.inventory);
    this.#compareLater();
  }

  #compareLater(): void {
    if (this.#phase === "closed") return;
    this.#cancelComparison ??= this.#clock.after(DIFFERENCE_DELAY, () => {
      this.#cancelComparison = undefined;
      const differences = this.#shown.differences(this.#slots);
      for (const text of differences) if (!this.#told.has(text)) this.#log.warn(text);
      this.#told = new Set(differences);
    });
  }

  /** The subscriptions move when the instance that has them is lost and another is there. */
  #findHerald(): void {
    if (this.#herald.isReady) return;
    const next = this.#slots.find((slot) => slot.isReady);
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
