/** What is asked of the history: read in turns, each of few rows. */

import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { takingTurns } from "../../lib/time.ts";
import type { Body } from "../bodies.ts";
import type { ObservedCall } from "../call.ts";
import type { ProblemKind, ProblemState } from "../problems.ts";
import type { RecentOptions } from "../recorder.ts";
import type { AlertRow, MinuteTally } from "./pending.ts";
import type { Store } from "./store.ts";
import { HOUR, MINUTE, type Row, TALLIES, Tally, type TallyTable } from "./tally.ts";

/** The ranges people ask for, in ms. */
export const RANGES: Readonly<Record<string, number>> = {
  ...{ "15m": 15 * MINUTE, "1h": HOUR, "24h": 24 * HOUR },
  ...{ "7d": 168 * HOUR, "30d": 720 * HOUR, "400d": 9_600 * HOUR },
};

/** Whose usage. */
export type UsageBy = "tool" | "server" | "client";

/** Failures of one kind; times are ms since the epoch. */
export type Problem =
  & Omit<ProblemKind, "code">
  & Readonly<Record<"first" | "last" | "count", number>>
  & { readonly code: number | null; readonly sampleCall: string; readonly state: ProblemState };

/** Which calls are meant: before that many ms since the epoch, or from the `next` of an answer on. */
export interface CallQuery extends Omit<RecentOptions, "before"> {
  readonly before?: number | string | undefined;
}

/** The newest first; `next` leads on, also where a look at more would have taken too long. */
export type CallPage = { readonly items: ObservedCall[]; readonly next: string | null };

/** Rows read in one go, and for one answer. */
const AT_ONCE = 250;
const MOST_ROWS = 50_000;
const MOST_TALLIES = 500_000;
const MOST_KEYS = 10_000;
const MOST_ITEMS = 500;
const MOST_BODY = 1024 * 1024;

const unpack = promisify(gunzip);

/** A page of calls. */
export async function callsOf(store: Store, query: CallQuery): Promise<CallPage> {
  const { filter = () => true, before = Number.MAX_SAFE_INTEGER } = query;
  const limit = Math.min(query.limit ?? 100, MOST_ITEMS);
  const items: ObservedCall[] = [];
  const first = String(before).split("-").map(Number).concat(0).slice(0, 2);
  if (!first.every(Number.isFinite)) return { items, next: null };
  const where = `WHERE (at, rowid) < (?, ?) ORDER BY at DESC, rowid DESC LIMIT ${AT_ONCE}`;
  const read = (from: readonly number[]) => selected(store, where, ...from);
  const placeOf = ({ row, call }: Selected) => [call.at, row];
  let [next, count]: [string | null, number] = [null, 0];
  for await (const rows of takingTurns(pagesOf(read, placeOf, first, MOST_ROWS))) {
    for (const row of rows) {
      next = placeOf(row).join("-");
      count++;
      if (filter(row.call) && items.push(row.call) === limit) return { items, next };
    }
  }
  return { items, next: count < MOST_ROWS ? null : next };
}

/** Pages of rows, each read from the place of the last row on. */
function* pagesOf<Item, Place>(
  read: (from: Place) => Item[],
  placeOf: (row: Item) => Place,
  from: Place,
  most: number,
): Generator<Item[]> {
  for (let count = 0; count < most; count += AT_ONCE) {
    const rows = read(from);
    yield rows;
    if (rows.length < AT_ONCE) return;
    from = placeOf(rows.at(-1)!);
  }
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

/** What it has said and was answered; a side is empty where it is damaged. */
export async function callBody(store: Store, id: string): Promise<Body | undefined> {
  const sql = "SELECT request, result, flags FROM body WHERE call = ?";
  const [row] = store.all(sql, store.idOf(id));
  if (row === undefined) return undefined;
  const limit = { maxOutputLength: MOST_BODY };
  const textOf = (bytes: unknown) => unpack(bytes as Uint8Array, limit).then(String, () => "");
  const [request, result] = [await textOf(row["request"]), await textOf(row["result"])];
  const flags = Number(row["flags"]);
  return { request, result, cut: (flags & 1) > 0, redacted: (flags & 2) > 0 };
}

/** The latest first. */
export function problemsIn(store: Store, state: ProblemState | null = null): Problem[] {
  const sql = `SELECT fingerprint, server, name, code, text, first, last, count,
    sample_call AS sampleCall, state FROM problem WHERE state = ifnull(?, state)
    ORDER BY last DESC LIMIT ${MOST_ITEMS}`;
  return store.all(sql, state).map((row) => ({ ...row }) as unknown as Problem);
}

/** False where there is no such problem. */
export function markProblem(store: Store, fingerprint: string, state: ProblemState): boolean {
  return store.run("UPDATE problem SET state = ? WHERE fingerprint = ?", state, fingerprint) > 0;
}

/** The latest first. */
export function alertsIn(store: Store): AlertRow[] {
  const sql = `SELECT rule, subject, since, until, told, ifnull(text, '') AS text FROM alert
    ORDER BY since DESC LIMIT ${MOST_ITEMS}`;
  return store.all(sql).map((row) => ({ ...row }) as unknown as AlertRow);
}

/** A call, and its place among those of the same moment. */
type Selected = { readonly row: number; readonly call: ObservedCall };
type Mutable<T> = { -readonly [Name in keyof T]: T[Name] };

/** Ids of this process as they are, of others with its name: they are counted anew in each. */
function selected(store: Store, where: string, ...values: readonly (number | string)[]) {
  const rows = store.all(
    `SELECT rowid AS row, process, rid AS id, at, method, server, name, client, session, endpoint,
    outcome, code, ms, queue_ms AS queueMs, server_ms AS serverMs, bytes_in AS bytesIn,
    bytes_out AS bytesOut, via, cached, trace AS traceId, parent, who FROM call ${where}`,
    ...values,
  );
  return rows.map(({ row, process, ...columns }): Selected => {
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

/** Where it was counted: in the file, or where there is none in memory. */
export type Tallied = Store | readonly MinuteTally[];

/** What was counted from a time on; of the file the latest first, so that none of these is left out. */
export async function* tallies(
  tallied: Tallied,
  table: TallyTable,
  from: number,
): AsyncGenerator<Row | MinuteTally> {
  if (tallied instanceof Array) return yield* tallied.filter(({ at }) => at >= from);
  const { keys } = TALLIES[table];
  const key = keys.join();
  const sql = `SELECT * FROM ${table} WHERE (${key}) < (${keys.map(() => "?")}) AND at >= ?
    ORDER BY ${keys.map((name) => `${name} DESC`)} LIMIT ${AT_ONCE}`;
  const read = (place: Row[string][]) => tallied.all(sql, ...place, from);
  const placeOf = (row: Row) => keys.map((name) => row[name]!);
  const first = keys.map((name) => name === "at" ? Number.MAX_SAFE_INTEGER : "");
  for await (const rows of takingTurns(pagesOf(read, placeOf, first, MOST_TALLIES))) yield* rows;
}

/**
 * Who was used how much over a range that ends now, the most used first; `from` is the begin of its
 * first hour, ms since the epoch.
 */
export async function usageIn(tallied: Tallied, by: UsageBy, range: number, now: number) {
  const from = Math.floor((now - range) / HOUR) * HOUR;
  const sums = new Map<string, Tally>();
  for await (const row of tallies(tallied, "hour", from)) {
    const key = String(row[by === "tool" ? "name" : by]);
    if (key === "" || (sums.size >= MOST_KEYS && !sums.has(key))) continue;
    sums.getOrInsertComputed(key, () => new Tally()).add(row);
  }
  const items = Array.from(sums, ([key, { load, tool_errors, bytes_out, repeats }]) => {
    return { key, ...load, toolErrors: tool_errors, bytesOut: bytes_out, repeats };
  });
  return { from, items: items.sort((a, b) => b.calls - a.calls).slice(0, MOST_ITEMS) };
}

/**
 * What there was to do in a range that ends now: in steps of whole minutes or hours, those without
 * calls, too, and in the same time `before`; `spark` has the calls of a server in each step.
 */
export async function trafficOf(tallied: Tallied, range: number, now: number) {
  // Minutes are kept for two days.
  const table = range <= 24 * HOUR ? "minute" : "hour";
  const { span } = TALLIES[table];
  const step = Math.ceil(range / 96 / span) * span;
  const count = Math.round(range / step);
  const to = (Math.floor(now / step) + 1) * step;
  const from = to - count * step;
  const [total, before] = [new Tally(), new Tally()];
  const all = Array.from({ length: count }, () => new Tally());
  const none = () => ({ sum: new Tally(), old: new Tally(), spark: Array<number>(count).fill(0) });
  const servers = new Map<string, ReturnType<typeof none>>();
  for await (const row of tallies(tallied, table, from - count * step)) {
    const index = Math.floor((Number(row["at"]) - from) / step);
    if (index >= count) continue; // The future of a clock that was set back.
    const { sum, old, spark } = servers.getOrInsertComputed(String(row["server"]), none);
    if (index >= 0) spark[index]! += Number(row["calls"]);
    const parts = index < 0 ? [before, old] : [total, all[index]!, sum];
    for (const one of parts) one.add(row);
  }
  return {
    ...{ from, to, step, total: total.load, before: before.load },
    steps: all.map(({ load }, index) => ({ at: from + index * step, ...load })),
    servers: new Map(
      Array.from(servers, ([name, { sum: { load: total }, old: { load: before }, spark }]) => {
        return [name, { total, before, spark }];
      }),
    ),
  };
}
