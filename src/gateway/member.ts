import type { ServerConfig } from "../config/config.ts";
import { getLogger } from "../log/mod.ts";
import { EMPTY_INVENTORY } from "../protocol/lists.ts";
import type { LoggingLevel } from "../protocol/log-levels.ts";
import type { ServerEntry } from "../registry/types.ts";
import type { Runtime } from "../runtime/types.ts";
import type { Upcalls } from "./upcalls.ts";
import { Upstream } from "../upstream/upstream.ts";

/** What one configured server needs to take part. */
export interface MemberOptions {
  readonly config: ServerConfig;
  readonly runtime: Pick<Runtime, "spawn">;
  /** How long a lost server keeps its entries, milliseconds. */
  readonly staleGrace: number;
  /** Its inventory, or how it may be used, has changed. */
  readonly onChange: () => void;
  /** Takes what it says that is no answer. */
  readonly upcalls: Upcalls;
}

/**
 * One enabled server: its upstream, and what the registry may show of it. A server that is lost
 * for a moment keeps its entries, marked stale, so that clients do not see its tools come and go.
 */
export class Member {
  readonly config: ServerConfig;
  readonly upstream: Upstream;
  /** Resolves with the first inventory; rejects never, stays pending while there is none. */
  readonly firstInventory: Promise<void>;
  /**
   * The most verbose level a modern client has asked for. It stays: those clients have no session
   * whose end would say that nobody wants it any more, and lines nobody wants go no further.
   */
  modernLevel: LoggingLevel | undefined;
  #entry: ServerEntry;
  #known = false;
  #settled = false;
  #grace: ReturnType<typeof setTimeout> | undefined;
  readonly #options: MemberOptions;

  constructor(options: MemberOptions) {
    const { config, runtime } = options;
    this.#options = options;
    this.config = config;
    const first = Promise.withResolvers<void>();
    this.firstInventory = first.promise;
    this.#entry = {
      name: config.name,
      prefix: config.prefix,
      separator: config.separator,
      inventory: EMPTY_INVENTORY,
      stale: false,
    };
    this.upstream = new Upstream({
      config,
      runtime,
      log: getLogger("mcproxy", "upstream", config.name),
      events: {
        onInventory: () => this.#present(),
        onStateChange: () => {
          this.#stateChanged();
          if (this.#known) first.resolve();
        },
        onNotification: (_, message, exchange, session) =>
          options.upcalls.notified(config.name, message, exchange, session),
        onRequest: (_, message) => options.upcalls.asked(config.name, message),
      },
    });
    this.upstream.settled.then(() => this.#settled = true);
  }

  /** Its part in the registry; the same object until something changed. */
  get entry(): ServerEntry {
    return this.#entry;
  }

  /** Whether an inventory has been seen and is still shown. */
  get known(): boolean {
    return this.#known;
  }

  /** Whether its first attempt has ended, up or down. */
  get isSettled(): boolean {
    return this.#settled;
  }

  /** Stops the upstream and forgets the timers. */
  async close(): Promise<void> {
    await this.upstream.close();
    // Closing is a loss too, which has just started it.
    clearTimeout(this.#grace);
  }

  #stateChanged(): void {
    if (this.upstream.state.phase === "ready") this.#present();
    else if (this.#known && !this.#entry.stale) this.#away();
  }

  /** Shows what the server offers now. */
  #present(): void {
    clearTimeout(this.#grace);
    this.#known = true;
    this.#show({ inventory: this.upstream.inventory, stale: false });
  }

  #away(): void {
    this.#show({ stale: true });
    this.#grace = setTimeout(() => {
      this.#known = false;
      this.#show({ inventory: EMPTY_INVENTORY, stale: false });
    }, this.#options.staleGrace);
  }

  #show(change: Partial<ServerEntry>): void {
    const same = Object.entries(change).every(([key, value]) =>
      this.#entry[key as keyof ServerEntry] === value
    );
    if (same) return;
    this.#entry = { ...this.#entry, ...change };
    this.#options.onChange();
  }
}
