/** The history of a gateway, as it is fed. */

import type { Gateway } from "../../gateway/gateway.ts";
import { systemClock } from "../../lib/time.ts";
import type { Recorder } from "../recorder.ts";
import { History, type HistoryParts } from "./history.ts";

/** One of every call from now on, and of those that are remembered. */
export function keepHistory(
  gateway: Gateway,
  recorder: Recorder,
  place: Pick<HistoryParts, "directory" | "days" | "maxSize">,
): History {
  const isIdle = () => gateway.inFlight === 0;
  const follow = (history: History) => {
    for (const call of recorder.recent().reverse()) history.add(call);
    return recorder.onCall((call) => history.add(call));
  };
  const { process } = recorder;
  return new History({ ...place, process, clock: systemClock, isIdle, follow });
}
