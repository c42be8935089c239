import process from "node:process";
import type { StdioTarget } from "../../config/types.ts";
import { withoutLineBreaks } from "../../lib/json-edit.ts";
import { LineDecoder } from "../../lib/lines.ts";
import { TokenBucket } from "../../lib/rate-limit.ts";
import { messageOf, snippet } from "../../lib/text.ts";
import { type Clock, pause } from "../../lib/time.ts";
import type { ChildProcess, ExitStatus, Runtime } from "../../runtime/types.ts";
import { LostCallError, NOT_SENT, SENT, unavailable } from "./failures.ts";
import {
  type CloseReason,
  overlong,
  receive,
  type SendOptions,
  type Transport,
  type TransportHandlers,
  type UpstreamLog,
} from "./transport.ts";

/** What a {@link StdioTransport} is made of. */
export interface StdioOptions {
  readonly server: string;
  readonly target: StdioTarget;
  readonly runtime: Pick<Runtime, "spawn">;
  readonly log: UpstreamLog;
  readonly clock: Clock;
  /** Longest line on stdout in bytes. @default 64 MiB */
  readonly lineLimit?: number;
}

const LINE_LIMIT = 64 * 1024 * 1024;
const STDERR_LINE_LIMIT = 64 * 1024;
/** Most that may wait to be read by one server, in characters; what is beyond it is refused. */
const MOST_UNREAD = 64 * 1024 * 1024;
/** How long a server that so much waits for may take none of it before it is given up, in ms. */
const DEAF_AFTER = 300_000;
/** Most answers that may wait for it while it is still listened to. */
const MOST_REPLIES = 1_000;
/** What a server gets to end by itself after its stdin closed, then after SIGTERM, in ms. */
const EOF_GRACE = 1_000;
const TERM_GRACE = 1_000;
const KILL_GRACE = 500;
/** What processes that outlive their leader get between SIGTERM and SIGKILL, in ms. */
const ORPHAN_GRACE = 100;
/** How long a server that takes no input any more may take to end by itself, in ms. */
const END_GRACE = 500;

/** A server that is a child process: one JSON-RPC message a line (transports: stdio). */
export class StdioTransport implements Transport {
  readonly kind = "stdio";
  readonly #options: StdioOptions;
  readonly #stderrBucket: TokenBucket;
  readonly #exited = Promise.withResolvers<void>();
  #child: ChildProcess | undefined;
  #handlers: TransportHandlers | undefined;
  #lastStderr = "";
  #hasSpoken = false;
  #closing = false;
  #outbox: string[] = [];
  #flushing: Promise<void> | undefined;
  /** What the server has been sent and not taken: characters, answers to its own questions, and when it last took some. */
  readonly #unread = { size: 0, replies: 0, since: 0 };
  #repliesInOutbox = 0;
  /** Resolved when enough of it is taken to listen to the server again. */
  #onTaken: PromiseWithResolvers<void> | undefined;

  constructor(options: StdioOptions) {
    this.#options = options;
    const now = options.clock.now();
    this.#stderrBucket = new TokenBucket({ ratePerSecond: 20, burst: 100, now });
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  async start(handlers: TransportHandlers): Promise<void> {
    const { target, runtime, server, lineLimit = LINE_LIMIT } = this.#options;
    const stdout = new LineDecoder({
      limit: lineLimit,
      onLine: (line) => {
        this.#hasSpoken = true;
        receive(line, handlers, undefined);
      },
      onOverlong: (head) =>
        handlers.onInvalid({
          kind: "overlong",
          error: overlong(lineLimit),
          snippet: snippet(`${head}…`),
          carriedBy: undefined,
        }),
    });
    const stderr = new LineDecoder({
      limit: STDERR_LINE_LIMIT,
      onLine: (line) => this.#onStderr(line),
      onOverlong: (head) => this.#onStderr(`${head}…`),
    });
    this.#handlers = handlers;
    try {
      this.#child = await runtime.spawn({
        command: target.command,
        args: target.args,
        env: childEnv(process.env, target.env, process.platform),
        cwd: target.cwd,
        onStdout: (chunk) => {
          const work = stdout.pushInTurns(chunk);
          return work === undefined ? this.#whenTaken() : work.then(() => this.#whenTaken());
        },
        onStderr: (chunk) => stderr.pushInTurns(chunk),
        onExit: (status) => {
          stdout.end();
          stderr.end();
          this.#onExit(status);
        },
      });
    } catch (error) {
      this.#handlers = undefined;
      this.#exited.resolve();
      throw unavailable(server, `cannot be started: ${messageOf(error)}`, { cause: error });
    }
  }

  /** Messages sent in one turn leave in one write: under load that halves the system calls. */
  send(raw: string, { method }: SendOptions): Promise<void> {
    const line = withoutLineBreaks(raw);
    const { size } = this.#unread;
    if (size === 0) this.#unread.since = this.#options.clock.now();
    // What nothing is in the way of goes, whatever its size.
    else if (size + line.length > MOST_UNREAD) return Promise.reject(this.#tooMuch(line.length));
    this.#outbox.push(line);
    this.#unread.size += line.length;
    if (method === "") {
      this.#unread.replies++;
      this.#repliesInOutbox++;
    }
    return this.#flushing ??= Promise.resolve().then(() => this.#flush());
  }

  abandon(): void {}

  setProtocol(): void {}

  async close(): Promise<void> {
    this.#closing = true;
    const child = this.#child;
    if (child !== undefined && this.#handlers !== undefined) {
      child.endInput();
      // One that still starts has nothing to put away, and reads no end of its input yet.
      if (!this.#hasSpoken || !await this.#exitsWithin(EOF_GRACE)) {
        child.kill("SIGTERM");
        if (!await this.#exitsWithin(TERM_GRACE)) {
          child.kill("SIGKILL");
          if (!await this.#exitsWithin(KILL_GRACE)) {
            this.#end({ code: "closed", message: "did not end after SIGKILL" });
            return;
          }
        }
      }
    }
    await this.#exited.promise;
  }

  async #exitsWithin(ms: number): Promise<boolean> {
    const waited = new AbortController();
    const exited = this.#exited.promise.then(() => true);
    const late = pause(ms, this.#options.clock, waited.signal).then(() => false);
    const result = await Promise.race([exited, late]);
    waited.abort();
    // `#exited` includes the end of what the leader left behind, so ask the leader itself.
    return result || this.#handlers === undefined;
  }

  async #flush(): Promise<void> {
    const batch = this.#outbox;
    const replies = this.#repliesInOutbox;
    this.#outbox = [];
    this.#repliesInOutbox = 0;
    this.#flushing = undefined;
    const child = this.#child;
    if (child === undefined) {
      throw new LostCallError(this.#options.server, "is not running", NOT_SENT);
    }
    batch.push("");
    const text = batch.join("\n");
    try {
      await child.write(text);
    } catch (error) {
      const why = `does not read its input: ${messageOf(error)}`;
      // Mostly it is ending, and with what says more; and one that stays will never read again.
      if (!this.#closing) await this.#exitsWithin(END_GRACE);
      if (!this.#closing) this.#end({ code: "disconnected", message: why });
      throw new LostCallError(this.#options.server, why, SENT, { cause: error });
    } finally {
      this.#unread.size -= text.length - batch.length + 1;
      this.#unread.replies -= replies;
      this.#unread.since = this.#options.clock.now();
      if (this.#unread.replies <= MOST_REPLIES) this.#onTaken?.resolve();
    }
  }

  /** Who reads slowly gets no more than it can take; only who reads nothing at all is given up. */
  #tooMuch(size: number): LostCallError {
    const { server, clock } = this.#options;
    const waits = `does not read its input: ${mib(this.#unread.size)} MiB wait for it`;
    if (!this.#closing && clock.now() - this.#unread.since > DEAF_AFTER) {
      this.#end({ code: "disconnected", message: waits });
    }
    const why = `${waits}, and ${mib(size)} MiB more are beyond the bound of ${
      mib(MOST_UNREAD)
    } MiB`;
    return new LostCallError(server, why, NOT_SENT);
  }

  /** Who asks and does not take the answers is not listened to meanwhile. */
  #whenTaken(): Promise<void> | undefined {
    if (this.#unread.replies <= MOST_REPLIES || this.#handlers === undefined) return undefined;
    return (this.#onTaken = Promise.withResolvers<void>()).promise;
  }

  #onStderr(line: string): void {
    const { server, log, clock } = this.#options;
    if (line.trim() === "") return;
    this.#lastStderr = line;
    const verdict = this.#stderrBucket.take(clock.now());
    if (!verdict.allowed) return;
    if (verdict.suppressed > 0) {
      log.info(`Suppressed ${verdict.suppressed} lines of stderr`, { server });
    }
    log.info(`stderr: ${snippet(line, 2_000)}`, { server });
  }

  #onExit(status: ExitStatus): void {
    const { server, log } = this.#options;
    const suppressed = this.#stderrBucket.takeSuppressed();
    if (suppressed > 0) log.info(`Suppressed ${suppressed} lines of stderr`, { server });
    const how = status.signal === null
      ? `exited with code ${status.code}`
      : `was ended by ${status.signal}`;
    const why = this.#lastStderr === "" ? "" : `: ${snippet(this.#lastStderr)}`;
    this.#end({ code: this.#closing ? "closed" : "exited", message: `${how}${why}` });
  }

  /** A server behind a wrapper may outlive it: nothing of the group is left running. */
  #end(reason: CloseReason): void {
    const handlers = this.#handlers;
    if (handlers === undefined) return;
    this.#handlers = undefined;
    this.#onTaken?.resolve();
    const child = this.#child!;
    child.kill("SIGTERM");
    this.#options.clock.after(ORPHAN_GRACE, () => {
      child.kill("SIGKILL");
      this.#exited.resolve();
    });
    handlers.onClose(reason);
  }
}

const mib = (size: number) => Math.ceil(size / 1024 / 1024);

/**
 * Inherited from the gateway because programs break without them; nothing else is, since the
 * gateway's own environment holds the secrets of every other server. Pinned by a test.
 */
export const SAFE_VARIABLES: readonly string[] = [
  "HOME",
  "LANG",
  "LANGUAGE",
  "LOGNAME",
  "PATH",
  "SHELL",
  "TERM",
  "TMPDIR",
  "TZ",
  "USER",
];

/** The same for Windows, where names are matched without regard to case. */
export const SAFE_WINDOWS_VARIABLES: readonly string[] = [
  "APPDATA",
  "COMSPEC",
  "HOMEDRIVE",
  "HOMEPATH",
  "LOCALAPPDATA",
  "PATH",
  "PATHEXT",
  "PROCESSOR_ARCHITECTURE",
  "PROGRAMDATA",
  "PROGRAMFILES",
  "SYSTEMDRIVE",
  "SYSTEMROOT",
  "TEMP",
  "TMP",
  "TZ",
  "USERNAME",
  "USERPROFILE",
];

/** Whole families that are inherited. */
const SAFE_PREFIXES: readonly string[] = ["LC_", "XDG_"];

/** Shell functions exported by bash travel in variables and would run in the child's shells. */
const isFunction = (value: string) => value.startsWith("()");

/**
 * What the child gets: the safe part of `inherited`, overridden by what the config says.
 * `platform` is `process.platform`.
 */
export function childEnv(
  inherited: Readonly<Record<string, string | undefined>>,
  configured: Readonly<Record<string, string>>,
  platform: string,
): Record<string, string> {
  const windows = platform === "win32";
  const safe = new Set(windows ? SAFE_WINDOWS_VARIABLES : SAFE_VARIABLES);
  const env = new Map<string, string>();
  for (const [name, value] of Object.entries(inherited)) {
    if (value === undefined || isFunction(value)) continue;
    const key = windows ? name.toUpperCase() : name;
    if (safe.has(key) || SAFE_PREFIXES.some((prefix) => key.startsWith(prefix))) {
      env.set(name, value);
    }
  }
  for (const [name, value] of Object.entries(configured)) env.set(name, value);
  return Object.fromEntries(env);
}
