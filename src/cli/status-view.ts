/** `/api/status` for people: pure functions from what a gateway said to lines. */

import { isObject, type JsonObject } from "../lib/json.ts";
import { firstLine, fit, printable, widthOf } from "../lib/text.ts";
import { costIn, savedPercent } from "./costs.ts";
import { type RemoteServer, serversIn } from "./remote.ts";
import { withoutName } from "./view/live.ts";
import { type Cell, type Column, renderTable, type Style } from "./view/table.ts";

/** How the lines are made. */
export interface StatusViewOptions {
  readonly style: Style;
  /** Cells a line may take; columns worth least are given up first. `Infinity` for a pipe. */
  readonly width: number;
  /** Lines there is room for; servers that are well are left out first. @default Infinity */
  readonly rows?: number;
  /** Milliseconds since the epoch. @default now */
  readonly now?: number;
}

/** Cells the last error keeps before another column is given up for it. */
const MIN_ERROR = 30;
const GAP = 2;

/**
 * The lines of `status`. The body may be that of an older or newer gateway: what it does not say
 * stays blank.
 */
export function renderStatus(
  body: JsonObject,
  { style, width, rows = Infinity, now = Date.now() }: StatusViewOptions,
): string[] {
  const head = headLines(body).map(({ text, paint }) => {
    // What is redrawn in place must not wrap; anywhere else a complaint is worth two lines.
    const line = rows === Infinity ? text : fit(text, width);
    return paint === undefined ? line : style[paint](line);
  });
  const servers = serversIn(body);
  // Below the head: an empty line and the titles.
  const room = Math.max(1, rows - head.length - 2);
  const crowded = servers.length > room;
  const shown = crowded ? neediest(servers, Math.max(1, room - 1)) : servers;
  const left = servers.length - shown.length;
  return [
    ...head,
    "",
    ...renderServers(shown, { style, width, now }),
    ...(crowded ? [style.dim(fit(`… and ${left} more`, width))] : []),
  ];
}

interface HeadLine {
  readonly text: string;
  readonly paint?: "warn" | "bad";
}

function headLines(body: JsonObject): readonly HeadLine[] {
  const config = isObject(body.config) ? body.config : {};
  const clients = isObject(body.clients) ? body.clients : {};
  const sessions = textOf(clients.sessions) || "0";
  const requests = textOf(clients.requestsInFlight) || "0";
  const lines: HeadLine[] = [
    { text: `mcproxy ${textOf(body.version)}, up ${uptime(body)}` },
    { text: `config ${textOf(config.path)}, loaded ${textOf(config.loadedAt)}` },
    { text: `clients ${sessions}, requests in flight ${requests}` },
  ];
  const gating = gatingText(body);
  if (gating !== undefined) lines.push({ text: gating });
  if (typeof config.error === "string") {
    const since = textOf(config.errorAt);
    const when = since === "" ? "" : ` since ${since}`;
    lines.push({ text: `config not reloaded${when}: ${firstLine(config.error)}`, paint: "bad" });
  }
  const restart = Array.isArray(config.restartNeeded) ? config.restartNeeded.map(textOf) : [];
  if (restart.length > 0) {
    lines.push({ text: `restart needed to apply: ${restart.join(", ")}`, paint: "warn" });
  }
  return lines;
}

/**
 * `tools 61, about 2440 tokens; gated to 5, about 338 tokens: 86.1% saved`. Nothing from a gateway
 * that knows no gating.
 */
function gatingText({ gating, profiles }: JsonObject): string | undefined {
  const cost = costIn(gating);
  if (cost === undefined) return undefined;
  const { gated, tools, tokens, gatedTools, gatedTokens, savedTokens } = cost;
  const saving = savedTokens < 0 ? `${-savedTokens} more` : `${savedPercent(cost)}% saved`;
  const parts = [
    `tools ${tools}, about ${tokens} tokens`,
    gated ? `gated to ${gatedTools}, about ${gatedTokens} tokens: ${saving}` : "not gated",
  ];
  if (Array.isArray(profiles) && profiles.length > 0) {
    const closed = profiles.filter((one) => isObject(one) && costIn(one.gating)?.gated);
    parts.push(`${closed.length} of ${profiles.length} profiles gated`);
  }
  return parts.join("; ");
}

function uptime({ uptimeSeconds }: JsonObject): string {
  return formatSpan(Number(uptimeSeconds ?? 0) * 1_000);
}

/** As many as there is room for, those that are not well before the others; the order stays. */
function neediest(servers: readonly RemoteServer[], count: number): readonly RemoteServer[] {
  const first = new Set(
    servers.toSorted((a, b) => Number(isWell(a)) - Number(isWell(b))).slice(0, count),
  );
  return servers.filter((server) => first.has(server));
}

function renderServers(
  servers: readonly RemoteServer[],
  { style, width, now }: { readonly style: Style; readonly width: number; readonly now: number },
): string[] {
  const table = STATUS_COLUMNS.map((column) => ({
    column,
    cells: servers.map((server) => column.cell(server, { style, now })),
  }));
  const kept = keep(table, width);
  const rows = servers.map((_, row) => kept.map(({ cells }) => cells[row]!));
  return renderTable(kept.map(({ column }) => column), rows, { style, width });
}

interface FilledColumn {
  readonly column: StatusColumn;
  readonly cells: readonly (string | Cell)[];
}

/** The columns there is room for. The last one is cut by the table, so it counts by its minimum. */
function keep(table: readonly FilledColumn[], width: number): readonly FilledColumn[] {
  let kept = table;
  while (needed(kept) > width) {
    const [cheapest] = kept
      .filter(({ column }) => column.worth !== undefined)
      .toSorted((a, b) => a.column.worth! - b.column.worth!);
    if (cheapest === undefined) break;
    kept = kept.filter((one) => one !== cheapest);
  }
  return kept;
}

function needed(table: readonly FilledColumn[]): number {
  const widths = table.map(({ column, cells }) =>
    Math.max(
      widthOf(column.title),
      ...cells.map((cell) => widthOf(typeof cell === "string" ? cell : cell.text)),
    )
  );
  const last = Math.min(MIN_ERROR, widths.at(-1) ?? 0);
  return widths.slice(0, -1).reduce((sum, one) => sum + one + GAP, last);
}

/** The columns of `mcproxy status`: what each shows, and which goes first where room is short. */

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

/** Spans of time as people read them: one unit, the largest that says something. */

/** `0s`, `59s`, `12m`, `3h`, `40h`, `2d` for milliseconds; a negative span (a clock apart) is `0s`. */
export function formatSpan(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1_000)) || 0;
  if (seconds < 60) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}m`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours}h` : `${Math.floor(hours / 24)}d`;
}
