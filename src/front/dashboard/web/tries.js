// @ts-check
/// <reference lib="dom" />
/** The last calls somebody has tried from this tab, and what became of them. */

import { signal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { ask } from "./api.js";
import { Form } from "./form.js";
import { McpClient } from "./mcp.js";
import { bytes, Dot, ms, number, Tabs, Text, view } from "./parts.js";
import { check, isObject, pretty, show } from "./schema.js";

/**
 * @typedef {object} Try
 * @property {number} id
 * @property {string} tool
 * @property {string} args JSON as it was sent
 * @property {any} output the tool's output schema
 * @property {import("./mcp.js").Event[]} events the last of them
 * @property {AbortController} ended
 * @property {number} [ms] it is over
 * @property {string} [raw] the whole answer
 * @property {any} [result]
 * @property {any} [error]
 * @property {any} [question] what its server wants to know now
 */

const MOST = 20;
const MOST_CHARACTERS = 32 * 1024 * 1024;
const MOST_EVENTS = 500;

export const client = new McpClient(ask);

/** Newest first. @type {import("@preact/signals").Signal<Try[]>} */
export const tries = signal([]);

/** @param {number} id @param {Partial<Try>} change */
function change(id, change) {
  let room = MOST_CHARACTERS;
  tries.value = tries.value.map((one) => one.id === id ? { ...one, ...change } : one)
    .filter(({ raw = "" }, at) => (room -= raw.length) >= 0 || at === 0);
}

let count = 0;

/** Calls a tool. @param {{ name: string, inputSchema: any, outputSchema?: any }} tool @param {string} args JSON */
export async function tryTool({ name, inputSchema: schema, outputSchema: output }, args) {
  const id = ++count;
  const ended = new AbortController();
  const { signal } = ended;
  const one = { id, tool: name, args, output, events: [], ended };
  tries.value = [one, ...tries.value].slice(0, MOST);
  const from = performance.now();
  /** @type {import("./mcp.js").Event[]} */
  let events = [];
  const onEvent = (/** @type {any} */ event) => {
    events = [...events, event].slice(-MOST_EVENTS);
    change(id, { events });
  };
  const onQuestion = (/** @type {any} */ { method, params }) =>
    new Promise((resolve, reject) => {
      if (method !== "elicitation/create") reject(new Error(`${method} cannot be answered here`));
      const question = { params, answer: resolve };
      change(id, { question });
      signal.addEventListener("abort", () => reject(signal.reason));
    }).finally(() => change(id, { question: undefined }));
  const ending = await client.call(name, args, { schema, signal, onEvent, onQuestion }).catch(
    (error) => ({ error: signal.aborted ? new Error("Cancelled") : error }),
  );
  change(id, { ...ending, ms: performance.now() - from });
}

/** What a server asks, and the form for it. @param {{ question: any }} props */
function Question({ question: { params, answer } }) {
  const [value, setValue] = useState(/** @type {any} */ (undefined));
  const [isTold, tell] = useState(false);
  const ref = useRef(/** @type {any} */ (null));
  useEffect(() => ref.current?.querySelector("input,select,textarea,button")?.focus(), []);
  const { mode, message, url, requestedSchema: schema = {} } = params ?? {};
  const faults = mode === "url" ? [] : check(schema, value ?? {});
  const shown = isTold ? faults : [];
  const to = URL.parse(`${url}`);
  const isWeb = /^https?:$/.test(to?.protocol ?? "");
  const accept = (/** @type {Event} */ event) => {
    event.preventDefault();
    if (faults.length > 0 && !isTold) tell(true);
    else answer({ action: "accept", ...(mode !== "url" && { content: value ?? {} }) });
  };
  const button = (/** @type {string} */ action, /** @type {string} */ text) =>
    view`<button type="button" class="btn" onClick=${() => answer({ action })}>${text}</button>`;
  const open = isWeb &&
    view`<a class="link" href=${to?.href} target="_blank" rel="noopener noreferrer">Open it</a>`;
  const body = mode === "url"
    ? view`<p class="mono wrap">${url}</p>${open}`
    : view`<${Form} schema=${schema} value=${value} faults=${shown} onChange=${setValue} />`;
  const label = shown.length > 0 ? "Accept anyway" : "Accept";
  return view`<form class="form ask" aria-label="Question" onSubmit=${accept} ref=${ref}>
    <h2>The server asks</h2><p class="wrap">${message}</p>${body}<div class="row">
    <button class="btn main">${label}</button>${button("decline", "Decline")}${
    button("cancel", "Dismiss")
  }</div></form>`;
}

const MEDIA = /^(?:image\/(?:png|jpeg|gif|webp|avif|svg\+xml)|audio\/[\w.+-]+)$/;

/** One block of a result's content. @param {{ block: any }} props */
function Block({ block }) {
  const { text, data, mimeType, resource, uri, name } = isObject(block) ? block : {};
  const written = (/** @type {any} */ one) => view`<${Text} text=${one} label="Text" />`;
  if (typeof text === "string") return written(text);
  if (typeof data === "string" && MEDIA.test(mimeType)) {
    const source = `data:${mimeType};base64,${data}`;
    return mimeType.startsWith("audio")
      ? view`<audio class="media" controls src=${source} />`
      : view`<img class="media" alt="An image of the result" src=${source} />`;
  }
  const at = resource?.uri ?? uri;
  if (typeof at !== "string") return view`<${Text} text=${show(block)} label="Block" />`;
  const inside = typeof resource?.text === "string" && written(resource.text);
  return view`<p class="none wrap">${`${name ?? ""}`} <span class="mono">${at}</span></p>${inside}`;
}

/** How a try went, in a word. @param {Try} one */
function verdictOf({ ms, error, result }) {
  if (ms === undefined) return ["off", "Running"];
  if (error) return ["bad", `${error.code === undefined ? "" : `${error.code}: `}${error.message}`];
  return result?.isError === true ? ["warn", "Tool error"] : ["ok", "Done"];
}

/** What is under way: how far it is, and a way to end it. @param {{ one: Try }} props */
function Running({ one: { events, ended } }) {
  const last = events.findLast(({ message }) => message.method === "notifications/progress");
  const { progress, total, message } = last?.message.params ?? {};
  const said = [progress, total !== undefined && `of ${total}`, message].filter(Boolean).join(" ");
  const bar = last && view`<progress aria-label="Progress" max=${total} value=${progress} />`;
  return view`<div class="res">${bar}<span class="muted">${said}</span>
    <button type="button" class="btn end" onClick=${() => ended.abort()}>Cancel</button></div>`;
}

/** @type {Record<string, (one: Try) => any>} */
const PANELS = {
  content: ({ result, error, ms }) => {
    const blocks = Array.isArray(result?.content) ? result.content.slice(0, 200) : [];
    const data = error?.data !== undefined && show(error.data);
    const isEmpty = blocks.length === 0 && !data && ms !== undefined;
    return view`${data && view`<${Text} text=${data} label="Data of the error" />`}
      ${blocks.map((/** @type {any} */ block) => view`<${Block} block=${block} />`)}
      ${isEmpty && view`<p class="none">No content.</p>`}`;
  },
  structured: ({ result }) =>
    result?.structuredContent === undefined
      ? view`<p class="none">Nothing structured.</p>`
      : view`<${Text} text=${show(result.structuredContent)} label="Structured" />`,
  events: ({ events }) => {
    const lines = events.map(({ at, message: { method, params } }) =>
      `+${Math.round(at)} ms  ${method} ${show(params, 0).slice(0, 2_000)}\n`
    );
    return view`<pre class="wrap" tabindex="0" role="region" aria-label="Events">${lines}</pre>`;
  },
  raw: ({ raw }) => view`<${Text} text=${pretty(raw)} label="Raw" />`,
};

/** Whether a result is what its tool promises. @param {{ one: Try }} props */
function Promised({ one: { result, output } }) {
  if (result?.structuredContent === undefined || output === undefined) return null;
  const [fault] = check(output, result.structuredContent);
  if (fault === undefined) return view`<span class="faint end">fits its output schema</span>`;
  const where = fault.path.join(".");
  return view`<span class="warn end">not as its output schema: ${where} ${fault.message}</span>`;
}

/** What a try has come to. @param {{ one: Try, at: number, of: number, step: (by: number) => void }} props */
export function Result({ one, at, of, step }) {
  const { raw, events, question } = one;
  const [tab, choose] = useState("content");
  const [level, text] = verdictOf(one);
  const size = raw === undefined ? 0 : new Blob([raw]).size;
  const told = size > 0 ? [bytes(size), `about ${number(size / 4)} tokens`] : [];
  const count = `Events ${events.length}`;
  const tabs = { content: "Content", structured: "Structured", events: count, raw: "Raw" };
  /** @param {string} key @param {number} by @param {string} label */
  const turn = (key, by, label) =>
    view`<button type="button" class="link" aria-label=${label} onClick=${() => step(by)}>
      <kbd>${key}</kbd></button>`;
  const promised = view`<${Promised} one=${one} />`;
  return view`<div class="res"><${Dot} level=${level} /><b role="status">${text}</b>
        <span class="faint">${one.ms !== undefined && [ms(one.ms), ...told].join(" · ")}</span>
        <span class="faint end">${turn("[", 1, "Try before")}${turn("]", -1, "Try after")}
          ${` ${of - at} of ${of}`}</span></div>
        ${one.ms === undefined && view`<${Running} one=${one} />`}
        ${question && view`<${Question} key=${question.params} question=${question} />`}
        <${Tabs} label="Result" tabs=${tabs} value=${tab} onChange=${choose} end=${promised}>
        ${PANELS[tab]?.(one)}<//>`;
}
