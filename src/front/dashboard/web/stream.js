// @ts-check
/// <reference lib="dom" />
/** One stream of events a tab, of all topics that are wanted; closed while the page is hidden. */

import { effect, signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { ask } from "./api.js";
import { eventsOf } from "./sse.js";
import { barred, generation, lost } from "./state.js";

/** `live`, `waiting` for a connection, or `paused` as nobody looks. */
export const streaming = signal("waiting");

/** @type {Map<string, Set<(data: any) => void>>} */
const listeners = new Map();
/** @type {AbortController | undefined} */
let open;
let opened = "";
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;

/**
 * Calls `listener` with the data of each event of a topic, while the component is there.
 * @param {string | undefined} topic `undefined`: not now
 * @param {(data: any) => void} listener
 */
export function useEvents(topic, listener) {
  const latest = useRef(listener);
  latest.current = listener;
  useEffect(() => {
    if (topic === undefined) return;
    const own = (/** @type {any} */ data) => latest.current(data);
    const among = listeners.get(topic) ?? new Set();
    listeners.set(topic, among.add(own));
    renew();
    return () => {
      among.delete(own);
      if (among.size === 0) listeners.delete(topic);
      renew();
    };
  }, [topic]);
}

/** Opens what is wanted by now, once all who come and go at a time have done so. */
function renew(wait = 0) {
  clearTimeout(timer);
  timer = setTimeout(connect, wait);
}

async function connect() {
  const wanted = [...listeners.keys()].sort().join(",");
  const isSeen = !document.hidden && barred.peek() === undefined;
  if (open !== undefined && opened === wanted && isSeen) return;
  open?.abort();
  open = undefined;
  streaming.value = isSeen ? "waiting" : "paused";
  if (wanted === "" || !isSeen || lost.peek()) return;
  const mine = open = new AbortController();
  opened = wanted;
  try {
    const response = await ask(`api/events?topics=${wanted}`, { signal: mine.signal });
    if (!response.ok) throw new Error(`${response.status}`);
    streaming.value = "live";
    for await (const { topic, data } of eventsOf(response.body)) {
      const told = JSON.parse(data);
      for (const listener of listeners.get(topic) ?? []) listener(told);
    }
  } catch {
    // Whatever it was, it is tried again.
  }
  if (open !== mine) return;
  open = undefined;
  streaming.value = "waiting";
  renew(3_000);
}

document.addEventListener("visibilitychange", () => renew());
effect(() => {
  void generation.value;
  void barred.value;
  if (!lost.value) renew();
});
