/** `mcproxy usage`, `problems`, `alerts` and `record`: one question each, and its answer as a table. */

import { ExitCode, type Io, UsageError } from "../../app/io.ts";
import type { JsonObject } from "../../lib/json.ts";
import { printable } from "../../lib/text.ts";
import { parseDuration } from "../../lib/time.ts";
import type { Invocation } from "../command.ts";
import { printReport } from "../view/table.ts";
import {
  askGateway,
  listIn,
  pathWith,
  type Shown,
  sizeText,
  tableOf,
  timeText,
  took,
} from "./asked.ts";

const TOOK = { align: "right", as: took } as const;
const TIME = { as: timeText } as const;

const USAGE: readonly Shown[] = [
  { title: "CALLS", member: "calls" },
  { title: "FAILED", member: "failed" },
  { title: "TOOL ERRORS", member: "toolErrors", worth: 2 },
  { title: "P50", member: "p50", worth: 3, ...TOOK },
  { title: "P95", member: "p95", worth: 4, ...TOOK },
  { title: "ANSWERED", member: "bytesOut", align: "right", as: sizeText, worth: 1 },
  { title: "TOKENS", member: "tokens", worth: 5 },
];

/** `mcproxy usage [--by tool|server|client] [--range 24h]` */
export async function showUsage({ options }: Invocation, io: Io): Promise<number> {
  const { by = "tool", range } = options;
  return await askGateway(options, io, async (gateway) => {
    const body = await gateway.api("GET", pathWith("usage", { by, range }));
    const columns = [...USAGE, { title: by.toUpperCase(), member: "key" }];
    await printReport(io, options, body, (style) => tableOf(columns, listIn(body), io, style));
    return ExitCode.Ok;
  });
}

const PROBLEMS: readonly Shown[] = [
  { title: "ID", member: "fingerprint" },
  { title: "STATE", member: "state", worth: 1 },
  { title: "COUNT", member: "count" },
  { title: "FIRST", member: "first", worth: 0, ...TIME },
  { title: "LAST", member: "last", worth: 2, ...TIME },
  { title: "SERVER", member: "server", worth: 4 },
  { title: "NAME", member: "name", worth: 3 },
  { title: "WHAT IT SAYS", member: "text" },
];

/** What may be said of a problem, and what becomes of it. */
const STATES = new Map([["done", "done"], ["ignore", "ignored"], ["open", "open"]]);

/** `mcproxy problems [--state …]`, and `done`, `ignore` or `open` of one. */
export async function showProblems({ args, options }: Invocation, io: Io): Promise<number> {
  const [action, id] = args;
  const state = STATES.get(action ?? "");
  if (action !== undefined && (state === undefined || id === undefined)) {
    const message = `Cannot run "problems ${printable(args.join(" "))}": expected done ID, ` +
      "ignore ID or open ID";
    throw new UsageError(message, 'Run "mcproxy help problems" for usage');
  }
  return await askGateway(options, io, async (gateway) => {
    if (state !== undefined) {
      const body = await gateway.api("POST", `problems/${encodeURIComponent(id!)}`, { state });
      await printReport(io, options, body, () => [`Problem ${printable(id!)} is ${state}`]);
      return ExitCode.Ok;
    }
    const body = await gateway.api("GET", pathWith("problems", { state: options.state ?? "open" }));
    const items = listIn(body);
    await printReport(
      io,
      options,
      body,
      (style) => items.length === 0 ? ["No problems"] : tableOf(PROBLEMS, items, io, style),
    );
    return ExitCode.Ok;
  });
}

const FIRING: readonly Shown[] = [
  { title: "SINCE", member: "since", ...TIME },
  { title: "UNTIL", member: "until", ...TIME },
  { title: "RULE", member: "rule" },
  { title: "SUBJECT", member: "subject" },
  { title: "WHAT IT SAYS", member: "text" },
];
const CHANNELS: readonly Shown[] = [
  { title: "CHANNEL", member: "kind" },
  { title: "TARGET", member: "target" },
];

/** `mcproxy alerts` and `mcproxy alerts test` */
export async function showAlerts({ args, options }: Invocation, io: Io): Promise<number> {
  const [action] = args;
  if (action === "test") return (await import("./alerts-test.ts")).testAlerts(options, io);
  if (action !== undefined) throw new UsageError(`Cannot run "alerts ${action}": expected test`);
  return await askGateway(options, io, async (gateway) => {
    const body = await gateway.api("GET", "alerts");
    const [firing, channels] = [listIn(body, "firing"), listIn(body, "channels")];
    const all: JsonObject[] = [...listIn(body, "history"), ...firing];
    await printReport(io, options, body, (style) => [
      firing.length === 0 ? "Nothing is wrong" : style.bad(`${firing.length} firing`),
      ...all.length === 0 ? [] : ["", ...tableOf(FIRING, all, io, style)],
      "",
      ...channels.length === 0
        ? ['Nobody is told: see "alerts" in the configuration']
        : tableOf(CHANNELS, channels, io, style),
    ]);
    return ExitCode.Ok;
  });
}

/** `mcproxy record [--for 10m] [--server NAME] [--errors]` */
export async function startRecording({ options }: Invocation, io: Io): Promise<number> {
  const { for: time = "10m", server, errors } = options;
  if (parseDuration(time) === undefined) {
    const found = JSON.stringify(time);
    throw new UsageError(`Cannot use --for ${found}: expected a time such as 30s, 10m or 2h`);
  }
  const asked = { for: time, server, bodies: errors === true ? "errors" : "all" };
  return await askGateway(options, io, async (gateway) => {
    const body = await gateway.api("POST", "record", asked);
    const which = errors === true ? "calls that fail" : "all calls";
    const where = server === undefined ? "" : ` of "${printable(server)}"`;
    const until = timeText(body.until);
    await printReport(io, options, body, () => [
      `What ${which}${where} say is kept until ${until}; "mcproxy calls ID" shows it`,
    ]);
    return ExitCode.Ok;
  });
}
