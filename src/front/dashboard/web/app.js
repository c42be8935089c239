// @ts-check
/// <reference lib="dom" />
/** The frame: navigation, header, the page that the address names. */

import { signal } from "@preact/signals";
import { Component, render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { ask, setKey, useData } from "./api.js";
import { COMMAND, dialog, Dialogs } from "./keys.js";
import { html, Icon, number, Seg, span } from "./parts.js";
import {
  barred,
  generation,
  go,
  href,
  lost,
  PAGES,
  range,
  RANGES,
  route,
  status,
  switchTheme,
  withQuery,
} from "./state.js";
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
  const now = status.value;
  if (now === undefined) return undefined;
  const enabled = now.servers.filter((/** @type {any} */ { state }) => state !== "disabled");
  if (page === "servers") {
    const ready = enabled.filter((/** @type {any} */ { state }) => state === "ready").length;
    return { text: ready === enabled.length ? `${ready}` : `${ready}/${enabled.length}` };
  }
  if (page === "tools") return { text: number(now.lists.tools) };
  const firing =
    (now.attention ?? []).filter((/** @type {any} */ { kind }) => kind === "alert").length;
  return page === "alerts" && firing > 0 ? { text: `${firing}`, isHot: true } : undefined;
}

function Navigation() {
  const { page } = route.value;
  const now = status.value;
  return html`<nav aria-label="Pages"><div class="brand">
    <svg width="18" height="18" viewBox="0 0 18 18" fill="none" stroke="currentColor" stroke-width="1.6"
      stroke-linecap="round" aria-hidden="true"><path d="M2 4h3.5C9 4 8 9 11 9h5M2 14h3.5C9 14 8 9 11 9M2 9h9" /></svg>
    mcproxy<small>${now?.version}</small></div>${
    PAGES.map(({ id, title, icon }) => {
      const count = countOf(id);
      return html`
        <a key=${id} href=${href(id)} aria-current=${id === page ? "page" : undefined}
          class=${["log", "usage", "config"].includes(id)
            ? "x"
            : undefined}><${Icon} name=${icon} />${title}${count &&
            html`<span class=${count.isHot ? "c hot" : "c"}>${count.text}</span>`}</a>
      `;
    })
  }<div class="foot"><b>${location.host}</b>${
    now &&
    html`<br />up ${span(now.uptimeSeconds)} · ${number(now.clients.sessions)} ${
      now.clients.sessions === 1 ? "session" : "sessions"
    }`
  }</div></nav>`;
}

function Header() {
  const { page } = route.value;
  const title = PAGES.find(({ id }) => id === page)?.title;
  useEffect(() => {
    document.title = `${title} · mcproxy`;
  }, [title]);
  const state = lost.value ? "lost" : streaming.value;
  return html`<header><h1>${title}</h1><div class="grow"></div>
    <span class=${`live ${state}`} role="status"><i></i>${
    { live: "Live", waiting: "Connecting", paused: "Paused", lost: "Gateway lost" }[state]
  }</span>
    ${
    RANGED.includes(page) && html`
      <${Seg} label="Time range" options=${RANGES} value=${range.value}
        onChange=${(/** @type {string} */ value) => go(withQuery({ range: value }))} />
    `
  }
    <button type="button" class="find" onClick=${() =>
    dialog.value = "palette"}><${Icon} name="find" />Find or do…<kbd>${COMMAND}K</kbd></button>
    <button type="button" class="icon" aria-label="Switch between light and dark" onClick=${switchTheme}><${Icon} name="moon" /></button>
  </header>`;
}

/** A page that cannot be drawn says so, and the others still can. */
class Guarded extends Component {
  constructor(/** @type {any} */ props) {
    super(props);
    this.state = { error: undefined };
  }
  /** @override */
  static getDerivedStateFromError(/** @type {unknown} */ error) {
    return { error };
  }
  /** @override */
  render() {
    const { children, page } = /** @type {any} */ (this.props);
    const { error } = /** @type {any} */ (this.state);
    if (error === undefined) return children;
    return html`<p class="failed" role="alert">The page ${page} cannot be drawn: ${
      String(error?.message ?? error)
    }</p>`;
  }
}

/** Asks for what the gateway wants before it shows anything. */
function Barred() {
  const { kind, text } = /** @type {{kind: string, text: string}} */ (barred.value);
  const [key, change] = useState("");
  const open = (/** @type {Event} */ event) => {
    event.preventDefault();
    if (key.trim() !== "") setKey(key.trim());
  };
  if (kind === "closed") {
    return html`<section class="barred"><h2>Not shown here</h2><p>${text}</p>
      <button type="button" class="btn" onClick=${() => (barred.value = undefined,
      generation.value++)}>Try again</button></section>`;
  }
  return html`
    <section class="barred">
      <h2>${text}</h2>
      <p><code>mcproxy ui</code> on its machine opens this page with one.</p>
      <form onSubmit=${open} class="f"><label for="key">Key</label>
          <input id="key" type="password" autocomplete="off" value=${key}
            onInput=${(/** @type {any} */ event) => change(event.target.value)} />
          <button class="btn main">Open</button></form>
    </section>
  `;
}

function App() {
  const { page } = route.value;
  const { data, reload } = useData("api/status", { every: 30_000 });
  useEffect(() => void (status.value = data ?? status.value), [data]);
  useEvents("status", reload);
  useEffect(() => void load(page), [page, generation.value]);
  const Page = pages.value[page];
  return html`
    <${Navigation} />
    <main class=${lost.value ? "lost" : ""}><${Header} />${barred.value !== undefined
      ? html`<${Barred} />`
      : html`
        <section key=${page} aria-label=${page}>
          <${Guarded} page=${page}>${Page &&
            html`<${Page} path=${route.value.path} query=${route.value.query} />`}<//></section>
      `}</main>
    <${Dialogs} />
  `;
}

render(html`<${App} />`, /** @type {Element} */ (document.getElementById("app")));
