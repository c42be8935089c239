/** What both HTTP adapters share: error mapping, and the answers to what cannot be served. */

import { attempt } from "../lib/json.ts";
import { codeOf, messageOf } from "../lib/text.ts";
import { ListenError, type PeerSource } from "./types.ts";

/** A long text is sent as it is where V8 keeps it; JavaScriptCore copies it, and bytes are cheaper. */
export const SENDS_TEXT = !("Bun" in globalThis);

const REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: "the port is in use; expected a free port (stop the other process or choose another)",
  EADDRNOTAVAIL: "the address is not one of this machine; expected a local address or host name",
  EACCES: "permission denied; expected a port from 1024 up, or the right to bind lower ones",
  ENOTFOUND: "the host name does not resolve; expected a local address or host name",
};

/** The {@link ListenError} for what a runtime threw when asked to listen. */
export function listenError(hostname: string, port: number, cause: unknown): ListenError {
  // A name that does not resolve has no code on Deno and EAGAIN on Bun.
  const found = codeOf(cause) ?? "EAGAIN";
  const code = found === "EAGAIN" ? "ENOTFOUND" : found;
  const host = hostname.includes(":") ? `[${hostname}]` : hostname;
  const reason = REASONS[code] ?? messageOf(cause);
  return new ListenError(`Cannot listen on "${host}:${port}": ${reason}`, code, { cause });
}

/** The address a request came from: neither runtime has it at hand, and few ask for it. */
export function peerOf(request: Request, source: PeerSource | undefined): string | undefined {
  if (source === undefined) return undefined;
  const address = "requestIP" in source
    ? source.requestIP(request)?.address
    : source.remoteAddr.hostname;
  // A listener for both families calls 127.0.0.1 so.
  return address?.replace(/^::ffff:(?=\d+\.)/i, "");
}

/**
 * Responses that are not over before somebody ends them, put in here by whoever makes one: a stop
 * has to know of them, and to look at a response for it costs more than the response does.
 */
export const OPEN_ENDED = new WeakSet<Response>();

/** The answer to a request whose handler threw: no details, whatever was thrown. */
export function internalError(): Response {
  return Response.json({ error: "Internal error" }, { status: 500 });
}

/** The answer to a request that arrives on an open connection while the server drains. */
export function shuttingDown(): Response {
  return Response.json({ error: "Shutting down" }, {
    status: 503,
    headers: { connection: "close", "retry-after": "1" },
  });
}

/** Hands an error on; an error of the observer itself must not take the request down with it. */
export function report(onError: (error: unknown) => void, error: unknown): void {
  // Nobody is left to tell: the observer is the one who would have logged it.
  attempt(() => onError(error));
}
