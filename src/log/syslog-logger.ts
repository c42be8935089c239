import type { ChildProcess, Runtime } from "../runtime/types.ts";
import { syslogBody } from "./encode.ts";
import type { Entry } from "./entry.ts";
import { priority } from "./level.ts";
import { limitBytes, type SyslogIdentity } from "./syslog.ts";
import type { Writer } from "./writer.ts";

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
  readonly #options: LoggerWriterOptions;
  #child: ChildProcess | null = null;
  #ended: Promise<void> = Promise.resolve();

  constructor(options: LoggerWriterOptions) {
    this.#options = options;
  }

  async write(entries: readonly Entry[]): Promise<number> {
    const child = this.#child ?? await this.#start();
    await child.write(entries.map((entry) => this.#line(entry)).join(""));
    return entries.length;
  }

  /** A line longer than `--size` would go on as a second message, with no priority of its own. */
  #line(entry: Entry): string {
    const body = new TextEncoder().encode(syslogBody(entry));
    const kept = limitBytes(body, this.#options.maxBytes - PREFIX_ROOM);
    return `<${priority(entry.level)}>${new TextDecoder().decode(kept)}\n`;
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
    const decoder = new TextDecoder();
    const child = await this.#options.runtime.spawn({
      command: "logger",
      args: loggerArguments(this.#options),
      // UTF-8 passes as it is only in a locale that knows it.
      env: { PATH: this.#options.env.PATH ?? "/usr/bin:/bin", LC_ALL: "C.UTF-8" },
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
