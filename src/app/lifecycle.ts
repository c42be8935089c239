/** From "somebody wants it to end" to the end of the process. */

import process from "node:process";
import { getLogger } from "../log/mod.ts";
import { ExitCode, type Io } from "./io.ts";
import type { Server } from "./server.ts";

/** Milliseconds a stop may take beyond the calls it lets finish; systemd and people wait 5 s. */
const STOP_MARGIN = 900;

const log = getLogger("mcproxy");

/** Options of {@link runUntilStopped}. */
export interface LifecycleOptions {
  readonly server: Server;
  /** Called at SIGHUP: the configuration is to be read again. */
  readonly onReload: () => void;
  /** Called once, when the stop begins. */
  readonly onStopping: () => void;
  /** Ends the gateway with exit code 0 when it resolves (stdin has ended). */
  readonly ended?: Promise<void>;
}

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
  const onSignal = (signal: "SIGINT" | "SIGTERM", forced: number) =>
    io.runtime.onSignal(signal, () => {
      if (stopping) force.resolve(forced);
      else stop(`received ${signal}`, ExitCode.Ok);
    });
  const off = [
    onSignal("SIGINT", 130),
    onSignal("SIGTERM", 143),
    // Its default would end the process, and with it every client's session.
    io.runtime.onSignal("SIGHUP", () => {
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
    for (const remove of off) remove();
    for (const pid of children) killGroup(pid);
  }
}

/** The upstream processes; each leads a group of its own. */
function childrenOf({ gateway }: Server): number[] {
  return gateway.members.all.flatMap(({ upstream }) => {
    const status = upstream.status();
    return (status.instances ?? [status]).flatMap(({ pid }) => pid ?? []);
  });
}

/** Nothing we have started may outlive us, not even when we cannot wait for it. */
function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // It has gone by itself.
  }
}
