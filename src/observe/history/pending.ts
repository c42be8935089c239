/** What is to be kept and is not written yet: bounded, whatever clients and servers make up. */

import { hasFailed, type ObservedCall } from "../call.ts";
import type { ProblemKind } from "../problems.ts";
import { UNKNOWN } from "../series.ts";
import { bucketOf, type Buckets, noBuckets } from "./buckets.ts";

/** In ms. */
export const MINUTE = 60_000;
/** In ms. */
export const HOUR = 60 * MINUTE;

/** The tables of counts: what makes a row one, and what is added up in it. */
export const TALLIES = {
  minute: { keys: ["at", "server"], sums: ["calls", "failed", "sum_ms"] },
  hour: {
    keys: ["at", "server", "name", "client"],
    sums: ["calls", "failed", "sum_ms", "tool_errors", "bytes_out", "repeats"],
  },
} as const;

/** Calls of one minute or hour, by the columns of its table. */
export interface Tally {
  readonly table: keyof typeof TALLIES;
  readonly key: { at: number; server: string; name: string; client: string };
  readonly sums: Record<(typeof TALLIES)["hour"]["sums"][number], number>;
  readonly buckets: Buckets;
}

/** Failures of one kind since the last flush; `sample` is the last of them. */
export interface ProblemCount extends ProblemKind, Record<"first" | "last" | "count", number> {
  sample: string;
}

/** A span of an alert, in ms since the epoch; `told` is when somebody was. */
export interface AlertRow extends Readonly<Record<"rule" | "subject", string>> {
  readonly since: number;
  readonly until: number | null;
  readonly told: number | null;
}

/** What is kept of the body of the call `id`: compressed. */
export interface KeptBody {
  readonly id: string;
  readonly request: Uint8Array;
  readonly result: Uint8Array;
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
/** Tallies of one flush, and different ones in an hour: of more, the names are not told apart. */
const MOST_TALLIES = 2_000;
const MOST_PROBLEMS = 500;
const MOST_ALERTS = 200;
const MOST_BODY_BYTES = 4 * 1024 * 1024;
const OTHER = "_other";

/** All that waits. */
export class Batch {
  readonly calls: ObservedCall[] = [];
  readonly tallies = new Map<string, Tally>();
  readonly problems = new Map<string, ProblemCount>();
  readonly alerts: AlertRow[] = [];
  readonly bodies: KeptBody[] = [];
  bodyBytes = 0;

  get size(): number {
    return this.calls.length + this.tallies.size + this.alerts.length + this.bodies.length;
  }
}

/** Collects until it is taken. */
export class Pending {
  /** What was not kept for want of room. */
  dropped = 0;
  #batch = new Batch();
  /** The calls of the current second stand in the batch from here on; so many of them went well. */
  #second = { at: -1, from: 0, fine: 0 };
  /** What has been told apart in the latest hour. */
  #seen = { at: 0, keys: new Set<string>() };

  get size(): number {
    return this.#batch.size;
  }

  add(call: ObservedCall, { problem, isRepeated }: CallExtra = {}): void {
    const failed = hasFailed(call);
    const isKept = this.#keep(call, failed);
    const again = isKept && isRepeated?.() === true;
    for (const tally of [this.#hour(call), this.#minute(call)]) {
      if (tally === undefined) this.dropped++;
      else count(tally, call, failed, again);
    }
    if (problem !== undefined) this.#blame(problem, call);
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
    this.#second = { at: -1, from: 0, fine: 0 };
    return batch;
  }

  /** Failures first: one takes the place of a call of its second that went well. */
  #keep(call: ObservedCall, failed: boolean): boolean {
    const { calls } = this.#batch;
    const at = Math.floor(call.at / 1_000);
    if (at !== this.#second.at) this.#second = { at, from: calls.length, fine: 0 };
    const second = this.#second;
    if (calls.length - second.from < A_SECOND && calls.length < MOST_CALLS) {
      calls.push(call);
      if (!failed) second.fine++;
      return true;
    }
    this.dropped++;
    if (!failed || second.fine === 0) return false;
    calls[calls.findLastIndex((kept) => !hasFailed(kept))] = call;
    second.fine--;
    return true;
  }

  #hour({ at, server, name = "", client, outcome, method }: ObservedCall): Tally | undefined {
    const begin = Math.floor(at / HOUR) * HOUR;
    // URIs are many; and what no server has can be called anything.
    const known = server === "" && outcome === "refused" ? UNKNOWN : name;
    const tool = method === "tools/call" ? known : "";
    const key = `${begin}\0${server}\0${tool}\0${client}`;
    const found = this.#batch.tallies.get(key);
    if (found !== undefined) return found;
    if (begin > this.#seen.at) this.#seen = { at: begin, keys: new Set() };
    const { keys } = this.#seen;
    if (keys.size < MOST_TALLIES) keys.add(key);
    if (keys.has(key)) return this.#tally("hour", key, { at: begin, server, name: tool, client });
    const other = { at: begin, server, name: tool && OTHER, client: OTHER };
    return this.#tally("hour", Object.values(other).join("\0"), other);
  }

  #minute({ at, server }: ObservedCall): Tally | undefined {
    const begin = Math.floor(at / MINUTE) * MINUTE;
    return this.#tally("minute", `${begin}\0${server}`, {
      at: begin,
      server,
      name: "",
      client: "",
    });
  }

  #tally(table: Tally["table"], name: string, key: Tally["key"]): Tally | undefined {
    const { tallies } = this.#batch;
    const found = tallies.get(name);
    if (found !== undefined || tallies.size >= 2 * MOST_TALLIES) return found;
    const sums = { calls: 0, failed: 0, sum_ms: 0, tool_errors: 0, bytes_out: 0, repeats: 0 };
    const tally = { table, key, sums, buckets: noBuckets() };
    tallies.set(name, tally);
    return tally;
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

function count({ sums, buckets }: Tally, call: ObservedCall, failed: boolean, again: boolean) {
  sums.calls++;
  if (failed) sums.failed++;
  if (call.outcome === "tool_error") sums.tool_errors++;
  if (again) sums.repeats++;
  sums.sum_ms += call.ms;
  sums.bytes_out += call.bytesOut;
  buckets[bucketOf(call.ms)]!++;
}
