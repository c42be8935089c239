// @ts-check
/// <reference lib="dom" />
/** What pages are put together from. Whatever comes from a server is text here, never HTML. */

import htm from "htm";
import { h } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { go, withQuery } from "./state.js";

/**
 * Templates as elements. Not called `view`: the formatter would break lines in those, where htm drops
 * the space between a word and the next element.
 * @type {(strings: TemplateStringsArray, ...values: any[]) => any}
 */
export const view = /** @type {any} */ (htm).bind(h);

/** What is typed into a field, for `onInput`. @param {(text: string) => void} take */
export const typed = (take) => (/** @type {any} */ event) => take(event.target.value);

// Numbers and times as people read them.

const NARROW = "\u202f";

/** 12 345 @param {number | undefined | null} value */
export function number(value) {
  if (value === undefined || value === null) return "";
  return Math.round(value).toString().replace(/\B(?=(\d{3})+$)/g, NARROW);
}

/** 412 ms, 4.18 s @param {number | undefined | null} value */
export function ms(value) {
  if (value === undefined || value === null) return "";
  if (value < 9.95) return `${+value.toFixed(1)}${NARROW}ms`;
  if (value < 1000) return `${Math.round(value)}${NARROW}ms`;
  return value < 100_000 ? `${(value / 1000).toFixed(2)}${NARROW}s` : span(value / 1000);
}

/** 2.1 kB @param {number | undefined} value */
export function bytes(value) {
  if (value === undefined) return "";
  if (value < 1000) return `${value}${NARROW}B`;
  const isSmall = value < 999_950;
  return `${(value / (isSmall ? 1e3 : 1e6)).toFixed(1)}${NARROW}${isSmall ? "kB" : "MB"}`;
}

/** 1.9 % @param {number} part @param {number} whole */
export function percent(part, whole) {
  if (whole === 0) return "";
  const value = 100 * part / whole;
  return `${value > 0 && value < 10 ? +value.toFixed(1) : Math.round(value)}${NARROW}%`;
}

/** 12 d 4 h @param {number} seconds */
export function span(seconds) {
  const units = /** @type {const} */ ([["d", 86_400], ["h", 3_600], ["min", 60], ["s", 1]]);
  const first = units.findIndex(([, size]) => seconds >= size);
  if (first < 0) return `0${NARROW}s`;
  let rest = Math.floor(seconds);
  return units.slice(first, first + 2).flatMap(([name, size]) => {
    const count = Math.floor(rest / size);
    rest -= count * size;
    return count > 0 ? [`${count}${NARROW}${name}`] : [];
  }).join(" ");
}

/** 14:22:51, and the day where it is another one. @param {number} at @param {boolean} [short] */
export function clock(at, short = false) {
  const date = new Date(at);
  const time = date.toTimeString().slice(0, short ? 5 : 8);
  if (date.toDateString() === new Date().toDateString()) return time;
  return `${date.getMonth() + 1}-${String(date.getDate()).padStart(2, "0")} ${time}`;
}

/** How a call ended, as a tag; a good end has none. */
const OUTCOMES = {
  tool_error: ["warn", "tool error"],
  error: ["bad", "error"],
  refused: ["bad", "refused"],
  unavailable: ["bad", "unavailable"],
  timeout: ["bad", "timeout"],
  cancelled: ["", "cancelled"],
  input_required: ["", "input required"],
};

/** @param {{outcome: string, cached?: boolean}} props */
export function Outcome({ outcome, cached }) {
  const [level, text] = OUTCOMES[/** @type {keyof typeof OUTCOMES} */ (outcome)] ?? [];
  if (text !== undefined) return view`<span class=${`tag ${level}`}>${text}</span>`;
  return cached ? view`<span class="tag">cached</span>` : null;
}

/** @param {string} outcome */
export const isFailed = (outcome) =>
  OUTCOMES[/** @type {keyof typeof OUTCOMES} */ (outcome)]?.[0] === "bad";

// Pieces.

/** Paths of 16 by 16. @type {Record<string, string>} */
const ICONS = {
  home: "M2.5 6.5 8 2l5.5 4.5V13a.5.5 0 0 1-.5.5H3a.5.5 0 0 1-.5-.5zM6.5 13.5v-4h3v4",
  server: "M3.2 2.5h9.6v4.5H3.2zM3.2 9h9.6v4.5H3.2zM5.5 4.75h.01M5.5 11.25h.01",
  tool: "m5 4-3 4 3 4M11 4l3 4-3 4M9 3 7 13",
  call: "M2 4h8M2 8h12M2 12h6",
  usage: "M2.5 13.5v-4M6.2 13.5v-8M9.8 13.5v-6M13.5 13.5v-11",
  bell: "M4 7a4 4 0 0 1 8 0c0 3.5 1.5 4.5 1.5 4.5h-11S4 10.5 4 7zM6.7 13.5a1.5 1.5 0 0 0 2.6 0",
  log: "m3 4 3.5 4L3 12M8.5 12.5H13",
  config: "M2 4.5h6M12 4.5h2M2 11.5h2M8 11.5h6M8.2 4.5a1.8 1.8 0 1 0 3.6 0 1.8 1.8 0 1 0-3.6 0" +
    "M4.2 11.5a1.8 1.8 0 1 0 3.6 0 1.8 1.8 0 1 0-3.6 0",
  find: "M2.5 7a4.5 4.5 0 1 0 9 0 4.5 4.5 0 1 0-9 0M10.5 10.5l3 3",
  moon: "M13.5 9.5A6 6 0 1 1 6.5 2.5a4.8 4.8 0 0 0 7 7z",
  close: "m4 4 8 8M12 4l-8 8",
};

/** @param {{name: string}} props */
export function Icon({ name }) {
  const path = ICONS[name];
  return view`<svg class="i" viewBox="0 0 16 16" aria-hidden="true"><path d=${path} /></svg>`;
}

/** Beside a text that says the same. @param {{level?: string}} props */
export const Dot = ({ level = "ok" }) =>
  view`<span class=${`dot ${level}`} aria-hidden="true"></span>`;

/**
 * Buttons of which one holds: it stands in the address.
 * @param {{label: string, name: string, options: Record<string, string>, value: string}} props
 */
export function Seg({ label, name, options, value }) {
  const button = (/** @type {string} */ key) =>
    view`<button type="button" aria-pressed=${key === value}
      onClick=${() => go(withQuery({ [name]: key }))}>${options[key]}</button>`;
  const all = Object.keys(options).map(button);
  return view`<div class="seg" role="group" aria-label=${label}>${all}</div>`;
}

/**
 * Tabs with the panel of the one chosen; arrows go between them.
 * @param {{label: string, tabs: Record<string, any>, value: string, onChange: (id: string) => void,
 *   end?: any, children: any}} props
 */
export function Tabs({ label, tabs, value, onChange, end, children }) {
  const ids = Object.keys(tabs);
  const onKeyDown = (/** @type {any} */ { key, currentTarget }) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[/** @type {string} */ (key)];
    if (step === undefined) return;
    const next = (ids.indexOf(value) + step + ids.length) % ids.length;
    onChange(ids[next] ?? value);
    currentTarget.children[next].focus();
  };
  const tab = (/** @type {string} */ id) =>
    view`<button type="button" role="tab" key=${id} aria-selected=${id === value}
      tabindex=${id === value ? 0 : -1} onClick=${() => onChange(id)}>${tabs[id]}</button>`;
  return view`<div class="tabs"><div role="tablist" aria-label=${label} onKeyDown=${onKeyDown}>
    ${ids.map(tab)}</div>${end}</div>
    <div role="tabpanel" aria-label=${tabs[value]}>${children}</div>`;
}

/** A field to filter what is shown by; what it holds already stands before it. @param {any} props */
export const Search = ({ label, children, ...field }) =>
  view`<div class="query"><${Icon} name="find" />${children}
    <input aria-label=${label} ...${field} /><kbd class="hm">/</kbd></div>`;

/** @param {{title: string, note?: any, end?: any, children?: any}} props `end`: at the right of the head */
export const Panel = ({ title, note, end, children }) =>
  view`<div class="panel gap"><div class="head"><h2>${title}</h2><span class="faint">${note}</span>
    ${end && view`<span class="end">${end}</span>`}</div>${children}</div>`;

/** One of what there is to know, or to do. @param {{level: string, title: any, text?: any, end?: any, children?: any}} props */
export const Item = ({ level, title, text, end, children }) =>
  view`<li><${Dot} level=${level} /><div><b>${title}</b><p>${text}</p>${children}</div>
    <div>${end}</div></li>`;

/** Titles and values; what is not there is left out. @param {{facts: [string, any][]}} props */
export function Facts({ facts }) {
  const told = facts.filter(([, value]) => value !== undefined && value !== "" && value !== false);
  const each = told.map(([title, value]) => view`<dt>${title}</dt><dd>${value}</dd>`);
  return view`<dl class="kv">${each}</dl>`;
}

/** As much of a text as a line shows: a longer one takes seconds to be drawn. @param {unknown} text */
export const short = (text, most = 500) => `${text ?? ""}`.slice(0, most);

/** What a row is about. @param {unknown} name */
export const named = (name) => view`<span class="name">${short(name)}</span>`;

/** What there is to know or to do, not more than somebody reads. @param {{of: any[], label?: string}} props */
export const Items = ({ of, label }) =>
  view`<ul class="todo" aria-label=${label}>${of.slice(0, 100)}</ul>`;

/** Title, classes and what is in the cell of a row. @typedef {[string, string, (row: any) => any]} Column */

/**
 * Rows, at most 2 000 of them. A row opens where the link in its first cell leads; `j` and `k` go there.
 * @param {{label: string, columns: Column[], rows: readonly any[], id?: string, link?: (row: any) => string,
 *   selected?: string | undefined, empty?: any, isNew?: (row: any) => boolean}} props `id`: the member that
 *   tells rows apart
 */
export function Table({ label, columns, rows, id = "id", link, selected, empty, isNew }) {
  const onClick = (/** @type {any} */ { target }) => {
    if (target.closest("a,button") !== null || getSelection()?.toString()) return;
    target.closest("tr")?.querySelector("[data-row]")?.click();
  };
  const row = (/** @type {any} */ one) => {
    const [first, ...more] = columns.map(([, , cell]) => cell(one));
    const cells = [link ? view`<a data-row href=${link(one)}>${first}</a>` : first, ...more];
    const isSelected = selected === undefined ? undefined : one[id] === selected;
    return view`<tr key=${one[id]} class=${isNew?.(one) && "new"} aria-selected=${isSelected}>
      ${cells.map((cell, at) => view`<td class=${columns[at]?.[1]}>${cell}</td>`)}</tr>`;
  };
  const heads = columns.map(([title, name]) => view`<th scope="col" class=${name}>${title}</th>`);
  const body = rows.slice(0, 2_000).map(row);
  return view`<div class="scroll"><table aria-label=${label}><thead><tr>${heads}</tr></thead>
    <tbody class=${link && "open"} onClick=${link && onClick}>${body}</tbody></table>
    ${body.length === 0 && view`<p class="none">${empty ?? "Nothing here."}</p>`}</div>`;
}

/** Gives the focus back to where it was, when what has it goes. @param {{current: HTMLElement | null}} ref */
export function useFocusBack(ref) {
  useEffect(() => {
    const before = /** @type {any} */ (document.activeElement);
    return () => {
      const { activeElement: at, body } = document;
      if (at === body || ref.current?.contains(at)) before?.isConnected && before.focus();
    };
  }, []);
}

/**
 * What is beside the list about one of it. Esc closes it, and the focus returns to the row.
 * @param {{label: string, title: any, end?: any, onClose: () => void, children?: any}} props
 */
export function Detail({ label, title, end, onClose, children }) {
  const ref = useRef(/** @type {HTMLElement | null} */ (null));
  const close = useRef(onClose);
  close.current = onClose;
  useFocusBack(ref);
  useEffect(() => {
    const onKey = (/** @type {any} */ { key, target }) => {
      if (key !== "Escape" || document.querySelector("dialog[open]") !== null) return;
      if (!target.matches("input,textarea,select")) close.current();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);
  return view`<aside class="panel detail" aria-label=${label} ref=${ref}>
    <div class="head"><h2>${title}</h2>${end}
    <button type="button" class="icon small" aria-label="Close" onClick=${onClose}>
    <${Icon} name="close" /></button></div>${children}</aside>`;
}

/** A line of numbers. @param {{values: readonly number[], height?: number, color?: string}} props */
export function Spark({ values, height = 20, color = "var(--accent)" }) {
  if (values.length < 2) return null;
  const [width, most] = [92, Math.max(...values, 1)];
  const at = values.map((value, index) =>
    `${index * width / (values.length - 1)},${height - 2 - value / most * (height - 4)}`
  ).join("L");
  return view`<svg width=${width} height=${height} aria-hidden="true">
    <path d=${`M0,${height}L${at}L${width},${height}z`} fill=${color} opacity=".1" />
    <path d=${`M${at}`} fill="none" stroke=${color} stroke-width="1.4" stroke-linejoin="round" /></svg>`;
}

/** @typedef {string | (() => string)} Given a text, or what makes it. @param {Given} text */
const textOf = (text) => typeof text === "string" ? text : text();

/** Puts a text on the clipboard. @param {{text: Given, class?: string, children?: any}} props */
export function Copy({ text, class: name = "btn", children }) {
  const [said, say] = useState("");
  const copy = () =>
    navigator.clipboard.writeText(textOf(text)).then(() => say("Copied"), () => say("Not allowed"))
      .then(() => setTimeout(say, 1_500, ""));
  return view`<button type="button" class=${name} onClick=${copy}>${said || children}</button>`;
}

/** Saves a text as a file. @param {{text: Given, name: string, children?: any}} props */
export function Download({ text, name, children = "Download" }) {
  const save = () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([textOf(text)]));
    link.download = name;
    link.click();
    URL.revokeObjectURL(link.href);
  };
  return view`<button type="button" class="btn" onClick=${save}>${children}</button>`;
}

/** A string that does not end is one, too: to look for its end from each quote takes long. */
const TOKEN = /("(?:[^"\\]|\\.)*(?:"(?:\s*:)?)?|-?\d[\d.eE+-]*|true|false|null)/;
/** Above it is shown in one colour, and above the next in part. */
const [PLAIN, CUT] = [50_000, 200_000];

/** @param {string} token */
function kindOf(token) {
  if (token.endsWith(":")) return "k";
  return token === '"[redacted]"' ? "red" : token.startsWith('"') ? "s" : "v";
}

/** A text as it is; in JSON keys and values are told apart. @param {{text?: string, label?: string}} props */
export function Text({ text = "", label = "JSON" }) {
  const isJson = /^\s*[[{]/.test(text);
  const coloured = (/** @type {string} */ part, /** @type {number} */ index) =>
    index % 2 === 0 ? part : view`<span class=${kindOf(part)}>${part}</span>`;
  const parts = isJson && text.length <= PLAIN
    ? text.split(TOKEN).map(coloured)
    : text.slice(0, CUT);
  const name = isJson ? "result.json" : "result.txt";
  const rest = text.length > CUT &&
    view`<p class="none">Cut after 200 kB. <${Download} text=${text} name=${name} /></p>`;
  return view`<pre class=${isJson ? "" : "wrap"} tabindex="0" role="region"
    aria-label=${label}>${parts}</pre>${rest}`;
}

/**
 * A button that has the gateway do something, and then says what came of it.
 * @param {{run: () => Promise<any>, button?: any, class?: string, children?: any}} props
 */
export function Act({ run, button, class: name = "btn", children }) {
  const [said, say] = useState("");
  const onClick = () => run().then(say, (/** @type {Error} */ error) => say(error.message));
  return view`<button type="button" class=${name} ref=${button} onClick=${onClick}>
    ${children}</button><span class="muted" role="status">${said}</span>`;
}

/** Why there is nothing. @param {{error: Error | undefined}} props */
export function Failed({ error }) {
  return error &&
    view`<p class="failed" role="alert"><span class="tag bad">not told</span> ${error.message}</p>`;
}
