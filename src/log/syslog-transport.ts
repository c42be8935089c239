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
