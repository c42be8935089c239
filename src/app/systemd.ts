import { readFileSync } from "node:fs";
import process from "node:process";
import { attempt } from "../lib/json.ts";
import { codeOf } from "../lib/text.ts";
import { within } from "../lib/time.ts";
import { getLogger } from "../log/mod.ts";
import type { DatagramSocket, Runtime } from "../runtime/types.ts";

/** Options of {@link createNotifier}. */
export interface NotifierOptions {
  /** NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID and PATH are looked at. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly runtime: Pick<Runtime, "openDatagram" | "spawn">;
}

type Send = (message: string) => Promise<void>;

const MAX_STATUS = 400;
const CLOSE_TIMEOUT = 1_000;

/** A notifier for the service manager that started this process, or one that does nothing. */
export function createNotifier(options: NotifierOptions): Notifier {
  const { env } = options;
  const address = env.NOTIFY_SOCKET;
  if (address === undefined || address === "") return new Notifier(null, null);
  return new Notifier(transport(address, options), watchdogInterval(env));
}

/** Milliseconds between two pings, or null where this process is not watched. */
export function watchdogInterval(
  env: Readonly<Record<string, string | undefined>>,
  pid: number = process.pid,
): number | null {
  const microseconds = Number(env.WATCHDOG_USEC ?? "");
  if (!Number.isInteger(microseconds) || microseconds <= 0) return null;
  // Set for another process of the unit, and inherited by this one.
  if (env.WATCHDOG_PID !== undefined && env.WATCHDOG_PID !== String(pid)) return null;
  return Math.max(1, microseconds / 2000);
}

/**
 * Tells systemd how the service is doing (sd_notify(3)). Every method returns at once and none ever
 * fails: without systemd, or with one that does not listen, they do nothing.
 */
export class Notifier {
  /** Waiting messages in order; the first is under way while `#sending`. */
  readonly #queue: string[] = [];
  #sending = false;
  #told = false;
  #disabled = false;
  #timer: ReturnType<typeof setInterval> | null = null;
  #idle: (() => void) | null = null;

  /** @param send `null` where nobody listens */
  constructor(readonly send: Send | null, private readonly interval: number | null) {}

  /** The service is up, or up again after {@link Notifier.reloading}. */
  ready(): void {
    this.#enqueue("READY=1");
  }

  /** One line for `systemctl status`; only the latest matters. */
  status(text: string): void {
    this.#enqueue(`STATUS=${text.replace(/\s+/g, " ").trim().slice(0, MAX_STATUS)}`);
  }

  /** A reload has begun; {@link Notifier.ready} ends it. */
  reloading(): void {
    // Type=notify-reload wants the time too, and takes no RELOADING without it.
    const now = monotonicMicroseconds();
    this.#enqueue(now === null ? "RELOADING=1" : `RELOADING=1\nMONOTONIC_USEC=${now}`);
  }

  /** The service has begun to stop. */
  stopping(): void {
    this.#enqueue("STOPPING=1");
  }

  /**
   * Pings the watchdog at half the time the unit allows, where it has one. The pings come from a
   * timer, so a blocked event loop sends none; nor does one while `healthy` answers false.
   */
  watchdog(healthy: () => boolean = () => true): void {
    if (this.interval === null || this.#timer !== null) return;
    const ping = () => {
      if (healthy()) this.#enqueue("WATCHDOG=1");
    };
    ping();
    this.#timer = setInterval(ping, this.interval);
    this.#timer.unref();
  }

  /** Ends the pings and waits for what is under way, a second at most. Never rejects. */
  async close(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    if (!this.#sending) return;
    await within(CLOSE_TIMEOUT, new Promise<void>((resolve) => this.#idle = resolve));
  }

  #enqueue(message: string): void {
    if (this.send === null || this.#disabled) return;
    // With a slow way out (a process for each message) only the latest status and one ping wait.
    const key = message.slice(0, message.indexOf("=") + 1);
    if (key === "STATUS=" || key === "WATCHDOG=") {
      const older = this.#queue.findIndex((waiting, at) => at > 0 && waiting.startsWith(key));
      if (older > 0) this.#queue.splice(older, 1);
    }
    this.#queue.push(message);
    if (!this.#sending) void this.#drain(this.send);
  }

  async #drain(send: Send): Promise<void> {
    this.#sending = true;
    for (let next = this.#queue[0]; next !== undefined; next = this.#queue[0]) {
      try {
        await send(next);
      } catch (error) {
        this.#onFailure(error);
      }
      this.#queue.shift();
    }
    this.#sending = false;
    this.#idle?.();
  }

  #onFailure(error: unknown): void {
    if (!this.#told) {
      this.#told = true;
      getLogger("mcproxy", "systemd").debug("Cannot notify systemd: {error}", { error });
    }
    // Neither the socket nor the program will appear later; anything else may pass, and a watchdog
    // that is not fed kills the service.
    if (codeOf(error) === "ENOENT") {
      this.#disabled = true;
      this.#queue.length = 1;
    }
  }
}

/** A datagram where the runtime has them, else a `systemd-notify` for each message. */
function transport(address: string, options: NotifierOptions): Send {
  const opening = options.runtime.openDatagram(address);
  if (opening === null) return (message) => notifyByChild(address, message, options);
  let socket: Promise<DatagramSocket> = opening;
  // Its failure is met by the first message.
  socket.catch(() => {});
  return async (message) => {
    const data = new TextEncoder().encode(message);
    try {
      await (await socket).send(data);
    } catch (error) {
      // The manager may have been restarted (systemctl daemon-reexec): once more, then no more.
      const again = options.runtime.openDatagram(address);
      if (again === null) throw error;
      socket = again;
      await (await socket).send(data);
    }
  };
}

/**
 * Sends one message through systemd-notify(1). It waits until the manager has read the message,
 * which it must: the sender is looked up by its process. It is a child, so the unit needs
 * `NotifyAccess=all`.
 */
async function notifyByChild(
  address: string,
  message: string,
  options: NotifierOptions,
): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<number | null>();
  let complaint = "";
  await options.runtime.spawn({
    command: "systemd-notify",
    args: [`--pid=${process.pid}`, ...message.split("\n")],
    env: { PATH: options.env.PATH ?? "/usr/bin:/bin", NOTIFY_SOCKET: address },
    onStdout: () => {},
    onStderr: (chunk) => complaint = (complaint + new TextDecoder().decode(chunk)).slice(0, 200),
    onExit: ({ code }) => resolve(code),
  });
  const code = await promise;
  if (code === 0) return;
  throw new Error(
    `Cannot notify systemd at "${address}": systemd-notify exit code ${code}` +
      (complaint === "" ? "" : `, ${complaint.trim()}`),
  );
}

/**
 * CLOCK_MONOTONIC now, as near as can be had: neither runtime gives it (their `hrtime` starts with
 * the process). /proc/uptime also counts the time asleep and ends at hundredths, so a hundredth is
 * added; systemd only wants a time that is not before the reload it asked for.
 */
function monotonicMicroseconds(): bigint | null {
  const uptime = attempt(() => readFileSync("/proc/uptime", "utf8")) ?? "";
  const seconds = /^\d+\.\d\d/.exec(uptime)?.[0];
  return seconds === undefined ? null : (BigInt(seconds.replace(".", "")) + 1n) * 10_000n;
}
