/** One way to reach an upstream: carries JSON-RPC texts, understands only what framing needs. */

import { snippet } from "../../lib/text.ts";
import type { Era } from "../../protocol/eras.ts";
import type { Client } from "../../protocol/exchange.ts";
import { ErrorCode, type RpcError } from "../../protocol/errors.ts";
import {
  InvalidMessage,
  type Message,
  parseMessage,
  parseMessages,
  type RequestId,
} from "../../protocol/message.ts";

/** How an upstream is reached. */
export type TransportKind = "stdio" | "http" | "sse";

/** What kind of failure of the network it was. */
export type NetworkFault = "refused" | "dns" | "tls" | "timeout" | "closed" | "network";

/** Why a transport is no longer usable. */
export interface CloseReason {
  /**
   * `exited`: the process ended. `disconnected`: the network or the stream broke.
   * `session-expired`: the server has forgotten the session, or it is that of another login; a new
   * `initialize` helps.
   * `unresponsive`: it is there, and does not answer. `login`: it takes ours no more. `closed`:
   * {@link Transport.close} was called.
   */
  readonly code:
    | "exited"
    | "disconnected"
    | "session-expired"
    | "unresponsive"
    | "login"
    | "closed";
  /** What `disconnected` it, where that is known. */
  readonly fault?: NetworkFault;
  /** A clause that follows the server's name: `exited with code 1: bad flag`. No secrets. */
  readonly message: string;
  /** Resolves when somebody has logged in. */
  readonly granted?: Promise<void> | undefined;
  /** The requests that certainly were not carried out: they never arrived, or were refused. */
  readonly unsent?: ReadonlySet<number>;
}

/** How a server is told who asks, where that changes with time: for all connections to it. */
export interface ServerCredential {
  /**
   * The `Authorization` header, a promise only where it has to be had first; none where nobody
   * has asked for one.
   * @throws {LoginError} and rejects, when there can be none
   */
  header(): string | undefined | Promise<string | undefined>;
  /**
   * The server has answered 401 to this header: whether to ask again, with another.
   * @throws {RpcError} where that takes somebody to log in
   */
  refused(header: string | undefined, challenge: string | null): Promise<boolean>;
  /** What a 403 with this challenge comes to, if the rights do not do. */
  lacks(challenge: string | null): RpcError | undefined;
  /** Aborted when somebody has logged in anew: what was opened by the login before is over. */
  readonly replaced?: Pick<AbortController, "signal"> | undefined;
  /** It is the gateway's own: nobody logs in, and what it lacks is said in the configuration. */
  readonly isOwn?: boolean;
  /** What the first connection failed with by it, and whether another is opened at once. */
  failed?(error: unknown): Promise<unknown>;
}

/** Something came in that is no message. */
export interface InvalidInput {
  /**
   * `junk`: no JSON (a stray log line). `invalid`: JSON, but no JSON-RPC message. `overlong`: a
   * line or body beyond the limit, dropped.
   */
  readonly kind: "junk" | "invalid" | "overlong";
  readonly error: InvalidMessage;
  /** The beginning of it, safe for a log line. */
  readonly snippet: string;
  /** The request whose response stream brought it, where the transport can tell. */
  readonly carriedBy: number | undefined;
}

/** What is told of a text that has come. None of it may throw. */
export interface TextHandlers {
  /** `carriedBy` is the gateway's id of the request on whose response stream it came (HTTP). */
  onMessage(message: Message, carriedBy: number | undefined): void;
  onInvalid(input: InvalidInput): void;
  /** Whether the answer to the request of this id is to be no longer than {@link PAGE_LIMIT}. */
  isList?(id: number): boolean;
}

/** What a transport calls. None of them may throw; after `onClose` none is called again. */
export interface TransportHandlers extends TextHandlers {
  /** Called once; also after {@link Transport.close}. */
  onClose(reason: CloseReason): void;
  /** Server messages may have been missed (a stream broke and could not be resumed). */
  onGap?(): void;
}

/** What goes with one message. */
export interface SendOptions {
  /** Its method; for a response the empty text. */
  readonly method: string;
  /** The gateway's id where the message is a request. */
  readonly requestId?: number;
  /** Whose request it is; undefined where it is one of the gateway's own. */
  readonly client?: Client | undefined;
  /** Further ones, where it goes by HTTP. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** A transport to one upstream. Used once: start, send, close. */
export interface Transport {
  readonly kind: TransportKind;
  /** Process id, stdio only, once started. */
  readonly pid: number | undefined;
  /** The line of stderr that says most of what it does, or why it ended; stdio only. */
  readonly lastWords?: string;
  /**
   * Makes it ready to send.
   * @throws {RpcError} UpstreamUnavailable, naming the server
   */
  start(handlers: TransportHandlers, options: { readonly signal: AbortSignal }): Promise<void>;
  /**
   * Resolves when the server has taken the message; over Streamable HTTP a request is taken when
   * its response has come through the handlers. `undefined` where nothing is to be waited for: it
   * is on its way, and should it be lost, {@link TransportHandlers.onClose} tells.
   * @throws {RpcError} when no answer to this message can come any more
   */
  send(raw: string, options: SendOptions): Promise<void> | undefined;
  /**
   * Stops carrying the answer to a request. Over modern Streamable HTTP this *is* the
   * cancellation (2026-07-28 transports); over stdio it does nothing.
   */
  abandon(requestId: number): void;
  /** Told by the handshake: what follows speaks this version; undefined while none is agreed. */
  setProtocol(version: string | undefined, era: Era): void;
  /** Ends everything it owns, within 3 s. Never rejects. Calls `onClose` if nothing has yet. */
  close(): Promise<void>;
}

/**
 * Longest page of a list, in characters, or bytes where it comes in parts: reading it must not take
 * others' turns.
 */
export const PAGE_LIMIT = 4 * 1024 * 1024;

/**
 * Hands one received text to the handlers, as a message, as the messages of a batch (2025-03-26
 * servers may send one) or as what is wrong with it. Never throws.
 */
export function receive(
  text: string,
  handlers: TextHandlers,
  carriedBy: number | undefined,
): void {
  // Before anything looks into it: what came in parts is put together for that, which takes long.
  if (isLongPage(text, text.length, handlers, carriedBy)) {
    return refuseOverlong(carriedBy === undefined ? text : "", PAGE_LIMIT, handlers, carriedBy);
  }
  const kind = text.startsWith("{") ? "{" : /[^ \t\r\n]/.exec(text)?.[0];
  // What a program prints by the million must cost nothing.
  if (kind !== "{" && kind !== "[") {
    const input = { kind: "junk", error: NO_JSON, snippet: snippet(text), carriedBy } as const;
    return handlers.onInvalid(input);
  }
  try {
    if (kind === "{") return handlers.onMessage(withOwnId(parseMessage(text)), carriedBy);
    for (const message of parseMessages(text).messages) {
      if (message instanceof InvalidMessage) report(message, text, handlers, carriedBy);
      else handlers.onMessage(withOwnId(message), carriedBy);
    }
  } catch (error) {
    if (!(error instanceof InvalidMessage)) throw error;
    report(error, text, handlers, carriedBy);
  }
}

const NO_JSON = new InvalidMessage(
  ErrorCode.ParseError,
  "Parse error: the body is not JSON",
  "null",
);

/** The number that an id or progress token of ours is, for a server that made a text of it. */
export function ownId(id: unknown): unknown {
  return typeof id === "string" && /^[1-9]\d{0,14}$/.test(id) ? Number(id) : id;
}

/** Every id of ours is a number. */
function withOwnId(message: Message): Message {
  if (message.kind !== "response" || typeof message.id !== "string") return message;
  return { ...message, id: ownId(message.id) as RequestId };
}

/** How servers begin or end a response, with its id; what is between may be broken or missing. */
const BROKEN = [
  /^\s*\{\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*)?"id"\s*:\s*"?(\d{1,15})"?\s*,/,
  /,\s*"jsonrpc"\s*:\s*"2\.0"\s*,\s*"id"\s*:\s*"?(\d{1,15})"?\s*\}\s*$/,
  /,\s*"id"\s*:\s*"?(\d{1,15})"?\s*,\s*"jsonrpc"\s*:\s*"2\.0"\s*\}\s*$/,
];

/** The request that a text was to answer which is no JSON: cut off, or with a `NaN` in it. */
function answeredBy(text: string): string {
  const ends = [text.slice(0, 200), text.slice(-200), text.slice(-200)];
  // A log line with what was read in it, or a request: neither answers anything.
  if (!/^\s*\{/.test(text) || ends.some((end) => /"method"\s*:/.test(end))) return "null";
  const found = BROKEN.map((pattern, index) => pattern.exec(ends[index]!)?.[1]);
  return found.find((id) => id !== undefined) ?? "null";
}

function report(
  error: InvalidMessage,
  text: string,
  handlers: TextHandlers,
  carriedBy: number | undefined,
): void {
  const isJunk = error.code === ErrorCode.ParseError;
  const known = isJunk ? new InvalidMessage(error.code, error.message, answeredBy(text)) : error;
  const kind = isJunk ? "junk" : "invalid";
  handlers.onInvalid({ kind, error: known, snippet: snippet(text), carriedBy });
}

/**
 * Whether a text of this size that begins so is the answer with a page longer than
 * {@link PAGE_LIMIT}; `id` is that of the request it answers, where it is known.
 */
export function isLongPage(head: string, size: number, told: TextHandlers, id?: number) {
  return size > PAGE_LIMIT && !!told.isList?.(id ?? Number(answeredBy(head)));
}

/** Tells of a text beyond the limit that begins so, and is not read. */
export function refuseOverlong(head: string, limit: number, told: TextHandlers, id?: number) {
  const asked = String(id ?? answeredBy(head));
  // Of anything but a list the beginning is not believed: a call would fail by a guess.
  const [bound, idText] = told.isList?.(Number(asked)) ? [PAGE_LIMIT, asked] : [limit, "null"];
  const why = `message longer than ${Math.round(bound / 1024 / 1024)} MiB`;
  const error = new InvalidMessage(ErrorCode.InvalidRequest, why, idText);
  told.onInvalid({ kind: "overlong", error, snippet: snippet(head), carriedBy: id });
}

/** Structured fields of one log line; values must be plain data. */
export type LogProps = Record<string, unknown>;

/**
 * Where an upstream writes its log lines: texts, with the words of servers in them, and no
 * templates. Tests hand in a recorder.
 */
export interface UpstreamLog {
  debug(message: string, props?: LogProps): void;
  info(message: string, props?: LogProps): void;
  warn(message: string, props?: LogProps): void;
  error(message: string, props?: LogProps): void;
}
