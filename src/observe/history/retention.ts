/** What of the history is kept how long, and in how much room. */

import { nextTurn } from "../../lib/time.ts";
import type { Store } from "./store.ts";
import { HOUR } from "./tally.ts";

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
/** Calls that go in one turn, with their bodies, which are heavy. */
const AT_ONCE = 50;
/** Turns until others that wait for the file have theirs. */
const MOST_TURNS = 200;

/** True where there is more to be removed. `now`: ms since the epoch. */
export async function removeOld(
  store: Store,
  { days, maxSize }: Retention,
  now: number,
): Promise<boolean> {
  // Each removes a little, and answers whether there was any.
  const removals: readonly (() => boolean | number)[] = [
    () => removeCalls(store, now - days * DAY),
    () => store.size > maxSize && removeCalls(store, Number.MAX_SAFE_INTEGER),
    ...COUNTED.map(([table, age]) => () => {
      const oldest = `SELECT min(at) FROM ${table}`;
      return store.run(`DELETE FROM ${table} WHERE at = (${oldest}) AND at < ?`, now - age);
    }),
    ...LISTED.map(([table, order, most]) => () => {
      const surplus = `SELECT rowid FROM ${table} ORDER BY ${order} DESC LIMIT 200 OFFSET ${most}`;
      return store.run(`DELETE FROM ${table} WHERE rowid IN (${surplus})`);
    }),
    () => store.shrink(),
  ];
  let turns = 0;
  for (const remove of removals) {
    while (remove()) {
      if (++turns === MOST_TURNS) return true;
      await nextTurn();
    }
  }
  return false;
}

/** The oldest few, with their bodies; answers how many. */
function removeCalls(store: Store, before: number): number {
  const old = `FROM call WHERE at < ? ORDER BY at LIMIT ${AT_ONCE}`;
  let removed = 0;
  store.transaction(() => {
    store.run(`DELETE FROM body WHERE call IN (SELECT id ${old})`, before);
    removed = store.run(`DELETE FROM call WHERE rowid IN (SELECT rowid ${old})`, before);
  });
  return removed;
}
