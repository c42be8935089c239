import type { Config } from "../config/types.ts";
import {
  announceChanges,
  type Endpoint,
  type ListListener,
  viewOf,
  withGating,
} from "../gating/endpoint.ts";
import { buildSnapshot, type Snapshot } from "../gating/gate.ts";
import type { Gating } from "../gating/gating.ts";
import { within } from "../lib/time.ts";
import { memoised } from "../registry/source.ts";
import type { View } from "../registry/types.ts";
import type { Facts } from "./events.ts";
import type { Member } from "./members/member.ts";
import type { Members } from "./members/members.ts";
import type { Chains } from "./middleware/chains.ts";

/** Changes that come in a burst (ten servers getting ready) make one snapshot. Milliseconds. */
const REBUILD_DELAY = 10;

/** How long a call by a name nobody has yet waits for servers that still start. Milliseconds. */
const NAME_PATIENCE = 10_000;

/** What is offered at one moment and the next; keeps the current snapshot up to date. */
export class Snapshots {
  readonly #listeners = new Set<ListListener>();
  #registry: Snapshot;
  #rebuild: ReturnType<typeof setTimeout> | undefined;
  #isListable = false;
  readonly #since = performance.now();
  /** The same snapshots with all that is held back. */
  readonly #wholes = new WeakMap<Snapshot, Snapshot>();
  readonly #closed = Promise.withResolvers<void>();
  #isClosed = false;

  /**
   * @param members what snapshots are made from; the others hear of new ones
   * @param config the one in force
   * @param patience how long after the start first lists wait, where `startupGrace` is less
   */
  constructor(
    private readonly members: Members,
    private readonly gating: Gating,
    private readonly chains: Chains,
    private readonly events: Facts,
    private readonly config: () => Config,
    private readonly patience = 0,
  ) {
    this.#registry = this.#build();
  }

  /** The current one; to be read once per request and kept. */
  get registry(): Snapshot {
    return this.#registry;
  }

  /** What clients of the endpoint see now; `undefined` where it is not configured any more. */
  view(endpoint: Endpoint): View | undefined {
    return viewOf(this.#registry, endpoint);
  }

  /** What they would see if nothing was held back; `undefined` where nothing is. */
  whole(endpoint: Endpoint): View | undefined {
    const { all } = this.members;
    const servers = all.map(({ config, entry, offered }) =>
      config.pin === "block" && entry.inventory !== offered
        ? { ...entry, inventory: offered }
        : entry
    );
    if (servers.every((one, at) => one === all[at]!.entry)) return undefined;
    const build = () => this.#build(undefined, servers);
    return viewOf(memoised(this.#wholes, this.#registry, build), withGating(endpoint, false));
  }

  /** Tells `listener` of changed lists until the returned function is called. */
  listen(listener: ListListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** What a server offers has changed. */
  changed(): void {
    if (this.#isClosed || this.#rebuild !== undefined) return;
    this.#rebuild = setTimeout(() => this.rebuild(), REBUILD_DELAY);
  }

  /** Brings the snapshot up to date with everything that is known by now. */
  flush(): void {
    if (this.#rebuild !== undefined) this.rebuild();
  }

  /** Makes another snapshot now. */
  rebuild(): void {
    clearTimeout(this.#rebuild);
    this.#rebuild = undefined;
    const before = this.#registry;
    const after = this.#registry = this.#build(before);
    this.chains.registryChanged(before, after);
    this.gating.registryChanged(after);
    this.events.emit({ kind: "lists", before, after });
    announceChanges(
      this.#listeners,
      before,
      after,
      (listener, kinds) => this.gating.provisioned.changedFor(listener, before, after, kinds),
    );
  }

  /**
   * Resolves when every server behind the endpoint has something to list or has failed, or was
   * waited for long enough: what clients are told first many of them never ask again.
   */
  whenListable(endpoint: Endpoint): Promise<void> | undefined {
    this.flush();
    // Once that was so, nothing is waited for again.
    const isAggregate = endpoint.server === undefined && endpoint.profile === undefined;
    if (isAggregate && this.#isListable) return undefined;
    const concerned = this.members.behind(endpoint);
    const open = concerned.filter((member) => !member.known && !member.isSettled);
    const { startupGrace } = this.config().settings;
    const isEmpty = open.length > 0 && !concerned.some((member) => member.known);
    const over = this.#since + Math.max(startupGrace, this.patience) - performance.now();
    const limit = open.length === 0 ? 0 : Math.max(over, isEmpty ? startupGrace : 0);
    if (limit > 0) return this.#waitListable(open, limit);
    if (isAggregate && !isEmpty) this.#isListable = true;
    return undefined;
  }

  /**
   * Resolves when a view of the endpoint satisfies `known`, or cannot any more because no server
   * is starting, or has been waited for long enough. A client that knows its tools from before a
   * restart calls them before their server is back.
   */
  async whenNamed(endpoint: Endpoint, known: (view: View) => boolean): Promise<void> {
    const overdue = performance.now() + NAME_PATIENCE;
    for (;;) {
      this.flush();
      const view = this.view(endpoint);
      const starting = this.members.behind(endpoint, this.members.expected)
        .filter((member) => !member.isSettled);
      const left = overdue - performance.now();
      if (view === undefined || known(view) || starting.length === 0 || left <= 0) return;
      await within(left, Promise.race(starting.map((member) => member.settled)));
    }
  }

  /** From here on there are no others. */
  close(): void {
    this.#isClosed = true;
    this.#closed.resolve();
    clearTimeout(this.#rebuild);
    this.#rebuild = undefined;
  }

  async #waitListable(open: readonly Member[], limit: number): Promise<void> {
    const everyone = Promise.all(
      open.map(({ firstInventory, settled }) => Promise.race([firstInventory, settled])),
    );
    await within(limit, Promise.race([everyone, this.#closed.promise]));
    this.flush();
  }

  #build(before?: Snapshot, servers = this.members.entries): Snapshot {
    const { servers: all, settings: { profiles, tags, gating } } = this.config();
    const version = before === undefined ? 0 : before.version + 1;
    const configured = all.values();
    return buildSnapshot({ version, servers, profiles, tags, gating, configured }, before);
  }
}
