import { runtime } from "#runtime";
import process from "node:process";
import { ExitCode, failed, type Io, say } from "../app/io.ts";
import { destinationOf, planServe, type ServePlan } from "../app/plan.ts";
import type { Followed, FollowOptions } from "../app/reload.ts";
import { runUntilStopped, Server } from "../app/server.ts";
import { ListCache } from "../gateway/members/list-cache.ts";
import { formatIssue } from "../config/issue.ts";
import { settingsFromEnv } from "../config/settings.ts";
import type { Config } from "../config/types.ts";
import type { Endpoint } from "../gating/endpoint.ts";
import { exceeds } from "../gating/gate.ts";
import { isObject } from "../lib/json.ts";
import { cacheDirectory, stateDirectory as stateDirectoryIn } from "../lib/own-file.ts";
import { hostInUrl } from "../lib/text.ts";
import { VERSION } from "../lib/version.ts";
import {
  configureLogging,
  getLogger,
  type Logging,
  type Output,
  type StandardOutputs,
} from "../log/mod.ts";
import { ListenError } from "../runtime/types.ts";
import { announceJson, liveServers, onProgress, summaryText, wantsLiveView } from "./announce.ts";
import type { Invocation, OptionValues } from "./command.ts";

const log = getLogger("mcproxy");

/** `mcproxy [serve]`: runs the gateway until it is told to stop. */
export async function run({ options }: Invocation, io: Io): Promise<number> {
  const plan = await planServe(options, io).catch((error) => refuse(error, options, io));
  const live = !plan.stdio && options.json !== true && wantsLiveView(io, options.log === true)
    ? new (await import("./view/live.ts")).LiveStart(io.stderr, io.env)
    : undefined;
  const guard = (output: Output) => live?.screen.guard(output) ?? output;
  const outputs = { stdout: guard(io.stdout), stderr: guard(io.stderr) };
  const logging = await startLogging(plan, io, outputs);
  const notifier = io.env["NOTIFY_SOCKET"]
    ? (await import("../app/systemd.ts")).createNotifier({ env: io.env, runtime: io.runtime })
    : undefined;
  let code: number = ExitCode.Failed;
  try {
    const server = await openServer(plan, io, options.credentials);
    const { gateway, url } = server;
    logging.setSecrets(plan.secrets, gateway.isName);
    tellStart(plan, url);
    // A person or a script waits for the address, wherever the log goes.
    if (live === undefined && url !== undefined && !inOutput(plan, options, io.env)) {
      await say(io.stderr, `Listening on ${url}\n`);
    }
    notifier?.ready();
    notifier?.watchdog();
    const summary = () => summaryText(liveServers(gateway));
    // Put together anew for every state of every server: only where it is read.
    const stopProgress = notifier?.send && onProgress(gateway, () => notifier?.status(summary()));
    void gateway.settled().then(() => {
      log.info("All servers have settled: {summary}", { summary: summary() });
      return hintAtGating(gateway, live === undefined ? undefined : io.stderr);
    });
    void live?.begin(server);
    if (options.json === true) void announceJson(server, plan.stdio ? io.stderr : io.stdout);
    const reloads = follow({
      gateway,
      started: plan,
      plan: () => planServe(options, io, { listening: plan.config.settings.host }),
      runtime: io.runtime,
      logging,
      notifier,
    });
    return code = await runUntilStopped(io, {
      server,
      onReload: () => reloads.now(),
      onStopping: () => {
        reloads.close();
        stopProgress?.();
        live?.end();
        notifier?.stopping();
      },
      ...(plan.stdio ? { ended: stdioClient(server, plan.endpoint, io) } : {}),
    });
  } finally {
    live?.end();
    // After a second signal nothing is waited for any more.
    if (code < 128) {
      await notifier?.close();
      await logging.close();
    }
  }
}

/**
 * Keeps the gateway at what its configuration says. What watches the file is loaded when the
 * gateway listens: no client waits for it.
 */
export function follow(options: Omit<FollowOptions, "summary">): Followed {
  const summary = () => summaryText(liveServers(options.gateway));
  const followed = import("../app/reload.ts").then((module) =>
    module.followConfiguration({ ...options, summary })
  );
  return {
    now: () => void followed.then((one) => one.now()),
    close: () => void followed.then((one) => one.close()),
  };
}

/** The log of a start, which knows the configuration's secrets from its first line on. */
export async function startLogging(
  plan: ServePlan,
  { env, runtime }: Pick<Io, "env" | "runtime">,
  outputs: StandardOutputs,
): Promise<Logging> {
  const logging = await configureLogging({
    destination: plan.destination,
    format: plan.logFormat,
    level: plan.logLevel,
    env,
    runtime,
    outputs,
    forbidStdout: plan.stdio,
  });
  logging.setSecrets(plan.secrets);
  return logging;
}

/**
 * There is nothing to start. Where no person looks the log is told, too: what a service prints may
 * go nowhere.
 */
async function refuse(error: Error, options: OptionValues, io: Io): Promise<never> {
  const destination = destinationOf(options, settingsFromEnv(io.env).settings);
  if (!io.stderr.isTerminal && !isSeen({ destination }, io.env)) {
    // Where it cannot be told there, it has been said all the same.
    const silent = { ...io.stderr, write: () => Promise.resolve() };
    const outputs = { stdout: silent, stderr: silent };
    const how = { ...io, destination, outputs, format: "text", level: "info" } as const;
    const logging = await configureLogging(how);
    logging.setSecrets(io.secrets ?? []);
    for (const why of error.message.split("\n")) log.fatal("{why}", { why });
    await logging.close();
  }
  throw error;
}

/** Starts the server. @throws {CliError} where the address cannot be had */
export async function openServer(
  plan: ServePlan,
  { runtime, env, cwd = "/" }: Pick<Io, "runtime" | "env"> & Partial<Pick<Io, "cwd">>,
  credentials?: string,
): Promise<Server> {
  const { config, listen, stdio } = plan;
  const directory = cacheDirectory(env);
  const cache = config.settings.warmStart ? new ListCache(directory) : undefined;
  try {
    const stateDirectory = stateDirectoryIn(env);
    if (stateDirectory === undefined && config.servers.values().some(({ pin }) => pin !== "off")) {
      log.warn("Cannot keep pins: there is no directory for state; HOME is not set");
    }
    const patience = stdio ? (await import("../front/stdio.ts")).STDIO_PATIENCE : undefined;
    const logins = { env, cwd, credentials };
    const parts = { config, runtime, listen, cache, directory, stateDirectory, patience, logins };
    return await Server.start(parts);
  } catch (error) {
    if (!(error instanceof ListenError)) throw error;
    const { message: why } = error;
    if (!isSeen(plan, env)) log.fatal("{why}", { why });
    const taken = error.code === "EADDRINUSE";
    const hint = taken ? await addressHint(config.settings, env) : undefined;
    throw failed(error.message, { cause: error, hint });
  }
}

/** How long the one who holds the address has to answer, milliseconds. */
const PATIENCE = 3_000;

/** Who holds the address, as far as asking tells. */
async function addressHint({ host, port }: Config["settings"], env: Io["env"]): Promise<string> {
  const free = "use --port PORT for another one, --port 0 for any that is free";
  const base = `http://${hostInUrl(host)}:${port}`;
  try {
    const signal = AbortSignal.timeout(PATIENCE);
    const { credentialFor } = await import("./credential.ts");
    const headers = await credentialFor(base, { env }).headers();
    const response = await fetch(`${base}/api/status`, { signal, headers, redirect: "manual" });
    const status: unknown = await response.json();
    if (isObject(status) && Array.isArray(status.servers) && isObject(status.config)) {
      const running = `version ${String(status.version)}, config ${String(status.config.path)}`;
      return `Another mcproxy runs there (${running}); see it with "mcproxy status --url ${base}", ` +
        `share it with "mcproxy bridge ${base}/mcp"; ${free}`;
    }
  } catch {
    // It speaks something else, or nothing.
  }
  return `Another program listens there; "ss -ltnp sport = :${port}" names it; ${free}`;
}

/** The facts of a start as log lines. The upstreams report their own. */
export function tellStart({ config, warnings }: ServePlan, url: string | undefined): void {
  log.info("mcproxy {version} on {runtime}, pid {pid}", {
    version: VERSION,
    runtime: `${runtime.name} ${runtime.version}`,
    pid: process.pid,
    config: config.file,
  });
  for (const issue of warnings) log.warning("{issue}", { issue: formatIssue(issue) });
  for (const { problem, disabled } of config.servers.values()) {
    if (problem === undefined || disabled) continue;
    log.error("{issue}", { issue: formatIssue(problem) });
  }
  if (config.servers.size === 0) {
    log.warning("No servers are configured in {file}", { file: config.file });
  }
  if (url !== undefined) log.info("Listening on {url}", { url });
}

/** Says once what `/mcp` costs, where that is much; `screen` for a person who sees no log. */
async function hintAtGating(
  { snapshots: { registry } }: Server["gateway"],
  screen: Io["stderr"] | undefined,
): Promise<void> {
  const { config, full } = registry.gates.aggregate;
  if (config.mode !== "off" || !exceeds(full, config)) return;
  const { ungatedHint } = await import("./costs.ts");
  const { TokenTally } = await import("../gateway/offers.ts");
  const hint = ungatedHint((await new TokenTally().of(registry)).aggregate);
  log.info("{hint}", { hint });
  if (screen !== undefined) await say(screen, `${hint}\n`);
}

/** Whether the log line with the address is where whoever started us reads. */
function inOutput(plan: ServePlan, options: OptionValues, env: Io["env"]): boolean {
  if (options.json === true) return true;
  return ["trace", "debug", "info"].includes(plan.logLevel) && isSeen(plan, env);
}

/** Whether the log goes to our own output. */
function isSeen({ destination }: Pick<ServePlan, "destination">, env: Io["env"]): boolean {
  return destination.kind !== "syslog" || (!destination.target && !!env["JOURNAL_STREAM"]);
}

/** Serves stdin and stdout as one client, until either is closed. Never rejects. */
async function stdioClient(
  { gateway }: Server,
  endpoint: Endpoint,
  { stdin, stdout }: Io,
): Promise<void> {
  const { serveStdio } = await import("../front/stdio.ts");
  const closed = Promise.withResolvers<void>();
  const served = serveStdio({
    gateway,
    endpoint,
    input: stdin,
    write: (line) => void stdout.write(line).catch(() => closed.resolve()),
  });
  try {
    await Promise.race([served, closed.promise]);
  } catch (error) {
    log.error("Cannot read stdin: {error}", { error });
  }
}
