// @ts-check
/// <reference lib="dom" />
/** Alerts: what is firing, what was, who is told; and problems, which are errors of a kind. */

import { post, useData } from "./api.js";
import { clock, Facts, Failed, Item, Items, number, Panel, Seg, Table, view } from "./parts.js";
import { chosen, href } from "./state.js";
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
  view`<${Item} level="bad" title=${`${subject}: ${rule}`} text=${text}
    end=${view`<span class="faint">since ${clock(since)}</span>`} />`;

/** A rule, or a channel. @param {any} one @returns {[string, any]} */
const termOf = ({ rule, condition, servers, kind, target }) => [
  rule ?? kind,
  `${condition ?? target} ${[servers ?? []].flat().join(", ")}`,
];

export default function AlertsPage() {
  const state = chosen(STATES, "state", "open");
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
  const choice = view`<${Seg} label="State" name="state" options=${STATES} value=${state} />`;
  const bad = firing.map((/** @type {any} */ one) => view`<${Firing} ...${one} />`);
  const terms = [...rules, ...channels].map(termOf);
  const columns = [...PROBLEMS, ["Move to", "n", acts]];
  const link = (/** @type {any} */ { sampleCall }) => href(["calls", sampleCall]);
  const problems = { rows: found.data?.items ?? [], columns, id: "fingerprint", link };
  const none =
    view`<p class="none">Nobody is told: no <code>"alerts"</code> in the configuration.</p>`;
  return view`<${Failed} error=${error ?? found.error} /><${Panel} title="Firing">
    ${bad.length > 0 ? view`<${Items} of=${bad} />` : view`<p class="none">Nothing is.</p>`}<//>
    <${Panel} title="Problems" end=${choice}>
    <${Table} label="Problems" empty="None." ...${problems} /><//><${Panel} title="Rules and channels">
    ${terms.length > 0 ? view`<${Facts} facts=${terms} />` : none}<//><${Panel} title="History">
    <${Table} label="History" columns=${HISTORY} rows=${history} empty="Nothing yet." /><//>`;
}
