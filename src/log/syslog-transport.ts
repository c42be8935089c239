import { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import process from "node:process";
import { attempt } from "../lib/json.ts";
import type { ChildProcess, DatagramSocket, Runtime } from "../runtime/types.ts";
import { type Entry, syslogBody } from "./entry.ts";
import { priority } from "./level.ts";
import type { Writer } from "./output.ts";
import { limitBytes, type SyslogIdentity } from "./syslog.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Options of a {@link DatagramWriter}. */
export interface DatagramWriterOptions {
  /** Opens the socket; called again after a failed send, for the receiver may have restarted. */
  readonly open: () => Promise<DatagramSocket>;
  readonly encode: (entry: Entry) => string;
  /** Bytes in one datagram; longer messages are cut. */
  readonly maxBytes: number;
}

/** What is sent when the socket refuses a bigger datagram; RFC 5424 §6.1 asks receivers for it. */
const SAFE_BYTES = 480;

/** One entry, one datagram: unix sockets and UDP. */
export class DatagramWriter implements Writer {
  #socket: DatagramSocket | null = null;
  #closed = false;

  constructor(private readonly options: DatagramWriterOptions) {}

  async write(entries: readonly Entry[]): Promise<number> {
    let taken = 0;
    for (const entry of entries) {
      try {
        await this.#send(encoder.encode(this.options.encode(entry)));
      } catch (error) {
        if (taken === 0) throw error;
        break;
      }
      taken++;
    }
    return taken;
  }

  async #send(message: Uint8Array): Promise<void> {
    const data = limitBytes(message, this.options.maxBytes);
    try {
      await (await this.#connected()).send(data);
    } catch {
      // Either the receiver has been restarted, or this one message is too big for the socket: a
      // new socket and a small message are right for both, and only one attempt is spent.
      this.#drop();
      const socket = await this.#connected();
      try {
        await socket.send(data);
      } catch (again) {
        if (data.length <= SAFE_BYTES) throw again;
        await socket.send(limitBytes(data, SAFE_BYTES));
      }
    }
  }

  async #connected(): Promise<DatagramSocket> {
    if (this.#socket !== null) return this.#socket;
    const socket = await this.options.open();
    if (this.#closed) {
      socket.close();
      throw new Error("Cannot write to syslog: the writer is closed; expected it to be open");
    }
    return this.#socket = socket;
  }

  #drop(): void {
    this.#socket?.close();
    this.#socket = null;
  }

  close(): Promise<void> {
    this.#closed = true;
    this.#drop();
    return Promise.resolve();
  }
}

/** Options of a {@link LoggerWriter}. */
export interface LoggerWriterOptions {
  readonly runtime: Pick<Runtime, "spawn">;
  /** PATH for finding `logger`. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly identity: SyslogIdentity;
  /** A unix socket other than the system's. */
  readonly socket?: string | undefined;
  /** RFC 5424 instead of the syslog(3) form. */
  readonly rfc5424: boolean;
  /** Bytes in one message. */
  readonly maxBytes: number;
}

interface Ending {
  readonly code: number | null;
  readonly complaint: string;
}

interface Started {
  readonly child: ChildProcess;
  readonly ended: Promise<Ending>;
}

/** `<191>` and some air. */
const PREFIX_ROOM = 16;

/**
 * Local syslog through one long-lived `logger` of util-linux, for runtimes without unix datagrams
 * (Bun). Each line starts with its priority; `logger` adds the header.
 */
export class LoggerWriter implements Writer {
  #child: ChildProcess | null = null;
  #ended: Promise<void> = Promise.resolve();

  constructor(private readonly options: LoggerWriterOptions) {}

  async write(entries: readonly Entry[]): Promise<number> {
    const child = this.#child ?? await this.#start();
    await child.write(entries.map((entry) => this.#line(entry)).join(""));
    return entries.length;
  }

  /** A line longer than `--size` would go on as a second message, with no priority of its own. */
  #line(entry: Entry): string {
    const body = encoder.encode(syslogBody(entry));
    const kept = limitBytes(body, this.options.maxBytes - PREFIX_ROOM);
    return `<${priority(entry.level)}>${decoder.decode(kept)}\n`;
  }

  /**
   * `logger` swallows lines before it finds that there is no syslog. So one with nothing to say
   * goes first: it opens the socket and ends, with an error where there is none, or where it is
   * another `logger` without these options (busybox).
   */
  async #start(): Promise<ChildProcess> {
    const probe = await this.#spawn(() => {});
    probe.child.endInput();
    const { code, complaint } = await probe.ended;
    if (code !== 0) {
      throw new Error(
        `Cannot log through "logger": exit code ${code}${complaint && `, ${complaint}`}; ` +
          `expected a syslog socket and the logger of util-linux`,
      );
    }
    // A complaint means that lines are being lost (syslog restarted): the next write asks anew.
    const { child, ended } = await this.#spawn(() => this.#forget());
    this.#child = child;
    this.#ended = ended.then(() => {
      if (this.#child === child) this.#child = null;
    });
    return child;
  }

  #forget(): void {
    this.#child?.endInput();
    this.#child = null;
  }

  async #spawn(onComplaint: () => void): Promise<Started> {
    const { promise, resolve } = Promise.withResolvers<Ending>();
    let complaint = "";
    const child = await this.options.runtime.spawn({
      command: "logger",
      args: loggerArguments(this.options),
      // UTF-8 passes as it is only in a locale that knows it.
      env: { PATH: this.options.env.PATH ?? "/usr/bin:/bin", LC_ALL: "C.UTF-8" },
      onStdout: () => {},
      onStderr: (chunk) => {
        complaint = (complaint + decoder.decode(chunk)).slice(0, 200);
        onComplaint();
      },
      onExit: ({ code }) => resolve({ code, complaint: complaint.trim() }),
    });
    return { child, ended: promise };
  }

  async close(): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (child === null) return;
    // The end of its input lets it finish what it has; it ends by itself then.
    child.endInput();
    const timer = setTimeout(() => child.kill("SIGKILL"), 500);
    await this.#ended;
    clearTimeout(timer);
  }
}

/** The command line of `logger`, checked against util-linux 2.38. */
export function loggerArguments(
  options: Pick<LoggerWriterOptions, "identity" | "socket" | "rfc5424" | "maxBytes">,
): string[] {
  const { identity, socket, rfc5424, maxBytes } = options;
  return [
    "--prio-prefix",
    "--skip-empty",
    // Otherwise `logger` is silent about a missing socket, and so would we be.
    "--socket-errors=on",
    `--tag=${identity.app}`,
    `--id=${identity.pid}`,
    `--size=${maxBytes}`,
    ...(rfc5424 ? ["--rfc5424=notq"] : []),
    ...(socket === undefined ? [] : [`--socket=${socket}`]),
  ];
}

/** Options of a {@link TcpWriter}. */
export interface TcpWriterOptions {
  readonly host: string;
  readonly port: number;
  readonly encode: (entry: Entry) => string;
  /** Bytes in one message; longer ones are cut. */
  readonly maxBytes: number;
  /** Milliseconds a server may take to accept, or to read on. @default 30_000 */
  readonly timeout?: number;
}

/**
 * Syslog over TCP with octet counting (RFC 6587 §3.4.1). It connects when there is something to
 * write. A write fails when the connection does, and the caller offers the batch again, so around a
 * broken connection lines may arrive twice. What the system had taken and the server had not read
 * is lost: the protocol has no receipts.
 */
export class TcpWriter implements Writer {
  #socket: Socket | null = null;

  constructor(private readonly options: TcpWriterOptions) {}

  async write(entries: readonly Entry[]): Promise<number> {
    const socket = this.#socket ?? await this.#connect();
    const frames = entries.map((entry) => this.#frame(entry));
    await this.#settled(socket, "send", (done) => {
      socket.write(Buffer.concat(frames), (error) => done(error ?? undefined));
    });
    return entries.length;
  }

  #frame(entry: Entry): Uint8Array {
    const message = limitBytes(encoder.encode(this.options.encode(entry)), this.options.maxBytes);
    return Buffer.concat([encoder.encode(`${message.length} `), message]);
  }

  async #connect(): Promise<Socket> {
    const { host, port } = this.options;
    const socket = process.getBuiltinModule("node:net").connect({ host, port, keepAlive: true });
    // A log must not keep the process alive; close() waits for it where that is wanted.
    socket.unref();
    socket.on("error", () => {});
    // A server that closes an idle connection is noticed here, before the next line is lost in it.
    // "end" must be acted on too: what the server sends is never read, it just flows away.
    const forget = () => {
      if (this.#socket === socket) this.#socket = null;
      socket.destroy();
    };
    socket.on("end", forget).on("close", forget).resume();
    await this.#settled(socket, "connect", (done) => socket.once("connect", () => done()));
    return this.#socket = socket;
  }

  /** Waits for one step on the socket; the step fails with the socket, or when it takes too long. */
  async #settled(
    socket: Socket,
    action: "connect" | "send",
    start: (done: (error?: Error) => void) => void,
  ): Promise<void> {
    const { host, port, timeout = 30_000 } = this.options;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const fail = (why: string) =>
      reject(new Error(`Cannot ${action} to syslog "tcp://${host}:${port}": ${why}`));
    const onError = (error: Error) => fail(error.message || String(error));
    const onClose = () => fail("connection closed");
    const timer = setTimeout(() => fail(`no progress in ${timeout} ms`), timeout);
    timer.unref();
    socket.on("error", onError).on("close", onClose);
    start((error) => error === undefined ? resolve() : onError(error));
    try {
      await promise;
    } catch (error) {
      socket.destroy();
      if (this.#socket === socket) this.#socket = null;
      throw error;
    } finally {
      clearTimeout(timer);
      socket.off("error", onError).off("close", onClose);
    }
  }

  close(): Promise<void> {
    const socket = this.#socket;
    this.#socket = null;
    if (socket === null) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    socket.once("close", () => resolve());
    socket.end();
    return promise;
  }
}

/**
 * Opens a UDP socket towards a syslog server (RFC 5426). The name is looked up once for each
 * socket, not for each message. Rejects when the name is unknown.
 */
export async function openUdp(host: string, port: number): Promise<DatagramSocket> {
  const { address, family } = await process.getBuiltinModule("node:dns/promises").lookup(host);
  const socket = process.getBuiltinModule("node:dgram").createSocket(
    family === 6 ? "udp6" : "udp4",
  );
  // "Connection refused" by an earlier datagram arrives here, unasked: UDP promises nothing.
  socket.on("error", () => {});
  socket.unref();
  return {
    send(data) {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      socket.send(data, port, address, (error) => error ? reject(error) : resolve());
      return promise;
    },
    // It may have been closed before.
    close: () => attempt(() => socket.close()),
  };
}
