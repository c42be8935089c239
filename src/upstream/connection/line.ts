import type { JsonEdit } from "../../lib/json-edit.ts";
import { isObject, type JsonObject } from "../../lib/json.ts";
import { VERSION } from "../../lib/version.ts";
import type { Era } from "../../protocol/eras.ts";
import type { Client, Exchange } from "../../protocol/exchange.ts";
import { ANSWERABLE, answerable } from "../../protocol/inputs.ts";
import type { ResponseMessage } from "../../protocol/message.ts";
import { introduction } from "../../protocol/projection.ts";

/**
 * The way of one exchange to its upstream, for as long as the exchange needs it. Several requests
 * may go over it (rounds of one call); {@link Line.release} ends its use.
 */
export interface Line {
  /** What is spoken on it; what differs from the client's own era has to be bridged. */
  readonly era: Era;
  /**
   * Passes a client's request on and its response back, in the client's terms. `edits` are the
   * router's (names and URIs).
   * @throws {RpcError} UpstreamUnavailable, UpstreamTimeout, UpstreamProtocol
   */
  forward(exchange: Exchange, edits: readonly JsonEdit[]): Promise<ResponseMessage>;
  /** Gives it back; to be called once, when nothing more is forwarded. */
  release(): void;
}

/** A line of which most exchanges need one request only. */
export interface OnceLine extends Line {
  /** {@link Line.forward} and, whatever becomes of it, {@link Line.release}. */
  forwardOnce(exchange: Exchange, edits: readonly JsonEdit[]): Promise<ResponseMessage>;
}

/** As whom a connection introduces itself. */
export interface Identity {
  /** `clientInfo` */
  readonly info: JsonObject;
  /** `clientCapabilities` */
  readonly capabilities: JsonObject;
}

/** Who the gateway is, towards every upstream. */
export const CLIENT_INFO: JsonObject = { name: "mcproxy", title: "mcproxy", version: VERSION };

/** A connection that all clients share declares what some client may answer. */
export const SHARED_IDENTITY: Identity = { info: CLIENT_INFO, capabilities: ANSWERABLE };

/** A connection that serves one client alone declares what that client can do, under its name. */
export function identityOf(client: Client): Identity {
  return { info: introduction(client, CLIENT_INFO), capabilities: answerable(client.capabilities) };
}

/** By whose login a client asks a server to which each logs in; nobody's where it is not known. */
export function loginOf({ principal }: Client): string {
  return principal?.id ?? "nobody";
}

/** Whether a client is able to tell its roots. */
export function hasRoots({ capabilities }: Client): boolean {
  return isObject(capabilities.roots);
}
