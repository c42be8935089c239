// @ts-check
/// <reference lib="dom" />
/** Tools: a list, a form to try each, and what comes of it. */

import { useEffect, useRef, useState } from "preact/hooks";
import { useData } from "./api.js";
import { Form, Wrong } from "./form.js";
import { COMMAND, useKeys } from "./keys.js";
import { commandOf, curlOfCall } from "./mcp.js";
import { Copy, Failed, number, Search, short, Text, typed, view } from "./parts.js";
import { check, hasSecrets, isObject, parse, parsed, show } from "./schema.js";
import { go, href, status, withQuery } from "./state.js";
import { client, Result, tries, tryTool } from "./tries.js";

/** @typedef {any} Row a tool as a server lists it: `exposed own title tokens calls` */

const MOST_ROWS = 500;
/** Characters of arguments in the address. */
const LONGEST_ADDRESS = 8_000;
const LONGEST_TEXT = 10_000;

/** The tools that are at the gateway and of no server: how gated ones are found and called. */
function useOwnTools(/** @type {any[]} */ servers) {
  const [all, tell] = useState(/** @type {any[]} */ ([]));
  const isGated = status.value?.gating?.gated === true;
  useEffect(() => void (isGated && client.list("tools").then(tell, () => {})), [isGated]);
  const listed = servers.flatMap(({ tools }) => tools);
  const known = new Set(listed.map((/** @type {Row} */ { exposed }) => exposed));
  const own = all.filter(({ name }) => !known.has(name));
  return own.map((tool) => ({ ...tool, exposed: tool.name, own: tool.name }));
}

/** A tool in the list. @param {{ tool: Row, chosen: string | undefined, q: string }} props */
function Entry({ tool: { exposed, own, calls }, chosen, q }) {
  const isNever = calls === 0;
  const current = exposed === chosen ? "true" : undefined;
  const to = {
    title: short(exposed),
    href: href(["tools", exposed], { q }),
    "aria-current": current,
  };
  return view`<a data-row class=${isNever ? "o never" : "o"} ...${to}><span>${short(own)}</span>
    <span>${isNever ? "never" : number(calls)}</span></a>`;
}

/** The tools of a server. @param {{ server: any, shown: Row[], [rest: string]: any }} props */
function Group({ server: { name, state = "ready", tools }, shown, ...rest }) {
  let tokens = 0;
  for (const one of tools) tokens += one.tokens ?? 0;
  const said = state === "ready" ? `${number(tokens)} tokens` : state;
  return view`<div role="group" aria-label=${name}>
    <div class="gh" aria-hidden="true">${name}<span>${said}</span></div>
    ${shown.map((tool) => view`<${Entry} key=${tool.exposed} tool=${tool} ...${rest} />`)}</div>`;
}

/** @param {{ servers: any[], chosen: string | undefined, q: string }} props */
function List({ servers, chosen, q }) {
  const words = q.toLowerCase().split(/\s+/).filter(Boolean);
  const fits = (/** @type {string} */ text) =>
    words.every((word) => text.toLowerCase().includes(word));
  let [room, count, fitting] = [MOST_ROWS, 0, 0];
  const groups = servers.map((server) => {
    const { name, tools } = server;
    const fit = tools.filter((/** @type {Row} */ { exposed, own, title }) =>
      exposed !== null && fits(`${exposed} ${own} ${title} ${name}`)
    );
    const shown = fit.slice(0, room);
    room -= shown.length;
    count += tools.length;
    fitting += fit.length;
    return shown.length > 0 && view`<${Group} key=${name} ...${{ server, shown, chosen, q }} />`;
  });
  const find = typed((q) => go(withQuery({ q }), { replace: true }));
  const hidden = fitting - MOST_ROWS;
  const rest = hidden > 0 && view`<p class="none">${number(hidden)} more: find them by name.</p>`;
  const given = { placeholder: `${number(count)} tools`, value: q, onInput: find };
  return view`<div><div class="head"><${Search} label="Find a tool" ...${given} /></div>
    <div class="gh">Tool<span>Calls, 24 h</span></div><div class="list">${groups}${rest}</div></div>`;
}

/** Whether a text can be sent as arguments. @param {string | null} text */
const readable = (text) => isObject(parsed(text ?? ""));

const NO_JSON = [{ path: [], message: "This is no JSON object" }];

/** Arguments, as a form or as JSON. @param {{ tool: any, given: string | null }} props */
function Arguments({ tool, given }) {
  const { name, description, annotations, inputSchema: schema = {} } = tool;
  const [value, setValue] = useState(() => readable(given) ? parse(given ?? "") : undefined);
  /** As it is written, where that is preferred to the form. */
  const [text, setText] = useState(/** @type {string | undefined} */ (undefined));
  const [isTold, tell] = useState(false);
  const form = useRef(/** @type {HTMLFormElement | null} */ (null));
  const args = text ?? show(value ?? {}, 0);
  const isJson = readable(args);
  const faults = isJson ? check(schema, parse(args)) : NO_JSON;
  const shown = isTold ? faults : faults.filter(({ message }) => message !== "Required");
  const focus = (/** @type {string} */ selector) =>
    setTimeout(() => /** @type {any} */ (form.current?.querySelector(selector))?.focus());
  const isKept = isJson && args !== "{}" && args.length < LONGEST_ADDRESS && !hasSecrets(schema);
  const keep = () => go(withQuery({ args: isKept ? args : undefined }), { replace: true });
  useEffect(() => {
    const timer = setTimeout(keep, 300);
    return () => clearTimeout(timer);
  }, [args]);
  const call = () => {
    tell(true);
    if (isJson && (faults.length === 0 || isTold)) void tryTool(tool, args);
    else focus("[aria-invalid=true]");
  };
  const again = () => annotations?.readOnlyHint === true ? call() : focus("button.main");
  useKeys([{ key: "r", title: "Again; what is not read only, by its button", run: again }]);
  const turn = () => {
    if (text === undefined) return setText(show(value ?? {}));
    if (!isJson) return tell(true);
    setValue(parse(text));
    setText(undefined);
  };
  const onSubmit = (/** @type {Event} */ event) => (event.preventDefault(), call());
  const onKeyDown = (/** @type {KeyboardEvent} */ event) =>
    event.key === "Enter" && (event.ctrlKey || event.metaKey) && call();
  const body = text === undefined
    ? view`<${Form} schema=${schema} value=${value} faults=${shown} onChange=${setValue} />`
    : view`<${Written} text=${text} faults=${shown} onInput=${setText} />`;
  const label = isTold && isJson && faults.length > 0 ? "Call anyway" : "Call";
  const other = text === undefined ? "As JSON" : "As a form";
  const copies = {
    curl: () => curlOfCall(name, args, schema),
    CLI: () => commandOf(name, args),
    JSON: () => args,
  };
  const copy = isJson &&
    Object.entries(copies).map(([as, text]) => view`<${Copy} text=${text}>Copy ${as}<//>`);
  const about = `${description ?? ""}`.slice(0, LONGEST_TEXT);
  return view`<form class="form" aria-label="Call" ref=${form} ...${{ onSubmit, onKeyDown }}>
    <p class="wrap">${about}</p>${body}<div class="row">
    <button class="btn main">${label} <kbd>${COMMAND}↵</kbd></button>
    <button type="button" class="btn" onClick=${turn}>${other}</button>${copy}</div>
    <details><summary>Schema</summary><${Text} text=${
    show(schema)
  } label="Schema" /></details></form>`;
}

/** The arguments as JSON. @param {{ text: string, faults: readonly import("./schema.js").Fault[], onInput: (text: string) => void }} props */
function Written({ text, faults, onInput }) {
  const said = faults.map(({ path, message }) => ({ message: `${path.join(".")} ${message}` }));
  const wrong = said.length > 0 || undefined;
  return view`<div class="f"><label for="args">Arguments <small>JSON, sent as it is</small></label>
    <textarea class="mono" id="args" rows="12" spellcheck="false" aria-invalid=${wrong} value=${text}
      onInput=${typed(onInput)} /><${Wrong} faults=${said} /></div>`;
}

/** A tool, with the form to call it. @param {{ tool: any, given: string | null }} props */
function Tool({ tool, given }) {
  const { name, calls = 0, tokens, annotations: hints } = tool;
  const kind = hints?.readOnlyHint ? "read only" : hints?.destructiveHint ? "destructive" : "";
  const tag = kind && view`<span class="tag">${kind}</span>`;
  const cost = tokens !== undefined && `${number(tokens)} tokens`;
  const to = href("calls", { filter: `name:${name}` });
  return view`<div class="head"><h2>${name}</h2>${tag}
      <span class="faint end"><a href=${to}>${number(calls)} calls</a> · ${cost}</span></div>
    <${Arguments} tool=${tool} given=${given} />`;
}

/** @param {{ path: string[], query: URLSearchParams }} props */
export default function Page({ path: [name], query }) {
  const { data, error } = useData("api/tools", { every: 60_000 });
  const listed = data?.servers ?? [];
  const own = useOwnTools(listed);
  const mine = own.find((one) => one.name === name);
  const address = name !== undefined && !mine ? `api/tools/${encodeURIComponent(name)}` : undefined;
  const { data: told, error: lost } = useData(address);
  const tool = mine ?? (told?.name === name ? told : undefined);
  const [at, setAt] = useState(0);
  const all = tries.value.filter((one) => one.tool === name);
  useEffect(() => setAt(0), [name, all[0]?.id]);
  const step = (/** @type {number} */ by) => setAt(Math.min(all.length - 1, Math.max(0, at + by)));
  useKeys([
    { key: "[", title: "Try before", run: () => step(1) },
    { key: "]", title: "Try after", run: () => step(-1) },
  ]);
  const servers = own.length > 0 ? [...listed, { name: "gateway", tools: own }] : listed;
  const [one, of] = [all[at], all.length];
  const form = tool && view`<${Tool} key=${name} tool=${tool} given=${query.get("args")} />`;
  const hint = name === undefined && view`<p class="none">Choose a tool to see its form.</p>`;
  const result = one
    ? view`<${Result} ...${{ one, at, of, step }} />`
    : view`<p class="none">${tool && "What it answers is shown here."}</p>`;
  return view`<div class="panel three">
    <${List} servers=${servers} chosen=${name} q=${query.get("q") ?? ""} />
    <div>${form}${hint}<${Failed} error=${error ?? lost} /></div>
    <div role="region" aria-label="Result">${result}</div></div>`;
}
