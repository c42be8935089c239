/** The runtime layer on Bun; `#runtime` in `package.json` leads here. */

import process from "node:process";
import { codeOf } from "../lib/text.ts";
import { internalError, listenError, report } from "./listen.ts";
import { onSignal } from "./node/process.ts";
import { spawn } from "./node/spawn.ts";
import { watchDirectory } from "./node/watch.ts";
import type { HttpHandler, HttpServer, ListenOptions, Runtime, TextRequest } from "./types.ts";

const bun = (globalThis as unknown as { readonly Bun: BunGlobal }).Bun;

/** Only a backstop against endless bodies: the front has its own, far smaller limit and answer. */
const MAX_BODY_BYTES = 64 * 1024 * 1024;

// Async so that a taken port is a rejection on both runtimes; Bun.serve throws.
// deno-lint-ignore require-await
async function serve(options: ListenOptions): Promise<HttpServer> {
  const { hostname, port, handler, onError } = options;
  let server: BunServer;
  try {
    server = bun.serve({
      hostname,
      port,
      // The default cuts a silent stream after some ten seconds (ECONNRESET).
      idleTimeout: 0,
      maxRequestBodySize: MAX_BODY_BYTES,
      fetch: handler,
      error(error) {
        report(onError, error);
        return internalError();
      },
    });
  } catch (error) {
    throw listenError(hostname, port, error);
  }
  let stopped: Promise<void> | undefined;
  return {
    hostname: server.hostname,
    port: server.port,
    stop: () => stopped ??= server.stop(),
    abort: () => void server.stop(true),
  };
}

/** {@link Runtime.request} on Bun, whose own modules of node are not bound by what bounds its fetch. */
async function request(url: URL, init: TextRequest): Promise<Response> {
  const { nodeRequest } = await import("./node/request.ts");
  const headers = { "user-agent": `Bun/${bun.version}`, ...init.headers };
  return await nodeRequest(url, { ...init, headers }).catch((error) => {
    // `fetch` finds it also where the system's names lack the one of its two addresses.
    const isOther = codeOf(error) === "ECONNREFUSED" && url.hostname === "localhost";
    if (isOther) return fetch(url, { ...init, redirect: "manual" });
    throw error;
  });
}

const hasProxy = Object.entries(process.env).some(([name, value]) =>
  value && /^(https?|all)_proxy$/i.test(name)
);

/** The one {@link Runtime} of a process that runs on Bun. */
export const runtime: Runtime = {
  name: "bun",
  version: bun.version,
  serve,
  spawn,
  // Bun has no unix datagrams, neither its own nor in node:dgram.
  openDatagram: () => null,
  watchDirectory,
  onSignal,
  once: (text) => text,
  request: hasProxy ? undefined : request,
};

// The part of Bun this project uses, declared by hand: `@types/bun` and Deno's own types redeclare
// the same globals and cannot be loaded together.

/** `Server` of `Bun.serve`. */
interface BunServer {
  readonly hostname: string;
  readonly port: number;
  /** `true` also closes active connections. */
  stop(closeActiveConnections?: boolean): Promise<void>;
}

/** Options of `Bun.serve`. */
interface BunServeOptions {
  readonly hostname: string;
  readonly port: number;
  /** Seconds; 0 switches the timeout off. */
  readonly idleTimeout: number;
  /** Bytes; Bun answers 413 with an empty body above it. */
  readonly maxRequestBodySize: number;
  readonly fetch: HttpHandler;
  readonly error: (error: unknown) => Response;
}

/** The global `Bun`. */
interface BunGlobal {
  readonly version: string;
  serve(options: BunServeOptions): BunServer;
}
