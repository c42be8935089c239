import { ExitCode, type Io, print, UsageError } from "../app/io.ts";
import { isObject, type JsonObject } from "../lib/json.ts";
import { parseDuration } from "../lib/time.ts";
import type { Invocation } from "./command.ts";
import { RemoteCaller } from "./remote.ts";
import { printed, renderStatus } from "./status-view.ts";
import { namedGateway } from "./urls.ts";
import { styleFor } from "./view/table.ts";

/** Milliseconds between two refreshes unless `--watch` says otherwise. */
const DEFAULT_INTERVAL = 2_000;
const MIN_INTERVAL = 100;
const MAX_INTERVAL = 3_600_000;

/**
 * `mcproxy status`: what a running gateway says about itself. It succeeds when there is one,
 * however its servers are; `--health` also wants it to go on running.
 */
export async function run({ options }: Invocation, io: Io): Promise<ExitCode> {
  const interval = options.watch === undefined ? undefined : readInterval(options.watch);
  const json = options.json === true;
  const caller = new RemoteCaller(await namedGateway(options.url, io), io);
  if (interval !== undefined) {
    if (options.health === true) {
      throw new UsageError("Cannot use --health with --watch; expected one of them");
    }
    const { watchStatus } = await import("./status-watch.ts");
    return await watchStatus(caller, io, { interval, json });
  }
  if (options.health === true) return await showHealth(caller, io, json);
  const { raw, body } = await caller.status();
  const style = styleFor({ isTerminal: io.stdout.isTerminal, env: io.env });
  const width = io.stdout.isTerminal ? io.stdout.columns : Infinity;
  const text = json ? raw.trimEnd() : renderStatus(body, { style, width }).join("\n");
  await print(io, `${text}\n`);
  return ExitCode.Ok;
}

/** Milliseconds of `--watch`: a number is seconds. @throws {UsageError} */
export function readInterval(text: string | true): number {
  if (text === true) return DEFAULT_INTERVAL;
  const isNumber = /^(?:\d+\.?\d*|\.\d+)$/.test(text);
  const ms = isNumber ? Number(text) * 1_000 : parseDuration(text);
  if (ms !== undefined && ms >= MIN_INTERVAL && ms <= MAX_INTERVAL) return ms;
  throw new UsageError(
    `Cannot use --watch ${JSON.stringify(text)}: expected seconds from 0.1 to 3600`,
    'Run "mcproxy help status" for usage',
  );
}

async function showHealth(caller: RemoteCaller, io: Io, json: boolean): Promise<ExitCode> {
  const { ok, raw, body } = await caller.health();
  // Strangers are told no more than the status.
  const text = body.servers === undefined ? printed(body.status) : healthText(body);
  await print(io, `${json ? raw.trimEnd() : text}\n`);
  return ok ? ExitCode.Ok : ExitCode.Failed;
}

/** `degraded: 3 of 4 servers ready, failing: memory`. */
export function healthText(body: JsonObject): string {
  const servers = isObject(body.servers) ? body.servers : {};
  const parts = [
    `${printed(servers.ready) || "0"} of ${printed(servers.total) || "0"} servers ready`,
  ];
  for (const key of ["idle", "starting"]) {
    const count = servers[key];
    if (typeof count === "number" && count > 0) parts.push(`${count} ${key}`);
  }
  const failing = Array.isArray(servers.failing) ? servers.failing.map(printed) : [];
  if (failing.length > 0) parts.push(`failing: ${failing.join(", ")}`);
  if (body.configError === true) parts.push("the configuration file has been refused");
  return `${printed(body.status)}: ${parts.join(", ")}`;
}
