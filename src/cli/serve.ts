import { runtime } from "#runtime";
import process from "node:process";
import { CliError, ExitCode, type Io, say } from "../app/io.ts";
import { runUntilStopped } from "../app/lifecycle.ts";
import { describeIssue, planServe, type ServePlan } from "../app/plan.ts";
import type { Followed, FollowOptions } from "../app/reload.ts";
import { Server } from "../app/server.ts";
import { createNotifier } from "../app/systemd.ts";
import { serveStdio } from "../front/stdio.ts";
import { cacheDirectory, ListCache } from "../gateway/members/list-cache.ts";
import type { Endpoint } from "../gating/endpoint.ts";
import { VERSION } from "../lib/version.ts";
import {
  configureLogging,
  getLogger,
  type Logging,
  type Output,
  type StandardOutputs,
} from "../log/mod.ts";
import { ListenError } from "../runtime/types.ts";
import {
  announceJson,
  LiveStart,
  onProgress,
  startState,
  summaryText,
  wantsLiveView,
} from "./announce.ts";
import type { Invocation } from "./command.ts";
import type { OptionValues } from "./options.ts";
import { liveServers } from "./view/live.ts";

const log = getLogger("mcproxy");

/** `mcproxy [serve]`: runs the gateway until it is told to stop. */
export async function run({ options }: Invocation, io: Io): Promise<number> {
  const loadedAt = Date.now();
  const plan = await planServe(options, io);
  const live = !plan.stdio && options.json !== true && wantsLiveView(io, options.log === true)
    ? new LiveStart(io.stderr, io.env)
    : undefined;
  const guard = (output: Output) => live?.screen.guard(output) ?? output;
  const outputs = { stdout: guard(io.stdout), stderr: guard(io.stderr) };
  const logging = await startLogging(plan, io, outputs);
  let code: number = ExitCode.Failed;
  try {
    return code = await serve(plan, options, io, { live, logging, loadedAt });
  } finally {
    live?.end();
    if (!isForced(code)) await logging.close();
  }
}

/** What watches the file is loaded when the gateway listens: no client waits for it. */
function follow(options: Omit<FollowOptions, "summary">): Followed {
  const summary = () => summaryText(liveServers(options.gateway));
  const followed = import("../app/reload.ts").then((module) =>
    module.followConfiguration({ ...options, summary })
  );
  return {
    now: () => void followed.then((one) => one.now()),
    close: () => void followed.then((one) => one.close()),
  };
}

/** A second signal: nothing is waited for any more. */
function isForced(code: number): boolean {
  return code >= 128;
}

async function serve(
  plan: ServePlan,
  options: OptionValues,
  io: Io,
  { live, logging, loadedAt }: {
    readonly live: LiveStart | undefined;
    readonly logging: Logging;
    readonly loadedAt: number;
  },
): Promise<number> {
  const notifier = createNotifier({ env: io.env, runtime: io.runtime });
  const server = await listen(plan, io);
  const { gateway, url } = server;
  const started = { gateway, url };
  tellStart(plan, url, io.cwd);
  // A person or a script waits for the address, wherever the log goes.
  if (live === undefined && url !== undefined && !inOutput(plan, options, io.env)) {
    await say(io.stderr, `Listening on ${url}\n`);
  }
  notifier.ready();
  notifier.watchdog();
  const stopProgress = onProgress(started, ({ servers }) => notifier.status(summaryText(servers)));
  void gateway.settled().then(() => {
    log.info("All servers have settled: {summary}", {
      summary: summaryText(startState(started).servers),
    });
  });
  void live?.begin(started);
  if (options.json === true) void announceJson(started, plan.stdio ? io.stderr : io.stdout);
  const reloads = follow({
    gateway,
    started: plan,
    plan: () => planServe(options, io, { running: true }),
    cwd: io.cwd,
    runtime: io.runtime,
    loadedAt,
    logging,
    notifier,
  });
  let code: number = ExitCode.Failed;
  try {
    return code = await runUntilStopped(io, {
      server,
      onReload: () => reloads.now(),
      onStopping: () => {
        reloads.close();
        stopProgress();
        live?.end();
        notifier.stopping();
      },
      ...(plan.stdio ? { ended: stdioClient(server, plan.endpoint, io) } : {}),
    });
  } finally {
    if (!isForced(code)) await notifier.close();
  }
}

async function startLogging(
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

/** Starts the server. @throws {CliError} where the address cannot be had */
async function listen(
  { config, listen }: ServePlan,
  { runtime, env }: Pick<Io, "runtime" | "env">,
): Promise<Server> {
  const directory = cacheDirectory(env);
  const cache = config.settings.warmStart ? new ListCache({ directory }) : undefined;
  try {
    return await Server.start({ config, runtime, listen, cache, directory });
  } catch (error) {
    if (!(error instanceof ListenError)) throw error;
    const hint = error.code === "EADDRINUSE" ? await addressHint(config.settings) : undefined;
    throw new CliError(ExitCode.Failed, error.message, {
      cause: error,
      ...(hint === undefined ? {} : { hint }),
    });
  }
}

/** Who holds the address, as far as asking tells. */
async function addressHint(
  { host, port }: { readonly host: string; readonly port: number },
): Promise<string> {
  const { describeHolder } = await import("./holder.ts");
  const holder = await describeHolder(host, port);
  return `${holder}; use --port PORT for another one, --port 0 for any that is free`;
}

/** The facts of a start as log lines. The upstreams report their own. */
function tellStart({ config, warnings }: ServePlan, url: string | undefined, cwd: string): void {
  log.info("mcproxy {version} on {runtime}, pid {pid}", {
    version: VERSION,
    runtime: `${runtime.name} ${runtime.version}`,
    pid: process.pid,
    config: config.file,
  });
  for (const issue of warnings) log.warning("{issue}", { issue: describeIssue(issue, cwd) });
  for (const { problem, disabled } of config.servers.values()) {
    if (problem === undefined || disabled) continue;
    log.error("{issue}", { issue: describeIssue(problem, cwd) });
  }
  if (config.servers.size === 0) {
    log.warning("No servers are configured in {file}", {
      file: config.file,
    });
  }
  if (url !== undefined) log.info("Listening on {url}", { url });
}

/** Whether the log line with the address is where whoever started us reads. */
function inOutput(
  { destination, logLevel }: ServePlan,
  options: OptionValues,
  env: Io["env"],
): boolean {
  if (options.json === true) return true;
  if (!["trace", "debug", "info"].includes(logLevel)) return false;
  return destination.kind !== "syslog" || (!destination.target && !!env["JOURNAL_STREAM"]);
}

/** Serves stdin and stdout as one client, until either is closed. Never rejects. */
async function stdioClient(
  { gateway }: Server,
  endpoint: Endpoint,
  { stdin, stdout }: Io,
): Promise<void> {
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

/** Options of {@link startServer}. */
export interface StartServerOptions {
  /** Path of the configuration file. */
  readonly config: string;
  readonly host?: string;
  /** 0 for any; the file's where absent. */
  readonly port?: number;
  /** Where `${NAME}` looks. @default that of the process */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Takes the lines of the log, which otherwise is not set up at all. */
  readonly log?: (line: string) => void;
}

/** A gateway that runs inside this process. */
export interface RunningServer extends AsyncDisposable {
  /** Of the aggregated endpoint. */
  readonly url: string;
  readonly server: Server;
  /** Stops it gracefully. Idempotent. */
  close(): Promise<void>;
}

/**
 * Starts a gateway with its listener inside this process and returns as soon as it listens.
 * @throws {CliError} as `mcproxy serve` would end
 */
export async function startServer(options: StartServerOptions): Promise<RunningServer> {
  const { config, host, port, env = process.env, log: onLine } = options;
  const flags: OptionValues = {
    config,
    log: true,
    ...(host === undefined ? {} : { host }),
    ...(port === undefined ? {} : { port: String(port) }),
  };
  const cwd = process.cwd();
  const loadedAt = Date.now();
  const plan = await planServe(flags, { env, cwd });
  const logging = onLine === undefined
    ? undefined
    : await startLogging(plan, { env: { ...env, NO_COLOR: "1" }, runtime }, lineOutputs(onLine));
  let server: Server;
  try {
    server = await listen(plan, { runtime, env });
  } catch (error) {
    await logging?.close();
    throw error;
  }
  tellStart(plan, server.url, cwd);
  const reloads = follow({
    gateway: server.gateway,
    started: plan,
    plan: () => planServe(flags, { env, cwd }, { running: true }),
    cwd,
    runtime,
    loadedAt,
    logging,
  });
  let closed: Promise<void> | undefined;
  const close = () => {
    reloads.close();
    return closed ??= server.stop().finally(() => logging?.close());
  };
  return { url: server.url ?? "", server, close, [Symbol.asyncDispose]: close };
}

function lineOutputs(onLine: (line: string) => void): StandardOutputs {
  const output = {
    isTerminal: false,
    identity: null,
    write: (text: string) => {
      for (const line of text.split("\n")) if (line !== "") onLine(line);
      return Promise.resolve();
    },
  };
  return { stdout: output, stderr: output };
}
