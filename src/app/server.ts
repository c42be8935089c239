import type { Config } from "../config/types.ts";
import { type App, createApp } from "../front/app.ts";
import { Gateway } from "../gateway/gateway.ts";
import type { ListCache } from "../gateway/members/list-cache.ts";
import { getLogger } from "../log/mod.ts";
import type { HttpServer, Runtime } from "../runtime/types.ts";

/** What a running gateway stands on. */
export interface ServerOptions {
  readonly config: Config;
  readonly runtime: Pick<Runtime, "serve" | "spawn">;
  /** Without it there is no HTTP listener (`--stdio` alone). */
  readonly listen: boolean;
  /** Keeps the lists of one run for the next. */
  readonly cache?: ListCache | undefined;
  /** Where the search keeps what it has learned. */
  readonly directory?: string | undefined;
}

const log = getLogger("mcproxy");

/**
 * A gateway with its HTTP listener, from start to graceful stop. Nothing here touches the process:
 * signals and exit codes are the command's.
 */
export class Server {
  readonly gateway: Gateway;
  /** Where it was told to listen; a reload does not change that. */
  readonly #host: string;
  readonly #http: HttpServer | undefined;
  readonly #app: App | undefined;
  #stopped: Promise<void> | undefined;

  private constructor(config: Config, gateway: Gateway, app?: App, http?: HttpServer) {
    this.#host = config.settings.host;
    this.gateway = gateway;
    this.#app = app;
    this.#http = http;
  }

  /**
   * Listens, then starts every upstream without waiting for any.
   * @throws {ListenError} when the address cannot be had; no upstream has been started then
   */
  static async start(
    { config, runtime, listen, cache, directory }: ServerOptions,
  ): Promise<Server> {
    const gateway = new Gateway({ config, runtime, cache, directory });
    if (!listen) {
      gateway.start();
      return new Server(config, gateway);
    }
    const { host, port } = config.settings;
    const app = createApp({ gateway, boundHost: host });
    const http = await runtime.serve({
      hostname: host,
      port,
      handler: app.handler,
      onError: (error) => log.error("Request handler failed: {error}", { error }),
    });
    gateway.start();
    return new Server(config, gateway, app, http);
  }

  /** The URL clients are to be given, `undefined` without a listener. */
  get url(): string | undefined {
    if (this.#http === undefined) return undefined;
    const bound = this.#host;
    const host = isWildcard(bound)
      ? "127.0.0.1"
      : bound.includes(":") && !bound.startsWith("[")
      ? `[${bound}]`
      : bound;
    return `http://${host}:${this.#http.port}/mcp`;
  }

  /**
   * Stops gracefully: accepts nothing new, lets calls in flight finish for at most
   * `shutdownTimeout`, ends sessions and streams, stops the upstreams. Idempotent.
   */
  stop(): Promise<void> {
    return this.#stopped ??= this.#stop();
  }

  async #stop(): Promise<void> {
    const accepted = this.#http?.stop();
    await this.gateway.drain(this.gateway.config.settings.shutdownTimeout);
    await this.gateway.close();
    this.#app?.close();
    // Streams have been told to end; a client that holds on to one is not waited for.
    const { promise: patience, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, LINGER);
    await Promise.race([accepted, patience]);
    clearTimeout(timer);
    this.#http?.abort();
  }
}

/** Milliseconds left to connections after everything behind them has stopped. */
const LINGER = 200;

function isWildcard(host: string): boolean {
  return host === "0.0.0.0" || host === "::" || host === "[::]";
}
