/** The gateway with its listener, from its start to the end of the process. */

import process from "node:process";
import type { Config } from "../config/types.ts";
import { type App, createApp } from "../front/app.ts";
import { Gateway, type GatewayOptions } from "../gateway/gateway.ts";
import { attempt } from "../lib/json.ts";
import { newKey } from "../lib/secrets.ts";
import { hostInUrl } from "../lib/text.ts";
import { within } from "../lib/time.ts";
import { getLogger } from "../log/mod.ts";
import { Observatory } from "../observe/observatory.ts";
import type { HttpServer, Runtime } from "../runtime/types.ts";
import { ExitCode, type Io } from "./io.ts";
import { LocalKey } from "./local-key.ts";

/** What a running gateway stands on. */
export interface ServerOptions extends GatewayOptions {
  readonly runtime: GatewayOptions["runtime"] & Pick<Runtime, "serve">;
  /** Without it there is no HTTP listener (`--stdio` alone). */
  readonly listen: boolean;
}

const log = getLogger("mcproxy");

/**
 * A gateway with its HTTP listener, from start to graceful stop. Nothing here touches the process:
 * signals and exit codes are the command's.
 */
export class Server {
  /** Where it was told to listen; a reload does not change that. */
  readonly #host: string;
  #stopped: Promise<void> | undefined;

  private constructor(
    config: Config,
    readonly gateway: Gateway,
    private readonly observatory: Observatory,
    private readonly app?: App,
    private readonly http?: HttpServer,
    /** What commands of this machine are let in by. */
    readonly localKey?: LocalKey,
  ) {
    this.#host = config.settings.host;
  }

  /**
   * Listens, then starts every upstream without waiting for any.
   * @throws {ListenError} when the address cannot be had; no upstream has been started then
   */
  static async start(
    { listen, stateDirectory, ...parts }: ServerOptions,
  ): Promise<Server> {
    const { config, runtime } = parts;
    const gateway = new Gateway({ ...parts, stateDirectory });
    // Who has only one client keeps no history.
    const kept = listen ? { stateDirectory } : {};
    const observatory = new Observatory(gateway, { runtime, ...kept });
    if (!listen) {
      gateway.start();
      return new Server(config, gateway, observatory);
    }
    const { host, port } = config.settings;
    const key = stateDirectory === undefined ? undefined : newKey();
    const app = createApp({
      gateway,
      boundHost: host,
      stateDirectory,
      localKey: key,
      observatory,
    });
    const onError = (error: unknown) => log.error("Request handler failed: {error}", { error });
    const http = await runtime.serve({ hostname: host, port, handler: app.handler, onError });
    gateway.start();
    const localKey = stateDirectory === undefined || key === undefined
      ? undefined
      : new LocalKey({ directory: stateDirectory, host, port: http.port, key });
    return new Server(config, gateway, observatory, app, http, localKey);
  }

  /** The URL clients are to be given, `undefined` without a listener. */
  get url(): string | undefined {
    if (this.http === undefined) return undefined;
    return `http://${hostInUrl(this.#host)}:${this.http.port}/mcp`;
  }

  /**
   * Stops gracefully: accepts nothing new, lets calls in flight finish for at most
   * `shutdownTimeout`, ends sessions and streams, stops the upstreams. Idempotent.
   */
  stop(): Promise<void> {
    return this.#stopped ??= this.#stop();
  }

  async #stop(): Promise<void> {
    this.localKey?.close();
    const accepted = this.http?.stop();
    await this.gateway.drain(this.gateway.config.settings.shutdownTimeout);
    await this.gateway.close();
    await this.observatory.close();
    this.app?.close();
    // Streams have been told to end; a client that holds on to one is not waited for.
    if (accepted !== undefined) await within(LINGER, accepted);
    this.http?.abort();
  }
}

/** Milliseconds left to connections after everything behind them has stopped. */
const LINGER = 200;

/** Milliseconds a stop may take beyond the calls it lets finish; systemd and people wait 5 s. */
export const STOP_MARGIN = 900;

/** Options of {@link runUntilStopped}. */
export interface LifecycleOptions {
  readonly server: Server;
  /** Called at SIGHUP, unless it tells of a terminal that was closed: the configuration is to be read again. */
  readonly onReload: () => void;
  /** Called once, when the stop begins. */
  readonly onStopping: () => void;
  /** Ends the gateway with exit code 0 when it resolves (stdin has ended). */
  readonly ended?: Promise<void>;
}

/** How long after one signal another kind is the same wish, milliseconds: clients send both. */
const SAME_WISH = 1_000;
/** How far SIGHUP and the end of the terminal may be apart, milliseconds: some send the one before the other. */
const SAME_END = 5_000;

/**
 * Waits for a reason to stop, stops, and returns the exit code: 0 for SIGTERM, SIGINT and the end
 * of stdin, 1 after an uncaught exception. A second signal ends the wait at once (130, 143).
 */
export async function runUntilStopped(io: Io, options: LifecycleOptions): Promise<number> {
  const { server, onReload, onStopping, ended } = options;
  const begin = Promise.withResolvers<number>();
  const force = Promise.withResolvers<number>();
  let stopping = false;
  const stop = (why: string, code: number) => {
    if (stopping) return;
    stopping = true;
    log.info("Stopping: {why}", { why });
    begin.resolve(code);
  };
  let last: { readonly signal: string; readonly at: number } | undefined;
  const onSignal = (signal: "SIGINT" | "SIGTERM", forced: number) =>
    io.runtime.onSignal(signal, () => {
      const at = performance.now();
      const isSame = last !== undefined && last.signal !== signal && at - last.at < SAME_WISH;
      last = { signal, at };
      if (!stopping) stop(`received ${signal}`, ExitCode.Ok);
      else if (!isSame) force.resolve(forced);
    });
  // One that lives on without its terminal (`disown`) is told nothing, and may be told to reload later.
  let gone = io.hasTerminal() ? Infinity : -Infinity;
  let hungUp = -Infinity;
  const look = () => {
    if (gone === Infinity && !io.hasTerminal()) gone = performance.now();
    if (Math.abs(gone - hungUp) < SAME_END) stop("the terminal was closed", ExitCode.Ok);
  };
  const looking = gone === Infinity ? setInterval(look, 1_000) : undefined;
  const off = [
    onSignal("SIGINT", 130),
    onSignal("SIGTERM", 143),
    // Its default would end the process, and with it every client's session.
    io.runtime.onSignal("SIGHUP", () => {
      hungUp = performance.now();
      look();
      if (!stopping) onReload();
    }),
    io.onUncaught((error, kind) => {
      if (kind === "rejection") return log.error("Unhandled rejection: {error}", { error });
      log.fatal("Uncaught exception: {error}", { error });
      stop("an uncaught exception", ExitCode.Failed);
    }),
  ];
  void ended?.then(() => stop("stdin has ended", ExitCode.Ok));
  let children: readonly number[] = [];
  try {
    const code = await begin.promise;
    // Now, because an upstream that is being stopped has no process id to show any more.
    children = childrenOf(server);
    onStopping();
    const limit = Promise.withResolvers<void>();
    const { shutdownTimeout } = server.gateway.config.settings;
    const timer = setTimeout(limit.resolve, shutdownTimeout + STOP_MARGIN);
    const stopped = server.stop().then(() => children = []);
    const result = await Promise.race([stopped.then(() => code), force.promise, limit.promise]);
    clearTimeout(timer);
    return result ?? code;
  } finally {
    clearInterval(looking);
    for (const remove of off) remove();
    // Nothing we have started may outlive us, not even when we cannot wait for it.
    for (const pid of children) attempt(() => process.kill(-pid, "SIGKILL"));
  }
}

/** The upstream processes; each leads a group of its own. */
function childrenOf({ gateway }: Server): number[] {
  const servers = gateway.members.all.map(({ upstream }) => upstream.status());
  return servers.flatMap((one) => (one.instances ?? [one]).flatMap(({ pid }) => pid ?? []));
}
