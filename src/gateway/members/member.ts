import type { ServerConfig } from "../../config/types.ts";
import { within } from "../../lib/time.ts";
import { getLogger, textLogger } from "../../log/mod.ts";
import { ErrorCode, RpcError } from "../../protocol/errors.ts";
import { checkedInventory, EMPTY_INVENTORY, type Inventory } from "../../protocol/lists.ts";
import type { LoggingLevel } from "../../protocol/methods.ts";
import type { NamedKind, ServerEntry } from "../../registry/types.ts";
import type { UpstreamEvents, UpstreamOptions } from "../../upstream/opener.ts";
import type { AttemptBudget } from "../../upstream/supervisor.ts";
import { Upstream } from "../../upstream/upstream.ts";
import type { ListCache } from "./list-cache.ts";

/**
 * A disk that hangs must not keep a server from being started; that of a busy machine may take a
 * while. Milliseconds.
 */
const READING_PATIENCE = 2_000;

/** What a request names that may be held back. */
const NAMING: Record<string, NamedKind> = {
  "tools/call": "tool",
  "prompts/get": "prompt",
  "completion/complete": "prompt",
};

/** What one configured server needs to take part. */
export interface MemberOptions {
  readonly config: ServerConfig;
  readonly runtime: UpstreamOptions["runtime"];
  readonly logins?: UpstreamOptions["logins"];
  /** How long a lost server keeps its entries, milliseconds. */
  readonly staleGrace: () => number;
  /** Its inventory, or how it may be used, has changed. */
  readonly onChange: () => void;
  /** Takes what it says that is no answer. */
  readonly upcalls: Pick<UpstreamEvents, "onNotification" | "onRequest" | "ownerOf">;
  /** It is in another state, or its first attempt has ended. */
  readonly onState: (member: Member) => void;
  /** Keeps its lists for the next start. */
  readonly cache: ListCache | undefined;
  /** What may be shown of what it offers; undefined where that is all of it. */
  readonly vet: (config: ServerConfig, inventory: Inventory) => Promise<Inventory> | undefined;
  /** What to tell who asks for what is held back, by the server's own name. */
  readonly heldBack: (kind: NamedKind, name: string) => string | undefined;
  /** What all servers together may try to reconnect. */
  readonly attempts: AttemptBudget;
}

/**
 * One enabled server: its upstream, and what the registry may show of it. A server that is lost
 * for a moment keeps its entries, marked stale, so that clients do not see its tools come and go.
 */
export class Member {
  readonly #first = Promise.withResolvers<void>();
  readonly upstream: Upstream;
  /** Resolves when its first attempt has ended, up or down, and is shown what came of it. */
  readonly settled: Promise<void>;
  /** Resolves with the first inventory; rejects never, stays pending while there is none. */
  readonly firstInventory: Promise<void> = this.#first.promise;
  /**
   * The most verbose level a modern client has asked for. It stays: those clients have no session
   * whose end would say that nobody wants it any more, and lines nobody wants go no further.
   */
  modernLevel: LoggingLevel | undefined;
  #config: ServerConfig;
  #entry: ServerEntry;
  /** All that it offers, what is held back included. */
  #offered: Inventory = EMPTY_INVENTORY;
  /** Undefined while nothing is being looked at before it is shown. */
  #vetting: Promise<void> | undefined;
  #known = false;
  #settled = false;
  #grace: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly options: MemberOptions) {
    const { config, runtime, logins } = options;
    const { name, prefix, separator, shape, pin } = config;
    const isClosed = pin === "block";
    this.#config = config;
    this.#entry = {
      ...{ name, prefix, separator, shape, isClosed },
      inventory: EMPTY_INVENTORY,
      stale: false,
    };
    this.upstream = new Upstream({
      config,
      runtime,
      logins,
      attempts: options.attempts,
      log: textLogger(getLogger("mcproxy", "upstream", name)),
      events: {
        ...options.upcalls,
        recheck: (...call) => this.#recheck(...call),
        onInventory: () => this.#present(),
        onStateChange: () => this.#stateChanged(),
      },
    });
    this.settled = this.upstream.settled.then(() => this.#vetting).then(() => {
      this.#settled = true;
      options.onState(this);
    });
  }

  /** What it was made from, or has been adjusted to since. */
  get config(): ServerConfig {
    return this.#config;
  }

  /** Takes on other limits and names; for a server whose {@link ServerConfig.key} is the same. */
  reconfigure(config: ServerConfig): void {
    this.#config = config;
    this.upstream.reconfigure(config);
    const { prefix, separator, shape, pin } = config;
    this.#show({ prefix, separator, shape, isClosed: pin === "block" });
    this.offerAgain();
  }

  /** Something else may be shown of what it offers. */
  offerAgain(): void {
    if (this.#offered !== EMPTY_INVENTORY) this.#offer(this.#offered);
  }

  /** All that it offers, what is held back included. */
  get offered(): Inventory {
    return this.#offered;
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

  /** What it offered in its last run, if that can be read in time. Never rejects. */
  async kept(): Promise<Inventory | undefined> {
    let kept: Inventory | undefined;
    const reading = this.options.cache?.get(this.#config).then(async (found) => {
      kept = found && await checkedInventory(found.inventory);
    });
    if (reading !== undefined) await within(READING_PATIENCE, reading);
    return kept;
  }

  /**
   * Until it has answered, `kept` is what it is taken to offer; where it is only started at its
   * first use that is as good as any news.
   */
  recall(kept: Inventory | undefined): void {
    if (kept === undefined || this.upstream.state.phase !== "idle") return;
    this.upstream.recall(kept);
    this.#show({ stale: !this.#config.lazy });
    this.#offer(kept);
  }

  /** Nobody misses it for a moment: its lists are there, and a call starts it at once. */
  get canWait(): boolean {
    return this.#known && !this.#config.lazy && this.#config.instances[0]!.kind === "stdio";
  }

  /**
   * Takes the place of `old`. Where the first attempt has failed it shows what that offered, as any
   * server that is away does: it may only have waited for a port or a lock that the old one held.
   */
  inherit(old: Member): void {
    if (this.#known || !old.known || this.upstream.state.phase === "closed") return;
    this.#offer(old.offered);
    this.#away();
  }

  /** Stops the upstream and forgets the timers. */
  async close(): Promise<void> {
    await this.upstream.close();
    // Closing is a loss too, which has just started it.
    clearTimeout(this.#grace);
    this.options.cache?.forget(this.#config);
  }

  /** What is offered now may be another than what was known when it was asked for. */
  async #recheck(method: string, name: string): Promise<void> {
    while (this.#vetting !== undefined) await this.#vetting;
    const kind = NAMING[method];
    const { lists } = this.#entry.inventory;
    if (kind === undefined || lists[`${kind}s`].items.some(({ key }) => key === name)) return;
    const why = this.options.heldBack(kind, name);
    // Of resource templates, which nothing holds back.
    if (why === undefined && method === "completion/complete") return;
    const unknown = `Unknown ${kind} ${JSON.stringify(name)}`;
    throw new RpcError(ErrorCode.InvalidParams, why ?? unknown);
  }

  #stateChanged(): void {
    const { phase } = this.upstream.state;
    if (phase === "ready") this.#present();
    // At rest, or on its way, what was known before still holds.
    else if (this.#known && this.#isLost) this.#away();
    this.options.onState(this);
  }

  /** Shows what the server offers now. */
  #present(): void {
    clearTimeout(this.#grace);
    this.#grace = undefined;
    const { inventory } = this.upstream;
    this.#show({ stale: false });
    this.#offer(inventory);
    this.options.cache?.set(this.#config, inventory);
  }

  /** Shows what is offered, or what may be shown of it as soon as that is known. */
  #offer(inventory: Inventory): void {
    this.#offered = inventory;
    const vetted = this.options.vet(this.#config, inventory);
    const vetting = this.#vetting = vetted?.then((shown) => {
      // Another list may have come meanwhile.
      if (this.#vetting === vetting) this.#reveal(shown);
    });
    if (vetting === undefined) this.#reveal(inventory);
  }

  #reveal(inventory: Inventory): void {
    this.#vetting = undefined;
    this.#known = true;
    this.#show({ inventory });
    this.#first.resolve();
    // It may have gone meanwhile.
    if (this.#isLost) this.#away();
  }

  get #isLost(): boolean {
    const { phase } = this.upstream.state;
    return phase === "backoff" || phase === "closed";
  }

  #away(): void {
    this.#show({ stale: true });
    this.#grace ??= setTimeout(() => {
      this.#grace = undefined;
      this.#known = false;
      this.#vetting = undefined;
      this.#offered = EMPTY_INVENTORY;
      this.#show({ inventory: EMPTY_INVENTORY, stale: false });
    }, this.options.staleGrace());
  }

  #show(change: Partial<ServerEntry>): void {
    const keys = Object.keys(change) as (keyof ServerEntry)[];
    if (keys.every((key) => this.#entry[key] === change[key])) return;
    this.#entry = { ...this.#entry, ...change };
    this.options.onChange();
  }
}
