import { realpathSync } from "node:fs";
import { configureSync, type LogLevel, type LogRecord, resetSync } from "@logtape/logtape";
import { attempt } from "../lib/json.ts";
import { createRedactor, type Redactor } from "../lib/secrets.ts";
import { messageOf } from "../lib/text.ts";
import type { Runtime } from "../runtime/types.ts";
import {
  type Encode,
  type Entry,
  journalEncoder,
  type LogFormat,
  ownEntry,
  renderEntry,
  textEncoder,
} from "./entry.ts";
import {
  FallbackWriter,
  type Output,
  OutputWriter,
  type StandardOutputs,
  standardOutputs,
  type Writer,
} from "./output.ts";
import { type LogStats, Pump } from "./pump.ts";
import { recentLines } from "./recent.ts";
import { DatagramWriter, LoggerWriter } from "./syslog-transport.ts";
import { localSyslog, rfc5424, type SyslogIdentity, syslogIdentity } from "./syslog.ts";

/** Options of {@link configureLogging}. */
export interface LoggingOptions {
  readonly destination: LogDestination;
  readonly format: LogFormat;
  readonly level: LogLevel;
  /** The process's environment: JOURNAL_STREAM, NO_COLOR, TERM, PATH are looked at. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly runtime: Pick<Runtime, "name" | "openDatagram" | "spawn">;
  /** Stdout belongs to a protocol (`--stdio`): what would go there goes to stderr. */
  readonly forbidStdout?: boolean;
  /** The standard streams. @default those of the process */
  readonly outputs?: StandardOutputs;
  /** Most records waiting for a slow destination. @default 10_000 */
  readonly capacity?: number;
}

/** The running log. One at a time: the latest configuration is the one that counts. */
export interface Logging {
  /**
   * From now on these texts never appear (but what is too short, see `lib/secrets.ts`), except where
   * they are a name that `isName` knows.
   */
  setSecrets(secrets: Iterable<string>, isName?: (word: string) => boolean): void;
  /** From now on records below the level are not made at all. */
  setLevel(level: LogLevel): void;
  stats(): LogStats;
  /** Writes what is waiting, for a second at most, and stops. Never rejects; safe to repeat. */
  close(): Promise<void>;
}

const CLOSE_TIMEOUT = 1_000;

/**
 * Sends every logger's records to the destination. Logging stays cheap and synchronous for the
 * caller whatever the destination does: a record is put into a bounded queue, and redacted,
 * formatted and written later.
 *
 * Correlation: a record about a request carries its id as the property `rid`, given explicitly.
 * LogTape's implicit contexts are off: with AsyncLocalStorage each request costs 0.5 µs on Deno and
 * 0.1 µs on Bun even if it logs nothing, and answers arrive in the reading loop of a connection,
 * where the context is not the request's.
 */
export async function configureLogging(options: LoggingOptions): Promise<Logging> {
  const { destination, format, env, runtime, forbidStdout = false, capacity } = options;
  const given = options.outputs ?? standardOutputs(runtime);
  const outputs = forbidStdout ? { stdout: given.stderr, stderr: given.stderr } : given;
  let redactor: Redactor = createRedactor();
  const own = (level: LogLevel, message: string): Entry =>
    ownEntry(format, level, message, redactor);

  const { writer, remote } = await chooseDestination({
    destination,
    env,
    runtime,
    outputs,
    identity: syslogIdentity(),
    warn: (message) => own("warning", message),
  });
  const stderr = stream(outputs.stderr, env);
  const pump = new Pump<LogRecord>({
    writer,
    render: (record) => {
      const entry = renderEntry(record, { format, redactor });
      recentLines.add(entry);
      return entry;
    },
    notice: (dropped) => own("warning", `dropped ${dropped} log records`),
    onOutage: (error) => {
      if (remote === null) return;
      const why = `Cannot log to syslog "${remote}", retrying: ${messageOf(error)}`;
      stderr.write([own("warning", why)]).catch(() => {});
    },
    ...(capacity === undefined ? {} : { capacity }),
  });
  const sink = (record: LogRecord): void => {
    // LogTape copies the properties when they are first read: now, before the caller goes on.
    void record.properties;
    pump.push(record);
  };

  let closing: Promise<void> | undefined;
  apply(sink, options.level);
  return {
    setSecrets(secrets, isName) {
      redactor = createRedactor(secrets, isName);
    },
    setLevel(level) {
      if (current === sink) apply(sink, level);
    },
    stats: () => pump.stats,
    close() {
      if (current === sink) {
        current = null;
        resetSync();
      }
      return closing ??= pump.close(CLOSE_TIMEOUT);
    },
  };
}

/** The sink LogTape, which is global to the process, has been given last. */
let current: ((record: LogRecord) => void) | null = null;

function apply(sink: (record: LogRecord) => void, level: LogLevel): void {
  current = sink;
  configureSync({
    reset: true,
    sinks: { pump: sink },
    loggers: [
      { category: [], sinks: ["pump"], lowestLevel: level },
      { category: ["logtape", "meta"], lowestLevel: "warning" },
    ],
  });
}

/** A syslog server; exactly one of the three. Ports: 514 for UDP, 601 for TCP where none is said. */
export type SyslogTarget =
  | { readonly socket: string }
  | { readonly udp: HostAndPort }
  | { readonly tcp: HostAndPort };

/** An address as the config has it. */
export interface HostAndPort {
  readonly host: string;
  readonly port?: number | undefined;
}

/** Where the log goes. */
export type LogDestination =
  | { readonly kind: "stdout" }
  | { readonly kind: "stderr" }
  | { readonly kind: "syslog"; readonly target?: SyslogTarget | undefined };

/** What the choice of a writer depends on. */
interface DestinationOptions {
  readonly destination: LogDestination;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly runtime: Pick<Runtime, "openDatagram" | "spawn">;
  readonly outputs: StandardOutputs;
  readonly identity: SyslogIdentity;
  /** Makes the one warning before lines go to stderr instead. */
  readonly warn: (message: string) => Entry;
}

/** A writer, and what is special about it. */
interface Destination {
  readonly writer: Writer;
  /**
   * Whether an outage should be told on stderr: for remote servers, whose lines wait in the queue
   * until they are back. The others go to stderr by themselves.
   */
  readonly remote: string | null;
}

const LOCAL_SOCKET = "/dev/log";
/** rsyslog's and systemd's default limit. */
const MAX_BYTES = 8_192;
/** What every receiver on UDP should take (RFC 5426 §3.2), unfragmented or not. */
const MAX_UDP_BYTES = 2_048;
/** Milliseconds before a destination on this machine is tried again. */
const RETRY_LOCAL = 30_000;

/** Chooses the writer. Opens nothing yet that could fail. */
async function chooseDestination(options: DestinationOptions): Promise<Destination> {
  const { destination, outputs, env } = options;
  if (destination.kind === "stderr") return local(stream(outputs.stderr, env));
  if (destination.kind === "stdout") {
    if (outputs.stdout === outputs.stderr) return local(stream(outputs.stderr, env));
    return local(withFallback(stream(outputs.stdout, env), "standard output", options));
  }
  const { target } = destination;
  if (target === undefined) {
    const journal = journalStream(env.JOURNAL_STREAM, outputs);
    if (journal !== null) {
      const writer = new OutputWriter(outputs[journal], journalEncoder());
      return local(journal === "stderr" ? writer : withFallback(writer, "the journal", options));
    }
    return local(withFallback(unixSocket(LOCAL_SOCKET, options), LOCAL_SOCKET, options));
  }
  if ("socket" in target) {
    return local(withFallback(unixSocket(target.socket, options), target.socket, options));
  }
  const encode = (entry: Entry) => rfc5424(entry, options.identity);
  const { openUdp, TcpWriter } = await import("./syslog-remote.ts");
  if ("udp" in target) {
    const { host, port = 514 } = target.udp;
    const open = () => openUdp(host, port);
    const writer = new DatagramWriter({ open, encode, maxBytes: MAX_UDP_BYTES });
    return { writer, remote: `udp://${host}:${port}` };
  }
  const { host, port = 601 } = target.tcp;
  const writer = new TcpWriter({ host, port, encode, maxBytes: MAX_BYTES });
  return { writer, remote: `tcp://${host}:${port}` };
}

function local(writer: Writer): Destination {
  return { writer, remote: null };
}

function stream(output: Output, env: DestinationOptions["env"]): Writer {
  // Colours only for people, and only where they did not refuse them (no-color.org).
  const colors = output.isTerminal && !env.NO_COLOR && env.TERM !== "dumb";
  return new OutputWriter(output, textEncoder({ colors }));
}

function withFallback(primary: Writer, name: string, options: DestinationOptions): Writer {
  return new FallbackWriter({
    primary,
    fallback: stream(options.outputs.stderr, options.env),
    warn: (error) => options.warn(`Cannot log to ${name}, logging to stderr: ${messageOf(error)}`),
    retryAfter: RETRY_LOCAL,
  });
}

function unixSocket(path: string, options: DestinationOptions): Writer {
  const { runtime, identity, env } = options;
  const classic = readByJournal(path);
  const encode: Encode = (entry) =>
    classic ? localSyslog(entry, identity) : rfc5424(entry, identity);
  let first = runtime.openDatagram(path);
  if (first === null) {
    const socket = path === LOCAL_SOCKET ? undefined : path;
    return new LoggerWriter({
      runtime,
      env,
      identity,
      socket,
      rfc5424: !classic,
      maxBytes: MAX_BYTES,
    });
  }
  // Its failure is met when the first line is written.
  first.catch(() => {});
  const open = () => {
    const socket = first ?? runtime.openDatagram(path);
    first = null;
    return socket ?? Promise.reject(new Error(`Cannot open "${path}": no unix datagrams here`));
  };
  return new DatagramWriter({ open, encode, maxBytes: MAX_BYTES });
}

/** The journal's own `/dev/log` understands the syslog(3) form only. */
function readByJournal(path: string): boolean {
  return attempt(() => realpathSync(path))?.startsWith("/run/systemd/journal/") === true;
}

/**
 * Which standard stream the systemd journal reads, by `$JOURNAL_STREAM` (`device:inode` of a
 * stream, systemd.exec(5)), or null where there is none.
 *
 * Programs started in a desktop session inherit the variable although their output goes to a
 * terminal, which is why a terminal never counts; any other stream does even if it is not the named
 * one, for a wrapper between the journal and us passes it on.
 */
export function journalStream(
  value: string | undefined,
  outputs: StandardOutputs,
): "stdout" | "stderr" | null {
  if (value === undefined || value === "") return null;
  if (outputs.stdout.identity === value) return "stdout";
  if (outputs.stderr.identity === value) return "stderr";
  return outputs.stdout.isTerminal ? null : "stdout";
}
