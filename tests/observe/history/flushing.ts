/** Writes a history in the given directory without end; says so when it has begun. */

import process from "node:process";
import { History } from "../../../src/observe/history/history.ts";
import { systemClock } from "../../../src/lib/time.ts";
import { callOf, NOON } from "./history-support.ts";

const directory = process.argv[2]!;
const parts = { directory, process: "child", clock: systemClock, days: 30, maxSize: 2 ** 26 };
const history = new History({ ...parts, now: () => NOON });
for (let round = 0;; round++) {
  for (let i = 0; i < 400; i++) history.add(callOf({ at: NOON + 100 * (400 * round + i) }));
  await history.flush();
  if (round === 0) console.log("writing");
}
