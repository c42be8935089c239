/** Which requests belong to the instance that served an earlier one. */

import type { Clock } from "../lib/clock.ts";
import { shortHash } from "../lib/hash.ts";
import type { Client, Exchange } from "../protocol/exchange.ts";
import type { RequestMessage, ResponseMessage } from "../protocol/message.ts";
import { createdTask, isTaskMethod, ownerOfTask } from "../protocol/tasks.ts";
import { type PinLimits, Pins } from "./pins.ts";

/** Where a request belongs. */
export interface Home<T> {
  readonly place: T;
  /** Nowhere else can it be answered rightly. Otherwise another place may do if this one is away. */
  readonly isOnly: boolean;
}

/** Tasks may run for long; most servers keep their results for minutes or hours. */
const TASKS: PinLimits = { entries: 10_000, age: 24 * 3_600_000 };
/** How long a person may think about what a server has asked. */
const STATES: PinLimits = { entries: 10_000, age: 3_600_000 };
/** Sessions are released; the bound is against those that are not. */
const SESSIONS: PinLimits = { entries: 10_000, age: Infinity };

/**
 * Remembers it. A place is an instance; what is stateful comes back to its own:
 *
 * - a task, to the one that created it, and to no other: no other knows it;
 * - a `requestState` (2026-07-28), to the one that made it. It is meant to say all by itself, but
 *   many a server signs it with a key of its own process;
 * - a client session with a connection of its own, to the one that has it.
 *
 * A legacy session on a shared connection is not stateful: its server cannot tell whose a call is.
 */
export class Stickiness<T> {
  readonly #server: string;
  readonly #tasks: Pins<T>;
  readonly #states: Pins<T>;
  readonly #sessions: Pins<T>;

  constructor(server: string, clock: Clock) {
    this.#server = server;
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
    const own = owner?.server === this.#server ? this.#tasks.get(owner.taskId) : undefined;
    return own ?? this.#tasks.get(taskId);
  }
}

/** A short form of it: a state may be kilobytes long. */
function stateOf(
  holder: { readonly requestState?: unknown } | undefined,
): string | undefined {
  const state = holder?.requestState;
  return typeof state === "string" ? shortHash(state, 32) : undefined;
}
