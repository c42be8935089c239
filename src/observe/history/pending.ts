/** What is to be kept and is not written yet: bounded, whatever clients and servers make up. */

import { type CountedCall, hasFailed, type ObservedCall } from "../call.ts";
import type { ProblemKind } from "../problems.ts";
import type { EndedCall } from "../ring.ts";
import { UNKNOWN } from "../series.ts";
import { HOUR, MINUTE, Tally } from "./tally.ts";

/** Calls of one minute that are one in all else that is told apart. */
export class MinuteTally extends Tally {
  constructor(
    /** Ms since the epoch. */
    readonly at: number,
    readonly server: string,
    readonly name: string,
    readonly client: string,
  ) {
    super();
  }
}

/** Failures of one kind since the last flush; `sample` is the last of them. */
export interface ProblemCount extends ProblemKind, Record<"first" | "last" | "count", number> {
  sample: string;
}

/** A span of an alert, in ms since the epoch; `told` is when somebody was. */
export interface AlertRow extends Readonly<Record<"rule" | "subject" | "text", string>> {
  readonly since: number;
  readonly until: number | null;
  readonly told: number | null;
}

/** What is kept of the body of the call `id`: compressed. */
export interface KeptBody extends Readonly<Record<"request" | "result", Uint8Array>> {
  readonly id: string;
  readonly flags: number;
}

/** What is known of a call beyond what everybody is told. */
export interface CallExtra {
  /** The problem it is one of. */
  readonly problem?: ProblemKind | undefined;
  /** Whether its arguments are those of a call before; asked only of calls that are kept. */
  readonly isRepeated?: (() => boolean) | undefined;
}

/** Calls of one second that are kept one by one; the others are counted only. */
const A_SECOND = 200;
const MOST_CALLS = 2_000;
/** Different tallies in an hour: of more, the names are not told apart; and what waits. */
const [MOST_TALLIES, MOST_WAITING] = [2_000, 4_000];
const MOST_PROBLEMS = 500;
const MOST_ALERTS = 200;
const MOST_BODY_BYTES = 4 * 1024 * 1024;
const OTHER = "_other";

/** All that waits. */
export class Batch {
  readonly calls: ObservedCall[] = [];
  readonly tallies: MinuteTally[] = [];
  readonly problems = new Map<string, ProblemCount>();
  readonly alerts: AlertRow[] = [];
  readonly bodies: KeptBody[] = [];
  bodyBytes = 0;

  get size(): number {
    return this.calls.length + this.tallies.length + this.alerts.length + this.bodies.length;
  }
}

type Named<T> = Map<string, T>;

/** Collects until it is taken. */
export class Pending {
  /** What was not kept for want of room. */
  dropped = 0;
  #batch = new Batch();
  /** The tallies of the batch, by minute, client, server and name: no key is made for most calls. */
  #tallies = new Map<number, Named<Named<Named<MinuteTally>>>>();
  /** The calls of the current second stand in the batch from here on; so many of them went well. */
  #second = { at: -1, from: 0, fine: 0 };
  /** What has been told apart in the latest hour. */
  #seen = { hour: 0, keys: new Set<string>() };

  get size(): number {
    return this.#batch.size;
  }

  add(call: ObservedCall | EndedCall, { problem, isRepeated }: CallExtra = {}): void {
    const failed = hasFailed(call);
    const isKept = this.#keep(call, failed);
    const tally = this.#tallyOf(call);
    if (tally === undefined) this.dropped++;
    else tally.count(call, failed, isKept && isRepeated?.() === true);
    if (problem !== undefined) this.#blame(problem, wholeOf(call));
  }

  addAlert(alert: AlertRow): void {
    if (this.#batch.alerts.length < MOST_ALERTS) this.#batch.alerts.push(alert);
    else this.dropped++;
  }

  addBody(body: KeptBody): void {
    const bytes = this.#batch.bodyBytes + body.request.length + body.result.length;
    if (bytes > MOST_BODY_BYTES) return void this.dropped++;
    this.#batch.bodyBytes = bytes;
    this.#batch.bodies.push(body);
  }

  /** Hands over everything, and begins anew. */
  take(): Batch {
    const batch = this.#batch;
    this.#batch = new Batch();
    this.#tallies = new Map();
    this.#second = { at: -1, from: 0, fine: 0 };
    return batch;
  }

  /** Failures first: one takes the place of a call of its second that went well. */
  #keep(call: ObservedCall | EndedCall, failed: boolean): boolean {
    const { calls } = this.#batch;
    const at = Math.floor(call.at / 1_000);
    if (at !== this.#second.at) this.#second = { at, from: calls.length, fine: 0 };
    const second = this.#second;
    if (calls.length - second.from < A_SECOND && calls.length < MOST_CALLS) {
      calls.push(wholeOf(call));
      if (!failed) second.fine++;
      return true;
    }
    this.dropped++;
    if (!failed || second.fine === 0) return false;
    calls[calls.findLastIndex((kept) => !hasFailed(kept))] = wholeOf(call);
    second.fine--;
    return true;
  }

  #tallyOf({ at, server, name = "", client, outcome, method }: CountedCall) {
    const minute = Math.floor(at / MINUTE) * MINUTE;
    // URIs are many; and what no server has can be called anything.
    const known = server === "" && outcome === "refused" ? UNKNOWN : name;
    const tool = method === "tools/call" ? known : "";
    const found = this.#tallies.get(minute)?.get(client)?.get(server)?.get(tool);
    return found ?? this.#newTally(minute, server, tool, client);
  }

  #newTally(minute: number, server: string, tool: string, user: string): MinuteTally | undefined {
    const hour = Math.floor(minute / HOUR);
    if (hour > this.#seen.hour) this.#seen = { hour, keys: new Set() };
    const { keys } = this.#seen;
    const key = JSON.stringify([server, tool, user]);
    if (keys.size < MOST_TALLIES) keys.add(key);
    const [name, client] = keys.has(key) ? [tool, user] : [tool && OTHER, OTHER];
    const clients = this.#tallies.getOrInsertComputed(minute, () => new Map());
    const servers = clients.getOrInsertComputed(client, () => new Map());
    const names = servers.getOrInsertComputed(server, () => new Map());
    const { tallies } = this.#batch;
    if (!names.has(name) && tallies.length < MOST_WAITING) {
      const tally = new MinuteTally(minute, server, name, client);
      names.set(name, tally);
      tallies.push(tally);
    }
    return names.get(name);
  }

  #blame(kind: ProblemKind, { id, at }: ObservedCall): void {
    const { problems } = this.#batch;
    const known = problems.get(kind.fingerprint);
    if (known === undefined && problems.size >= MOST_PROBLEMS) return void this.dropped++;
    const { first = at, count = 0 } = known ?? {};
    const problem = { ...kind, first, last: at, count: count + 1, sample: id };
    problems.set(kind.fingerprint, problem);
  }
}

function wholeOf(call: ObservedCall | EndedCall): ObservedCall {
  return "whole" in call ? call.whole : call;
}
