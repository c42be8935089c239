// @ts-check
/// <reference lib="dom" />
/** Each server: what it is, how its day was, what it says, and a restart. */

import { useRef, useState } from "preact/hooks";
import { post, useData } from "./api.js";
import { useKeys } from "./keys.js";
import { Servers, useOverview } from "./page-overview.js";
import { Act, clock, Copy, Detail, Facts, Failed, ms, number } from "./parts.js";
import { percent, span, Tabs, view } from "./parts.js";
import { show } from "./schema.js";
import { go, href, range } from "./state.js";
import { useEvents } from "./stream.js";

/** @type {Record<string, string>} */
const LEVELS = { ready: "ok", idle: "off", disabled: "off", connecting: "warn", degraded: "warn" };
const DAY = 86_400_000;

/** The states of a day, as wide as they were long. @param {{states: {at: number, state: string}[]}} props */
function Day({ states }) {
  const now = Date.now();
  /** @param {{at: number, state: string}} of @param {number} index */
  const part = ({ at, state }, index) => {
    const from = Math.max(now - DAY, at);
    const flex = Math.max(0, ((states[index + 1]?.at ?? now) - from) / DAY);
    const title = `${state} from ${clock(from, true)}`;
    return view`<i class=${LEVELS[state] ?? "bad"} style=${{ flex }} title=${title}></i>`;
  };
  const told = states.map(({ at, state }) => `${state} from ${clock(at, true)}`).join(", ");
  const before = Math.max(0, (states[0]?.at ?? now) - now + DAY) / DAY;
  return view`<div class="day" role="img" aria-label=${`Last 24 hours: ${told}`}>
    <i style=${{ flex: before }}></i>${states.map(part)}</div>`;
}

/** What is known of a server. @param {any} server @returns {[string, any][]} */
function factsOf(server) {
  const { name, serverInfo = {}, calls, failed, p95 } = server;
  const since = Date.parse(server.since);
  const shares = [failed > 0 && `${percent(failed, calls)} failed`, p95 > 0 && `p95 ${ms(p95)}`];
  const ofTools = href("tools", { q: name });
  const ofCalls = href("calls", { filter: `server:${name}` });
  const link = (/** @type {string} */ to, /** @type {any} */ count) =>
    view`<a class="link" href=${to}>${number(count)}</a>`;
  return [
    ["State", view`${server.state} <span class="faint">${server.reason}</span>`],
    ["Health", server.health],
    ["Since", since > 0 && `${clock(since)}, ${span((Date.now() - since) / 1_000)}`],
    ["Tries again", server.retryAt && clock(Date.parse(server.retryAt))],
    ["Transport", listed([server.transport, server.protocolVersion])],
    ["Server", [serverInfo.name, serverInfo.version].filter(Boolean).join(" ")],
    ["Process", server.pid],
    ["Restarts", number(server.restarts)],
    ["Now", `${number(server.inFlight)} in flight, ${number(server.queued)} queued`],
    ["Calls", [link(ofCalls, calls), " ", listed(shares)]],
    ["Tools", [link(ofTools, server.counts?.tools), `, ${number(server.tokens)} tokens`]],
  ];
}

/** What there is of it. @param {any[]} parts */
const listed = (parts) => parts.filter(Boolean).join(", ");

/** @param {any} server */
function Now({ states = [], lastError, problems = [], ...server }) {
  const wrong = [lastError, ...problems].filter(Boolean);
  return view`<${Facts} facts=${factsOf(server)} />
    <p class="over">Last 24 hours</p><${Day} states=${states} />
    ${wrong.map((text) => view`<p class="failed bad">${text}</p>`)}`;
}

/** What a server has written, line by line. @param {any} server */
function Stderr({ stderr = [] }) {
  const text = stderr.map((/** @type {any} */ { at, line }) => `${clock(at)} ${line}`).join("\n");
  return view`<pre tabindex="0" role="region" aria-label="Standard error">
    ${text || "It has said nothing."}</pre>`;
}

/** @param {any} server */
function Instances({ instances, ...server }) {
  const facts = (instances ?? [server]).map((/** @type {any} */ one, /** @type {number} */ at) => [
    one.name ?? at + 1,
    listed([one.state, one.pid && `process ${one.pid}`, one.lastError]),
  ]);
  return view`<${Facts} facts=${facts} />`;
}

/** @type {Record<string, (server: any) => any>} */
const PANELS = { now: Now, stderr: Stderr, instances: Instances };
const TABS = { now: "Now", stderr: "Standard error", instances: "Instances" };

/** @param {{name: string, onClose: () => void}} props */
function Server({ name, onClose }) {
  const path = `api/servers/${encodeURIComponent(name)}`;
  const { data, error, reload } = useData(path, { every: 10_000 });
  const [tab, choose] = useState("now");
  const restart = useRef(/** @type {any} */ (null));
  useEvents("status", reload);
  const run = () => post(`${path}/restart`).then(() => (reload(), "It is restarted."));
  useKeys([{ key: "r", title: `Restart ${name}`, run: () => restart.current?.click() }]);
  const told = data &&
    view`<${Tabs} label="About the server" value=${tab} onChange=${choose} tabs=${TABS}>
      <${PANELS[tab]} ...${data} /><//>`;
  return view`<${Detail} label="Server" title=${name} onClose=${onClose}><${Failed} error=${error} />
    ${told}<div class="acts"><${Act} run=${run} button=${restart}>Restart <kbd>r</kbd><//>
    <${Copy} text=${() => show(data)}>Copy as JSON<//></div><//>`;
}

/** @param {{path: string[]}} props */
export default function ServersPage({ path: [name] }) {
  const { data, error } = useOverview();
  const close = () => go(href("servers", { range: range.value }));
  const all = data && view`<${Servers} servers=${data.servers} selected=${name ?? ""} />`;
  const one = name && view`<${Server} key=${name} name=${name} onClose=${close} />`;
  return view`<${Failed} error=${error} />
    <div class=${name && "split"}><div class="panel">${all}</div>${one}</div>`;
}
