/**
 * Which instance of a server gets a request: one that it belongs to because of what came before, or
 * the one that is best off.
 */

import type { ServerTarget } from "../config/types.ts";
import { anyCancelled, CancelSource } from "../lib/cancel.ts";
import { shortHash } from "../lib/json.ts";
import type { Clock } from "../lib/time.ts";
import { RpcError } from "../protocol/errors.ts";
import { type Client, derived, type Exchange } from "../protocol/exchange.ts";
import type { RequestMessage, ResponseMessage } from "../protocol/message.ts";
import { createdTask, isTaskMethod, ownerOfTask } from "../protocol/tasks.ts";
import type { Line } from "./connection/line.ts";
import type { Instance } from "./instance.ts";
import type { Phase } from "./state.ts";
import { unavailable } from "./transport/failures.ts";

/** A line, and the instance it leads to, which counts it in {@link Slot.inUse}. */
export interface Taken {
  readonly line: Line;
  readonly slot: Slot;
}

/** For how long one call tries one instance after the other, in ms. */
const PATIENCE = 10_000;

const NONE: ReadonlySet<Slot> = new Set();

/**
 * Which instance serves an exchange: the one it belongs to, else the least busy of the healthy.
 * Where none is ready, the most promising is waited for, and whichever becomes ready first is used.
 */
export class Chooser {
  /** The instance where there is only one: nothing has to be chosen then. */
  readonly only: Slot | undefined;
  readonly stickiness: Stickiness<Slot>;
  /** Told when an instance is ready. */
  readonly #waiting = new Set<() => void>();
  #turn = 0;

  /** `slots` are the instances of `server`, at least one. */
  constructor(
    private readonly server: string,
    readonly slots: readonly Slot[],
    private readonly clock: Clock,
  ) {
    this.only = slots.length === 1 ? slots[0] : undefined;
    this.stickiness = new Stickiness(server, clock);
  }

  /** An instance has become ready. */
  wake(): void {
    for (const wake of [...this.#waiting]) wake();
  }

  /** Whether there is a ready instance beside those of `others`. */
  isElsewhere(others: ReadonlySet<Slot>): boolean {
    return this.slots.some((slot) => slot.isReady && !others.has(slot));
  }

  /**
   * A line for an exchange, on one of those to `avoid` only where no other is ready.
   * @throws {RpcError} what the last instance that was tried refuses with
   */
  async take(exchange: Exchange, avoid: ReadonlySet<Slot> = NONE): Promise<Taken> {
    const home = this.#homeOf(exchange);
    if (home?.isOnly === true) return await over(home.place, exchange);
    const overdue = this.clock.now() + PATIENCE;
    const tried = new Set(this.isElsewhere(avoid) ? avoid : NONE);
    let failure: unknown = unavailable(this.server, "was stopped");
    for (;;) {
      const slot = this.#next(exchange, tried);
      if (slot === undefined) throw failure;
      try {
        const taken = slot.isReady
          ? await over(slot, exchange)
          : await this.#firstOf(slot, exchange);
        if (taken !== undefined) return taken;
      } catch (error) {
        const isOver = exchange.signal.aborted || this.clock.now() >= overdue;
        if (isOver || !(error instanceof RpcError)) throw error;
        failure = error;
        tried.add(slot);
      }
    }
  }

  #next(exchange: Exchange, tried: ReadonlySet<Slot>): Slot | undefined {
    const { slots } = this;
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
    if (this.#isExclusive(client)) this.stickiness.setSession(client.session!, slot);
    return slot;
  }

  #homeOf(exchange: Exchange): Home<Slot> | undefined {
    const home = this.stickiness.homeOf(exchange);
    if (home !== undefined || !this.#isExclusive(exchange.client)) return home;
    const place = this.stickiness.ofSession(exchange.client.session!);
    return place && { place, isOnly: false };
  }

  /** Whether a client session is to have a connection of its own. */
  #isExclusive(client: Client): boolean {
    return client.session !== undefined && client.era === "legacy" &&
      this.slots.some(({ instance }) => instance.lines.exclusiveFor(client));
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
    const own = over(slot, derived(exchange, { signal: either.signal }));
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
  slot.inUse++;
  try {
    return { line: await slot.instance.lineFor(exchange), slot };
  } catch (error) {
    slot.inUse--;
    throw error;
  }
}

/** Ends the use of both. */
export function giveBack({ line, slot }: Taken): void {
  line.release();
  slot.inUse--;
}

/** A session's own connection may live where the shared one is lost. */
function canServe(slot: Slot, { session }: Client): boolean {
  return slot.isReady || (session !== undefined && slot.instance.lines.hasOwn(session));
}

/** Better ones first; one that is closed is never chosen. */
const ORDER: Readonly<Record<Phase, number>> = {
  ready: 0,
  connecting: 1,
  idle: 2,
  backoff: 3,
  closed: Infinity,
};

/** One instance, as the choice sees it. */
export interface Candidate {
  readonly phase: Phase;
  /** It did not answer as it should of late; used when there is nothing better. */
  readonly suspect: boolean;
  /** Calls it has now. */
  readonly inUse: number;
}

/**
 * The position of the best candidate: by phase, then not suspect, then with the fewest calls. Among
 * equals it is the first from `turn` on, so that a turn that moves on lets them alternate. Undefined
 * where all are closed or `excluded`.
 */
export function choose<T extends Candidate>(
  candidates: readonly T[],
  turn: number,
  excluded?: ReadonlySet<T>,
): number | undefined {
  let best: number | undefined;
  for (let step = 0; step < candidates.length; step++) {
    const at = (turn + step) % candidates.length;
    const candidate = candidates[at]!;
    if (candidate.phase === "closed" || excluded?.has(candidate)) continue;
    if (best === undefined || isBetter(candidate, candidates[best]!)) best = at;
  }
  return best;
}

function isBetter(a: Candidate, b: Candidate): boolean {
  if (a.phase !== b.phase) return ORDER[a.phase] < ORDER[b.phase];
  if (a.suspect !== b.suspect) return b.suspect;
  return a.inUse < b.inUse;
}

/** For how long an instance that did not answer is used only where there is nothing better, in ms. */
const SUSPICION = 5_000;

/** One of the instances of a server, with what the choice between them goes by. Plain state. */
export class Slot implements Candidate {
  /** Calls on their way to it. */
  inUse = 0;
  /** Calls it has been sent and is done with. */
  calls = 0;
  /** Those of them that ended with an error. */
  failed = 0;
  #suspectUntil = -Infinity;

  constructor(
    /** How log and status name it: `instance 2`, with the host where that tells them apart. */
    readonly label: string,
    readonly instance: Instance,
    private readonly clock: Clock,
  ) {}

  get phase(): Phase {
    return this.instance.state.phase;
  }

  get isReady(): boolean {
    return this.phase === "ready";
  }

  get suspect(): boolean {
    return this.clock.now() < this.#suspectUntil || this.instance.health.health === "degraded";
  }

  /** It has answered a call. */
  answered(isError: boolean): void {
    this.calls++;
    if (isError) this.failed++;
    this.#suspectUntil = -Infinity;
  }

  /** It has not; `atFault` when it should have. */
  unanswered(atFault: boolean): void {
    this.calls++;
    this.failed++;
    if (atFault) this.#suspectUntil = this.clock.now() + SUSPICION;
  }
}

/** By its number, from 1. The host only: path and query of a URL may hold secrets. */
export function slotLabel(number: number, target: ServerTarget): string {
  const host = target.kind === "http" && URL.canParse(target.url)
    ? ` (${new URL(target.url).host})`
    : "";
  return `instance ${number}${host}`;
}

/** Where a request belongs. */
interface Home<T> {
  readonly place: T;
  /** Nowhere else can it be answered rightly. Otherwise another place may do if this one is away. */
  readonly isOnly: boolean;
}

/**
 * How many are remembered (the oldest is forgotten first), and for how many ms without use. Tasks
 * may run for long; most servers keep their results for minutes or hours.
 */
const TASKS = { entries: 10_000, age: 24 * 3_600_000 };
/** How long a person may think about what a server has asked. */
const STATES = { entries: 10_000, age: 3_600_000 };
/** Sessions are released; the bound is against those that are not. */
const SESSIONS = { entries: 10_000, age: Infinity };

/**
 * Remembers which requests belong to the instance (the place) that served an earlier one. What is
 * stateful comes back to its own:
 *
 * - a task, to the one that created it, and to no other: no other knows it;
 * - a `requestState` (2026-07-28), to the one that made it. It is meant to say all by itself, but
 *   many a server signs it with a key of its own process;
 * - a client session with a connection of its own, to the one that has it.
 *
 * A legacy session on a shared connection is not stateful: its server cannot tell whose a call is.
 */
export class Stickiness<T> {
  readonly #tasks: Pins<T>;
  readonly #states: Pins<T>;
  readonly #sessions: Pins<T>;

  constructor(private readonly server: string, clock: Clock) {
    this.#tasks = new Pins(clock, TASKS);
    this.#states = new Pins(clock, STATES);
    this.#sessions = new Pins(clock, SESSIONS);
  }

  /** Where a request belongs by what it carries. */
  homeOf({ client, request }: Exchange): Home<T> | undefined {
    const place = this.#ofTask(client, request) ?? undefined;
    if (place !== undefined) return { place, isOnly: true };
    const state = stateOf(request.params);
    const issuer = state === undefined ? undefined : this.#states.get(state);
    return issuer === undefined ? undefined : { place: issuer, isOnly: false };
  }

  /** Remembers what a response says is now kept at the place it came from. */
  learn({ request }: Exchange, response: ResponseMessage, place: T): void {
    const task = createdTask(response, request.method);
    if (task !== undefined) this.#tasks.set(task, place);
    const state = stateOf(response.result);
    if (state !== undefined) this.#states.set(state, place);
  }

  /** Where a client session has its own connection. */
  ofSession(session: string): T | undefined {
    return this.#sessions.get(session);
  }

  /** A client session has got its own connection here. */
  setSession(session: string, place: T): void {
    this.#sessions.set(session, place);
  }

  /** A client session has ended. */
  release(session: string): void {
    this.#sessions.delete(session);
  }

  /** By the server's own id, which an aggregate's client knows with the server's name before it. */
  #ofTask({ era }: Client, { method, params }: RequestMessage): T | undefined {
    const taskId = params?.taskId;
    if (typeof taskId !== "string" || !isTaskMethod(method, era)) return undefined;
    const owner = ownerOfTask(taskId);
    const own = owner?.server === this.server ? this.#tasks.get(owner.taskId) : undefined;
    return own ?? this.#tasks.get(taskId);
  }
}

/** A short form of it: a state may be kilobytes long. */
function stateOf(holder: { readonly requestState?: unknown } | undefined): string | undefined {
  const state = holder?.requestState;
  return typeof state === "string" ? shortHash(state, 32) : undefined;
}

/** Remembers where things are, for a while: a bounded map whose entries live by being used. */
export class Pins<T> {
  /** The longest unused first, and so those that expire first. */
  readonly #places = new Map<string, { readonly place: T; readonly until: number }>();

  constructor(private readonly clock: Clock, private readonly limits: typeof TASKS) {}

  /** Entries held, expired ones that nothing has met yet included. */
  get size(): number {
    return this.#places.size;
  }

  /** Where it is, which counts as use. */
  get(key: string): T | undefined {
    const found = this.#places.get(key);
    if (found === undefined) return undefined;
    this.#places.delete(key);
    const now = this.clock.now();
    if (found.until <= now) return undefined;
    this.#places.set(key, { place: found.place, until: now + this.limits.age });
    return found.place;
  }

  /** Remembers it, in place of what was known. */
  set(key: string, place: T): void {
    const now = this.clock.now();
    this.#places.delete(key);
    this.#places.set(key, { place, until: now + this.limits.age });
    for (const [oldest, { until }] of this.#places) {
      if (until > now && this.#places.size <= this.limits.entries) break;
      this.#places.delete(oldest);
    }
  }

  /** Forgets it. */
  delete(key: string): void {
    this.#places.delete(key);
  }
}
