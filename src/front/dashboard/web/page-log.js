// @ts-check
/// <reference lib="dom" />
/** What the gateway has logged. */

import { useKeys } from "./keys.js";
import { Listed, useList } from "./list.js";
import { clock, Failed, Icon, Seg, Table, typed, view } from "./parts.js";
import { go, withQuery } from "./state.js";

const LEVELS = { debug: "Debug", info: "Info", warning: "Warning", error: "Error" };
/** @type {Record<string, string>} */
const CLASSES = { warning: "warn", error: "bad", fatal: "bad" };

/** @param {[string, unknown]} field */
const field = ([key, value]) =>
  view` <span class="faint">${key}=${
    typeof value === "string" ? value : JSON.stringify(value)
  }</span>`;

/** @type {import("./parts.js").Column[]} */
const COLUMNS = [
  ["Time", "mono faint", (line) => clock(line.at)],
  ["Level", "", ({ level }) => view`<span class=${`tag ${CLASSES[level] ?? ""}`}>${level}</span>`],
  ["Part", "muted hm", (line) => line.category],
  [
    "Message",
    "wrap",
    ({ message, fields = {} }) => view`${message}${Object.entries(fields).map(field)}`,
  ],
];

/** @param {{query: URLSearchParams}} props */
export default function LogPage({ query }) {
  const [level, text] = [query.get("level") ?? "info", query.get("q") ?? ""];
  const follow = query.get("follow") !== "0";
  const path = `api/log?level=${encodeURIComponent(level)}&q=${encodeURIComponent(text)}`;
  const list = useList(path, { topic: "log", follow });
  const set = (/** @type {Record<string, string>} */ of) => go(withQuery(of), { replace: true });
  const run = () => set({ follow: follow ? "0" : "" });
  useKeys([{ key: "f", title: "Follow", run }], [{ title: "Follow the log", hint: "f", run }]);
  return view`<div class="filters"><div class="query"><${Icon} name="find" /><input aria-label="Filter the log"
    placeholder="Text of the message" value=${text} onInput=${typed((q) => set({ q }))} /></div>
    <${Seg} label="Level" options=${LEVELS} value=${level} onChange=${(/** @type {string} */ one) =>
    set({ level: one })} />
    <button type="button" class="btn" aria-pressed=${follow} onClick=${run}>Follow <kbd>f</kbd></button></div>
    <${Failed} error=${list.error} /><${Listed} list=${list}><${Table} label="Log" rows=${list.items}
    columns=${COLUMNS} id=${(/** @type {any} */ { id }) => String(id)} isNew=${list.isNew}
    empty=${list.told && "No line is like that."} /><//>`;
}
