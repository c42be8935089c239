// @ts-check
/// <reference lib="dom" />
/** A list of what happened, newest first: it grows at its head by itself, and at its end when asked to. */

import { useEffect, useRef, useState } from "preact/hooks";
import { request } from "./api.js";
import { useKeys } from "./keys.js";
import { number, view } from "./parts.js";
import { generation, go, withQuery } from "./state.js";
import { useEvents } from "./stream.js";

/** As many are asked for at a time, and rows there may be. */
const [PAGE, MOST] = [200, 2_000];

/**
 * The items of a path. While it follows, those that come are put at the head; while they are held,
 * as somebody points at a row, they wait.
 * @param {string} path of the API, with its query
 * @param {{topic: string, follow: boolean, plain?: boolean}} options `plain`: events tell the items that
 *   belong to the list; otherwise they only tell that there are others
 */
export function useList(path, { topic, follow, plain = false }) {
  const [list, set] = useState(/** @type {any} */ ({ items: [], next: null, told: false }));
  const [waiting, wait] = useState(0);
  const own = useRef(/** @type {any} */ ({ arrived: [], held: false, fresh: new Set() })).current;

  const ask = (/** @type {number} */ limit, before = "") =>
    request(`${path}&limit=${limit}${before && `&before=${encodeURIComponent(before)}`}`);
  const change = (/** @type {(now: any) => object} */ of) =>
    set((/** @type {any} */ now) => ({ ...now, told: true, error: undefined, ...of(now) }));
  const fail = (/** @type {Error} */ error) => change(() => ({ error }));
  const flush = () => {
    /** @type {any[]} */
    const arrived = own.arrived;
    own.arrived = [];
    wait(0);
    if (arrived.length === 0) return;
    change(({ items }) => {
      const known = new Set(items.map((/** @type {any} */ { id }) => id));
      const added = arrived.filter(({ id }) => !known.has(id) && known.add(id));
      added.sort((a, b) => b.at - a.at);
      // Only few are pointed out: to animate hundreds of rows costs more than to draw them.
      own.fresh = new Set(added.slice(0, 20).map(({ id }) => id));
      // Whoever follows for long does not keep all that has passed.
      const most = Math.max(items.length, 2 * PAGE);
      return { items: [...added, ...items].slice(0, most) };
    });
  };
  const take = (/** @type {any[]} */ items) => {
    own.arrived = [...items, ...own.arrived].slice(0, MOST);
    if (own.held) wait(own.arrived.length);
    else flush();
  };
  const at = generation.value;
  useEffect(() => {
    let ended = false;
    own.arrived = [];
    own.fresh.clear();
    wait(0);
    ask(PAGE).then((told) => ended || change(() => told), (error) => ended || fail(error));
    return () => {
      ended = true;
      clearTimeout(own.timer);
      own.timer = undefined;
    };
  }, [path, at]);
  useEvents(follow ? topic : undefined, ({ items }) => {
    if (plain) return take(items);
    // All that come within a second are asked for once.
    own.timer ??= setTimeout(() => {
      own.timer = undefined;
      ask(50).then((told) => take(told.items), fail);
    }, 1_000);
  });
  const older = () =>
    ask(PAGE, list.next).then(({ items, next }) =>
      change((now) => {
        const all = [...now.items, ...items].slice(0, MOST);
        return { items: all, next: all.length < MOST ? next : null };
      }), fail);
  const hold = (/** @type {boolean} */ on) => {
    own.held = on;
    if (!on) flush();
  };
  const isNew = (/** @type {any} */ { id }) => own.fresh.has(id);
  return { ...list, waiting, older, flush, hold, isNew };
}

/** Whether a list follows, and the button for that. @param {{what: string, isOn: boolean, to: Record<string, string>}} props `to`: the other, as a query */
export function Follow({ what, isOn, to }) {
  const run = () => go(withQuery(to), { replace: true });
  useKeys([{ key: "f", title: `Follow the ${what}`, run }]);
  return view`<button type="button" class="btn" aria-pressed=${isOn} onClick=${run}>
    Follow <kbd>f</kbd></button>`;
}

/** The panel that a list is shown in. @param {{list: any, children?: any}} props */
export function Listed({ list, children }) {
  const { waiting, next, hold } = list;
  const come = waiting > 0 && view`<button type="button" class="waiting link" onClick=${list.flush}>
    ${number(waiting)} new</button>`;
  const more = next &&
    view`<button type="button" class="older link" onClick=${list.older}>Older ones</button>`;
  return view`<div class="panel" onMouseEnter=${() => hold(true)} onMouseLeave=${() => hold(false)}>
    ${come}${children}${more}</div>`;
}
