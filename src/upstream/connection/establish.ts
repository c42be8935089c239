/** Finds out how to talk to one server, and opens a channel that is ready to use. */

import { type HttpTarget, isPersonal, type ServerConfig } from "../../config/types.ts";
import { TRAIL } from "../../lib/trail.ts";
import type { Era } from "../../protocol/eras.ts";
import { ErrorCode, RpcError } from "../../protocol/errors.ts";
import type { Client } from "../../protocol/exchange.ts";
import type { ParamHeader } from "../../protocol/param-headers.ts";
import type { Runtime } from "../../runtime/types.ts";
import { HttpStatusError, unavailable } from "../transport/failures.ts";
import { StdioTransport } from "../transport/stdio.ts";
import type { ServerCredential, Transport, TransportKind } from "../transport/transport.ts";
import { Channel, type ChannelOptions } from "./channel.ts";
import { discover, type Handshake, HandshakeError, initialize, probe } from "./handshake.ts";
import { loginOf } from "./line.ts";

/** What was found out about a server, remembered so that a reconnect asks nothing twice. */
export interface EraAnswer {
  readonly era: Era;
  readonly transport: TransportKind;
}

/** Who knows how servers are told who asks. */
export interface LoginBook {
  /**
   * The credential for the server at this address, the same for all connections: that of
   * `principal`, or what the gateway itself asks by.
   */
  of(server: string, target: HttpTarget, principal?: string): ServerCredential;
}

/** What one connection is made of. */
export interface EstablishOptions
  extends Pick<ChannelOptions, "log" | "clock" | "events" | "identity"> {
  readonly config: ServerConfig;
  readonly runtime: Pick<Runtime, "spawn" | "request" | "once">;
  /** What knows the logins to servers, loaded when the first wants one. */
  readonly logins?: (() => Promise<LoginBook>) | undefined;
  /** Whose connection it is, where each has a login of his own; undefined for one of many. */
  readonly principal?: string | undefined;
  /** From an earlier connection; it is trusted, and failing is the way to find out it is stale. */
  readonly verdict: EraAnswer | undefined;
  /** Which arguments of a tool a modern HTTP request repeats in headers. */
  readonly toolHeaders: (tool: string) => readonly ParamHeader[];
  /** Ends the attempt: everything opened for it is closed, and its reason is thrown. */
  readonly signal: AbortSignal;
}

/** A channel after its handshake. */
interface Established {
  readonly channel: Channel;
  readonly handshake: Handshake;
}

/** A probe is answered at once or not at all; a third of the start must be left for the rest. */
const PROBE_TIMEOUT = 3_000;

/** Statuses after which Streamable HTTP may still be HTTP+SSE (2025-03-26 transports). */
const TRY_SSE = new Set([400, 404, 405]);

/**
 * Opens a channel by what is configured, remembered or found out by probing, in this order.
 * @throws {RpcError} naming the server; nothing is left open
 */
export async function establish(options: EstablishOptions): Promise<Established> {
  const { config, verdict } = options;
  const target = config.instances[0]!;
  if (target.kind === "stdio") return await over("stdio", options);
  if (target.transport !== "auto") return await over(target.transport, options);
  if (verdict !== undefined) return await over(verdict.transport, options);
  try {
    return await over("http", options);
  } catch (error) {
    if (!(error instanceof HttpStatusError) || !TRY_SSE.has(error.status)) throw error;
    if (config.protocol === "modern" || options.signal.aborted) throw error;
    try {
      return await over("sse", options);
    } catch (sseError) {
      const second = sseError instanceof HttpStatusError
        ? `HTTP ${sseError.status}`
        : (sseError as Error).message;
      throw unavailable(
        config.name,
        `speaks neither Streamable HTTP (HTTP ${error.status}) nor HTTP+SSE (${second})`,
        { cause: error },
      );
    }
  }
}

async function over(kind: TransportKind, options: EstablishOptions): Promise<Established> {
  const { config, signal } = options;
  let channel: Channel | undefined;
  const stop = () => void channel?.close();
  signal.addEventListener("abort", stop);
  const reopen = async () => {
    await channel?.close();
    const transport = await createTransport(kind, options);
    signal.throwIfAborted();
    channel = new Channel({
      server: config.name,
      transport,
      log: options.log,
      clock: options.clock,
      timeout: config.timeout,
      identity: options.identity,
      events: options.events,
    });
    await channel.start(signal);
    // An abort while it started closed what was not there yet.
    signal.throwIfAborted();
    return channel;
  };
  try {
    const handshake = await shakeHands(kind, options, reopen);
    signal.throwIfAborted();
    return { channel: channel!, handshake };
  } catch (error) {
    await channel?.close();
    // What the abort made fail is not why it failed.
    throw withLastWords(signal.aborted ? signal.reason : error, channel?.transport.lastWords);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

/** Who is late may have said what it does, or waits for. */
function withLastWords(error: unknown, words = ""): unknown {
  const isLate = error instanceof RpcError && error.code === ErrorCode.UpstreamTimeout;
  return isLate && words !== ""
    ? new RpcError(error.code, `${error.message}; its last words: ${words}`)
    : error;
}

async function shakeHands(
  kind: TransportKind,
  { config, verdict, log }: EstablishOptions,
  reopen: () => Promise<Channel>,
): Promise<Handshake> {
  const { startupTimeout } = config;
  if (kind === "sse" && config.protocol === "modern") {
    throw new HandshakeError(config.name, 'is reached by HTTP+SSE, which has no "modern" protocol');
  }
  const era = kind === "sse"
    ? "legacy"
    : config.protocol !== "auto"
    ? config.protocol
    : verdict?.era;
  const channel = await reopen();
  if (era === "legacy") return await initialize(channel, startupTimeout);
  if (era === "modern") return await discover(channel, startupTimeout);

  let unclear = false;
  try {
    const outcome = await probe(channel, Math.min(PROBE_TIMEOUT, startupTimeout / 3));
    if (outcome.kind === "modern") return outcome.handshake;
    unclear = outcome.unclear;
    return await initialize(channel, startupTimeout);
  } catch (error) {
    if (channel.closed?.code === "exited") {
      // Some servers end at the first message that is not `initialize`.
      log.debug("Ended on the probe; started again as legacy");
      return await initialize(await reopen(), startupTimeout);
    }
    // A modern server that is slow, or refuses for a moment, misses the probe, and then knows no
    // `initialize`.
    if (error instanceof HandshakeError && channel.closed === undefined) {
      if (unclear || error.modernOnly) return await discover(channel, startupTimeout);
    }
    throw error;
  }
}

/** What many have no server for is loaded with the first that is reached like that. */
async function createTransport(kind: TransportKind, options: EstablishOptions): Promise<Transport> {
  const { config, log, clock, runtime, logins, principal, toolHeaders } = options;
  const { name: server } = config;
  const target = config.instances[0]!;
  if (target.kind === "stdio") return new StdioTransport({ server, target, runtime, log, clock });
  const trail = () => TRAIL.header(clock.now());
  const findCredential = logins && (async () => (await logins()).of(server, target));
  const book = target.login === undefined ? undefined : await logins?.();
  const isOwn = isPersonal(target);
  const credential = book?.of(server, target, isOwn ? principal : undefined);
  const credentialOf = book && isOwn && principal === undefined
    ? (client: Client) => book.of(server, target, loginOf(client))
    : undefined;
  const told = { credential, credentialOf, findCredential };
  const http = { server, target, log, clock, trail, runtime, ...told };
  if (kind === "sse") return new (await import("../transport/sse.ts")).SseTransport(http);
  const { StreamableHttpTransport } = await import("../transport/http.ts");
  return new StreamableHttpTransport({ ...http, toolHeaders });
}
