// @ts-check
/// <reference lib="dom" />
/** Alerts: what is firing, what was, who is told; and problems, which are errors of a kind. */

import { post, useData } from "./api.js";
import { oneOf } from "./page-usage.js";
import { clock, Failed, number, Seg, Table, view } from "./parts.js";
import { go, href, withQuery } from "./state.js";
import { useEvents } from "./stream.js";

/** @typedef {import("./parts.js").Column} Column */

const STATES = { open: "Open", done: "Done", ignored: "Ignored" };

/** @type {Column[]} */
const HISTORY = [
  ["Since", "faint", ({ since }) => clock(since)],
  ["Until", "faint hm", ({ until }) => until && clock(until)],
  ["Rule", "", ({ rule }) => rule],
  ["Subject", "", ({ subject }) => subject],
  ["What", "muted", ({ text }) => view`<span class="cut">${text}</span>`],
  ["Told", "hm", ({ told }) => told ? "yes" : "no"],
];

/** @type {Column[]} */
const PROBLEMS = [
  ["Problem", "", ({ text }) => view`<span class="name cut">${text}</span>`],
  ["Tool", "muted hm", ({ server, name }) => name ?? server],
  ["Count", "n", ({ count }) => number(count)],
  ["First", "faint hm", ({ first }) => clock(first)],
  ["Last", "faint hm", ({ last }) => clock(last)],
];

/** What is firing. @param {any} alert */
const Firing = ({ rule, subject, since, text }) =>
  view`<li><span class="dot bad" /><div><b>${subject}: ${rule}</b><p>${text}</p></div>
    <span class="faint">since ${clock(since)}</span></li>`;

/** A rule, or a channel. @param {any} one */
const Term = ({ rule, condition, servers, kind, target }) =>
  view`<dt>${rule ?? kind}</dt><dd>${condition ?? target} ${
    [servers ?? []].flat().join(", ")
  }</dd>`;

/** @param {{ title: string, end?: any, children?: any }} props */
const Panel = ({ title, end, children }) =>
  view`<div class="panel gap"><div class="head"><h2>${title}</h2><span class="end">${end}</span></div>
    ${children}</div>`;

/** @param {{ query: URLSearchParams }} props */
export default function AlertsPage({ query }) {
  const state = oneOf(STATES, query.get("state"), "open");
  const { data, error, reload } = useData("api/alerts", { every: 60_000 });
  const found = useData(`api/problems?state=${state}`, { every: 60_000 });
  useEvents("alerts", reload);
  const { firing = [], history = [], rules = [], channels = [] } = data ?? {};
  const move = (/** @type {string} */ id, /** @type {string} */ state) => () =>
    post(`api/problems/${encodeURIComponent(id)}`, { state }).then(found.reload);
  const acts = (/** @type {any} */ { fingerprint }) =>
    Object.entries(STATES).filter(([to]) => to !== state).map(([to, text]) =>
      view`<button type="button" class="link act" onClick=${move(fingerprint, to)}>${text}</button>`
    );
  const turn = (/** @type {string} */ state) => go(withQuery({ state }));
  const choice = view`<${Seg} label="State" options=${STATES} value=${state} onChange=${turn} />`;
  const terms = [...rules, ...channels].map((one) => view`<${Term} ...${one} />`);
  const bad = firing.map((/** @type {any} */ one) => view`<${Firing} ...${one} />`);
  return view`<${Failed} error=${error ?? found.error} /><${Panel} title="Firing">${
    bad.length > 0 ? view`<ul class="todo">${bad}</ul>` : view`<p class="none">Nothing is.</p>`
  }<//><${Panel} title="Problems" end=${choice}><${Table} label="Problems" rows=${
    found.data?.items ?? []
  }
    columns=${[...PROBLEMS, ["Move to", "n", acts]]} id=${(/** @type {any} */ one) =>
    one.fingerprint}
    link=${(/** @type {any} */ one) => href(["calls", one.sampleCall])} empty="None." /><//>
    <${Panel} title="Rules and channels">${
    terms.length > 0
      ? view`<dl class="kv">${terms}</dl>`
      : view`<p class="none">Nobody is told: no <code>"alerts"</code> in the configuration.</p>`
  }<//><${Panel} title="History"><${Table} label="History" columns=${HISTORY} rows=${history}
    id=${JSON.stringify} empty="Nothing yet." /><//>`;
}
