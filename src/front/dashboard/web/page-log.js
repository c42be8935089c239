// @ts-check
/// <reference lib="dom" />
/** What the gateway has logged. */

import { Follow, Listed, useList } from "./list.js";
import { clock, Failed, Search, Seg, short, Table, typed, view } from "./parts.js";
import { chosen, go, withQuery } from "./state.js";

const LEVELS = { debug: "Debug", info: "Info", warning: "Warning", error: "Error" };
/** @type {Record<string, string>} */
const CLASSES = { warning: "warn", error: "bad", fatal: "bad" };

/** Characters of a message, or of one of its fields. */
const LONGEST = 4_000;

/** @param {[string, unknown]} field */
function field([key, value]) {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return view` <span class="faint">${key}=${short(text, LONGEST)}</span>`;
}

/** @param {any} line */
const fieldsOf = ({ fields = {} }) => Object.entries(fields).slice(0, 100).map(field);

/** @type {import("./parts.js").Column[]} */
const COLUMNS = [
  ["Time", "mono faint", ({ at }) => clock(at)],
  ["Level", "", ({ level }) => view`<span class=${`tag ${CLASSES[level] ?? ""}`}>${level}</span>`],
  ["Part", "muted hm", ({ category }) => category],
  ["Message", "wrap", (line) => [short(line.message, LONGEST), fieldsOf(line)]],
];

/** @param {{query: URLSearchParams}} props */
export default function LogPage({ query }) {
  const level = chosen(LEVELS, "level", "info");
  const text = query.get("q") ?? "";
  const follow = query.get("follow") !== "0";
  const path = `api/log?level=${encodeURIComponent(level)}&q=${encodeURIComponent(text)}`;
  const list = useList(path, { topic: "log", follow });
  const find = typed((q) => go(withQuery({ q }), { replace: true }));
  const { items: rows, isNew, told, error } = list;
  const shown = { columns: COLUMNS, rows, isNew, empty: told && "No line is like that." };
  return view`<div class="filters">
    <${Search} label="Filter the log" placeholder="Text of the message" value=${text} onInput=${find} />
    <${Seg} label="Level" options=${LEVELS} value=${level} name="level" />
    <${Follow} what="log" isOn=${follow} to=${{ follow: follow ? "0" : "" }} /></div>
    <${Failed} error=${error} /><${Listed} list=${list}><${Table} label="Log" ...${shown} /><//>`;
}
