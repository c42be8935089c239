/** What is asked of the history: read in turns, each of few rows. */

import { nextTurn } from "../../lib/time.ts";
import type { ObservedCall } from "../call.ts";
import type { RecentOptions } from "../recorder.ts";
import { addBuckets, type Buckets, noBuckets, quantile } from "./buckets.ts";
import { HOUR, MINUTE, TALLIES, type Tally } from "./pending.ts";
import type { Row, Store } from "./store.ts";

/** The ranges people ask for, in ms. */
export const RANGES: Readonly<Record<string, number>> = {
  ...{ "15m": 15 * MINUTE, "1h": HOUR, "24h": 24 * HOUR },
  ...{ "7d": 168 * HOUR, "30d": 720 * HOUR, "400d": 9_600 * HOUR },
};

/** Calls, those neither well nor cancelled nor with a question first, and ms; of none undefined. */
export type Load = Record<"calls" | "failed", number> & Record<"p50" | "p95", number | undefined>;

/** What a tool, a server or a client has to do with. */
export type Usage = Load & { readonly key: string } & Record<UsageSum, number>;
type UsageSum = "toolErrors" | "bytesOut" | "repeats";

/** Whose usage. */
export type UsageBy = "tool" | "server" | "client";

/** The most used first; `from` tells since when, ms since the epoch. */
export type UsageList = { readonly from: number; readonly items: readonly Usage[] };

/** Times are ms since the epoch. */
export interface Traffic extends Readonly<Record<"from" | "to" | "step", number>> {
  readonly total: Load;
  /** Of the same length of time before. */
  readonly before: Load;
  /** All of them, those without calls, too. */
  readonly steps: readonly (Load & { readonly at: number })[];
  /** `spark`: its calls in each step. */
  readonly servers: ReadonlyMap<
    string,
    { readonly total: Load; readonly spark: readonly number[] }
  >;
}

/** Which calls are meant: before that many ms since the epoch, or from the `next` of an answer on. */
export interface CallQuery extends Omit<RecentOptions, "before"> {
  readonly before?: number | string | undefined;
}

/** The newest first; `next` leads on, also where a look at more would have taken too long. */
export type CallPage = { readonly items: ObservedCall[]; readonly next: string | null };

/** Rows read in one turn, and for one answer. */
const AT_ONCE = 250;
const MOST_ROWS = 50_000;
const MOST_TALLIES = 500_000;
const MOST_KEYS = 10_000;
const MOST_ITEMS = 500;

/** A page of calls. */
export async function callsOf(store: Store, query: CallQuery): Promise<CallPage> {
  const { filter = () => true, before = Number.MAX_SAFE_INTEGER } = query;
  const limit = Math.min(query.limit ?? 100, MOST_ITEMS);
  const items: ObservedCall[] = [];
  let last = String(before).split("-").map(Number).concat(0).slice(0, 2);
  if (!last.every(Number.isFinite)) return { items, next: null };
  const where = `WHERE (at, rowid) < (?, ?) ORDER BY at DESC, rowid DESC LIMIT ${AT_ONCE}`;
  for (let read = 0; read < MOST_ROWS; read += AT_ONCE) {
    const rows = selected(store, where, ...last);
    for (const { row, call } of rows) {
      last = [call.at, row];
      if (filter(call) && items.push(call) === limit) return { items, next: last.join("-") };
    }
    if (rows.length < AT_ONCE) return { items, next: null };
    await nextTurn();
  }
  return { items, next: last.join("-") };
}

/** One call, by the id it has in these answers or in its own process. */
export function callById(store: Store, id: string): ObservedCall | undefined {
  return selected(store, "WHERE id = ?", store.idOf(id))[0]?.call;
}

/** The calls it has made. */
export function innerCalls(store: Store, { id, at, ms }: ObservedCall): ObservedCall[] {
  const [process, rid] = store.idOf(id).split(".");
  const where = "WHERE at BETWEEN ? AND ? AND process = ? AND parent = ? ORDER BY at LIMIT 500";
  const span = [Math.floor(at), Math.ceil(at + ms)];
  return selected(store, where, ...span, process!, rid!).map(({ call }) => call);
}

/** Ids of this process as they are, of others with its name: they are counted anew in each. */
function selected(store: Store, where: string, ...values: readonly (number | string)[]) {
  const rows = store.all(
    `SELECT rowid AS row, process, rid AS id, at, method, server, name, client, session, endpoint,
    outcome, code, ms, queue_ms AS queueMs, server_ms AS serverMs, bytes_in AS bytesIn,
    bytes_out AS bytesOut, via, cached, trace AS traceId, parent, who FROM call ${where}`,
    ...values,
  );
  return rows.map(({ row, process, ...columns }) => {
    const known = Object.entries(columns).filter(([, value]) => value !== null);
    const call = Object.fromEntries(known) as unknown as Mutable<ObservedCall>;
    const prefix = process === store.process ? "" : `${process}.`;
    call.id = prefix + call.id;
    if (call.parent !== undefined) call.parent = prefix + call.parent;
    call.cached = columns["cached"] === 1 || undefined;
    call.gatewayMs = Math.max(0, call.ms - call.queueMs - call.serverMs);
    call.attempts = call.server === "" ? 0 : 1;
    return { row: Number(row), call };
  });
}

type Mutable<T> = { -readonly [Name in keyof T]: T[Name] };

/** Sums, while they are made. */
export class Sum {
  readonly counts = { calls: 0, failed: 0, toolErrors: 0, bytesOut: 0, repeats: 0 };
  readonly buckets: Buckets = noBuckets();

  add(row: Row): void {
    const { calls, failed, tool_errors: errors = 0, bytes_out: bytes = 0, repeats = 0 } = row;
    const { counts } = this;
    counts.calls += Number(calls);
    counts.failed += Number(failed);
    counts.toolErrors += Number(errors);
    counts.bytesOut += Number(bytes);
    counts.repeats += Number(repeats);
    addBuckets(this.buckets, String(row["buckets"]));
  }

  get load(): Load {
    const { buckets, counts: { calls, failed } } = this;
    return { calls, failed, p50: quantile(buckets, 0.5), p95: quantile(buckets, 0.95) };
  }
}

/** The rows from a time on, the oldest first. */
export async function* tallies(store: Store, table: Tally["table"], from: number) {
  const { keys } = TALLIES[table];
  const key = keys.join();
  const where = `WHERE (${key}) > (${keys.map(() => "?")}) ORDER BY ${key} LIMIT ${AT_ONCE}`;
  let last: (number | string | null)[] = keys.map((_, index) => index === 0 ? from - 1 : "");
  for (let read = 0; read < MOST_TALLIES; read += AT_ONCE) {
    const rows = store.all(`SELECT * FROM ${table} ${where}`, ...last);
    for (const row of rows) if (Number(row["at"]) >= from) yield row;
    if (rows.length < AT_ONCE) return;
    last = keys.map((name) => rows.at(-1)![name]!);
    await nextTurn();
  }
}

/** Who was used how much since the begin of the hour that lies that far back. */
export async function usageIn(store: Store, by: UsageBy, since: number): Promise<UsageList> {
  const from = Math.floor(since / HOUR) * HOUR;
  const sums = new Map<string, Sum>();
  for await (const row of tallies(store, "hour", from)) {
    const key = String(row[by === "tool" ? "name" : by]);
    if (key === "") continue;
    if (sums.size < MOST_KEYS || sums.has(key)) {
      sums.getOrInsertComputed(key, () => new Sum()).add(row);
    }
  }
  const items = Array.from(sums, ([key, { counts, load }]) => ({ key, ...counts, ...load }));
  return { from, items: items.sort((a, b) => b.calls - a.calls).slice(0, MOST_ITEMS) };
}

/** Of a range that ends now, in steps of whole minutes or hours. */
export async function trafficOf(store: Store, range: number, now: number): Promise<Traffic> {
  // Minutes are kept for two days.
  const table = range <= 24 * HOUR ? "minute" : "hour";
  const unit = table === "minute" ? MINUTE : HOUR;
  const step = Math.ceil(range / 96 / unit) * unit;
  const count = Math.round(range / step);
  const to = (Math.floor(now / step) + 1) * step;
  const from = to - count * step;
  const [total, before] = [new Sum(), new Sum()];
  const all = Array.from({ length: count }, () => new Sum());
  const servers = new Map<string, { readonly total: Sum; readonly spark: number[] }>();
  for await (const row of tallies(store, table, from - count * step)) {
    if (Number(row["at"]) >= to) break; // The future of a clock that was set back.
    const index = Math.floor((Number(row["at"]) - from) / step);
    const name = String(row["server"]);
    const none = () => ({ total: new Sum(), spark: Array<number>(count).fill(0) });
    const server = index < 0 ? undefined : servers.getOrInsertComputed(name, none);
    if (server) server.spark[index]! += Number(row["calls"]);
    for (const sum of server ? [total, all[index]!, server.total] : [before]) sum.add(row);
  }
  const steps = all.map(({ load }, index) => ({ at: from + index * step, ...load }));
  const each = Array.from(
    servers,
    ([name, one]) => [name, { ...one, total: one.total.load }] as const,
  );
  return { from, to, step, total: total.load, before: before.load, steps, servers: new Map(each) };
}
