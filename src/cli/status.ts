import { formatDuration } from "../lib/duration.ts";
import { isObject, type JsonObject } from "../lib/json.ts";
import type { Invocation } from "./commands.ts";
import { ExitCode } from "./exit.ts";
import { type Io, say } from "./io.ts";
import { RemoteCaller, serversIn } from "./remote.ts";
import { type Style, styleFor } from "./style.ts";
import { renderTable } from "./table.ts";
import { firstLine, printable } from "./text.ts";

/** `mcproxy status`: what a running gateway says about itself. */
export async function run({ options }: Invocation, io: Io): Promise<ExitCode> {
  const { raw, body } = await new RemoteCaller(options.url, io.env).status();
  if (options.json === true) {
    await say(io.stdout, `${raw.trimEnd()}\n`);
    return ExitCode.Ok;
  }
  const style = styleFor({ isTerminal: io.stdout.isTerminal, env: io.env });
  const width = io.stdout.isTerminal ? io.stdout.columns : Infinity;
  await say(io.stdout, `${renderStatus(body, { style, width }).join("\n")}\n`);
  return ExitCode.Ok;
}

const COLUMNS = [
  { title: "SERVER" },
  { title: "STATE" },
  { title: "TRANSPORT" },
  { title: "ERA" },
  { title: "TOOLS", align: "right" },
  { title: "PROMPTS", align: "right" },
  { title: "RESOURCES", align: "right" },
  { title: "TEMPLATES", align: "right" },
  { title: "PID", align: "right" },
  { title: "RESTARTS", align: "right" },
  { title: "LAST ERROR" },
] as const;

/** The lines of `status` for people. */
export function renderStatus(
  body: JsonObject,
  { style, width }: { readonly style: Style; readonly width: number },
): string[] {
  const config = isObject(body.config) ? body.config : {};
  const clients = isObject(body.clients) ? body.clients : {};
  const head = [
    `mcproxy ${text(body.version)}, up ${uptime(body)}`,
    `config ${text(config.path)}, loaded ${text(config.loadedAt)}`,
    `clients ${text(clients.sessions) || "0"}, requests in flight ${
      text(clients.requestsInFlight) || "0"
    }`,
  ];
  if (typeof config.error === "string") {
    head.push(style.bad(`config not reloaded: ${firstLine(config.error)}`));
  }
  const rows = serversIn(body).map(({ name, state, transport, raw }) => {
    const counts = isObject(raw.counts) ? raw.counts : {};
    const paint = state === "ready" ? style.good : state === "connecting" ? style.warn : style.bad;
    return [
      { text: printable(name), paint: style.name },
      { text: raw.stale === true ? `${state} (stale)` : printable(state), paint },
      printable(transport),
      text(raw.era),
      text(counts.tools),
      text(counts.prompts),
      text(counts.resources),
      text(counts.templates),
      text(raw.pid),
      text(raw.restarts),
      firstLine(text(raw.lastError)),
    ];
  });
  return [...head, "", ...renderTable(COLUMNS, rows, { style, width })];
}

function text(value: unknown): string {
  return typeof value === "string" || typeof value === "number" ? printable(String(value)) : "";
}

function uptime({ uptimeMs, uptimeSeconds }: JsonObject): string {
  const ms = typeof uptimeMs === "number" ? uptimeMs : Number(uptimeSeconds ?? 0) * 1_000;
  const seconds = Math.floor(ms / 1_000);
  if (seconds < 3_600) return formatDuration(seconds * 1_000);
  const hours = Math.floor(seconds / 3_600);
  return hours < 48 ? `${hours} h` : `${Math.floor(hours / 24)} days`;
}
