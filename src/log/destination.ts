import { realpathSync } from "node:fs";
import type { Runtime } from "../runtime/types.ts";
import { type Encode, journalEncoder, textEncoder } from "./encode.ts";
import type { Entry } from "./entry.ts";
import { FallbackWriter } from "./fallback.ts";
import { journalStream } from "./journal.ts";
import { type Output, OutputWriter, type StandardOutputs } from "./output.ts";
import { DatagramWriter } from "./syslog-datagram.ts";
import { LoggerWriter } from "./syslog-logger.ts";
import { TcpWriter } from "./syslog-tcp.ts";
import { openUdp } from "./syslog-udp.ts";
import { localSyslog, rfc5424, type SyslogIdentity } from "./syslog.ts";
import type { Writer } from "./writer.ts";

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
export interface DestinationOptions {
  readonly destination: LogDestination;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly runtime: Pick<Runtime, "openDatagram" | "spawn">;
  readonly outputs: StandardOutputs;
  readonly identity: SyslogIdentity;
  /** Makes the one warning before lines go to stderr instead. */
  readonly warn: (message: string) => Entry;
}

/** A writer, and what is special about it. */
export interface Destination {
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
export function chooseDestination(options: DestinationOptions): Destination {
  const { destination, outputs } = options;
  if (destination.kind === "stderr") return local(stream(outputs.stderr, options));
  if (destination.kind === "stdout") {
    if (outputs.stdout === outputs.stderr) return local(stream(outputs.stderr, options));
    return local(withFallback(stream(outputs.stdout, options), "standard output", options));
  }
  const { target } = destination;
  if (target === undefined) {
    const journal = journalStream(options.env.JOURNAL_STREAM, outputs);
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

/** Colours only for people, and only where they did not refuse them (no-color.org). */
export function useColors(
  output: Output,
  env: Readonly<Record<string, string | undefined>>,
): boolean {
  return output.isTerminal && !env.NO_COLOR && env.TERM !== "dumb";
}

function local(writer: Writer): Destination {
  return { writer, remote: null };
}

function stream(output: Output, options: DestinationOptions): Writer {
  return new OutputWriter(output, textEncoder({ colors: useColors(output, options.env) }));
}

function withFallback(primary: Writer, name: string, options: DestinationOptions): Writer {
  return new FallbackWriter({
    primary,
    fallback: stream(options.outputs.stderr, options),
    warn: (error) => {
      const reason = error instanceof Error ? error.message : String(error);
      return options.warn(`Cannot log to ${name}, logging to stderr: ${reason}`);
    },
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
  try {
    return realpathSync(path).startsWith("/run/systemd/journal/");
  } catch {
    return false;
  }
}
