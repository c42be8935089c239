import type { Config } from "../config/types.ts";
import { announceChanges, type Endpoint, type ListListener, viewOf } from "../gating/endpoint.ts";
import { buildSnapshot, type Snapshot } from "../gating/gate.ts";
import type { Gating } from "../gating/gating.ts";
import { within } from "../lib/time.ts";
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
  #isClosed = false;

  /**
   * @param members what snapshots are made from; the others hear of new ones
   * @param config the one in force
   */
  constructor(
    private readonly members: Members,
    private readonly gating: Gating,
    private readonly chains: Chains,
    private readonly events: Facts,
    private readonly config: () => Config,
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

  /** Resolves when the view has something to list, or has been waited for long enough. */
  whenListable(endpoint: Endpoint): Promise<void> | undefined {
    this.flush();
    // Once there is something to list, nothing is waited for again.
    const isAggregate = endpoint.server === undefined && endpoint.profile === undefined;
    if (isAggregate && this.#isListable) return undefined;
    const concerned = this.members.behind(endpoint);
    const listable = concerned.some((member) => member.known) ||
      concerned.every((member) => member.isSettled);
    if (isAggregate) this.#isListable = listable;
    return listable ? undefined : this.#waitListable(concerned);
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
      await within(left, Promise.race(starting.map((member) => member.upstream.settled)));
    }
  }

  /** From here on there are no others. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#rebuild);
    this.#rebuild = undefined;
  }

  async #waitListable(concerned: readonly Member[]): Promise<void> {
    const everyone = Promise.all(concerned.map((member) => member.upstream.settled));
    const someone = Promise.race(concerned.map((member) => member.firstInventory));
    const { startupGrace } = this.config().settings;
    await within(startupGrace, Promise.race([everyone, someone]));
    this.flush();
  }

  #build(before?: Snapshot): Snapshot {
    const { servers: all, settings: { profiles, tags, gating } } = this.config();
    const version = before === undefined ? 0 : before.version + 1;
    const servers = this.members.entries;
    const configured = all.values();
    return buildSnapshot({ version, servers, profiles, tags, gating, configured }, before);
  }
}
