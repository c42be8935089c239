// @ts-check
/// <reference lib="dom" />
/** Keys, the list of them, and the palette that finds and does things. */

import { signal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { typed, useFocusBack, view } from "./parts.js";
import { go, href, PAGES, status, switchTheme } from "./state.js";

/** @typedef {{key: string, title: string, run: () => void}} Key */
/** @typedef {{title: string, hint: string, run: () => void}} Act */

const isMac = /Mac|iPhone|iPad/.test(navigator.platform);
/** The key for commands, as the platform says it. */
export const COMMAND = isMac ? "⌘" : "Ctrl ";

/** What is open: `palette`, `keys` or nothing. */
export const dialog = signal("");

/** The keys of what is shown, by component. @type {Map<object, Key[]>} */
const shown = new Map();
const shownKeys = () => [...shown.values()].flat();

/** Keys of a component, while it is there; the palette has them, too. @param {Key[]} keys */
export function useKeys(keys) {
  const own = useRef({}).current;
  if (shown.has(own)) shown.set(own, keys);
  useEffect(() => {
    shown.set(own, keys);
    return () => void shown.delete(own);
  }, []);
}

const FIELDS = "input:not([type=checkbox],[type=radio]),select,textarea,[contenteditable]";

/** The rows, options or entries that `j` and `k` go through. @param {number} by */
function move(by) {
  const rows = /** @type {HTMLElement[]} */ ([...document.querySelectorAll("main [data-row]")]);
  const at = rows.findIndex((row) => row === document.activeElement);
  const from = at >= 0 ? at : rows.findIndex((row) => row.closest("[aria-selected=true]"));
  rows[Math.min(rows.length - 1, Math.max(0, from + by))]?.focus();
}

/** @returns {HTMLElement | null} */
const filter = () => document.querySelector("main section input");

/** @type {Key[]} */
const COMMON = [
  { key: "/", title: "Filter this page", run: () => filter()?.focus() },
  { key: "j", title: "Next row", run: () => move(1) },
  { key: "k", title: "Row before", run: () => move(-1) },
  { key: "?", title: "All keys", run: () => dialog.value = "keys" },
];
/** Told, and done elsewhere. */
const TOLD = [
  ["↵", "Open the row"],
  ["Esc", "Close what is open"],
  [`${COMMAND}K`, "Find or do"],
  ...PAGES.map(({ letter, title }) => [`g ${letter}`, title]),
];

let after = "";
addEventListener("keydown", (event) => {
  const at = /** @type {HTMLElement | null} */ (document.activeElement);
  const isTyping = at?.matches(FIELDS) === true;
  if ((event.metaKey || event.ctrlKey) && event.key.toLowerCase() === "k") {
    event.preventDefault();
    dialog.value = dialog.value === "palette" ? "" : "palette";
    return;
  }
  if (dialog.value !== "" || event.metaKey || event.ctrlKey || event.altKey) return;
  if (isTyping) return event.key === "Escape" ? at?.blur() : undefined;
  const page = after === "g" ? PAGES.find(({ letter }) => letter === event.key) : undefined;
  after = after === "g" ? "" : event.key;
  if (page !== undefined) return go(href(page.id));
  if (event.key === "g") return;
  const found = [...shownKeys().reverse(), ...COMMON].find(({ key }) => key === event.key);
  if (found === undefined) return;
  event.preventDefault();
  found.run();
});

/** What the palette finds: pages, servers, what the page can do, and what is typed as tool or filter. */
function allActs() {
  /** @type {any[]} */
  const servers = status.value?.servers ?? [];
  return [
    ...shownKeys().map(({ key, title, run }) => ({ title, hint: key, run })),
    ...PAGES.map(({ id, title, letter }) => act(`Go to ${title}`, `g ${letter}`, href(id))),
    ...servers.map(({ name }) => act(name, "server", href(["servers", name]))),
    { title: "Switch between light and dark", hint: "action", run: switchTheme },
    { title: "Show all keys", hint: "?", run: () => dialog.value = "keys" },
  ];
}

/** @param {string} title @param {string} hint @param {string} to @returns {Act} */
const act = (title, hint, to) => ({ title, hint, run: () => go(to) });

/** @param {string} text @returns {Act[]} */
function found(text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const fits = (/** @type {Act} */ { title }) =>
    words.every((word) => title.toLowerCase().includes(word));
  const fit = allActs().filter(fits).slice(0, 50);
  if (words.length === 0) return fit;
  const tool = act(`Find the tool ${text}`, "tools", href("tools", { q: text }));
  return [...fit, tool, act(`Calls: ${text}`, "filter", href("calls", { filter: text }))];
}

/** A dialog that closes by Esc and gives the focus back. @param {any} props */
export function Dialog({ label, children, class: name, onClose = () => dialog.value = "" }) {
  const ref = useRef(/** @type {HTMLDialogElement | null} */ (null));
  useFocusBack(ref);
  useEffect(() => ref.current?.showModal(), []);
  const onClick = (/** @type {Event} */ { target }) =>
    target === ref.current && ref.current?.close();
  return view`<dialog ref=${ref} class=${name} aria-label=${label} onClick=${onClick}
    onClose=${onClose}>${children}</dialog>`;
}

function Palette() {
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const list = found(text);
  const run = (/** @type {Act | undefined} */ one) => {
    dialog.value = "";
    // After the dialog has given the focus back.
    setTimeout(() => one?.run());
  };
  const onKeyDown = (/** @type {KeyboardEvent} */ event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === "Enter") run(list[at]);
    if (step === undefined) return;
    event.preventDefault();
    setAt(Math.min(list.length - 1, Math.max(0, at + step)));
  };
  useEffect(() => document.getElementById(`act-${at}`)?.scrollIntoView({ block: "nearest" }), [at]);
  const option = (/** @type {Act} */ one, /** @type {number} */ index) =>
    view`<li role="option" id=${`act-${index}`} aria-selected=${index === at}
      onClick=${() => run(one)}>${one.title}<span>${one.hint}</span></li>`;
  return view`<${Dialog} label="Find or do"><input role="combobox" aria-expanded="true"
    aria-controls="acts" aria-activedescendant=${list.length > 0 ? `act-${at}` : undefined}
    aria-label="Find a tool, server or action" placeholder="Find a tool, server or call, or do something…"
    value=${text} onKeyDown=${onKeyDown} onInput=${typed((now) => (setText(now), setAt(0)))} />
    <ul role="listbox" id="acts" aria-label="Results">${list.map(option)}</ul><//>`;
}

function AllKeys() {
  const own = [...shownKeys(), ...COMMON].map(({ key, title }) => [key, title]);
  const rows = [...TOLD, ...own].map(([key, title]) =>
    view`<div><dt><kbd>${key}</kbd></dt><dd>${title}</dd></div>`
  );
  return view`<${Dialog} label="Keys" class="keys"><h2>Keys</h2><dl>${rows}</dl><//>`;
}

/** Whichever dialog is open. */
export function Dialogs() {
  if (dialog.value === "palette") return view`<${Palette} />`;
  return dialog.value === "keys" && view`<${AllKeys} />`;
}
