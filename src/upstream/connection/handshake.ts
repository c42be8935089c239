/**
 * How a gateway and an upstream agree on an era and a version (2026-07-28 basic/versioning;
 * lifecycle of the legacy versions).
 */

import { rawAt } from "../../lib/json-edit.ts";
import { isObject, type JsonObject } from "../../lib/json.ts";
import {
  type Era,
  eraOf,
  LATEST_LEGACY_VERSION,
  LATEST_MODERN_VERSION,
  LEGACY_VERSIONS,
  MetaKey,
  MODERN_VERSIONS,
} from "../../protocol/eras.ts";
import { ErrorCode, RpcError } from "../../protocol/errors.ts";
import type { ResponseMessage } from "../../protocol/message.ts";
import {
  ConnectionLostError,
  HttpStatusError,
  LoginError,
  NetworkError,
  serverLabel,
} from "../transport/failures.ts";
import type { Channel } from "./channel.ts";

/** What an upstream said about itself. */
export interface Handshake {
  readonly era: Era;
  readonly protocolVersion: string;
  /** Declared capabilities, for gating. */
  readonly capabilities: JsonObject;
  /** JSON texts as the upstream wrote them. */
  readonly capabilitiesText: string;
  readonly serverInfoText: string;
  readonly instructions: string | undefined;
}

/** How a probe ended that did not fail. */
export type ProbeOutcome =
  | { readonly kind: "modern"; readonly handshake: Handshake }
  /** It answered like a legacy server; `unclear` when it gave no answer that says anything. */
  | { readonly kind: "legacy"; readonly unclear: boolean };

/** The upstream will not speak to us in this era; retrying the same will not help. */
export class HandshakeError extends RpcError {
  constructor(server: string, why: string, readonly modernOnly = false) {
    super(ErrorCode.UpstreamProtocol, `${serverLabel(server)} ${why}`);
  }
}

/** HTTP statuses that say nothing about the era: the server is not there, or wants a key. */
const INCONCLUSIVE = new Set([401, 403, 429, 500, 502, 503, 504]);

/**
 * Asks with `server/discover`, for `timeout` ms, which era the upstream speaks. Everything that is not a modern
 * answer means legacy, as far as this goes: silence, a refusal and a connection that is cut included.
 * @throws {RpcError} when nobody is there, or it is modern but refuses us
 */
export async function probe(channel: Channel, timeout: number): Promise<ProbeOutcome> {
  try {
    let response = await sendDiscover(channel, timeout);
    // A server that names a version of ours with its refusal is asked for it once more.
    if (namesOurs(response)) response = await sendDiscover(channel, timeout);
    const modern = readDiscover(response);
    if (modern !== undefined) return { kind: "modern", handshake: modern };
    const code = response.error?.code;
    if (code === ErrorCode.HeaderMismatch || code === ErrorCode.MissingClientCapability) {
      throw refused(channel, "server/discover", response);
    }
    return { kind: "legacy", unclear: false };
  } catch (error) {
    if (channel.closed !== undefined || !(error instanceof RpcError)) throw error;
    // Who lacks rights for the one lacks them for the other.
    if (error instanceof HandshakeError || error instanceof LoginError) throw error;
    const unclear = error instanceof NetworkError ||
      error instanceof HttpStatusError && INCONCLUSIVE.has(error.status);
    return { kind: "legacy", unclear: unclear || error.code === ErrorCode.UpstreamTimeout };
  }
}

/**
 * The handshake with an upstream known, or configured, to be modern.
 * @throws {RpcError}
 */
export async function discover(channel: Channel, timeout: number): Promise<Handshake> {
  const response = await sendDiscover(channel, timeout);
  const modern = readDiscover(response);
  if (modern !== undefined) return modern;
  if (response.error !== undefined) throw refused(channel, "server/discover", response);
  throw new HandshakeError(
    channel.server,
    `supports none of the modern versions ${MODERN_VERSIONS.join(", ")}`,
  );
}

function sendDiscover(channel: Channel, timeout: number): Promise<ResponseMessage> {
  channel.era = "modern";
  channel.transport.setProtocol(LATEST_MODERN_VERSION, "modern");
  return channel.request("server/discover", "{}", { timeout, cancel: false });
}

/** Undefined for anything that is no modern answer with a version of ours. */
function readDiscover({ raw, result }: ResponseMessage): Handshake | undefined {
  const supported = result?.supportedVersions;
  if (result === undefined || !Array.isArray(supported)) return undefined;
  const version = MODERN_VERSIONS.findLast((known) => supported.includes(known));
  if (version === undefined) return undefined;
  return {
    era: "modern",
    protocolVersion: version,
    ...describe(
      result,
      raw,
      rawAt(raw, ["result", "_meta", MetaKey.ServerInfo]) ?? rawAt(raw, ["result", "serverInfo"]),
    ),
  };
}

/**
 * The legacy handshake: `initialize`, then `notifications/initialized`. A server that refuses the
 * version is offered another one: the latest it names, else older ones.
 * @throws {HandshakeError} when the server refuses or chooses a version nobody knows; its
 * `modernOnly` tells that it named modern versions
 * @throws {RpcError} when it cannot be reached or does not answer
 */
export async function initialize(channel: Channel, timeout: number): Promise<Handshake> {
  channel.era = "legacy";
  channel.transport.setProtocol(undefined, "legacy");
  const left = new Set<string>(LEGACY_VERSIONS);
  let refusal: RpcError | undefined;
  for (let offer: string | undefined = LATEST_LEGACY_VERSION; offer !== undefined;) {
    left.delete(offer);
    let words: string;
    try {
      const response = await offerVersion(channel, offer, timeout);
      if (response.result !== undefined) return await agreed(channel, response, response.result);
      const error = refused(channel, "initialize", response);
      refusal ??= error;
      words = JSON.stringify(response.error);
    } catch (error) {
      if (!(error instanceof HttpStatusError) || channel.closed !== undefined) throw error;
      refusal ??= error;
      words = error.said ?? "";
    }
    offer = channel.closed === undefined ? nextOffer(words, left) : undefined;
  }
  throw refusal!;
}

/** What is offered after a refusal in these words; nothing where it is not about the version. */
function nextOffer(words: string, left: ReadonlySet<string>): string | undefined {
  const named: readonly string[] = words.match(/\b\d{4}-\d\d-\d\d\b/g) ?? [];
  const known = [...left].filter((version) => named.includes(version));
  const isModern = MODERN_VERSIONS.some((version) => named.includes(version));
  if (known.length > 0 || isModern) return known.at(-1);
  return named.length > 0 || /version/i.test(words) ? [...left].at(-1) : undefined;
}

function offerVersion(
  channel: Channel,
  protocolVersion: string,
  timeout: number,
): Promise<ResponseMessage> {
  const { capabilities, info: clientInfo } = channel.identity;
  const params = JSON.stringify({ protocolVersion, capabilities, clientInfo });
  return channel.request("initialize", params, { timeout, cancel: false });
}

async function agreed(
  channel: Channel,
  { raw }: ResponseMessage,
  result: JsonObject,
): Promise<Handshake> {
  const version = result.protocolVersion;
  if (typeof version !== "string" || eraOf(version) !== "legacy") {
    throw new HandshakeError(
      channel.server,
      `chose protocol version ${JSON.stringify(version) ?? "(none)"}; expected one of ` +
        LEGACY_VERSIONS.join(", "),
    );
  }
  channel.transport.setProtocol(version, "legacy");
  await channel.notify("notifications/initialized");
  if (channel.closed !== undefined) throw new ConnectionLostError(channel.server, channel.closed);
  return {
    era: "legacy",
    protocolVersion: version,
    ...describe(result, raw, rawAt(raw, ["result", "serverInfo"])),
  };
}

function describe(result: JsonObject, raw: string, serverInfoText: string | undefined) {
  const { capabilities, instructions } = result;
  const declared = isObject(capabilities);
  return {
    capabilities: declared ? capabilities : {},
    capabilitiesText: declared ? rawAt(raw, ["result", "capabilities"]) ?? "{}" : "{}",
    serverInfoText: serverInfoText?.startsWith("{") ? serverInfoText : "{}",
    instructions: typeof instructions === "string" ? instructions : undefined,
  };
}

/** Whether an error names a modern version that we speak. */
function namesOurs({ error }: ResponseMessage): boolean {
  const supported = isObject(error?.data) ? error.data.supported : undefined;
  return Array.isArray(supported) && MODERN_VERSIONS.some((known) => supported.includes(known));
}

function refused({ server }: Channel, method: string, response: ResponseMessage): HandshakeError {
  const { error } = response;
  const message = typeof error?.message === "string" ? error.message : "no reason given";
  const modernOnly = error?.code === ErrorCode.UnsupportedProtocolVersion || namesOurs(response);
  const why = `refused "${method}": ${message} (${error?.code ?? "no code"})`;
  return new HandshakeError(server, why, modernOnly);
}
