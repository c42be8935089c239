/** The columns of `mcproxy status`: what each shows, and which goes first where room is short. */

import { isObject, type JsonObject } from "../lib/json.ts";
import { firstLine, fit, printable } from "../lib/text.ts";
import type { RemoteServer } from "./remote.ts";
import { formatSpan } from "./span.ts";
import { withoutName } from "./view/live.ts";
import type { Style } from "./view/style.ts";
import type { Cell, Column } from "./view/table.ts";

/** What a cell is made with. */
export interface CellOptions {
  readonly style: Style;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** A column of the table of servers. */
export interface StatusColumn extends Column {
  /** The higher, the longer it stays where the terminal is too narrow; without, for ever. */
  readonly worth?: number;
  cell(server: RemoteServer, options: CellOptions): string | Cell;
}

/** Cells a name may take. */
const MAX_NAME = 28;

/** Every column, in its order. */
export const STATUS_COLUMNS: readonly StatusColumn[] = [
  {
    title: "SERVER",
    cell: ({ name }, { style }) => ({ text: fit(printable(name), MAX_NAME), paint: style.name }),
  },
  {
    title: "STATE",
    cell: (server, options) => ({
      text: stateText(server, options.now),
      paint: statePaint(server, options.style),
    }),
  },
  { title: "TRANSPORT", worth: 4, cell: ({ transport }) => printable(transport) },
  { title: "ERA", worth: 6, cell: ({ raw }) => textOf(raw.era) },
  { title: "TOOLS", align: "right", worth: 9, cell: ({ raw }) => countOf(raw, "tools") },
  { title: "TOKENS", align: "right", worth: 3, cell: ({ raw }) => textOf(raw.tokens) },
  { title: "PROMPTS", align: "right", worth: 1, cell: ({ raw }) => countOf(raw, "prompts") },
  { title: "RESOURCES", align: "right", worth: 2, cell: ({ raw }) => countOf(raw, "resources") },
  { title: "TEMPLATES", align: "right", worth: 0, cell: ({ raw }) => countOf(raw, "templates") },
  { title: "PID", align: "right", worth: 5, cell: ({ raw }) => textOf(raw.pid) },
  { title: "RESTARTS", align: "right", worth: 10, cell: ({ raw }) => textOf(raw.restarts) },
  { title: "CALLS", align: "right", worth: 11, cell: ({ raw }) => textOf(raw.calls) },
  {
    title: "ERRORS",
    align: "right",
    worth: 12,
    cell: ({ raw }, { style }) => {
      const text = errorRate(raw.calls, raw.failedCalls);
      return text === "" || text === "0%" ? text : { text, paint: style.warn };
    },
  },
  { title: "IN FLIGHT", align: "right", worth: 7, cell: ({ raw }) => inFlight(raw) },
  {
    title: "UPTIME",
    align: "right",
    worth: 8,
    cell: ({ state, raw }, { now }) =>
      state === "ready" && typeof raw.since === "string" ? spanSince(raw.since, now) : "",
  },
  { title: "LAST ERROR", worth: 13, cell: (server, { now }) => lastError(server, now) },
];

/** A value of the status as printable text; what is neither text nor number is empty. */
export function textOf(value: unknown): string {
  return typeof value === "string" || typeof value === "number" ? printable(String(value)) : "";
}

/** Whether a server is as its operator wants it to be. */
export function isWell({ state, raw }: RemoteServer): boolean {
  return (state === "ready" || state === "idle" || state === "disabled") && !isDegraded(raw);
}

function isDegraded(raw: JsonObject): boolean {
  return raw.health === "degraded";
}

/** `backoff: refused, retry in 4s`, `ready 2/3: degraded`, `connecting (stale)`. */
function stateText({ state, raw }: RemoteServer, now: number): string {
  const notes = [
    ...(state === "ready" ? isDegraded(raw) ? ["degraded"] : [] : reason(raw.reason)),
    ...retry(raw.retryAt, now),
  ];
  const stale = raw.stale === true ? " (stale)" : "";
  const why = notes.length === 0 ? "" : `: ${notes.join(", ")}`;
  return `${printable(state)}${instances(raw.instances)}${why}${stale}`;
}

/** That a server is starting is what `connecting` says already. */
function reason(value: unknown): string[] {
  const text = textOf(value);
  return text === "" || text === "starting" ? [] : [text];
}

function retry(at: unknown, now: number): string[] {
  const time = typeof at === "string" ? Date.parse(at) : NaN;
  return Number.isNaN(time) ? [] : [`retry in ${formatSpan(time - now)}`];
}

/** Only a server with several instances has them in its status. */
function instances(value: unknown): string {
  if (!Array.isArray(value) || value.length < 2) return "";
  const ready = value.filter((one) => isObject(one) && one.state === "ready");
  return ` ${ready.length}/${value.length}`;
}

function statePaint({ state, raw }: RemoteServer, style: Style): (text: string) => string {
  switch (state) {
    case "ready":
      return isDegraded(raw) || isPartial(raw.instances) ? style.warn : style.good;
    case "connecting":
      return style.warn;
    case "idle":
    case "disabled":
      return style.dim;
    default:
      return style.bad;
  }
}

function isPartial(value: unknown): boolean {
  return Array.isArray(value) && value.some((one) => isObject(one) && one.state !== "ready");
}

function countOf({ counts }: JsonObject, kind: string): string {
  return isObject(counts) ? textOf(counts[kind]) : "";
}

/** The share of calls that failed; nothing while there were none. */
function errorRate(calls: unknown, failed: unknown): string {
  if (typeof calls !== "number" || typeof failed !== "number" || calls <= 0) return "";
  const percent = 100 * failed / calls;
  return percent > 0 && percent < 1 ? "<1%" : `${Math.round(percent)}%`;
}

function inFlight({ inFlight, queued }: JsonObject): string {
  const text = textOf(inFlight);
  return typeof queued === "number" && queued > 0 ? `${text || "0"}+${queued} queued` : text;
}

function spanSince(time: string, now: number): string {
  const at = Date.parse(time);
  return Number.isNaN(at) ? "" : formatSpan(now - at);
}

/** `5m ago: …`; what is wrong now goes before what was. */
function lastError({ name, raw }: RemoteServer, now: number): string {
  const detail = isDegraded(raw) ? firstLine(textOf(raw.healthDetail)) : "";
  if (detail !== "") return detail;
  const error = firstLine(withoutName(textOf(raw.lastError), name));
  const ago = typeof raw.lastErrorAt === "string" ? spanSince(raw.lastErrorAt, now) : "";
  return error === "" || ago === "" ? error : `${ago} ago: ${error}`;
}
