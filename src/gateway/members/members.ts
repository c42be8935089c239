import { type Config, diffConfig, type ServerConfig, type Settings } from "../../config/types.ts";
import { type Endpoint, isBehind } from "../../gating/endpoint.ts";
import { type Clock, pause, systemClock, within } from "../../lib/time.ts";
import { getLogger } from "../../log/mod.ts";
import type { ServerEntry } from "../../registry/types.ts";
import type { Upstream } from "../../upstream/upstream.ts";
import type { Facts } from "../events.ts";
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
  /** @default the real time */
  readonly clock?: Clock;
}

/**
 * Milliseconds before each start of a server that can wait: about what one takes to load, shared
 * by the processors. All at once, ten of them keep an event loop from its clients for a second.
 */
const SPACING = Math.ceil(80 / navigator.hardwareConcurrency);

const log = getLogger("mcproxy", "gateway");

/**
 * The members in force, those that are about to replace one, and those that finish their last
 * calls. Owned by the gateway; `close()` ends all of them.
 */
export class Members {
  /** In the order of the configuration. */
  #serving: ReadonlyMap<string, Member> = new Map();
  readonly #coming = new Map<string, Member>();
  readonly #leaving = new Map<Member, Promise<void>>();
  #closed = false;

  constructor(private readonly options: MembersOptions) {}

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
    return isBehind(config, endpoint, this.options.settings());
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

  /** Makes the members of a configuration's servers that are not there; nothing is started. */
  create(servers: ReadonlyMap<string, ServerConfig>): void {
    // The order of the lists is that of the file, also where nothing but the order has changed.
    this.#serving = new Map(
      [...servers.values()].filter(isWanted).flatMap((server) => {
        const member = this.#serving.get(server.name) ?? this.#create(server);
        return member === undefined ? [] : [[server.name, member]];
      }),
    );
  }

  /** One that cannot be made does not keep the others from starting. */
  #create(server: ServerConfig): Member | undefined {
    try {
      return this.options.create(server);
    } catch (error) {
      log.error("Cannot make server {server}: {error}", { server: server.name, error });
      return undefined;
    }
  }

  /**
   * Starts every member and waits for none. What was offered in the last run is shown for all of
   * them in the same turn: nobody sees half of it. Resolves when they have been started: those that
   * can wait one after the other, with time for clients in between.
   */
  async start(): Promise<void> {
    const members = this.all;
    const kept = await Promise.all(members.map((member) => member.kept()));
    members.forEach((member, at) => member.recall(kept[at]));
    for (const member of members) if (!member.canWait) member.upstream.start();
    for (const { upstream } of members.filter(({ canWait }) => canWait)) {
      await pause(SPACING, this.options.clock ?? systemClock);
      if (!this.#closed) upstream.start();
      // It is forked behind this, which may take longer than the pause: that begins when it is done.
      await pause(0, this.options.clock ?? systemClock);
    }
  }

  /**
   * Brings what there is to what is wanted. New servers are there at once and start; a changed one
   * goes on serving until the one that replaces it has settled its first attempt; whatever is let
   * go finishes its calls.
   */
  reconcile(servers: ReadonlyMap<string, ServerConfig>): void {
    const before = this.#serving;
    const actual = new Map(
      [...before].map(([name, { config }]) => [name, {
        serving: config,
        coming: this.#coming.get(name)?.config,
      }]),
    );
    this.create(servers);
    const swapped: string[] = [];
    for (const step of planReload(actual, servers)) {
      switch (step.do) {
        case "add":
          swapped.push(step.server.name);
          this.#start(this.#serving.get(step.server.name));
          break;
        case "replace":
          this.#abandon(step.server.name);
          this.#succeed(step.server);
          break;
        case "adjust":
          this.#serving.get(step.server.name)!.reconfigure(step.server);
          break;
        case "adjustComing":
          this.#coming.get(step.server.name)!.reconfigure(step.server);
          break;
        case "abandon":
          this.#abandon(step.name);
          break;
        case "remove":
          this.#abandon(step.name);
          swapped.push(step.name);
          this.#retire(before.get(step.name)!);
          break;
        default:
          step satisfies never;
      }
    }
    this.options.onSwap(swapped);
  }

  /** Starts a server anew, as a reload does that changes it; false where there is none. */
  restart(name: string): boolean {
    const member = this.#serving.get(name);
    if (member === undefined || this.#closed) return false;
    // One is enough, however often it is asked for.
    if (!this.#coming.has(name)) this.#succeed(member.config);
    return true;
  }

  /** Ends all of them, whatever they are doing. Never rejects. */
  async close(): Promise<void> {
    this.#closed = true;
    const leaving = [...this.#leaving].map(([member, left]) => member.close().then(() => left));
    await Promise.all([...this.expected.map((member) => member.close()), ...leaving]);
  }

  #succeed(server: ServerConfig): void {
    const { name } = server;
    const member = this.#create(server);
    if (member === undefined) return;
    this.#coming.set(name, member);
    this.#start(member);
    void member.settled.then(() => {
      // A later reload may have thought better of it.
      if (this.#closed || this.#coming.get(name) !== member) return;
      this.#coming.delete(name);
      const old = this.#serving.get(name)!;
      member.inherit(old);
      // Writing to a copy keeps the order.
      this.#serving = new Map(this.#serving).set(name, member);
      this.options.onSwap([name]);
      this.#retire(old);
    });
  }

  #start(member: Member | undefined): void {
    void member?.kept().then((kept) => {
      member.recall(kept);
      member.upstream.start();
    });
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
      await within(drainTimeout, member.upstream.whenIdle());
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

/** What there is of one server. */
export interface ActualServer {
  /** What the member that serves it was made from. */
  readonly serving: ServerConfig;
  /** What its successor was made from, where one is on its way. */
  readonly coming?: ServerConfig | undefined;
}

/**
 * What is to be done about one server; whoever is not named is left alone.
 *
 * - `add`: there is none yet
 * - `replace`: another process or address: it is started beside the old one and then takes its place
 * - `adjust`: the same connection under other limits or names
 * - `adjustComing`: the same for a successor that has not taken its place yet
 * - `abandon`: its successor is not wanted after all
 * - `remove`: it is not wanted any more
 */
export type ReloadStep =
  | { readonly do: "add" | "replace" | "adjust" | "adjustComing"; readonly server: ServerConfig }
  | { readonly do: "abandon"; readonly name: string }
  | { readonly do: "remove"; readonly name: string };

/**
 * The steps from what there is (the members) to what is wanted (the configuration). A server that is
 * disabled is not wanted; one whose successor was made from the very wish is waited for.
 */
export function planReload(
  actual: ReadonlyMap<string, ActualServer>,
  desired: ReadonlyMap<string, ServerConfig>,
): readonly ReloadStep[] {
  const gone = [...actual.keys()].filter((name) => !isWanted(desired.get(name)));
  return [
    ...gone.map((name) => ({ do: "remove", name }) as const),
    ...[...desired.values()].filter(isWanted)
      .flatMap((server) => changes(actual.get(server.name), server)),
  ];
}

function changes(there: ActualServer | undefined, server: ServerConfig): readonly ReloadStep[] {
  if (there === undefined) return [{ do: "add", server }];
  const { serving, coming } = there;
  // A problem that only moved to another line is the same problem.
  const isLike = ({ key, problem }: ServerConfig) =>
    key === server.key && problem?.message === server.problem?.message;
  if (isLike(serving)) {
    const steps: ReloadStep[] = coming === undefined ? [] : [{ do: "abandon", name: server.name }];
    return serving === server ? steps : [...steps, { do: "adjust", server }];
  }
  if (coming !== undefined && isLike(coming)) {
    return coming === server ? [] : [{ do: "adjustComing", server }];
  }
  return [{ do: "replace", server }];
}

function isWanted(server: ServerConfig | undefined): boolean {
  return server !== undefined && !server.disabled;
}

/** Remembers what became of the configuration file since the start. */
export class ConfigState {
  #current: Config;
  #loadedAt = new Date();
  #refused: { readonly error: string; readonly at: Date } | undefined;
  #restartNeeded: readonly string[] = [];

  constructor(private readonly started: Config, private readonly events: Facts) {
    this.#current = started;
  }

  /** The configuration in force. */
  get current(): Config {
    return this.#current;
  }

  /** Another one is in force. What only a start can take on is compared with that of the start. */
  accept(config: Config): void {
    this.#current = config;
    this.#loadedAt = new Date();
    this.#refused = undefined;
    this.#restartNeeded = diffConfig(this.started, config).restartNeeded;
    this.events.emit({ kind: "config", file: config.file, refused: undefined });
  }

  /** The file cannot be used; what was in force stays so. */
  refuse(error: string): void {
    this.#refused = { error, at: new Date() };
    this.events.emit({ kind: "config", file: this.#current.file, refused: error });
  }

  /** What `/api/status` says of the configuration. */
  status() {
    return {
      path: this.#current.file,
      // When the configuration in force was loaded.
      loadedAt: this.#loadedAt.toISOString(),
      // Why the file as it is now is not in force, with line, column and remedy.
      error: this.#refused?.error ?? null,
      // When that was found.
      errorAt: this.#refused?.at.toISOString() ?? null,
      // Settings of the file that differ from those in use until the gateway is started again.
      restartNeeded: this.#restartNeeded,
    };
  }
}
