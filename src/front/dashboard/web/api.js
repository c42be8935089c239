// @ts-check
/// <reference lib="dom" />
/** How the page asks its gateway. */

import { useEffect, useRef, useState } from "preact/hooks";
import { barred, decoded, generation, href, keyAsked, lost, route, routeOf } from "./state.js";

/** Below which everything is, wherever the page is mounted. */
const BASE = new URL("../", import.meta.url);
const KEPT = "mcproxy.key";
/** Milliseconds until a gateway that does not answer is tried again. */
const AGAIN = 1_500;

/** A key in the fragment is kept for this tab, and goes from the address and its history. */
function takeKey() {
  const key = /^#key=([^&]+)/.exec(location.hash)?.[1];
  if (key === undefined) return;
  setKey(decoded(key));
  history.replaceState(null, "", href("overview"));
  route.value = routeOf(location.hash);
}

/** @param {string} key */
export function setKey(key) {
  // What no header can hold is no key.
  sessionStorage.setItem(KEPT, key.replace(/[^\x20-\x7e]/g, ""));
  isOld = false;
  barred.value = undefined;
  keyAsked.value?.tell(true);
  generation.value++;
}

/** Whether there was a key that counts no more. */
let isOld = false;
/** @type {Promise<boolean> | undefined} */
let asking;
/** Whether somebody gives a key, asked once for all that wait for it. */
function givenKey() {
  return asking ??= new Promise((tell) => keyAsked.value = { isOld, tell }).finally(() => {
    asking = keyAsked.value = undefined;
  });
}

takeKey();
addEventListener("hashchange", takeKey);

/** Said by the gateway instead of an answer. */
export class ApiError extends Error {
  /** @param {number} status @param {any} body */
  constructor(status, body) {
    const told = body?.message ?? body?.error?.message ?? body?.error;
    super(typeof told === "string" ? told : `The gateway answers ${status}`);
    this.status = status;
    this.body = body;
  }
}

/**
 * `fetch` of a path of the gateway (`api/status`, `mcp`), with the key; tells when it is lost. A
 * change for which there is no key waits for one, or, if it is `quiet`, is refused.
 * @param {string} path
 * @param {RequestInit & {quiet?: boolean}} [init]
 * @returns {Promise<Response>}
 */
export async function ask(path, init = {}) {
  const key = sessionStorage.getItem(KEPT);
  const headers = new Headers(init.headers);
  if (key !== null) headers.set("authorization", `Bearer ${key}`);
  try {
    const response = await fetch(new URL(path, BASE), { cache: "no-store", ...init, headers });
    if (response.status !== 401) return response;
    if (key !== null) {
      // Where reading needs no key, an old one must not be in its way.
      isOld = true;
      if (sessionStorage.getItem(KEPT) === key) sessionStorage.removeItem(KEPT);
      return await ask(path, init);
    }
    const isChange = path.startsWith("api/") && (init.method ?? "GET") !== "GET";
    if (isChange) return !init.quiet && await givenKey() ? await ask(path, init) : response;
    const text = isOld ? "The key does not count any more." : "This gateway asks for a key.";
    barred.value = { kind: "key", text };
    return response;
  } catch (error) {
    if (!init.signal?.aborted) lose();
    throw error;
  }
}

let waiting = false;
/** The page dims, and comes back by itself. */
function lose() {
  lost.value = true;
  if (waiting) return;
  waiting = true;
  setTimeout(async () => {
    waiting = false;
    try {
      await fetch(new URL("livez", BASE), { cache: "no-store" });
      lost.value = false;
      generation.value++;
    } catch {
      lose();
    }
  }, AGAIN);
}

/**
 * JSON of a path.
 * @param {string} path
 * @param {{method?: string, body?: unknown, signal?: AbortSignal, quiet?: boolean}} [options]
 * @returns {Promise<any>}
 */
export async function request(path, { method = "GET", body, signal, quiet = false } = {}) {
  const json = body === undefined
    ? {}
    : { body: JSON.stringify(body), headers: { "content-type": "application/json" } };
  const response = await ask(path, { method, quiet, ...json, ...(signal && { signal }) });
  const told = await response.json().catch(() => undefined);
  if (response.ok) return told;
  if (response.status === 403 && method === "GET" && path.startsWith("api/status")) {
    barred.value = { kind: "closed", text: new ApiError(403, told).message };
  }
  throw new ApiError(response.status, told);
}

/** @param {string} path @param {unknown} [body] @param {boolean} [quiet] */
export const post = (path, body = {}, quiet = false) =>
  request(path, { method: "POST", body, quiet });

/**
 * What a path tells, asked again when it is another one, when the gateway has come back, and by
 * `reload`. What was told before stays until then. `undefined` as path: nothing is asked.
 * @param {string | undefined} path
 * @param {{every?: number}} [options] milliseconds between two questions while the page is seen
 * @returns {{data: any, error: Error | undefined, loading: boolean, reload: () => void}}
 */
export function useData(path, { every } = {}) {
  const [told, tell] = useState(/** @type {any} */ ({ path: undefined }));
  const [turn, setTurn] = useState(0);
  const reload = useRef(() => setTurn((now) => now + 1)).current;
  const at = generation.value;
  useEffect(() => {
    if (path === undefined) return;
    const ended = new AbortController();
    const load = () =>
      request(path, { signal: ended.signal }).then(
        (data) => ended.signal.aborted || tell({ path, data }),
        (error) =>
          ended.signal.aborted ||
          tell((/** @type {any} */ before) => ({
            path,
            data: before.path === path ? before.data : undefined,
            error,
          })),
      );
    load();
    const timer = every && setInterval(() => document.hidden || lost.peek() || load(), every);
    return () => {
      ended.abort();
      clearInterval(timer);
    };
  }, [path, turn, at, every]);
  const isNow = told.path === path;
  const error = isNow && !(lost.value && !(told.error instanceof ApiError))
    ? told.error
    : undefined;
  return { data: told.data, error, loading: !isNow && path !== undefined, reload };
}
