/** The history of a gateway, as it is fed: what is told of calls, and what their records say beyond. */

import type { CallRecord } from "../../gateway/events.ts";
import type { Gateway } from "../../gateway/gateway.ts";
import { shortHash } from "../../lib/json.ts";
import { withoutKeyed } from "../../lib/keyed-secrets.ts";
import { systemClock } from "../../lib/time.ts";
import { hasFailed } from "../call.ts";
import { problemOf } from "../problems.ts";
import type { Recorder } from "../recorder.ts";
import type { EndedCall } from "../ring.ts";
import { History, type HistoryParts } from "./history.ts";

/** Characters of a request that is compared with those before. */
const MOST_COMPARED = 1_000;
/** Arguments that are remembered, by their hashes. */
const MOST_HASHES = 5_000;

/** One of every call from now on, and of those that have come before it was there. */
export function keepHistory(
  gateway: Gateway,
  recorder: Recorder,
  place: Pick<HistoryParts, "directory" | "days" | "maxSize">,
  early: readonly EndedCall[] = [],
): History {
  const isIdle = () => gateway.inFlight === 0;
  const seen = new Set<string>();
  const isRepeated = (record: CallRecord) => {
    if (record.method !== "tools/call" || record.bytesIn > MOST_COMPARED) return false;
    const { name, arguments: values } = record.params ?? {};
    const hash = shortHash(JSON.stringify([record.endpoint, name, values]), 13);
    if (seen.size >= MOST_HASHES) seen.clear();
    return seen.size === seen.add(hash).size;
  };
  const follow = (history: History) => {
    const add = (call: EndedCall) => {
      const { record } = call;
      // A server's words may be what it was called with.
      const problem = hasFailed(call)
        ? problemOf(call.whole, withoutKeyed(recorder.failureText(record) ?? ""))
        : undefined;
      history.add(call, { problem, isRepeated: () => isRepeated(record) });
    };
    early.forEach(add);
    return recorder.onCall(add);
  };
  return new History({ ...place, process: recorder.process, clock: systemClock, isIdle, follow });
}
