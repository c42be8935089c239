import process from "node:process";
import { setImmediate } from "node:timers";
import type { StdioTarget } from "../../config/types.ts";
import { withoutLineBreaks } from "../../lib/json-edit.ts";
import { LineDecoder } from "../../lib/lines.ts";
import { TokenBucket } from "../../lib/rate-limit.ts";
import { messageOf, snippet } from "../../lib/text.ts";
import { type Clock, pause } from "../../lib/time.ts";
import type { ChildProcess, ExitStatus, Runtime } from "../../runtime/types.ts";
import type { Container, Program } from "./container.ts";
import { LostCallError, NOT_SENT, unavailable } from "./failures.ts";
import {
  type CloseReason,
  isLongPage,
  receive,
  refuseOverlong,
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
/** What stands below the reason of a crash: its stack, and what npm, docker and the like add. */
const SAYS_NOTHING = new RegExp(
  [
    /\s+(?:at |\.\.\. \d|[\^~]|throw |\w+: )|\s*[\]})]+[,;]?$|- \/|Require stack:|\t/,
    /(?:Node\.js|Bun) v\d|goroutine \d|[\w./*()]+\(\S*\)$|exit status \d|note: run with /,
    /npm \S+ (?:A complete|(?:code|path|errno|syscall) |\w* *$|\w+ (?:Note |tarball|This is))/,
    /\s*(?:Run|See|Try|For more)\b.*(?:--help|information)/,
  ].map(({ source }) => `^(?:${source})`).join("|"),
);
/** What may leave a container behind. */
const RUNS_CONTAINERS = /(^|[\\/])(docker|podman|nerdctl)(\.exe)?$/;
/** How long a server that takes no input any more may take to end by itself, in ms. */
const END_GRACE = 3_000;

/** A server that is a child process: one JSON-RPC message a line (transports: stdio). */
export class StdioTransport implements Transport {
  readonly kind = "stdio";
  readonly #stderrBucket: TokenBucket;
  readonly #exited = Promise.withResolvers<void>();
  #child: ChildProcess | undefined;
  #handlers: TransportHandlers | undefined;
  #lastStderr = "";
  #hasSpoken = false;
  /** Set where the program only talks to what has to end with it. */
  #container: Container | undefined;
  #closing = false;
  /** Why it takes no input: what is not written is known not to be. */
  #broken: string | undefined = "is not running";
  /** What leaves with the next write, and the requests in it. */
  #outbox = "";
  #unwritten: number[] = [];
  /** What the server has been sent and not taken: characters, answers to its own questions, and when it last took some. */
  readonly #unread = { size: 0, replies: 0, since: 0 };
  #repliesInOutbox = 0;
  /** Resolved when enough of it is taken to listen to the server again. */
  #onTaken: PromiseWithResolvers<void> | undefined;

  constructor(private readonly options: StdioOptions) {
    const now = options.clock.now();
    this.#stderrBucket = new TokenBucket({ ratePerSecond: 20, burst: 100, now });
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  get lastWords(): string {
    return snippet(this.#lastStderr);
  }

  async start(handlers: TransportHandlers): Promise<void> {
    const { target, runtime, server, lineLimit = LINE_LIMIT } = this.options;
    const stdout = new LineDecoder({
      limit: lineLimit,
      onLine: (line) => {
        this.#hasSpoken = true;
        receive(line, handlers, undefined);
      },
      isTooLong: (head, size) => isLongPage(head, size, handlers),
      onOverlong: (head) => refuseOverlong(head, lineLimit, handlers),
    });
    const stderr = new LineDecoder({
      limit: STDERR_LINE_LIMIT,
      onLine: (line) => this.#onStderr(line),
      onOverlong: (head) => this.#onStderr(`${head}…`),
    });
    this.#handlers = handlers;
    const { command, args, cwd } = target;
    let program: Program = {
      command,
      args,
      cwd,
      env: childEnv(process.env, target.env, process.platform),
    };
    try {
      if (target.sandbox !== undefined || target.image !== undefined) {
        const { keptIn } = await import("./sandbox.ts");
        const { platform, env } = process;
        program = await keptIn(server, target, program, { platform, env, runtime });
      }
      if (target.sandbox === undefined && RUNS_CONTAINERS.test(program.command)) {
        const { Container } = await import("./container.ts");
        this.#container = Container.of(program, runtime);
        await this.#container?.sweep();
      }
      if (this.#closing) throw unavailable(server, "was stopped");
      this.#child = await runtime.spawn({
        ...program,
        args: this.#container?.args ?? program.args,
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
      this.#broken = undefined;
    } catch (error) {
      this.#handlers = undefined;
      this.#exited.resolve();
      throw unavailable(server, `cannot be started: ${messageOf(error)}`, { cause: error });
    }
  }

  /**
   * Messages sent in one turn of the event loop leave in one write. A microtask is too early to
   * gather any: the runtimes run them all after every request they read.
   */
  send(raw: string, { method, requestId }: SendOptions): Promise<void> | undefined {
    if (this.#broken !== undefined) {
      return Promise.reject(new LostCallError(this.options.server, this.#broken, NOT_SENT));
    }
    const line = `${withoutLineBreaks(raw)}\n`;
    const { size } = this.#unread;
    if (size === 0) this.#unread.since = this.options.clock.now();
    // What nothing is in the way of goes, whatever its size.
    else if (size + line.length > MOST_UNREAD) {
      return Promise.reject(this.#tooMuch(line.length, requestId));
    }
    if (this.#outbox === "") setImmediate(this.#flush);
    this.#outbox += line;
    this.#unread.size += line.length;
    if (requestId !== undefined) this.#unwritten.push(requestId);
    if (method === "") {
      this.#unread.replies++;
      this.#repliesInOutbox++;
    }
    return undefined;
  }

  abandon(): void {}

  setProtocol(): void {}

  async close(): Promise<void> {
    this.#closing = true;
    const child = this.#child;
    if (child !== undefined && this.#handlers !== undefined) {
      this.#flush();
      this.#broken ??= "is being stopped";
      child.endInput();
      // One that still starts has nothing to put away, and reads no end of its input yet.
      if (!this.#hasSpoken || !await this.#exitsWithin(EOF_GRACE)) {
        child.kill("SIGTERM");
        // Most containers never end by it, and their end takes two more programs.
        if (!await this.#exitsWithin(this.#container === undefined ? TERM_GRACE : KILL_GRACE)) {
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
    const late = pause(ms, this.options.clock, waited.signal).then(() => false);
    const result = await Promise.race([exited, late]);
    waited.abort();
    // `#exited` includes the end of what the leader left behind, so ask the leader itself.
    return result || this.#handlers === undefined;
  }

  readonly #flush = (): void => {
    const text = this.#outbox;
    if (text === "" || this.#broken !== undefined) return;
    const replies = this.#repliesInOutbox;
    this.#outbox = "";
    this.#unwritten = [];
    this.#repliesInOutbox = 0;
    const taken = () => {
      this.#unread.size -= text.length;
      this.#unread.replies -= replies;
      this.#unread.since = this.options.clock.now();
      if (this.#unread.replies <= MOST_REPLIES) this.#onTaken?.resolve();
    };
    this.#child!.write(text).then(taken, (error) => this.#breaks(error).then(taken));
  };

  /** Whoever waits for an answer is told by the end. */
  async #breaks(error: unknown): Promise<void> {
    const message = this.#broken ??= `does not read its input: ${messageOf(error)}`;
    // Mostly it is ending, and with what says more; and one that stays will never read again.
    if (!this.#closing) await this.#exitsWithin(END_GRACE);
    if (!this.#closing) this.#end({ code: "disconnected", message });
  }

  /** Who reads slowly gets no more than it can take; only who reads nothing at all is given up. */
  #tooMuch(size: number, requestId: number | undefined): LostCallError {
    const { server, clock } = this.options;
    const waits = `does not read its input: ${mib(this.#unread.size)} MiB wait for it`;
    if (!this.#closing && clock.now() - this.#unread.since > DEAF_AFTER) {
      // Its end tells all calls, this one as well.
      if (requestId !== undefined) this.#unwritten.push(requestId);
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
    const { server, log, clock } = this.options;
    if (line.trim() === "") return;
    if (this.#lastStderr === "" || !SAYS_NOTHING.test(line.slice(0, 300))) this.#lastStderr = line;
    const verdict = this.#stderrBucket.take(clock.now());
    if (!verdict.allowed) return;
    if (verdict.suppressed > 0) {
      log.info(`Suppressed ${verdict.suppressed} lines of stderr`, { server });
    }
    log.info(`stderr: ${snippet(line, 2_000)}`, { server });
  }

  #onExit(status: ExitStatus): void {
    const { server, log } = this.options;
    const suppressed = this.#stderrBucket.takeSuppressed();
    if (suppressed > 0) log.info(`Suppressed ${suppressed} lines of stderr`, { server });
    const how = status.signal === null
      ? `exited with code ${status.code}`
      : `was ended by ${status.signal}`;
    const why = this.lastWords === "" ? "" : `: ${this.lastWords}`;
    // One that has ended by itself has seen the container's end.
    if (status.signal === null) this.#container = undefined;
    this.#end({ code: this.#closing ? "closed" : "exited", message: `${how}${why}` });
  }

  /** A server behind a wrapper may outlive it: nothing of the group is left running. */
  #end(reason: CloseReason): void {
    const handlers = this.#handlers;
    if (handlers === undefined) return;
    this.#handlers = undefined;
    this.#broken ??= reason.message;
    this.#onTaken?.resolve();
    const child = this.#child!;
    child.kill("SIGTERM");
    this.options.clock.after(ORPHAN_GRACE, () => {
      child.kill("SIGKILL");
      if (this.#container === undefined) this.#exited.resolve();
      else void this.#container.remove().then(this.#exited.resolve);
    });
    handlers.onClose({ ...reason, unsent: new Set(this.#unwritten) });
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
