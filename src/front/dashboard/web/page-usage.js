// @ts-check
/// <reference lib="dom" />
/** Usage: what is called how often and what it costs, and what could be done about it. */

import { useData } from "./api.js";
import { bytes, Copy, Failed, ms, number, percent, Seg, Table, view } from "./parts.js";
import { show } from "./schema.js";
import { go, href, withQuery } from "./state.js";

/** @type {Record<string, string>} */
const BY = { tool: "Tools", server: "Servers", client: "Clients" };
const RANGES = { "1h": "1 h", "24h": "24 h", "7d": "7 d", "30d": "30 d", "400d": "400 d" };

/** What a query says, where it is one of those there are. @param {object} all @param {string | null} asked @param {string} preset */
export const oneOf = (all, asked, preset) => Object.hasOwn(all, asked ?? "") ? `${asked}` : preset;

/** @param {string} by @param {number} most tokens of one row @returns {import("./parts.js").Column[]} */
const columnsOf = (by, most) => [
  [`${BY[by]}`.slice(0, -1), "", (row) => view`<span class="name">${row.key}</span>`],
  ["Calls", "n", ({ calls }) => number(calls)],
  ["Failed", "n", ({ failed, calls }) => percent(failed, calls)],
  ["Tool errors", "n hm", ({ toolErrors }) => number(toolErrors)],
  ["p50", "n hm", ({ p50 }) => ms(p50)],
  ["p95", "n", ({ p95 }) => ms(p95)],
  ["Out", "n hm", ({ bytesOut }) => bytes(bytesOut)],
  [
    "Tokens",
    "n",
    ({ tokens = 0 }) =>
      view`${
        number(tokens)
      } <meter class="bar hm" aria-hidden="true" max=${most} value=${tokens} />`,
  ],
];

/** @param {any} advice */
function Advice({ text, figure, reason, config }) {
  const code = typeof config === "string" ? config : show(config);
  return view`<li><span class="dot tip" /><div><b>${text}</b>
    <p>${[figure, reason].filter(Boolean).join(" · ")}</p>${
    code && view`<pre tabindex="0">${code}</pre>`
  }</div>
    ${code && view`<${Copy} text=${code}>Copy<//>`}</li>`;
}

/** @param {{ query: URLSearchParams }} props */
export default function UsagePage({ query }) {
  const by = oneOf(BY, query.get("by"), "tool");
  const range = oneOf(RANGES, query.get("range"), "7d");
  const { data, error } = useData(`api/usage?by=${by}&range=${range}`, { every: 60_000 });
  const advice = useData("api/advice").data?.items ?? [];
  const rows = data?.items ?? [];
  const most = Math.max(1, ...rows.map((/** @type {any} */ { tokens = 0 }) => tokens));
  const filter = by === "tool" ? "name" : by;
  const link = (/** @type {any} */ { key }) => href("calls", { filter: `${filter}:${show(key)}` });
  const to = (/** @type {string} */ name) => (/** @type {string} */ one) =>
    go(withQuery({ [name]: one }));
  return view`<div class="filters"><${Seg} label="Usage by" options=${BY} value=${by} onChange=${
    to("by")
  } />
    <div class="grow" /><${Seg} label="Time range" options=${RANGES} value=${range} onChange=${
    to("range")
  } /></div>
    <div class="panel gap"><${Failed} error=${error} /><${Table} label="Usage" rows=${rows} link=${link}
    columns=${columnsOf(by, most)} id=${(/** @type {any} */ { key }) => key}
    empty="Nothing was called in this time, or no history is kept." /></div>${
    advice.length > 0 &&
    view`<div class="panel"><div class="head"><h2>Advice</h2></div><ul class="todo">
    ${advice.map((/** @type {any} */ one) => view`<${Advice} ...${one} />`)}</ul></div>`
  }`;
}
