// @ts-check
/// <reference lib="dom" />
/** All calls, by filter; one of them beside. */

import { useState } from "preact/hooks";
import { post, useData } from "./api.js";
import { useKeys } from "./keys.js";
import { Follow, Listed, useList } from "./list.js";
import { curlOf } from "./mcp.js";
import { Act, bytes, clock, Copy, Detail, Download, Facts, Failed, isFailed } from "./parts.js";
import { ms, named, Outcome, Search, Table, Tabs, Text, typed, view } from "./parts.js";
import { isObject, parsed, pretty, show } from "./schema.js";
import { go, href, withQuery } from "./state.js";

/** Words of a filter; a text in quotes is one. @param {string} filter */
const wordsOf = (filter) => filter.match(/(?:[^\s"]|"[^"]*"?)+/g) ?? [];

/** The filter as chips that can be taken away, and what is typed. @param {{filter: string}} props */
function Filter({ filter }) {
  const [text, type] = useState("");
  const words = wordsOf(filter);
  const set = (/** @type {string[]} */ all) => go(withQuery({ filter: all.join(" "), before: "" }));
  const onKeyDown = (/** @type {KeyboardEvent} */ event) => {
    if (event.key === "Enter" && text.trim() !== "") {
      set([...words, ...wordsOf(text)]);
      type("");
    } else if (event.key === "Backspace" && text === "" && words.length > 0) {
      event.preventDefault();
      type(words.at(-1) ?? "");
      set(words.slice(0, -1));
    }
  };
  const chip = (/** @type {string} */ word, /** @type {number} */ index) => {
    const [, not, key, value = word] = /^(-?)(?:(\w+):)?(.*)$/s.exec(word) ?? [];
    const remove = () => set(words.filter((_, at) => at !== index));
    return view`<span class="chip"><i>${key}${not && " not"}</i>${value}
      <button type="button" aria-label=${`Remove ${word}`} onClick=${remove}>×</button></span>`;
  };
  return view`<${Search} label="Filter calls" placeholder="server:github outcome:error ms:>500 …"
    value=${text} onKeyDown=${onKeyDown} onInput=${typed(type)}>${words.map(chip)}<//>`;
}

/** @param {{call: any}} props */
function Duration({ call }) {
  const whole = Math.min(100, Math.max(3, 25 * Math.log10(call.ms + 1)));
  const queued = call.queueMs / Math.max(call.ms, 0.001);
  const part = (/** @type {any} */ name, share = 1) =>
    view`<i class=${name} style=${{ width: `${whole * share}%` }}></i>`;
  return view`<span class="dur">${part(isFailed(call.outcome) && "bad")}
    ${queued > 0.05 && part("q", queued)}</span>
    <span class=${call.ms > 2_000 ? "warn" : "muted"}>${ms(call.ms)}</span>`;
}

/** What each part took of the whole, one after the other. @param {{call: any}} props */
function Fall({ call: { ms: whole, queueMs, gatewayMs, serverMs } }) {
  const share = (/** @type {number} */ time) => Math.min(100, 100 * time / Math.max(whole, 0.001));
  let begin = 0;
  const row = (/** @type {string} */ title, /** @type {number} */ time) => {
    const left = `${Math.min(99, share(begin))}%`;
    const width = `${Math.max(0.8, share(time))}%`;
    begin += time;
    return view`<span class="muted">${title}</span>
      <div><i class=${title} style=${{ left, width }}></i></div><span class="n">${ms(time)}</span>`;
  };
  return view`<div class="fall">
    ${row("Queue", queueMs)}${row("Gateway", gatewayMs)}${row("Server", serverMs)}</div>`;
}

/** The parameters of a call, where they are kept and whole. @param {any} call */
const paramsOf = ({ body }) => parsed(body?.request);

/** The call for a terminal. @param {any} call */
function asCurl(call) {
  const { _meta, ...params } = paramsOf(call);
  return curlOf(call.method, show(params, 0).slice(1, -1), { name: params.name ?? params.uri });
}

/** What the call asked or what came of it, where that is kept. @param {{call: any, side: "request" | "result"}} props */
function Body({ call: { server, body }, side }) {
  const record = () =>
    post("api/record", { for: "10m", ...(server && { server }) })
      .then(({ until }) => `They are kept until ${clock(until, true)}.`);
  if (body === undefined) {
    return view`<p class="none">Bodies are not kept. <${Act} class="link" run=${record}>
      Keep them for 10 minutes<//></p>`;
  }
  const lacks = [body.cut && "Cut.", body.redacted && "Secrets are left out."].filter(Boolean);
  const said = lacks.length > 0 && view`<p class="none">${lacks.join(" ")}</p>`;
  const label = side === "request" ? "Request" : "Result";
  return view`<${Text} label=${label} text=${pretty(body[side])} />${said}`;
}

/** A fact that leads to the calls it holds for. @param {string} key @param {string | undefined} value */
function all(key, value) {
  const filter = `${key}:${/[\s,]/.test(`${value}`) ? show(value) : value}`;
  return value && view`<a href=${href("calls", { filter })}>${value}</a>`;
}

/** What is known of a call. @param {any} call @returns {[string, any][]} */
function factsOf(call) {
  const { method, server, ownName, client, via, parent, attempts, traceId } = call;
  return [
    ["At", clock(call.at)],
    ["Method", all("method", method)],
    ["Server", server && view`${all("server", server)} <span class="faint">${ownName}</span>`],
    ["Client", view`${all("client", client)} <span class="faint">${via && `by ${via}`}</span>`],
    ["Who", all("who", call.who)],
    ["Endpoint", call.endpoint],
    ["Session", all("session", call.session)],
    ["Code", call.code],
    ["Attempts", attempts > 1 && attempts],
    ["Size", `${bytes(call.bytesIn)} in, ${bytes(call.bytesOut)} out`],
    ["Trace", traceId && view`<span class="mono">${traceId}</span>`],
    ["Part of", parent && view`<a class="link" href=${href(["calls", parent])}>${parent}</a>`],
  ];
}

/** @type {Record<string, (call: any) => any>} */
const PANELS = {
  request: (call) => view`<${Body} call=${call} side="request" />`,
  result: (call) => view`<${Body} call=${call} side="result" />`,
  inner: ({ inner }) =>
    view`<${Calls} rows=${inner} to=${(/** @type {string} */ id) => href(["calls", id])} />`,
  raw: (call) => view`<${Text} text=${show(call)} />`,
};

/** @param {{id: string, onClose: () => void}} props */
function Call({ id, onClose }) {
  const { data: call, error } = useData(`api/calls/${encodeURIComponent(id)}`);
  const [tab, choose] = useState("request");
  const isTool = call?.method === "tools/call" && call.name !== undefined;
  const again = () => {
    if (!isTool) return;
    const args = paramsOf(call)?.arguments;
    go(href(["tools", call.name], { args: args && show(args, 0) }));
  };
  useKeys([{ key: "r", title: "Try the call again", run: again }]);
  if (call === undefined) {
    return view`<${Detail} label="Call" title=${id} onClose=${onClose}><${Failed} error=${error} /><//>`;
  }
  const { inner = [] } = call;
  const within = inner.length > 0 && { inner: `Inner calls ${inner.length}` };
  const tabs = { request: "Request", result: "Result", ...within, raw: "Raw" };
  const end = view`<${Outcome} ...${call} /><span class="faint mono">${call.id}</span>`;
  const repeat = isTool &&
    view`<button type="button" class="btn main" onClick=${again}>Try again <kbd>r</kbd></button>`;
  const curl = isObject(paramsOf(call)) &&
    view`<${Copy} text=${() => asCurl(call)}>Copy as curl<//>`;
  const title = call.name ?? call.method;
  return view`<${Detail} label="Call" title=${title} end=${end} onClose=${onClose}>
    <${Facts} facts=${factsOf(call)} /><${Fall} call=${call} />
    <${Tabs} label="Of the call" tabs=${tabs} value=${tab} onChange=${choose}>
    ${PANELS[tab]?.(call)}<//><div class="acts">${repeat}${curl}
    <${Copy} text=${`mcproxy replay ${call.id}`}>as CLI<//>
    <${Copy} text=${() => show(call)}>as JSON<//></div><//>`;
}

/** @type {import("./parts.js").Column[]} */
const COLUMNS = [
  ["Time", "mono faint", ({ at }) => clock(at)],
  ["Call", "", (call) => [named(call.name ?? call.method), " ", view`<${Outcome} ...${call} />`]],
  ["Client", "muted hm", ({ client }) => client],
  ["Duration", "", (call) => view`<${Duration} call=${call} />`],
  ["In", "n faint hm", ({ bytesIn }) => bytes(bytesIn)],
  ["Out", "n faint hm", ({ bytesOut }) => bytesOut > 0 && bytes(bytesOut)],
];

/** @param {{rows: any[], to: (id: string) => string, [rest: string]: any}} props */
const Calls = ({ to, ...rest }) =>
  view`<${Table} label="Calls" columns=${COLUMNS} ...${rest}
    link=${(/** @type {any} */ { id }) => to(id)} />`;

/** @param {{path: string[], query: URLSearchParams}} props */
export default function CallsPage({ path: [id], query }) {
  const [filter, before] = [query.get("filter") ?? "", query.get("before") ?? ""];
  const follow = query.get("follow") === "1" && before === "";
  const path = `api/calls?filter=${encodeURIComponent(filter)}`;
  const address = before ? `${path}&before=${before}` : path;
  const list = useList(address, { topic: "calls", follow, plain: filter === "" });
  const to = (/** @type {string[]} */ ...of) => href(["calls", ...of], Object.fromEntries(query));
  const lines = () => list.items.map((/** @type {any} */ call) => show(call, 0)).join("\n");
  const none = filter ? "No call is like that." : "No call yet. Each one will be here.";
  const { items: rows, isNew } = list;
  const shown = { rows, isNew, to, selected: id ?? "", empty: list.told && none };
  const newest = view`<a class="link" href=${withQuery({ before: "" })}>To the newest</a>`;
  return view`<div class="filters"><${Filter} filter=${filter} />
    <${Follow} what="calls" isOn=${follow} to=${{ follow: follow ? "" : "1", before: "" }} />
    <${Download} name="calls.jsonl" text=${lines}>Export<//></div><${Failed} error=${list.error} />
    ${before && view`<p class="over">Until ${clock(+before)}. ${newest}</p>`}
    <div class=${id && "split"}><${Listed} list=${list}><${Calls} ...${shown} /><//>
    ${id && view`<${Call} key=${id} id=${id} onClose=${() => go(to())} />`}</div>`;
}
