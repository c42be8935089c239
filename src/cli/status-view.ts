/** `/api/status` for people: pure functions from what a gateway said to lines. */

import { isObject, type JsonObject } from "../lib/json.ts";
import { firstLine, fit, printable } from "../lib/text.ts";
import { costIn, savedPercent, ungatedHint } from "./costs.ts";
import { withoutName } from "./announce.ts";
import { type Cell, type Column, firstByRank, renderTable, type Style } from "./view/table.ts";

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

/**
 * The lines of `status`. The body may be that of an older or newer gateway: what it does not say
 * stays blank.
 */
export function renderStatus(
  body: JsonObject,
  { style, width, rows = Infinity, now = Date.now() }: StatusViewOptions,
): string[] {
  const head = headLines(body).map(([text, paint]) => {
    // What is redrawn in place must not wrap; anywhere else a complaint is worth two lines.
    const line = rows === Infinity ? text : fit(text, width);
    return paint === undefined ? line : style[paint](line);
  });
  const servers = Array.isArray(body.servers) ? body.servers.filter(isObject) : [];
  // Below the head: an empty line and the titles.
  const room = Math.max(1, rows - head.length - 2);
  const crowded = servers.length > room;
  const shown = crowded
    ? firstByRank(servers, Math.max(1, room - 1), (server) => isWell(server) ? 1 : 0)
    : servers;
  const left = servers.length - shown.length;
  return [
    ...head,
    "",
    ...renderTable(
      STATUS_COLUMNS,
      shown.map((server) => STATUS_COLUMNS.map(({ cell }) => cell(server, { style, now }))),
      { style, width },
    ),
    ...(crowded ? [style.dim(fit(`… and ${left} more`, width))] : []),
  ];
}

type HeadLine = readonly [text: string, paint?: "warn" | "bad"];

function headLines(body: JsonObject): readonly HeadLine[] {
  const config = isObject(body.config) ? body.config : {};
  const clients = isObject(body.clients) ? body.clients : {};
  const sessions = printed(clients.sessions) || "0";
  const requests = printed(clients.requestsInFlight) || "0";
  const lines: HeadLine[] = [
    [`mcproxy ${printed(body.version)}, up ${formatSpan(Number(body.uptimeSeconds ?? 0) * 1_000)}`],
    [`config ${printed(config.path)}, loaded ${printed(config.loadedAt)}`],
    [`clients ${sessions}, requests in flight ${requests}`],
  ];
  // An older gateway says none.
  const sentence = printed(body.sentence);
  if (sentence !== "") lines.splice(1, 0, [sentence]);
  const gating = gatingText(body);
  if (gating !== undefined) lines.push([gating]);
  const hint = ungatedHint(costIn(body.gating));
  if (hint !== undefined) lines.push([hint]);
  if (typeof config.error === "string") {
    const since = printed(config.errorAt);
    const when = since === "" ? "" : ` since ${since}`;
    lines.push([`config not reloaded${when}: ${firstLine(config.error)}`, "bad"]);
  }
  const waiting = waitingText(body);
  if (waiting !== undefined) lines.push([waiting, "warn"]);
  if (typeof body.pinProblem === "string") lines.push([firstLine(body.pinProblem), "bad"]);
  const restart = Array.isArray(config.restartNeeded) ? config.restartNeeded.map(printed) : [];
  if (restart.length > 0) lines.push([`restart needed to apply: ${restart.join(", ")}`, "warn"]);
  return lines;
}

/** `definitions not as approved: github 2, linear 1 held back; see "mcproxy approve"`. */
function waitingText({ servers }: JsonObject): string | undefined {
  const parts = (Array.isArray(servers) ? servers.filter(isObject) : []).flatMap((server) => {
    const { waiting, held } = isObject(server.pins) ? server.pins : {};
    if (typeof waiting !== "number" || waiting === 0) return [];
    const name = fit(printed(server.name), MAX_NAME);
    return [`${name} ${waiting}${Number(held) > 0 ? " held back" : ""}`];
  });
  if (parts.length === 0) return undefined;
  return `definitions not as approved: ${parts.join(", ")}; see "mcproxy approve"`;
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

/** A column of the table of servers. */
interface StatusColumn extends Column {
  cell(
    server: JsonObject,
    /** `now` in milliseconds since the epoch. */
    options: { readonly style: Style; readonly now: number },
  ): string | Cell;
}

/** Cells a name may take. */
const MAX_NAME = 28;

/** Every column, in its order. */
const STATUS_COLUMNS: readonly StatusColumn[] = [
  {
    title: "SERVER",
    cell: ({ name }, { style }) => ({ text: fit(printed(name), MAX_NAME), paint: style.name }),
  },
  {
    title: "STATE",
    cell: (server, options) => ({
      text: stateText(server, options.now),
      paint: statePaint(server, options.style),
    }),
  },
  { title: "TRANSPORT", worth: 4, cell: ({ transport }) => printed(transport) },
  { title: "ERA", worth: 6, cell: ({ era }) => printed(era) },
  { title: "TOOLS", align: "right", worth: 9, cell: (server) => countOf(server, "tools") },
  { title: "TOKENS", align: "right", worth: 3, cell: ({ tokens }) => printed(tokens) },
  { title: "PROMPTS", align: "right", worth: 1, cell: (server) => countOf(server, "prompts") },
  { title: "RESOURCES", align: "right", worth: 2, cell: (server) => countOf(server, "resources") },
  { title: "TEMPLATES", align: "right", worth: 0, cell: (server) => countOf(server, "templates") },
  { title: "PID", align: "right", worth: 5, cell: ({ pid }) => printed(pid) },
  { title: "RESTARTS", align: "right", worth: 10, cell: ({ restarts }) => printed(restarts) },
  { title: "CALLS", align: "right", worth: 11, cell: ({ calls }) => printed(calls) },
  {
    title: "ERRORS",
    align: "right",
    worth: 12,
    cell: ({ calls, failedCalls }, { style }) => {
      const text = errorRate(calls, failedCalls);
      return text === "" || text === "0%" ? text : { text, paint: style.warn };
    },
  },
  { title: "IN FLIGHT", align: "right", worth: 7, cell: inFlight },
  {
    title: "UPTIME",
    align: "right",
    worth: 8,
    cell: ({ state, since }, { now }) =>
      state === "ready" && typeof since === "string" ? spanSince(since, now) : "",
  },
  { title: "LAST ERROR", worth: 13, cell: (server, { now }) => lastError(server, now) },
];

/** A value of the status as printable text; what is neither text nor number is empty. */
export function printed(value: unknown): string {
  return typeof value === "string" || typeof value === "number" ? printable(String(value)) : "";
}

/** Whether a server is as its operator wants it to be. */
function isWell(server: JsonObject): boolean {
  const { state } = server;
  return (state === "ready" || state === "idle" || state === "disabled") && !isDegraded(server);
}

function isDegraded({ health }: JsonObject): boolean {
  return health === "degraded";
}

/** `backoff: refused, retry in 4s`, `ready 2/3: degraded`, `connecting (stale)`. */
function stateText(server: JsonObject, now: number): string {
  const state = printed(server.state) || "unknown";
  const notes = [
    ...(state === "ready" ? isDegraded(server) ? ["degraded"] : [] : reason(server.reason)),
    ...retry(server.retryAt, now),
  ];
  const stale = server.stale === true ? " (stale)" : "";
  const why = notes.length === 0 ? "" : `: ${notes.join(", ")}`;
  return `${state}${instances(server.instances)}${why}${stale}`;
}

/** That a server is starting is what `connecting` says already. */
function reason(value: unknown): string[] {
  const text = printed(value);
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

function statePaint(server: JsonObject, style: Style): (text: string) => string {
  const { state, instances } = server;
  if (state === "idle" || state === "disabled") return style.dim;
  if (state !== "ready" && state !== "connecting") return style.bad;
  const isPartial = Array.isArray(instances) &&
    instances.some((one) => isObject(one) && one.state !== "ready");
  return state === "connecting" || isDegraded(server) || isPartial ? style.warn : style.good;
}

function countOf({ counts }: JsonObject, kind: string): string {
  return isObject(counts) ? printed(counts[kind]) : "";
}

/** The share of calls that failed; nothing while there were none. */
function errorRate(calls: unknown, failed: unknown): string {
  if (typeof calls !== "number" || typeof failed !== "number" || calls <= 0) return "";
  const percent = 100 * failed / calls;
  return percent > 0 && percent < 1 ? "<1%" : `${Math.round(percent)}%`;
}

function inFlight({ inFlight, queued }: JsonObject): string {
  const text = printed(inFlight);
  return typeof queued === "number" && queued > 0 ? `${text || "0"}+${queued} queued` : text;
}

function spanSince(time: string, now: number): string {
  const at = Date.parse(time);
  return Number.isNaN(at) ? "" : formatSpan(now - at);
}

/** `5m ago: …`; what is wrong now goes before what was. */
function lastError(server: JsonObject, now: number): string {
  const detail = isDegraded(server) ? firstLine(printed(server.healthDetail)) : "";
  if (detail !== "") return detail;
  const error = firstLine(withoutName(printed(server.lastError), String(server.name)));
  const ago = typeof server.lastErrorAt === "string" ? spanSince(server.lastErrorAt, now) : "";
  return error === "" || ago === "" ? error : `${ago} ago: ${error}`;
}

/** `0s`, `59s`, `12m`, `3h`, `40h`, `2d` for milliseconds; a negative span (a clock apart) is `0s`. */
export function formatSpan(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1_000)) || 0;
  if (seconds < 60) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}m`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours}h` : `${Math.floor(hours / 24)}d`;
}
