// @ts-check
/// <reference lib="dom" />
/** Each server: what it is, how its day was, what it says, and a restart. */

import { useState } from "preact/hooks";
import { post, useData } from "./api.js";
import { useKeys } from "./keys.js";
import { Servers, useOverview } from "./page-overview.js";
import { clock, Copy, Detail, Failed, ms, number, percent, span, Tabs, view } from "./parts.js";
import { go, href, range } from "./state.js";
import { useEvents } from "./stream.js";

/** @type {Record<string, string>} */
const LEVELS = { ready: "ok", idle: "off", disabled: "off", connecting: "warn", degraded: "warn" };
const DAY = 86_400_000;

/** The states of a day, as wide as they were long. @param {{states: {at: number, state: string}[]}} props */
function Day({ states }) {
  const now = Date.now();
  const part = (
    /** @type {{at: number, state: string}} */ { at, state },
    /** @type {number} */ index,
  ) => {
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

/** Titles and values; what is not there is left out. @param {{facts: [string, any][]}} props */
export function Facts({ facts }) {
  const told = facts.filter(([, value]) => value !== undefined && value !== "" && value !== false);
  return view`<dl class="kv">${
    told.map(([title, value]) => view`<dt>${title}</dt><dd>${value}</dd>`)
  }</dl>`;
}

/** @param {{data: any}} props */
function Now({ data }) {
  const { name, serverInfo = {}, problems = [], lastError } = data;
  const since = Date.parse(data.since);
  return view`<${Facts} facts=${[
    ["State", view`${data.state} <span class="faint">${data.reason}</span>`],
    ["Health", data.health],
    ["Since", since > 0 && `${clock(since)}, ${span((Date.now() - since) / 1_000)}`],
    ["Tries again", data.retryAt && clock(Date.parse(data.retryAt))],
    ["Transport", [data.transport, data.protocolVersion].filter(Boolean).join(", ")],
    ["Server", [serverInfo.name, serverInfo.version].filter(Boolean).join(" ")],
    ["Process", data.pid],
    ["Restarts", number(data.restarts)],
    ["Now", `${number(data.inFlight)} in flight, ${number(data.queued)} queued`],
    [
      "Calls",
      view`<a class="link" href=${href("calls", { filter: `server:${name}` })}>${
        number(data.calls)
      }</a>
      ${data.failed > 0 && `, ${percent(data.failed, data.calls)} failed`}${
        data.p95 > 0 && `, p95 ${ms(data.p95)}`
      }`,
    ],
    [
      "Tools",
      view`<a class="link" href=${href("tools", { q: name })}>${number(data.counts?.tools)}</a>, ${
        number(data.tokens)
      } tokens`,
    ],
  ]} /><p class="over">Last 24 hours</p><${Day} states=${data.states ?? []} />
    ${
    [lastError, ...problems].filter(Boolean).map((text) => view`<p class="failed bad">${text}</p>`)
  }`;
}

/** @param {{name: string, onClose: () => void}} props */
function Server({ name, onClose }) {
  const path = `api/servers/${encodeURIComponent(name)}`;
  const { data, error, reload } = useData(path, { every: 10_000 });
  const [tab, setTab] = useState("now");
  const [said, say] = useState("");
  useEvents("status", reload);
  const done = () => {
    say("It is restarted.");
    reload();
  };
  const run = () => void post(`${path}/restart`).then(done, (told) => say(told.message));
  useKeys([{ key: "r", title: "Restart the server", run }], [{
    title: `Restart ${name}`,
    hint: "r",
    run,
  }]);
  /** @type {any[]} */
  const lines = data?.stderr ?? [];
  /** @type {any[]} */
  const instances = data?.instances ?? [data];
  const text = lines.map(({ at, line }) => `${clock(at)} ${line}`).join("\n") ||
    "It has said nothing.";
  const each = instances.map((one = {}, index) => [
    one.name ?? index + 1,
    [one.state, one.pid && `process ${one.pid}`, one.lastError].filter(Boolean).join(", "),
  ]);
  const panels = /** @type {Record<string, () => any>} */ ({
    now: () => view`<${Now} data=${data} />`,
    stderr: () => view`<pre tabindex="0" role="region" aria-label="Standard error">${text}</pre>`,
    instances: () => view`<${Facts} facts=${each} />`,
  });
  return view`<${Detail} label="Server" title=${name} onClose=${onClose}><${Failed} error=${error} />
    ${
    data && view`<${Tabs} label="About the server" value=${tab} onChange=${setTab}
      tabs=${{ now: "Now", stderr: "Standard error", instances: "Instances" }}>${
      panels[tab]?.()
    }<//>`
  }
    <div class="acts"><button type="button" class="btn" onClick=${run}>Restart <kbd>r</kbd></button>
    <${Copy} text=${() =>
    JSON.stringify(
      data,
      null,
      2,
    )}>Copy as JSON<//><span class="muted" role="status">${said}</span></div><//>`;
}

/** @param {{path: string[]}} props */
export default function ServersPage({ path: [name] }) {
  const { data, error } = useOverview();
  const close = () => go(href("servers", { range: range.value }));
  return view`<${Failed} error=${error} /><div class=${name && "split"}><div class="panel">
    ${data && view`<${Servers} servers=${data.servers} selected=${name ?? ""} />`}</div>
    ${name && view`<${Server} key=${name} name=${name} onClose=${close} />`}</div>`;
}
