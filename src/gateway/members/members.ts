import type { ServerConfig, Settings } from "../../config/types.ts";
import { type Endpoint, isBehind } from "../../gating/endpoint.ts";
import { within } from "../../lib/time.ts";
import { getLogger } from "../../log/mod.ts";
import type { ServerEntry } from "../../registry/types.ts";
import type { Upstream } from "../../upstream/upstream.ts";
import type { Member } from "./member.ts";

/** What {@link Members} are made of. */
export interface MembersOptions {
  /** Makes a member, not started. */
  readonly create: (server: ServerConfig) => Member;
  /**
   * Another member answers for each of these servers from now on, or none does, or it is called
   * something else: time for a new snapshot. Called in the same turn, so that no request sees one
   * without the other.
   */
  readonly onSwap: (names: readonly string[]) => void;
  /** Those in force. */
  readonly settings: () => Settings;
}

const log = getLogger("mcproxy", "gateway");

/**
 * The members in force, those that are about to replace one, and those that finish their last
 * calls. Owned by the gateway; `close()` ends all of them.
 */
export class Members {
  readonly #options: MembersOptions;
  /** In the order of the configuration. */
  #serving: ReadonlyMap<string, Member> = new Map();
  readonly #coming = new Map<string, Member>();
  readonly #leaving = new Map<Member, Promise<void>>();
  #closed = false;

  constructor(options: MembersOptions) {
    this.#options = options;
  }

  /** Every enabled server, in the order of the configuration. */
  get all(): readonly Member[] {
    return [...this.#serving.values()];
  }

  /** Their parts in the registry. */
  get entries(): readonly ServerEntry[] {
    return this.all.map((member) => member.entry);
  }

  /** The member that answers for a server. */
  get(name: string): Member | undefined {
    return this.#serving.get(name);
  }

  /** What its clients are served by. */
  upstream(name: string): Upstream | undefined {
    return this.#serving.get(name)?.upstream;
  }

  /** Those, of all by default, whose servers may have something to offer at an endpoint. */
  behind(endpoint: Endpoint, members = this.all): readonly Member[] {
    return members.filter((member) => this.isBehind(member, endpoint));
  }

  /** {@link isBehind}, as the configuration is now. */
  isBehind({ config }: Pick<Member, "config">, endpoint: Endpoint): boolean {
    return isBehind(config, endpoint, this.#options.settings());
  }

  /** What is about to take its place. */
  successor(name: string): Member | undefined {
    return this.#coming.get(name);
  }

  /** Those in force and those that will be: whose first attempt something may be waiting for. */
  get expected(): readonly Member[] {
    return [...this.all, ...this.#coming.values()];
  }

  /** Members that still finish calls after a reload has let them go. */
  get leaving(): readonly Member[] {
    return [...this.#leaving.keys()];
  }

  /** Nobody is about to replace another one, or finishes its last calls. */
  get isSteady(): boolean {
    return this.#coming.size === 0 && this.#leaving.size === 0;
  }

  /** Makes members of a configuration's servers; nothing is started. */
  create(servers: ReadonlyMap<string, ServerConfig>): void {
    this.#perform(planReload(new Map(), servers), servers, false);
  }

  /**
   * Starts every member at once and waits for none. What was offered in the last run is shown for
   * all of them in the same turn: nobody sees half of it. Resolves when they have been started.
   */
  async start(): Promise<void> {
    const members = this.all;
    const kept = await Promise.all(members.map((member) => member.kept()));
    members.forEach((member, at) => member.start(kept[at]));
  }

  /**
   * Brings what there is to what is wanted. New servers are there at once and start; a changed one
   * goes on serving until the one that replaces it has settled its first attempt; whatever is let
   * go finishes its calls.
   */
  reconcile(servers: ReadonlyMap<string, ServerConfig>): void {
    const actual = new Map(
      this.all.map((member) => [member.config.name, {
        serving: member.config,
        coming: this.#coming.get(member.config.name)?.config,
      }]),
    );
    this.#options.onSwap(this.#perform(planReload(actual, servers), servers, true));
  }

  /** Ends all of them, whatever they are doing. Never rejects. */
  async close(): Promise<void> {
    this.#closed = true;
    const leaving = [...this.#leaving].map(([member, left]) => member.close().then(() => left));
    await Promise.all([...this.expected.map((member) => member.close()), ...leaving]);
  }

  #perform(
    steps: readonly ReloadStep[],
    servers: ReadonlyMap<string, ServerConfig>,
    start: boolean,
  ): readonly string[] {
    const serving = new Map(this.#serving);
    const swapped: string[] = [];
    const later: (() => void)[] = [];
    for (const step of steps) {
      switch (step.do) {
        case "add": {
          const member = this.#options.create(step.server);
          serving.set(step.server.name, member);
          swapped.push(step.server.name);
          if (start) later.push(() => this.#start(member));
          break;
        }
        case "replace":
          this.#abandon(step.server.name);
          later.push(() => this.#succeed(step.server));
          break;
        case "adjust":
          serving.get(step.server.name)!.reconfigure(step.server);
          break;
        case "adjustComing":
          this.#coming.get(step.server.name)!.reconfigure(step.server);
          break;
        case "abandon":
          this.#abandon(step.name);
          break;
        case "remove": {
          this.#abandon(step.name);
          const member = serving.get(step.name)!;
          serving.delete(step.name);
          swapped.push(step.name);
          later.push(() => this.#retire(member));
          break;
        }
        default: {
          const never: never = step;
          return never;
        }
      }
    }
    // The order of the lists is that of the file, also where nothing but the order has changed.
    this.#serving = new Map(
      [...servers.keys()].flatMap((name) => {
        const member = serving.get(name);
        return member === undefined ? [] : [[name, member] as const];
      }),
    );
    for (const act of later) act();
    return swapped;
  }

  #succeed(server: ServerConfig): void {
    const { name } = server;
    const member = this.#options.create(server);
    this.#coming.set(name, member);
    this.#start(member);
    void member.upstream.settled.then(() => {
      // A later reload may have thought better of it.
      if (this.#closed || this.#coming.get(name) !== member) return;
      this.#coming.delete(name);
      const old = this.#serving.get(name)!;
      member.inherit(old);
      // Writing to a copy keeps the order.
      this.#serving = new Map(this.#serving).set(name, member);
      this.#options.onSwap([name]);
      this.#retire(old);
    });
  }

  #start(member: Member): void {
    void member.kept().then((kept) => member.start(kept));
  }

  #abandon(name: string): void {
    const member = this.#coming.get(name);
    if (member === undefined) return;
    this.#coming.delete(name);
    this.#leave(member, member.close());
  }

  /** Lets the calls in flight finish, for a bounded time, then ends it. */
  #retire(member: Member): void {
    const { name, drainTimeout } = member.config;
    const drained = async () => {
      const idle = member.upstream.whenIdle();
      await within(drainTimeout, idle);
      const { inFlight } = member.upstream.status();
      if (inFlight > 0 && !this.#closed) {
        log.warn("Server {server} was let go with {inFlight} calls unanswered after {seconds} s", {
          server: name,
          inFlight,
          seconds: drainTimeout / 1_000,
        });
      }
      await member.close();
    };
    // What it says of its resources is said by its successor now, where there is one.
    void member.upstream.setSubscriptions(new Set());
    this.#leave(member, drained());
  }

  #leave(member: Member, left: Promise<void>): void {
    this.#leaving.set(member, left.then(() => void this.#leaving.delete(member)));
  }
}

/**
 * Desired state (the configuration) against actual state (the members): what a reload has to do, as
 * a pure function. Crash and reload are the same thing seen from here: whoever is
 * asked for is kept alive, everybody else is let go.
 */

/** What there is of one server. */
export interface ActualServer {
  /** What the member that serves it was made from. */
  readonly serving: ServerConfig;
  /** What its successor was made from, where one is on its way. */
  readonly coming?: ServerConfig | undefined;
}

/** What is to be done about one server; whoever is not named is left alone. */
export type ReloadStep =
  /** There is none yet. */
  | { readonly do: "add"; readonly server: ServerConfig }
  /** Another process or address: it is started beside the old one and then takes its place. */
  | { readonly do: "replace"; readonly server: ServerConfig }
  /** The same connection under other limits or names. */
  | { readonly do: "adjust"; readonly server: ServerConfig }
  /** The same for a successor that has not taken its place yet. */
  | { readonly do: "adjustComing"; readonly server: ServerConfig }
  /** Its successor is not wanted after all. */
  | { readonly do: "abandon"; readonly name: string }
  /** It is not wanted any more. */
  | { readonly do: "remove"; readonly name: string };

/**
 * The steps from what there is to what is wanted. A server that is disabled is not wanted; one
 * whose successor was made from the very wish is waited for.
 */
export function planReload(
  actual: ReadonlyMap<string, ActualServer>,
  desired: ReadonlyMap<string, ServerConfig>,
): readonly ReloadStep[] {
  const steps: ReloadStep[] = [];
  for (const name of actual.keys()) {
    if (!isWanted(desired.get(name))) steps.push({ do: "remove", name });
  }
  for (const server of desired.values()) {
    if (!isWanted(server)) continue;
    const there = actual.get(server.name);
    if (there === undefined) steps.push({ do: "add", server });
    else steps.push(...changes(there, server));
  }
  return steps;
}

function changes({ serving, coming }: ActualServer, server: ServerConfig): readonly ReloadStep[] {
  if (serving.key === server.key && sameProblem(serving, server)) {
    const abandon = coming === undefined
      ? []
      : [{ do: "abandon", name: server.name } satisfies ReloadStep];
    return serving === server ? abandon : [...abandon, { do: "adjust", server }];
  }
  if (coming !== undefined && coming.key === server.key && sameProblem(coming, server)) {
    return coming === server ? [] : [{ do: "adjustComing", server }];
  }
  return [{ do: "replace", server }];
}

/** A problem that only moved to another line is the same problem. */
function sameProblem(one: ServerConfig, other: ServerConfig): boolean {
  return one.problem?.message === other.problem?.message;
}

function isWanted(server: ServerConfig | undefined): boolean {
  return server !== undefined && !server.disabled;
}
