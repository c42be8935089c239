/** `/api/status` for people: pure functions from what a gateway said to lines. */

import { isObject, type JsonObject } from "../lib/json.ts";
import { firstLine, fit, widthOf } from "../lib/text.ts";
import { type RemoteServer, serversIn } from "./remote.ts";
import { formatSpan } from "./span.ts";
import { isWell, STATUS_COLUMNS, type StatusColumn, textOf } from "./status-columns.ts";
import { costIn, savedPercent } from "./view-cost.ts";
import type { Style } from "./view/style.ts";
import { type Cell, renderTable } from "./view/table.ts";

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
