/** What of the history is kept how long, and in how much room. */

import { nextTurn } from "../../lib/time.ts";
import { HOUR, TALLIES } from "./tally.ts";
import type { Store } from "./store.ts";

/** What the configuration says of it. */
export interface Retention {
  /** Calls older than that many days go. */
  readonly days: number;
  /** Bytes; above it the oldest calls go, never what is counted by the hour. */
  readonly maxSize: number;
}

const DAY = 24 * HOUR;
/** How long what is counted is kept, ms. */
const COUNTED = [["minute", 2 * DAY], ["hour", 400 * DAY]] as const;
/** By what they are ordered, and how many of them are kept. */
const LISTED = [["problem", "last", 1_000], ["alert", "since", 10_000]];
/** Rows that go in one turn; bodies are heavy. */
const AT_ONCE = 50;

/** Turns until others that wait for the file have theirs. */
const MOST_TURNS = 200;

/** True where there is more to be removed. `now`: ms since the epoch. */
export async function removeOld(store: Store, keep: Retention, now: number): Promise<boolean> {
  let turns = 0;
  for (const removed of removals(store, keep, now)) {
    if (removed && ++turns === MOST_TURNS) return true;
    if (removed) await nextTurn();
  }
  return false;
}

/** Step by step, whether something was removed. */
function* removals(store: Store, keep: Retention, now: number): Generator<boolean> {
  const all = function* (step: () => boolean | number) {
    while (step()) yield true;
  };
  yield* all(() => removeCalls(store, now - keep.days * DAY));
  yield* all(() => store.size > keep.maxSize && removeCalls(store, Infinity));
  for (const [table, age] of COUNTED) {
    const key = TALLIES[table].keys.join();
    const old = `SELECT ${key} FROM ${table} WHERE at < ? ORDER BY at LIMIT ${4 * AT_ONCE}`;
    yield* all(() => store.run(`DELETE FROM ${table} WHERE (${key}) IN (${old})`, now - age));
  }
  for (const [table, order, most] of LISTED) {
    const surplus = `SELECT rowid FROM ${table} ORDER BY ${order} DESC LIMIT ? OFFSET ${most}`;
    const remove = `DELETE FROM ${table} WHERE rowid IN (${surplus})`;
    yield* all(() => store.run(remove, 4 * AT_ONCE));
  }
  yield* all(() => store.shrink());
}

/** The oldest few, with their bodies; answers how many. */
function removeCalls(store: Store, before: number): number {
  const limit = Math.min(before, Number.MAX_SAFE_INTEGER);
  const old = `FROM call WHERE at < ? ORDER BY at LIMIT ${AT_ONCE}`;
  let removed = 0;
  store.transaction(() => {
    store.run(`DELETE FROM body WHERE call IN (SELECT id ${old})`, limit);
    removed = store.run(`DELETE FROM call WHERE rowid IN (SELECT rowid ${old})`, limit);
  });
  return removed;
}
