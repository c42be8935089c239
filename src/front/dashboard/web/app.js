// @ts-check
/// <reference lib="dom" />
/** The frame: navigation, header, the page that the address names. */

import { signal } from "@preact/signals";
import { render } from "preact";
import { useEffect, useErrorBoundary } from "preact/hooks";
import { ask, useData } from "./api.js";
import { Barred, KeyAsked } from "./key.js";
import { COMMAND, dialog, Dialogs } from "./keys.js";
import { Icon, number, Seg, span, view } from "./parts.js";
import { barred, generation, href, lost, PAGES, range, RANGES } from "./state.js";
import { route, status, switchTheme } from "./state.js";
import { streaming, useEvents } from "./stream.js";

/** Pages that tell numbers for a time. */
const RANGED = ["overview", "servers"];

/** Loaded when first gone to. @type {Record<string, () => Promise<{default: any}>>} */
const LOAD = {
  overview: () => import("./page-overview.js"),
  servers: () => import("./page-servers.js"),
  tools: () => import("./page-tools.js"),
  calls: () => import("./page-calls.js"),
  usage: () => import("./page-usage.js"),
  alerts: () => import("./page-alerts.js"),
  log: () => import("./page-log.js"),
  config: () => import("./page-config.js"),
};

/** @type {import("@preact/signals").Signal<Record<string, any>>} */
const pages = signal({});

/** @param {string} page */
async function load(page) {
  if (page in pages.peek()) return;
  try {
    const module = await LOAD[page]?.();
    pages.value = { ...pages.peek(), [page]: module?.default };
  } catch {
    // The gateway went, or is another one by now: once it is back, so is this.
    void ask("livez").catch(() => {});
  }
}

/** What stands beside an entry of the navigation. @param {string} page */
function countOf(page) {
  if (status.value === undefined) return undefined;
  const { servers = [], attention = [], lists } = /** @type {Record<string, any>} */ (status.value);
  const count = (/** @type {any[]} */ all, /** @type {(one: any) => boolean} */ of) =>
    all.filter(of).length;
  if (page === "tools") return number(lists.tools);
  if (page === "alerts") return count(attention, ({ kind }) => kind === "alert") || undefined;
  if (page !== "servers") return undefined;
  const enabled = count(servers, ({ state }) => state !== "disabled");
  const ready = count(servers, ({ state }) => state === "ready");
  return ready === enabled ? `${ready}` : `${ready}/${enabled}`;
}

function Navigation() {
  const { page } = route.value;
  const now = status.value;
  const entry = (/** @type {typeof PAGES[number]} */ { id, title, icon }) => {
    const count = countOf(id);
    const shown = count && view`<span class=${id === "alerts" ? "c hot" : "c"}>${count}</span>`;
    return view`<a key=${id} href=${href(id)} aria-current=${id === page ? "page" : undefined}>
      <${Icon} name=${icon} />${title}${shown}</a>`;
  };
  const up = now && `up ${span(now.uptimeSeconds)} · ${number(now.clients.sessions)} sessions`;
  return view`<nav aria-label="Pages"><div class="brand"><svg width="18" height="18" viewBox="0 0 18 18"
    fill="none" stroke="currentColor" stroke-width="1.6" stroke-linecap="round" aria-hidden="true">
    <path d="M2 4h3.5C9 4 8 9 11 9h5M2 14h3.5C9 14 8 9 11 9M2 9h9" /></svg>mcproxy<small>${now?.version}</small></div>
    ${PAGES.map(entry)}<div class="foot"><b>${location.host}</b><br />${up}</div></nav>`;
}

/** How the gateway is reached, in a word. @type {Record<string, string>} */
const STATES = { live: "Live", waiting: "Connecting", paused: "Paused", lost: "Gateway lost" };

function Header() {
  const { page } = route.value;
  const title = PAGES.find(({ id }) => id === page)?.title;
  useEffect(() => {
    document.title = `${title} · mcproxy`;
  }, [title]);
  const state = lost.value ? "lost" : streaming.value;
  const ranges = RANGED.includes(page) &&
    view`<${Seg} label="Time range" name="range" options=${RANGES} value=${range.value} />`;
  const find = () => dialog.value = "palette";
  return view`<header><h1>${title}</h1><div class="grow"></div>
    <span class=${`live ${state}`} role="status"><i></i>${STATES[state]}</span>${ranges}
    <button type="button" class="find" onClick=${find}><${Icon} name="find" />
      Find or do…<kbd>${COMMAND}K</kbd></button>
    <button type="button" class="icon" aria-label="Switch between light and dark"
      onClick=${switchTheme}><${Icon} name="moon" /></button></header>`;
}

/** A page that cannot be drawn says so, and the others still can. */
function Guarded(/** @type {any} */ { children, page }) {
  const [error] = useErrorBoundary();
  if (error === undefined) return children;
  const text = `The page ${page} cannot be drawn: ${error}`;
  return view`<p class="failed" role="alert">${text}</p>`;
}

function App() {
  const { page, path, query } = route.value;
  const { data, reload } = useData("api/status", { every: 30_000 });
  useEffect(() => void (status.value = data ?? status.value), [data]);
  useEvents("status", reload);
  useEffect(() => void load(page), [page, generation.value]);
  const Page = pages.value[page];
  const shown = barred.value !== undefined
    ? view`<${Barred} />`
    : view`<section key=${page} aria-label=${page}><${Guarded} page=${page}>
      ${Page && view`<${Page} path=${path} query=${query} />`}<//></section>`;
  return view`<${Navigation} /><main class=${lost.value && "lost"}><${Header} />${shown}</main>
    <${Dialogs} /><${KeyAsked} />`;
}

render(view`<${App} />`, /** @type {Element} */ (document.getElementById("app")));
