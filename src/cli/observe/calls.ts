/** `mcproxy calls`: those that have ended, and one of them in full. */

import { type CliError, ExitCode, failed, type Io, print, say, UsageError } from "../../app/io.ts";
import { isObject, type JsonObject, parsedText } from "../../lib/json.ts";
import { plural, printable } from "../../lib/text.ts";
import { timeGiven } from "../args.ts";
import type { Invocation, OptionValues } from "../command.ts";
import { RefusedError } from "../credential.ts";
import type { RemoteCaller } from "../remote.ts";
import { printed } from "../status-view.ts";
import { type Cell, printReport, renderTable, type Style, styleFor } from "../view/table.ts";
import { askGateway, listIn, pathWith, sizeText, timeText, took } from "./asked.ts";

/** Calls that are shown: without being asked for more, and since a time. */
const [MOST, MOST_SINCE] = [50, 10_000];
/** Calls of one answer. */
const PAGE = 500;

const COLUMNS = [
  "TIME",
  "OUTCOME",
  { title: "TOOK", align: "right" },
  "SERVER",
  { title: "CLIENT", worth: 1 },
  { title: "ID", worth: 3 },
  "NAME",
] as const;

/** `mcproxy calls [ID]` and `mcproxy calls [FILTER…]` */
export async function run({ args, options }: Invocation, io: Io): Promise<number> {
  const limit = limitOf(options);
  const since = options.since === undefined ? -Infinity : timeGiven("since", options.since);
  return await askGateway(options, io, async (gateway) => {
    const [word = ""] = args;
    // Ids look like words.
    const one = args.length === 1 && /^[\w-]+$/.test(word)
      ? await askedCall(gateway, word)
      : undefined;
    if (one !== undefined) {
      await printReport(io, options, one, (style) => detail(one, style));
      return ExitCode.Ok;
    }
    const calls = await callsSince(gateway, args.join(" "), since, limit);
    const style = styleFor({ isTerminal: io.stdout.isTerminal, env: io.env });
    const width = io.stdout.isTerminal ? io.stdout.columns : Infinity;
    const rows = calls.map((call) => callCells(call, style));
    const lines = options.json === true
      ? calls.map((call) => JSON.stringify(call))
      : renderTable(COLUMNS, rows, { style, width });
    if (calls.length === 0) await say(io.stderr, "No such calls\n");
    else await print(io, `${lines.join("\n")}\n`);
    return ExitCode.Ok;
  });
}

/** @throws {UsageError} */
function limitOf({ limit, since }: OptionValues): number {
  if (limit === undefined) return since === undefined ? MOST : MOST_SINCE;
  const most = Number(limit);
  if (Number.isInteger(most) && most > 0 && most <= MOST_SINCE) return most;
  const found = JSON.stringify(limit);
  throw new UsageError(`Cannot use --limit ${found}: expected a number from 1 to ${MOST_SINCE}`);
}

/** The call with this id, where there is one. */
export async function askedCall(
  gateway: RemoteCaller,
  id: string,
): Promise<JsonObject | undefined> {
  try {
    return await gateway.api("GET", `calls/${encodeURIComponent(id)}`);
  } catch (error) {
    if (error instanceof RefusedError && error.status === 404) return undefined;
    throw error;
  }
}

/** The latest last. */
async function callsSince(gateway: RemoteCaller, filter: string, since: number, most: number) {
  const calls: JsonObject[] = [];
  let before: string | undefined;
  while (calls.length < most) {
    const limit = String(Math.min(PAGE, most - calls.length));
    const body = await gateway.api("GET", pathWith("calls", { filter, before, limit }));
    const items = listIn(body);
    calls.push(...items.filter(({ at }) => !(Number(at) < since)));
    const isPast = items.some(({ at }) => Number(at) < since);
    if (isPast || items.length === 0 || typeof body.next !== "string") break;
    before = body.next;
  }
  return calls.reverse();
}

/** What {@link COLUMNS} show of a call. */
export function callCells(call: JsonObject, style: Style): readonly Cell[] {
  const { at, ms, server, client, id, name, method } = call;
  const cellOf = (value: unknown): Cell => ({ text: printed(value) });
  const said = [server, client, id, name ?? method].map(cellOf);
  return [cellOf(timeText(at)), outcomeCell(call, style), cellOf(took(ms)), ...said];
}

/** What went well is nothing to look at. */
function outcomeCell({ outcome, code }: JsonObject, { warn, bad }: Style): Cell {
  const text = `${printed(outcome)} ${printed(code)}`.trim();
  if (outcome === "ok" || outcome === "input_required") return { text };
  return { text, paint: outcome === "cancelled" ? warn : bad };
}

function detail(call: JsonObject, style: Style): string[] {
  const { method, name, ownName, server, client, session, endpoint, who, via, cached } = call;
  const { text, paint = (said: string) => said } = outcomeCell(call, style);
  const parts = [
    `waiting ${took(call.queueMs)}`,
    `server ${took(call.serverMs)}`,
    `gateway ${took(call.gatewayMs)}`,
  ];
  const own = ownName === undefined || ownName === name ? "" : ` as ${printed(ownName)}`;
  const times = Number(call.attempts) > 1 ? `, ${plural(Number(call.attempts), "attempt")}` : "";
  const rows: readonly (readonly [string, string])[] = [
    ["Outcome", paint(text)],
    ["Time", timeText(call.at)],
    ["Took", `${took(call.ms)}: ${parts.join(", ")}${times}`],
    ["Server", `${printed(server)}${own}${cached === true ? ", from the cache" : ""}`],
    ["Client", [client, session, endpoint, who].map(printed).filter((one) => one).join(", ")],
    ["Through", printed(via)],
    ["Size", `${sizeText(call.bytesIn)} sent, ${sizeText(call.bytesOut)} answered`],
    ["Trace", printed(call.traceId)],
    ["Made by", printed(call.parent)],
  ];
  const inner = listIn(call, "inner");
  return [
    style.bold(`${printed(method)} ${printed(name)}`.trim()),
    ...rows.filter(([, value]) => value !== "").map(([title, value]) =>
      `  ${style.dim(title.padEnd(7))}  ${value}`
    ),
    ...inner.length === 0 ? [] : [
      "",
      style.bold("It made"),
      ...renderTable(COLUMNS, inner.map((one) => callCells(one, style))),
    ],
    ...isObject(call.body) ? bodyLines(call.body, style) : [],
  ];
}

function bodyLines(body: JsonObject, style: Style): string[] {
  const marks = [body.cut === true ? "cut" : "", body.redacted === true ? "secrets masked" : ""];
  const note = marks.filter((mark) => mark !== "").join(", ");
  const part = (title: string, text: unknown) => [
    "",
    style.bold(title) + (note === "" ? "" : style.dim(`  (${note})`)),
    ...pretty(String(text)).split("\n").map((line) => `  ${printable(line)}`),
  ];
  return [...part("Request", body.request), ...part("Result", body.result)];
}

/** What was cut stays as it is; what clients and servers say of the protocol is left out. */
function pretty(text: string): string {
  const value = parsedText(text);
  const shown = isObject(value) ? { ...value, _meta: undefined } : value;
  return shown === undefined ? text : JSON.stringify(shown, null, 2);
}

/** The end of a command that is about a call nobody knows. */
export function noSuchCall(id: string): CliError {
  const hint = '"mcproxy calls" lists those that are kept';
  return failed(`Cannot find the call "${printable(id)}"`, { hint });
}
