/** What monitors, service managers, load balancers and tools about the gateway ask (docs/status.md). */

import type { Context } from "hono";
import type { Gateway } from "../gateway/gateway.ts";
import type { OfferedItem, TokenTally } from "../gateway/offers.ts";
import { gatewayStatus } from "../gateway/status.ts";
import { takingTurns } from "../lib/time.ts";
import type { Observatory } from "../observe/observatory.ts";
import type { Phase } from "../upstream/state.ts";
import { json, NO_STORE } from "./reply.ts";

/** One enabled server as its health is judged. */
export interface ServerHealth {
  readonly name: string;
  readonly phase: Phase;
  /** Its first attempt has ended, up or down. */
  readonly settled: boolean;
  /** Something has failed since it was last wanted. Counts while it is connecting. */
  readonly failed: boolean;
  /** It is connected, and does not do what it is asked. */
  readonly degraded: boolean;
}

/** What of the gateway itself counts. */
export interface GatewayHealth {
  /** The file as it is now has been refused; the configuration before it is in force. */
  readonly configError: boolean;
  /** It has begun to stop. */
  readonly stopping: boolean;
}

/** The body of `/health`; part of the public contract. The four numbers of servers add up. */
export interface HealthSummary {
  /**
   * `ok`; `starting`: some servers have not been reached yet and none has failed; `degraded`: some
   * have failed, or the configuration was refused; `down`: all have failed; `stopping`.
   */
  readonly status: "ok" | "starting" | "degraded" | "down" | "stopping";
  readonly servers: {
    readonly ready: number;
    /** Enabled ones. */
    readonly total: number;
    /** Stopped until somebody needs them, as configured. */
    readonly idle: number;
    readonly starting: number;
    /** Names of the others, in the order of the configuration. */
    readonly failing: readonly string[];
  };
  readonly configError: boolean;
}

/** Judges the whole by its parts. */
export function summarizeHealth(
  servers: readonly ServerHealth[],
  { configError, stopping }: GatewayHealth,
): HealthSummary {
  const of = (wanted: Condition) => servers.filter((server) => condition(server) === wanted);
  const failing = of("failing").map(({ name }) => name);
  const starting = of("starting").length;
  const down = failing.length > 0 && failing.length === servers.length;
  return {
    status: stopping
      ? "stopping"
      : down
      ? "down"
      : failing.length > 0 || configError
      ? "degraded"
      : starting > 0
      ? "starting"
      : "ok",
    servers: {
      ready: of("ready").length,
      total: servers.length,
      idle: of("idle").length,
      starting,
      failing,
    },
    configError,
  };
}

type Condition = "ready" | "idle" | "starting" | "failing";

function condition({ phase, settled, failed, degraded }: ServerHealth): Condition {
  switch (phase) {
    case "ready":
      return degraded ? "failing" : "ready";
    case "idle":
      return settled ? "idle" : "starting";
    case "connecting":
      // One that is woken for a call has settled long ago, and nothing is wrong with it.
      return failed ? "failing" : "starting";
    case "backoff":
    case "closed":
      return "failing";
  }
}

/**
 * The HTTP status that goes with a summary. A container is restarted when its health check fails,
 * and a restart mends no upstream: while the gateway answers and means to go on, it is healthy.
 */
export function healthStatus({ status }: HealthSummary): 200 | 503 {
  return status === "stopping" ? 503 : 200;
}

/** What answers a GET. */
export type HealthAnswer = (c: Context) => Response | Promise<Response>;

/** What answers at `/livez`, `/readyz`, `/health`, `/api/status` and `/api/tools`. */
export function healthAnswers(
  gateway: Gateway,
  observatory?: Observatory,
): ReadonlyMap<string, HealthAnswer> {
  // What counts tokens is loaded when somebody asks for it.
  const counting = async () => (await import("../gateway/offers.ts")).tallyOf(gateway);
  return new Map<string, HealthAnswer>([
    ["/livez", () => answer({ status: "ok" })],
    ["/readyz", createReadiness(gateway)],
    ["/health", () => {
      const summary = gatewayHealth(gateway);
      return answer(summary, healthStatus(summary));
    }],
    ["/api/status", async () => answer(await gatewayStatus(gateway, await counting()))],
    ["/api/tools", async (c) => {
      const only = c.req.query("server");
      const { servers } = gateway.config;
      if (only === undefined || servers.has(only)) {
        const tell = await tellingTools(observatory, c.req.query("q"));
        return offered(gateway, await counting(), tell, only);
      }
      const message = `No such server: ${only}`;
      return answer({ error: "not_found", message, servers: [...servers.keys()] }, 404);
    }],
  ]);
}

/**
 * Ready when every server of the start has settled, and from then on until the stop: a server that
 * a reload adds must not make a load balancer take away all the others.
 */
function createReadiness(gateway: Gateway): () => Response {
  let started = false;
  return () => {
    if (gateway.stopping.aborted) return answer({ status: "stopping" }, 503);
    // Whoever is told "ready" sees in the lists what is ready.
    gateway.snapshots.flush();
    const waiting = started ? [] : gateway.members.all.filter((member) => !member.isSettled);
    started = waiting.length === 0;
    if (started) return answer({ status: "ready" });
    const names = waiting.map(({ config: { name } }) => name);
    return answer({ status: "starting", waiting: names }, 503);
  };
}

function gatewayHealth(gateway: Gateway): HealthSummary {
  const servers = gateway.members.all.map(({ config: { name }, isSettled, upstream }) => {
    const { state, reason, health } = upstream.status();
    return {
      name,
      phase: state,
      settled: isSettled,
      failed: reason !== "starting",
      degraded: health === "degraded",
    };
  });
  return summarizeHealth(servers, {
    configError: gateway.configState.status().error !== null,
    stopping: gateway.stopping.aborted,
  });
}

/** Those that have a text in them, with their calls of a day where there were any. */
async function tellingTools(observatory: Observatory | undefined, text = "") {
  if (observatory === undefined) return (tools: readonly OfferedItem[]) => tools;
  const { usageOver } = await import("../observe/lately.ts");
  const { items } = await usageOver(observatory, "tool", "24h");
  const calls = new Map(items.map((one) => [one.key, one.calls]));
  const wanted = text.toLowerCase();
  return (tools: readonly OfferedItem[]) =>
    tools
      .filter(({ exposed, own, title, description }) =>
        [exposed, own, title, description].join("\n").toLowerCase().includes(wanted)
      )
      .map((tool) => ({ ...tool, calls: calls.get(tool.exposed ?? "") }));
}

async function offered(
  gateway: Gateway,
  tally: TokenTally,
  tell: (tools: readonly OfferedItem[]) => readonly OfferedItem[],
  only?: string,
): Promise<Response> {
  const { serverOffers } = await import("../gateway/offers.ts");
  gateway.snapshots.flush();
  await tally.of(gateway.snapshots.registry);
  const servers = [];
  const offers = serverOffers(gateway, (raw) => tally.tokensOf(raw), only);
  for await (const offer of takingTurns(offers)) {
    servers.push({ ...offer, tools: tell(offer.tools) });
  }
  return answer({ servers });
}

function answer(value: unknown, status = 200): Response {
  return json(value, status, NO_STORE);
}
