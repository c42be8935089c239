// @ts-check
/// <reference lib="dom" />
/** What every page knows: where it is, how things are, how it looks. */

import { computed, effect, signal } from "@preact/signals";

/** @typedef {{page: string, path: string[], query: URLSearchParams}} Route */

/** The entries of the navigation: `id title icon letter`, `g` and which leads there. */
export const PAGES = [
  { id: "overview", title: "Overview", icon: "home", letter: "o" },
  { id: "servers", title: "Servers", icon: "server", letter: "s" },
  { id: "tools", title: "Tools", icon: "tool", letter: "t" },
  { id: "calls", title: "Calls", icon: "call", letter: "c" },
  { id: "usage", title: "Usage", icon: "usage", letter: "u" },
  { id: "alerts", title: "Alerts", icon: "bell", letter: "a" },
  { id: "log", title: "Log", icon: "log", letter: "l" },
  { id: "config", title: "Configuration", icon: "config", letter: "x" },
];

/** The state of a page is its address: `#/calls/ID?filter=…`. @param {string} hash @returns {Route} */
export function routeOf(hash) {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split(/\?(.*)/s);
  const [page = "", ...rest] = path.split("/").map(decoded);
  const known = PAGES.some(({ id }) => id === page);
  return { page: known ? page : "overview", path: rest, query: new URLSearchParams(query) };
}

/** A part of an address, which anybody may have written. @param {string} part */
export function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/**
 * The address of a state. Members of `query` that are empty are left out.
 * @param {string | readonly string[]} path
 * @param {Record<string, string | number | undefined>} [query]
 */
export function href(path, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== "");
  const told = new URLSearchParams(given.map(([key, value]) => [key, String(value)])).toString();
  const parts = [path].flat().map((part) => encodeURIComponent(part.toWellFormed()));
  return `#/${parts.join("/")}${told && `?${told}`}`;
}

/** Where the page is. */
export const route = signal(routeOf(location.hash));
addEventListener("hashchange", () => route.value = routeOf(location.hash));

/**
 * Goes to another state; `replace` leaves no step back to this one.
 * @param {string} to from {@link href}
 * @param {{replace?: boolean}} [how]
 */
export function go(to, { replace = false } = {}) {
  if (to === location.hash) return;
  if (!replace) return void (location.hash = to);
  history.replaceState(null, "", to);
  route.value = routeOf(to);
}

/**
 * The state as it is, with other members of the query.
 * @param {Record<string, string | number | undefined>} query
 */
export function withQuery(query) {
  const { page, path, query: now } = route.peek();
  return href([page, ...path], { ...Object.fromEntries(now), ...query });
}

/** Times that numbers are told for. */
export const RANGES = { "15m": "15 m", "1h": "1 h", "24h": "24 h", "7d": "7 d" };

/** What a query says, where it is one of those there are. @param {object} all @param {string} name @param {string} preset */
export function chosen(all, name, preset) {
  const asked = route.value.query.get(name) ?? "";
  return Object.hasOwn(all, asked) ? asked : preset;
}

/** The one chosen, `1h` where none is. */
export const range = computed(() => chosen(RANGES, "range", "1h"));

/** `/api/status` as it was last told; undefined before. @type {import("@preact/signals").Signal<any>} */
export const status = signal(undefined);

/** The gateway does not answer: what is shown is old. */
export const lost = signal(false);

/** Grows whenever everything is to be asked again: the gateway has come back, another key is used. */
export const generation = signal(0);

/** What the gateway wants before it shows anything: a key, or a setting to be changed. @type {import("@preact/signals").Signal<{kind: "key" | "closed", text: string} | undefined>} */
export const barred = signal(undefined);

/** A change that waits for a key: whether the last one is old, and whom to tell that there is one. @type {import("@preact/signals").Signal<{isOld: boolean, tell: (isGiven: boolean) => void} | undefined>} */
export const keyAsked = signal(undefined);

/** `light`, `dark`, or `""`: as the machine has it. */
export const theme = signal(localStorage.getItem("mcproxy.theme") ?? "");
effect(() => {
  if (theme.value === "") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme.value;
});

export function switchTheme() {
  const isDark = theme.value === ""
    ? matchMedia("(prefers-color-scheme: dark)").matches
    : theme.value === "dark";
  theme.value = isDark ? "light" : "dark";
  localStorage.setItem("mcproxy.theme", theme.value);
}
