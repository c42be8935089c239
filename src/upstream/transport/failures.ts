/** The errors an upstream's failures become, so that all of them read alike and name the server. */

import { isObject, parsedObject } from "../../lib/json.ts";
import { codeOf, snippet } from "../../lib/text.ts";
import { formatDuration } from "../../lib/time.ts";
import { ErrorCode, RpcError } from "../../protocol/errors.ts";
import type { CloseReason, NetworkFault } from "./transport.ts";

/** Quotes a server's name for a message. */
export function serverLabel(server: string): string {
  return `Server ${JSON.stringify(server)}`;
}

/** The call reached no upstream, or its upstream went away. `why` is a clause: `exited with …`. */
export function unavailable(server: string, why: string, options?: ErrorOptions): RpcError {
  return new UnavailableError(server, why, options);
}

class UnavailableError extends RpcError {
  constructor(server: string, why: string, options?: ErrorOptions) {
    super(ErrorCode.UpstreamUnavailable, `${serverLabel(server)} ${why}`, undefined, options);
  }
}

/** The network failed: `connect` before any answer, `read` in the middle of one. */
export class NetworkError extends UnavailableError {
  constructor(
    server: string,
    readonly phase: "connect" | "read",
    readonly fault: NetworkFault,
    /** The message without the server's name. */
    readonly why: string,
    options?: ErrorOptions,
  ) {
    super(server, why, options);
  }

  /** Nobody was there to take what was sent. */
  get neverSent(): boolean {
    return this.phase === "connect" && (this.fault === "refused" || this.fault === "dns");
  }
}

/** The connection went away before the answer came: what became of the request is not known. */
export class ConnectionLostError extends UnavailableError {
  constructor(server: string, readonly reason: CloseReason) {
    super(server, reason.message);
  }

  /** As of a {@link LoginError}. */
  get granted(): Promise<void> | undefined {
    return this.reason.granted;
  }
}

/** Whoever asks is not known to the server, and no retry will help. */
export class LoginError extends UnavailableError {
  constructor(
    server: string,
    /** The message without the server's name. */
    readonly why: string,
    /** Resolves when somebody has logged in; undefined where nobody can. */
    readonly granted?: Promise<void>,
    /** It is a request that lacks rights: others may go on. */
    readonly isOfRequest: boolean = false,
  ) {
    super(server, why);
  }

  /** Nothing will do before somebody has logged in. */
  get isForAll(): boolean {
    return this.granted !== undefined && !this.isOfRequest;
  }
}

/** Whether nobody was there: whoever had asked would have got no answer either. */
export function isUnreached(error: unknown): boolean {
  return error instanceof NetworkError ||
    error instanceof ConnectionLostError && error.reason.code === "disconnected";
}

/** Whether somebody has to log in before it can be otherwise. */
export function wantsLogin(error: unknown): error is LoginError | ConnectionLostError {
  return error instanceof LoginError ||
    (error instanceof ConnectionLostError && error.granted !== undefined);
}

/** How far a call had come when its connection was lost. */
export interface LossFacts {
  /** The server may have got it; false only where that is certainly not so. */
  readonly sent: boolean;
  /** Its client has been asked something on its behalf. */
  readonly asked: boolean;
  /** The highest progress its client has been told, where it was told any. */
  readonly progress: number | undefined;
}

/** The server may have carried it out, and the client has noticed nothing. */
export const SENT: LossFacts = { sent: true, asked: false, progress: undefined };

/** The server has certainly not got it. */
export const NOT_SENT: LossFacts = { ...SENT, sent: false };

/** The connection of a call was lost before its answer came. `why` is a clause: `exited with …`. */
export class LostCallError extends UnavailableError {
  constructor(
    readonly server: string,
    readonly why: string,
    readonly facts: LossFacts = SENT,
    options?: ErrorOptions,
  ) {
    super(server, why, options);
  }
}

/** The upstream answered something that is no answer to what it was asked. */
export function protocolFault(server: string, why: string): RpcError {
  return new RpcError(ErrorCode.UpstreamProtocol, `${serverLabel(server)} ${why}`);
}

/** The upstream did not answer in `ms`. */
export function timedOut(server: string, method: string, ms: number): RpcError {
  return new RpcError(
    ErrorCode.UpstreamTimeout,
    `${serverLabel(server)} did not answer "${method}" within ${readable(ms)}`,
  );
}

/** `300 s`, `0.25 s`; the config's own spelling where seconds would be clumsy. */
function readable(ms: number): string {
  return ms >= 1_000 && ms % 100 === 0 ? `${ms / 1_000} s` : formatDuration(Math.round(ms));
}

/** An HTTP status that is no answer; the handshake reads meaning from some of them. */
export class HttpStatusError extends UnavailableError {
  /** `said` is the body that came with it, where it was read; `why` is known otherwise. */
  constructor(
    server: string,
    readonly status: number,
    what: string,
    readonly said?: string,
    why: string | undefined = STATUS_WORDS[status],
  ) {
    const words = [`answered ${what} with HTTP ${status}`, why, wordsIn(said)];
    super(server, words.filter((one) => one).join(": "));
  }
}

/** What a status is about; the rest speak for themselves. */
const STATUS_WORDS: Readonly<Record<number, string>> = {
  401: "it needs authorization; set headers.Authorization",
  403: "access denied; check headers.Authorization",
  508: "it is this gateway itself, or has it among its servers",
};

/** What the body of a refusal says to people; a page says nothing in short. */
function wordsIn(said = ""): string {
  if (said.trimStart().startsWith("<")) return "";
  const { error, error_description = error, message = error_description, detail = message } =
    parsedObject(said) ?? {};
  const told = isObject(error) ? error.message : detail;
  return snippet(typeof told === "string" ? told : said.trim());
}

/**
 * What went wrong on the network, without the URL: it may hold a secret in its path or query, and
 * both runtimes put it into their messages.
 */
export function networkFault(
  error: unknown,
): { readonly fault: NetworkFault; readonly words: string } {
  const chain: string[] = [];
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    chain.push(codeOf(at) ?? "", at.message);
  }
  // Deno names the URL, whose words mean nothing here.
  const text = chain.join(" ").replace(/\bhttps?:\/\/\S+/g, "");
  const [, fault, words] = FAULTS.find(([pattern]) => pattern.test(text))!;
  return { fault, words };
}

/** In the words of both runtimes. What is wrong with a certificate may name hosts: it goes first. */
const FAULTS: readonly (readonly [RegExp, NetworkFault, string])[] = [
  [/CERT_HAS_EXPIRED|certificate (has )?expired/i, "tls", "TLS error: its certificate has expired"],
  [/yet valid|NOT_YET_VALID|not valid yet/i, "tls", "TLS error: its certificate is not valid yet"],
  [/ALTNAME|not valid for/i, "tls", "TLS error: its certificate is for another host name"],
  [/CaUsedAsEnd/, "tls", "TLS error: its certificate is one of an authority, and of no server"],
  [/self.?signed/i, "tls", "TLS error: its certificate is self-signed; see NODE_EXTRA_CA_CERTS"],
  [/issuer|UNABLE_TO_VERIFY/i, "tls", "TLS error: unknown issuer; see NODE_EXTRA_CA_CERTS"],
  [
    /corrupt message|EPROTO|WRONG_VERSION/i,
    "tls",
    "TLS error: no handshake; perhaps no TLS is spoken at that port",
  ],
  [/refused|ConnectionRefused/i, "refused", "connection refused"],
  [/dns|ENOTFOUND|EAI_AGAIN|name or service|resolve/i, "dns", "unknown host"],
  [/certificate|tls|ssl|fatal alert/i, "tls", "TLS error (certificate or handshake)"],
  [/timed? ?out|ETIMEDOUT/i, "timeout", "connection timed out"],
  [/unreachable|ENETUNREACH|EHOSTUNREACH/i, "network", "host unreachable"],
  [/reset|closed|ECONNRESET|socket|incomplete|unexpected end|body/i, "closed", "connection closed"],
  [/^/, "network", "network error"],
];
