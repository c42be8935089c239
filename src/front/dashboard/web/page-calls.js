// @ts-check
/// <reference lib="dom" />
/** All calls, by filter; one of them beside. */

import { useState } from "preact/hooks";
import { post, useData } from "./api.js";
import { useKeys } from "./keys.js";
import { Listed, useList } from "./list.js";
import { Facts } from "./page-servers.js";
import { bytes, clock, Copy, Detail, Download, Failed, Icon, isFailed, Json } from "./parts.js";
import { ms, Outcome, Table, Tabs, typed, view } from "./parts.js";
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
  return view`<div class="query"><${Icon} name="find" />${
    words.map(chip)
  }<input aria-label="Filter calls"
    placeholder="server:github outcome:error ms:>500 …" value=${text} onKeyDown=${onKeyDown} onInput=${
    typed(type)
  } /></div>`;
}

/** @param {{call: any}} props */
function Duration({ call }) {
  const width = Math.min(100, Math.max(3, 25 * Math.log10(call.ms + 1)));
  const queued = call.queueMs / Math.max(call.ms, 0.001);
  return view`<span class="dur"><i class=${isFailed(call.outcome) && "bad"} style=${{
    width: `${width}%`,
  }}></i>
    ${queued > 0.05 && view`<i class="q" style=${{ width: `${width * queued}%` }}></i>`}</span>
    <span class=${call.ms > 2_000 ? "num warn" : "num muted"}>${ms(call.ms)}</span>`;
}

/** What each part took of the whole, one after the other. @param {{call: any}} props */
function Fall({ call: { ms: whole, queueMs, gatewayMs, serverMs } }) {
  const share = (/** @type {number} */ time) => Math.min(100, 100 * time / Math.max(whole, 0.001));
  const row = (
    /** @type {string} */ title,
    /** @type {number} */ begin,
    /** @type {number} */ time,
  ) => {
    const style = {
      left: `${Math.min(99, share(begin))}%`,
      width: `${Math.max(0.8, share(time))}%`,
    };
    return view`<span class="muted">${title}</span><div><i class=${title} style=${style}></i></div>
      <span class="n">${ms(time)}</span>`;
  };
  return view`<div class="fall">${row("Queue", 0, queueMs)}${row("Gateway", queueMs, gatewayMs)}
    ${row("Server", queueMs + gatewayMs, serverMs)}</div>`;
}

/** @param {string | undefined} text JSON, or what is left of it @returns {any} */
function parsed(text = "") {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** @param {string} text */
const pretty = (text) => parsed(text) === undefined ? text : JSON.stringify(parsed(text), null, 2);

/** The parameters of a call, where they are kept and whole. @param {any} call */
function paramsOf({ body }) {
  const request = parsed(body?.request);
  return request?.params ?? request;
}

/** The call as a shell has it; nothing in it ends the quotes. @param {any} call */
function asCurl(call) {
  const quoted = (/** @type {string} */ text) => `'${text.replaceAll("'", `'\\''`)}'`;
  const message = { jsonrpc: "2.0", id: 1, method: call.method, params: paramsOf(call) };
  const url = new URL("../mcp", import.meta.url).href;
  return `curl ${quoted(url)} -H 'content-type: application/json' ` +
    `-H 'accept: application/json, text/event-stream' -d ${quoted(JSON.stringify(message))}`;
}

/** What the call asked and what came of it, where that is kept. @param {{call: any, text: string, label: string}} props */
function Body({ call: { server, body }, text, label }) {
  const [said, say] = useState("");
  const told = (/** @type {any} */ { until }) => say(`They are kept until ${clock(until, true)}.`);
  const record = () =>
    post("api/record", { for: "10m", ...(server && { server }) }).then(
      told,
      (error) => say(error.message),
    );
  if (body === undefined) {
    return view`<p class="none">Bodies are not kept. <button type="button" class="link" onClick=${record}>
      Keep them for 10 minutes</button> <span role="status">${said}</span></p>`;
  }
  const lacks = [body.cut && "Cut.", body.redacted && "Secrets are left out."].filter(Boolean);
  return view`<${Json} label=${label} text=${pretty(text)} />${
    lacks.length > 0 && view`<p class="none">${lacks.join(" ")}</p>`
  }`;
}

/** @param {{id: string, onClose: () => void}} props */
function Call({ id, onClose }) {
  const { data: call, error } = useData(`api/calls/${encodeURIComponent(id)}`);
  const [tab, setTab] = useState("request");
  const isTool = call?.method === "tools/call" && call.name !== undefined;
  const again = () => {
    if (!isTool) return;
    const args = paramsOf(call)?.arguments;
    go(href(["tools", call.name], { args: args && JSON.stringify(args) }));
  };
  useKeys([{ key: "r", title: "Try the call again", run: again }]);
  if (call === undefined) {
    return view`<${Detail} label="Call" title=${id} onClose=${onClose}><${Failed} error=${error} /><//>`;
  }
  const { method, server, client, who, session, parent, inner = [], body = {} } = call;
  const all = (/** @type {string} */ key, /** @type {string} */ value) =>
    value &&
    view`<a href=${
      href("calls", { filter: `${key}:${/[\s,]/.test(value) ? `"${value}"` : value}` })
    }>${value}</a>`;
  const panels = /** @type {Record<string, () => any>} */ ({
    request: () => view`<${Body} call=${call} text=${body.request} label="Request" />`,
    result: () => view`<${Body} call=${call} text=${body.result} label="Result" />`,
    inner: () =>
      view`<${Calls} calls=${inner} to=${(/** @type {string} */ one) => href(["calls", one])} />`,
    raw: () => view`<${Json} text=${JSON.stringify(call, null, 2)} />`,
  });
  const within = inner.length > 0 && { inner: `Inner calls ${inner.length}` };
  return view`<${Detail} label="Call" title=${call.name ?? method} onClose=${onClose}
    end=${view`<${Outcome} ...${call} /><span class="faint mono">${call.id}</span>`}><${Facts} facts=${[
    ["At", clock(call.at)],
    ["Method", all("method", method)],
    ["Server", server && view`${all("server", server)} <span class="faint">${call.ownName}</span>`],
    [
      "Client",
      view`${all("client", client)} <span class="faint">${call.via && `by ${call.via}`}</span>`,
    ],
    ["Who", all("who", who)],
    ["Endpoint", call.endpoint],
    ["Session", all("session", session)],
    ["Code", call.code],
    ["Attempts", call.attempts > 1 && call.attempts],
    ["Size", `${bytes(call.bytesIn)} in, ${bytes(call.bytesOut)} out`],
    ["Trace", call.traceId && view`<span class="mono">${call.traceId}</span>`],
    ["Part of", parent && view`<a class="link" href=${href(["calls", parent])}>${parent}</a>`],
  ]} /><${Fall} call=${call} /><${Tabs} label="Of the call" value=${tab} onChange=${setTab}
    tabs=${{ request: "Request", result: "Result", ...within, raw: "Raw" }}>${panels[tab]?.()}<//>
    <div class="acts">${
    isTool &&
    view`<button type="button" class="btn main" onClick=${again}>Try again <kbd>r</kbd></button>`
  }
    ${paramsOf(call) && view`<${Copy} text=${() => asCurl(call)}>Copy as curl<//>`}
    <${Copy} text=${`mcproxy replay ${call.id}`}>as CLI<//>
    <${Copy} text=${() => JSON.stringify(call, null, 2)}>as JSON<//></div><//>`;
}

/** @type {import("./parts.js").Column[]} */
const COLUMNS = [
  ["Time", "mono faint", (call) => clock(call.at)],
  [
    "Call",
    "",
    (call) => view`<span class="name">${call.name ?? call.method}</span> <${Outcome} ...${call} />`,
  ],
  ["Client", "muted hm", (call) => call.client],
  ["Duration", "", (call) => view`<${Duration} call=${call} />`],
  ["In", "n faint hm", (call) => bytes(call.bytesIn)],
  ["Out", "n faint hm", (call) => call.bytesOut > 0 && bytes(call.bytesOut)],
];

/** @param {{calls: any[], to: (id: string) => string, [rest: string]: any}} props */
function Calls({ calls, to, ...rest }) {
  return view`<${Table} label="Calls" rows=${calls} columns=${COLUMNS} id=${(
    /** @type {any} */ { id },
  ) => id}
    link=${(/** @type {any} */ { id }) => to(id)} ...${rest} />`;
}

/** @param {{path: string[], query: URLSearchParams}} props */
export default function CallsPage({ path: [id], query }) {
  const [filter, before] = [query.get("filter") ?? "", query.get("before") ?? ""];
  const follow = query.get("follow") === "1" && before === "";
  const path = `api/calls?filter=${encodeURIComponent(filter)}`;
  const list = useList(before ? `${path}&before=${before}` : path, {
    topic: "calls",
    follow,
    plain: filter === "",
  });
  const run = () => go(withQuery({ follow: follow ? "" : "1", before: "" }), { replace: true });
  const to = (/** @type {string[]} */ ...of) => href(["calls", ...of], Object.fromEntries(query));
  const lines = () => list.items.map((/** @type {any} */ call) => JSON.stringify(call)).join("\n");
  useKeys([{ key: "f", title: "Follow", run }], [{ title: "Follow the calls", hint: "f", run }]);
  const empty = list.told &&
    (filter ? "No call is like that." : "No call yet. Each one will be here.");
  return view`<div class="filters"><${Filter} filter=${filter} />
    <button type="button" class="btn" aria-pressed=${follow} onClick=${run}>Follow <kbd>f</kbd></button>
    <${Download} name="calls.jsonl" text=${lines}>Export<//></div><${Failed} error=${list.error} />
    ${
    before &&
    view`<p class="over">Until ${clock(+before)}. <a class="link" href=${
      withQuery({ before: "" })
    }>To the newest</a></p>`
  }
    <div class=${id && "split"}><${Listed} list=${list}>
    <${Calls} calls=${list.items} to=${to} selected=${
    id ?? ""
  } isNew=${list.isNew} empty=${empty} /><//>
    ${id && view`<${Call} key=${id} id=${id} onClose=${() => go(to())} />`}</div>`;
}
