// @ts-check
/// <reference lib="dom" />
/** How things are: one sentence, numbers, what needs attention, all servers. */

import { useEffect, useRef, useState } from "preact/hooks";
import { post, useData } from "./api.js";
import {
  clock,
  Copy,
  Dot,
  Failed,
  ms,
  number,
  percent,
  span,
  Spark,
  Table,
  view,
} from "./parts.js";
import { go, href, range, RANGES } from "./state.js";
import { useEvents } from "./stream.js";

/**
 * What `/api/overview` tells, as far as its lists go.
 * @typedef {{traffic: any[], servers: any[], attention: any[], [member: string]: any}} Told
 */

/** A filter for what has failed. */
const FAILED = "outcome:error,refused,unavailable,timeout";

/** The first sentence counts; what is wrong in it leads there. @param {{text: string, servers: any[]}} props */
function Sentence({ text, servers }) {
  const [, first = text, rest = ""] = /^(.*?[.!?])(\s.*)?$/s.exec(text) ?? [];
  const wrong = servers.filter(({ level }) => /bad|warn/.test(level)).map(({ name }) => name);
  const link = (/** @type {string} */ word) =>
    wrong.includes(word) ? view`<a href=${href(["servers", word])}>${word}</a>` : word;
  const linked = (/** @type {string} */ part) => part.split(/([\w.-]*\w)/).map(link);
  return view`<div class="say"><p>${linked(first)}<span>${linked(rest)}</span></p></div>`;
}

/** @param {{title: string, to: string, value: string, note: any, children?: any}} props `value`: number and unit */
function Tile({ title, to, value, note, children }) {
  const [, amount, unit] = /^(.*?)(?:\u202f(\D+))?$/.exec(value) ?? [];
  return view`<a class="tile" href=${to}><p>${title}</p><b>${
    amount || "–"
  }<small>${unit}</small></b>
    <em>${note}</em>${children}</a>`;
}

/** @param {{data: Told}} props */
function Tiles(
  { data: { calls, failed, before, traffic, servers, tokens, spared, p95, gatewayMs } },
) {
  const change = Math.round(100 * (calls / before.calls - 1));
  const worst = [...servers].sort((a, b) => b.failed - a.failed)[0];
  const all = servers.reduce((sum, one) => sum + one.tokens, 0);
  const share = (/** @type {any} */ one, /** @type {number} */ index) =>
    view`<i style=${{ flex: one.tokens / all, opacity: Math.max(0.2, 1 - index * 0.09) }}></i>`;
  const line = (/** @type {string} */ of, color = "var(--bar2)") =>
    view`<${Spark} height=${26} color=${color} values=${traffic.map((one) => one[of] ?? 0)} />`;
  const spares = spared > 0;
  return view`<div class="panel tiles">
    <${Tile} title="Calls" to=${href("calls")} value=${number(calls)}
      note=${
    before.calls > 0
      ? `${change < 0 ? "−" : "+"}${Math.abs(change)}\u202f% on the time before`
      : "none before"
  }>
      ${line("calls")}<//>
    <${Tile} title="Failed" to=${href("calls", { filter: FAILED })} value=${
    percent(failed, calls || 1)
  }
      note=${
    failed > 0 ? `${number(worst.failed)} of ${number(failed)} from ${worst.name}` : "none"
  }>
      ${line("failed", "var(--bad)")}<//>
    <${Tile} title="p95 latency" to=${
    href("calls", { filter: `ms:>${Math.floor(p95 ?? 0)}` })
  } value=${ms(p95)}
      note=${gatewayMs > 0 && `gateway adds ${ms(gatewayMs)}`}>${line("p95")}<//>
    <${Tile} title=${spares ? "Tokens spared" : "Tokens"} to=${href("tools")} value=${
    number(spares ? spared : tokens)
  }
      note=${spares ? `a list, gated to ${number(tokens)}` : "a list, all tools in it"}>
      <div class="mini" aria-hidden="true">${
    servers.filter((one) => one.tokens > 0).map(share)
  }</div><//></div>`;
}

/** The next even number of one digit and noughts: its half is told as well. @param {number} value */
function ceiling(value) {
  const unit = 10 ** Math.floor(Math.log10(Math.max(value, 1)));
  return ([2, 4, 6, 8, 10].find((many) => many * unit >= value) ?? 10) * unit;
}

/** Calls as bars, those that failed in front of them, p95 as a line. A bar leads to its calls. @param {{data: Told}} props */
function Traffic({ data: { traffic, step, calls, failed } }) {
  const ref = useRef(/** @type {any} */ (null));
  const [[width, height], resize] = useState([0, 0]);
  useEffect(() => {
    const svg = ref.current;
    const seen = new ResizeObserver(() => resize([svg.clientWidth, svg.clientHeight]));
    seen.observe(svg);
    return () => seen.disconnect();
  }, []);
  const [left, right, floor] = [36, 58, height - 26];
  const most = ceiling(Math.max(4, ...traffic.map((one) => one.calls)));
  const slowest = ceiling(Math.max(1, ...traffic.map((one) => one.p95 ?? 0)));
  const each = Math.max(0, width - left - right) / traffic.length;
  const x = (/** @type {number} */ index) => left + index * each;
  const y = (/** @type {number} */ part) => floor - part * Math.max(0, floor - 16);
  const bar = (
    /** @type {number} */ index,
    /** @type {number} */ part,
    /** @type {string} */ color,
  ) =>
    view`<rect x=${x(index)} y=${y(part)} width=${each * 0.76} height=${
      floor - y(part)
    } fill=${color}
      rx=${Math.min(2, each / 4)} />`;
  const rule = (/** @type {number} */ part) =>
    view`<line x1=${left} x2=${width - right} y1=${y(part)} y2=${y(part)} stroke="var(--line)" />
      ${
      part * 2 % 1 === 0 &&
      view`<text x=${left - 9} y=${y(part) + 4} text-anchor="end">${number(most * part)}</text>
      <text x=${width - right + 9} y=${y(part) + 4}>${part > 0 && ms(slowest * part)}</text>`
    }`;
  const bars = traffic.map((one, index) =>
    view`<g><title>${`${clock(one.at, true)}: ${one.calls} calls, ${one.failed} failed`}</title>
      ${bar(index, one.calls / most, "var(--bar)")}
      ${one.failed > 0 && bar(index, Math.max(0.02, one.failed / most), "var(--bad)")}</g>`
  );
  const line = traffic.flatMap(({ p95 }, index) =>
    p95 > 0 ? `${x(index) + each * 0.38},${y(p95 / slowest)}` : []
  );
  const time = (/** @type {number} */ part) => {
    const index = Math.round(part * (traffic.length - 1));
    return view`<text x=${x(index) + each / 2} y=${height - 8} text-anchor="middle">${
      clock(traffic[index].at, true)
    }</text>`;
  };
  const onClick = (/** @type {MouseEvent} */ { offsetX }) => {
    const one = traffic[Math.floor((offsetX - left) / each)];
    if (one !== undefined) go(href("calls", { before: one.at + step }));
  };
  const parts = [0, 0.25, 0.5, 0.75, 1];
  return view`<svg class="chart" role="img" ref=${ref} onClick=${onClick}
    aria-label=${`${number(calls)} calls, ${number(failed)} of them failed`}>
    ${width > 0 && traffic.length > 0 && [parts.map(rule), bars, width > 400 && parts.map(time)]}
    ${
    line.length > 1 &&
    view`<path d=${`M${line.join("L")}`} fill="none" stroke="var(--bar2)" stroke-width="1.6"
      stroke-linejoin="round" />`
  }</svg>`;
}

/** What one can do about it. @param {{act?: any, onDone: () => void}} props */
function Act({ act = {}, onDone }) {
  const [said, say] = useState("");
  const { label, command, post: path, href: to } = act;
  if (command !== undefined) return view`<${Copy} text=${command} class="link">${label}<//>`;
  if (to?.startsWith("#/")) return view`<a class="link" href=${to}>${label}</a>`;
  const run = () => post(path.replace(/^\//, "")).then(onDone, (error) => say(error.message));
  return path && view`<button type="button" class="link" onClick=${run}>${said || label}</button>`;
}

/** @param {{attention: any[], onDone: () => void}} props */
function Attention({ attention, onDone }) {
  const entry = (/** @type {any} */ { kind, subject, level, title, text, act }) =>
    view`<li key=${`${kind} ${subject}`}><${Dot} level=${level} /><div><b>${title}</b><p>${text}</p>
      ${
      act?.command && view`<code>${act.command}</code>`
    }</div><${Act} act=${act} onDone=${onDone} /></li>`;
  return view`<div class="panel"><div class="head"><h2>Needs attention</h2><span class="faint end">${attention.length}</span></div>
    ${
    attention.length === 0
      ? view`<p class="none">Nothing does.</p>`
      : view`<ul class="todo">${attention.slice(0, 50).map(entry)}</ul>`
  }</div>`;
}

/** @param {any} one @param {any} text @param {string} [filter] */
const callsOf = ({ name }, text, filter = "") =>
  view`<a href=${href("calls", { filter: `server:${name} ${filter}`.trim() })}>${text}</a>`;

/** @param {number} part */
const levelOf = (part) => part > 0.5 ? "bad" : part > 0.02 ? "warn" : "faint";

/** @type {import("./parts.js").Column[]} */
const COLUMNS = [
  [
    "Server",
    "",
    ({ name, level, state }) =>
      view`<${Dot} level=${level} /><span class="name">${name}</span>
      ${state !== "ready" && view`<span class=${`state ${level}`}>${state}</span>`}`,
  ],
  ["Transport", "muted hm", (one) => one.transport],
  ["Era", "muted hm", (one) => one.era ?? "–"],
  ["Tools", "n", (one) => view`<a href=${href("tools", { q: one.name })}>${number(one.tools)}</a>`],
  ["Tokens", "n muted hm", (one) => number(one.tokens)],
  ["Calls", "n", (one) => one.calls > 0 && callsOf(one, number(one.calls))],
  ["Failed", "n", (one) =>
    one.calls > 0 &&
    view`<span class=${levelOf(one.failed / one.calls)}>${
      callsOf(one, percent(one.failed, one.calls), FAILED)
    }</span>`],
  ["p50", "n muted hm", (one) => one.calls > 0 && ms(one.p50)],
  [
    "p95",
    "n",
    (one) => one.calls > 0 && view`<span class=${one.p95 > 2_000 && "warn"}>${ms(one.p95)}</span>`,
  ],
  ["Over time", "hm", ({ calls, spark, level }) =>
    calls > 0 &&
    view`<${Spark} values=${spark} color=${level === "bad" ? "var(--bad)" : undefined} />`],
  ["Since", "n muted hm", (one) => one.since > 0 && span((Date.now() - one.since) / 1_000)],
];

/** All servers with their numbers; `selected` is shown beside. @param {{servers: any[], selected?: string}} props */
export function Servers({ servers, selected }) {
  const columns = selected ? COLUMNS.filter(([, name]) => !name.endsWith("hm")) : COLUMNS;
  return view`<${Table} label="Servers" rows=${servers} columns=${columns} selected=${selected}
    id=${(/** @type {any} */ { name }) => name}
    link=${(/** @type {any} */ { name }) => href(["servers", name], { range: range.value })}
    empty=${view`None is configured. <code>mcproxy add</code> adds one.`} />`;
}

/** The overview of the chosen time. */
export function useOverview() {
  const told = useData(`api/overview?range=${range.value}`, { every: 15_000 });
  useEvents("status", told.reload);
  return told;
}

export default function Overview() {
  const { data, error, reload } = useOverview();
  if (data === undefined) return view`<${Failed} error=${error} />`;
  /** @type {Told} */
  const { servers, attention, sentence } = data;
  const off = servers.filter(({ state }) => state === "disabled").length;
  return view`<${Failed} error=${error} /><${Sentence} text=${sentence} servers=${servers} /><${Tiles} data=${data} />
    <div class="two"><div class="panel"><div class="head"><h2>Traffic</h2><span class="faint">
    ${
    /** @type {any} */ (RANGES)[data.range]
  }</span><div class="key"><span><i class="calls"></i>calls</span>
    <span><i class="failures"></i>failed</span><span><i class="line"></i>p95</span></div></div>
    <${Traffic} data=${data} /></div><${Attention} attention=${attention} onDone=${reload} /></div>
    <div class="panel"><div class="head"><h2>Servers</h2><span class="faint">${servers.length - off}
    ${
    off > 0 && `, and ${off} disabled`
  }</span><span class="faint hm end"><kbd>j</kbd> <kbd>k</kbd> move <kbd>↵</kbd> open</span>
    </div><${Servers} servers=${servers} /></div>`;
}
