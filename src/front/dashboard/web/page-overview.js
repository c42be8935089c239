// @ts-check
/// <reference lib="dom" />
/** How things are: one sentence, numbers, what needs attention, all servers. */

import { useEffect, useRef, useState } from "preact/hooks";
import { post, useData } from "./api.js";
import { Act, clock, Copy, Dot, Failed, Item, Items, ms, named, number } from "./parts.js";
import { Panel, percent, span, Spark, Table, view } from "./parts.js";
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
  const [, first = text, rest = ""] = /^(.*?[.!?])(\s.*)?$/s.exec(text.slice(0, 2_000)) ?? [];
  const wrong = servers.filter(({ level }) => /bad|warn/.test(level)).map(({ name }) => name);
  const link = (/** @type {string} */ word) =>
    wrong.includes(word) ? view`<a href=${href(["servers", word])}>${word}</a>` : word;
  const linked = (/** @type {string} */ part) => part.split(/([\w.-]*\w)/).map(link);
  return view`<div class="say"><p>${linked(first)}<span>${linked(rest)}</span></p></div>`;
}

/** @param {{title: string, to: string, value: string, note: any, chart: any}} of `value`: number and unit */
function tile({ title, to, value, note, chart }) {
  const [, amount, unit] = /^(.*?)(?:\u202f(\D+))?$/.exec(value) ?? [];
  return view`<a class="tile" href=${to}><p>${title}</p>
    <b>${amount || "–"}<small>${unit}</small></b><em>${note}</em>${chart}</a>`;
}

/** @param {{data: Told}} props */
function Tiles({ data }) {
  const { calls, failed, before, traffic, servers, tokens, spared, p95, gatewayMs } = data;
  const change = Math.round(100 * (calls / before.calls - 1));
  const more = `${change < 0 ? "−" : "+"}${Math.abs(change)}\u202f% on the time before`;
  const worst = [...servers].sort((a, b) => b.failed - a.failed)[0];
  const line = (/** @type {string} */ of, color = "var(--accent)") =>
    view`<${Spark} height=${26} color=${color} values=${traffic.map((one) => one[of] ?? 0)} />`;
  const share = (/** @type {any} */ one, /** @type {number} */ index) =>
    view`<i style=${{ flex: one.tokens, opacity: Math.max(0.2, 1 - index * 0.09) }}></i>`;
  const shares = servers.filter((one) => one.tokens > 0).map(share);
  const list = spared > 0
    ? { title: "Tokens spared", value: number(spared), note: `a list, gated to ${number(tokens)}` }
    : { title: "Tokens", value: number(tokens), note: "a list, all tools in it" };
  const tiles = [
    {
      title: "Calls",
      to: href("calls"),
      value: number(calls),
      note: before.calls > 0 ? more : "none before",
      chart: line("calls"),
    },
    {
      title: "Failed",
      to: href("calls", { filter: FAILED }),
      value: percent(failed, calls || 1),
      note: failed > 0 ? `${number(worst.failed)} of ${number(failed)} from ${worst.name}` : "none",
      chart: line("failed", "var(--bad)"),
    },
    {
      title: "p95 latency",
      to: href("calls", { filter: `ms:>${Math.floor(p95 ?? 0)}` }),
      value: ms(p95),
      note: gatewayMs > 0 && `gateway adds ${ms(gatewayMs)}`,
      chart: line("p95"),
    },
    {
      ...list,
      to: href("tools"),
      chart: view`<div class="mini" aria-hidden="true">${shares}</div>`,
    },
  ];
  return view`<div class="panel tiles">${tiles.map(tile)}</div>`;
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
  const line = (/** @type {number} */ part) =>
    view`<line x1=${left} x2=${width - right} y1=${y(part)} y2=${y(part)} stroke="var(--line)" />`;
  const scale = (/** @type {number} */ part) =>
    view`<text x=${left - 9} y=${y(part) + 4} text-anchor="end">${number(most * part)}</text>
      <text x=${width - right + 9} y=${y(part) + 4}>${part > 0 && ms(slowest * part)}</text>`;
  /** @param {number} index @param {number} part @param {string} color */
  const bar = (index, part, color) =>
    view`<rect x=${x(index)} y=${y(part)} width=${each * 0.76} height=${floor - y(part)}
      fill=${color} rx=${Math.min(2, each / 4)} />`;
  const bars = traffic.map((one, index) =>
    view`<g><title>${clock(one.at, true)}: ${one.calls} calls, ${one.failed} failed</title>
      ${bar(index, one.calls / most, "var(--bar)")}
      ${one.failed > 0 && bar(index, Math.max(0.02, one.failed / most), "var(--bad)")}</g>`
  );
  const slow = traffic.flatMap(({ p95 }, index) =>
    p95 > 0 ? `${x(index) + each * 0.38},${y(p95 / slowest)}` : []
  );
  const curve = slow.length > 1 &&
    view`<path d=${`M${slow.join("L")}`} fill="none" stroke="var(--accent)" stroke-width="1.6" />`;
  const time = (/** @type {number} */ part) => {
    const index = Math.round(part * (traffic.length - 1));
    const text = clock(traffic[index].at, true);
    return view`<text x=${x(index) + each / 2} y=${height - 8} text-anchor="middle">${text}</text>`;
  };
  const onClick = (/** @type {MouseEvent} */ { offsetX }) => {
    const one = traffic[Math.floor((offsetX - left) / each)];
    if (one !== undefined) go(href("calls", { before: one.at + step }));
  };
  const quarters = [0, 0.25, 0.5, 0.75, 1];
  const drawn = width > 0 && traffic.length > 0 &&
    [quarters.map(line), [0, 0.5, 1].map(scale), bars, width > 400 && quarters.map(time)];
  return view`<svg class="chart" role="img" ref=${ref} onClick=${onClick}
    aria-label=${`${number(calls)} calls, ${
    number(failed)
  } of them failed`}>${drawn}${curve}</svg>`;
}

/** What one can do about it. @param {any} act @param {() => void} done */
function remedy({ label, command, post: path, href: to } = {}, done) {
  if (command !== undefined) return view`<${Copy} text=${command} class="link">${label}<//>`;
  if (to?.startsWith("#/")) return view`<a class="link" href=${to}>${label}</a>`;
  const run = () => post(path.replace(/^\//, "")).then(done);
  return path && view`<${Act} class="link" run=${run}>${label}<//>`;
}

/** @param {{attention: any[], onDone: () => void}} props */
function Attention({ attention, onDone }) {
  const entry = (/** @type {any} */ { kind, subject, act, ...one }) =>
    view`<${Item} key=${`${kind} ${subject}`} ...${one} end=${remedy(act, onDone)}>
      ${act?.command && view`<code>${act.command}</code>`}<//>`;
  const all = attention.map(entry);
  const count = view`<span class="faint">${attention.length}</span>`;
  return view`<${Panel} title="Needs attention" end=${count}>
    ${all.length > 0 ? view`<${Items} of=${all} />` : view`<p class="none">Nothing does.</p>`}<//>`;
}

/** @param {any} one @param {any} text @param {string} [filter] */
const callsOf = ({ name }, text, filter = "") =>
  view`<a href=${href("calls", { filter: `server:${name} ${filter}`.trim() })}>${text}</a>`;

/** @param {number} part */
const levelOf = (part) => part > 0.5 ? "bad" : part > 0.02 ? "warn" : "faint";

/** @param {any} server */
const called = ({ name, level, state }) =>
  view`<${Dot} level=${level} />${named(name)}
    ${state !== "ready" && view`<span class=${`state ${level}`}>${state}</span>`}`;

/** @param {any} server */
const share = (server) =>
  view`<span class=${levelOf(server.failed / server.calls)}>
    ${callsOf(server, percent(server.failed, server.calls), FAILED)}</span>`;

/** @param {any} server */
const slowness = ({ p95 }) => view`<span class=${p95 > 2_000 && "warn"}>${ms(p95)}</span>`;

/** @param {any} server */
const course = ({ spark, level }) =>
  view`<${Spark} values=${spark} color=${level === "bad" ? "var(--bad)" : undefined} />`;

/** @type {import("./parts.js").Column[]} */
const COLUMNS = [
  ["Server", "", called],
  ["Transport", "muted hm", (one) => one.transport],
  ["Era", "muted hm", (one) => one.era ?? "–"],
  ["Tools", "n", (one) => view`<a href=${href("tools", { q: one.name })}>${number(one.tools)}</a>`],
  ["Tokens", "n muted hm", (one) => number(one.tokens)],
  ["Calls", "n", (one) => one.calls > 0 && callsOf(one, number(one.calls))],
  ["Failed", "n", (one) => one.calls > 0 && share(one)],
  ["p50", "n muted hm", (one) => one.calls > 0 && ms(one.p50)],
  ["p95", "n", (one) => one.calls > 0 && slowness(one)],
  ["Over time", "hm", (one) => one.calls > 0 && course(one)],
  ["Since", "n muted hm", (one) => one.since > 0 && span((Date.now() - one.since) / 1_000)],
];

const NONE = view`None is configured. <code>mcproxy add</code> adds one.`;

/** All servers with their numbers; `selected` is shown beside. @param {{servers: any[], selected?: string}} props */
export function Servers({ servers, selected }) {
  const columns = selected ? COLUMNS.filter(([, name]) => !name.endsWith("hm")) : COLUMNS;
  const link = (/** @type {any} */ { name }) => href(["servers", name], { range: range.value });
  const shown = { columns, rows: servers, id: "name", link, selected, empty: NONE };
  return view`<${Table} label="Servers" ...${shown} />`;
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
  const count = `${servers.length - off}${off > 0 ? `, and ${off} disabled` : ""}`;
  const time = /** @type {Record<string, string>} */ (RANGES)[data.range];
  const key = view`<div class="key"><span><i class="calls"></i>calls</span>
    <span><i class="failures"></i>failed</span><span><i class="line"></i>p95</span></div>`;
  const hint = view`<span class="faint hm"><kbd>j</kbd> <kbd>k</kbd> move <kbd>↵</kbd> open</span>`;
  return view`<${Failed} error=${error} /><${Sentence} text=${sentence} servers=${servers} />
    <${Tiles} data=${data} /><div class="two">
    <${Panel} title="Traffic" note=${time} end=${key}><${Traffic} data=${data} /><//>
    <${Attention} attention=${attention} onDone=${reload} /></div>
    <${Panel} title="Servers" note=${count} end=${hint}><${Servers} servers=${servers} /><//>`;
}
