// @ts-check
/// <reference lib="dom" />
/** Usage: what is called how often and what it costs, and what could be done about it. */

import { useData } from "./api.js";
import {
  bytes,
  Copy,
  Failed,
  Item,
  Items,
  ms,
  named,
  number,
  Panel,
  percent,
  Seg,
} from "./parts.js";
import { Table, view } from "./parts.js";
import { show } from "./schema.js";
import { chosen, href } from "./state.js";

/** @type {Record<string, string>} */
const BY = { tool: "Tools", server: "Servers", client: "Clients" };
const RANGES = { "1h": "1 h", "24h": "24 h", "7d": "7 d", "30d": "30 d", "400d": "400 d" };

/** @param {string} by @param {number} most tokens of one row @returns {import("./parts.js").Column[]} */
const columnsOf = (by, most) => [
  [`${BY[by]}`.slice(0, -1), "", ({ key }) => named(key)],
  ["Calls", "n", ({ calls }) => number(calls)],
  ["Failed", "n", ({ failed, calls }) => percent(failed, calls)],
  ["Tool errors", "n hm", ({ toolErrors }) => number(toolErrors)],
  ["p50", "n hm", ({ p50 }) => ms(p50)],
  ["p95", "n", ({ p95 }) => ms(p95)],
  ["Out", "n hm", ({ bytesOut }) => bytes(bytesOut)],
  ["Tokens", "n", ({ tokens = 0 }) => [number(tokens), bar(tokens, most)]],
];

/** @param {number} part @param {number} most */
const bar = (part, most) =>
  view`<meter class="bar hm" aria-hidden="true" max=${most} value=${part} />`;

/** @param {any} advice */
function Advice({ text, figure, reason, config }) {
  const code = typeof config === "string" ? config : show(config);
  const why = [figure, reason].filter(Boolean).join(" · ");
  const copy = code && view`<${Copy} text=${code}>Copy<//>`;
  return view`<${Item} level="tip" title=${text} text=${why} end=${copy}>
    ${code && view`<pre tabindex="0">${code}</pre>`}<//>`;
}

export default function UsagePage() {
  const by = chosen(BY, "by", "tool");
  const range = chosen(RANGES, "range", "7d");
  const { data, error } = useData(`api/usage?by=${by}&range=${range}`, { every: 60_000 });
  const advice = useData("api/advice").data?.items ?? [];
  const rows = data?.items ?? [];
  const most = Math.max(1, ...rows.map((/** @type {any} */ { tokens = 0 }) => tokens));
  const filter = by === "tool" ? "name" : by;
  const link = (/** @type {any} */ { key }) => href("calls", { filter: `${filter}:${show(key)}` });
  const shown = { columns: columnsOf(by, most), rows, id: "key", link };
  const entries = advice.map((/** @type {any} */ one) => view`<${Advice} ...${one} />`);
  return view`<div class="filters">
    <${Seg} label="Usage by" options=${BY} value=${by} name="by" /><div class="grow" />
    <${Seg} label="Time range" options=${RANGES} value=${range} name="range" /></div>
    <div class="panel gap"><${Failed} error=${error} /><${Table} label="Usage" ...${shown}
      empty="Nothing was called in this time, or no history is kept." /></div>
    ${entries.length > 0 && view`<${Panel} title="Advice"><${Items} of=${entries} /><//>`}`;
}
