import type { ServerConfig } from "../config/types.ts";
import type { GateCost, RegistryCost, Snapshot } from "../gating/gate.ts";
import { VERSION } from "../lib/version.ts";
import { noticeText } from "../registry/build.ts";
import type { Counts } from "../registry/types.ts";
import type { UpstreamStatus } from "../upstream/status.ts";
import type { Gateway } from "./gateway.ts";
import type { ConfigStatus } from "./members/config-state.ts";
import type { Member } from "./members/member.ts";
import type { ResultCacheStats } from "./middleware/cache.ts";
import type { TokenTally } from "./token-tally.ts";

/** A configured server that is switched off. */
export interface DisabledServer {
  readonly name: string;
  readonly state: "disabled";
  readonly transport: UpstreamStatus["transport"];
  readonly counts: UpstreamStatus["counts"];
  readonly tokens: 0;
}

/** One server in `/api/status`. */
export interface ServerStatus extends UpstreamStatus {
  /** Its entries are shown from memory while it is away. */
  readonly stale: boolean;
  /** The state of what a reload has started to take its place. */
  readonly successor: UpstreamStatus["state"] | undefined;
  /** About how many its tools take in the list of all. */
  readonly tokens: number;
}

/** One profile in `/api/status`: how many entries its lists have, and what its tools take. */
export interface ProfileStatus extends Counts {
  readonly name: string;
  readonly gating: GateCost;
}

/** The whole of `/api/status`; part of the public contract. */
export interface GatewayStatus {
  readonly version: string;
  readonly uptimeSeconds: number;
  readonly config: ConfigStatus;
  readonly clients: { readonly sessions: number; readonly requestsInFlight: number };
  readonly lists: {
    readonly version: number;
    readonly tools: number;
    readonly prompts: number;
    readonly resources: number;
    readonly templates: number;
  };
  /** What the tools at `/mcp` take of a model's context, about, and what gating saves of it. */
  readonly gating: GateCost;
  /** Named views, with what they hold. */
  readonly profiles: readonly ProfileStatus[];
  /** Results that are given again. */
  readonly resultCache: ResultCacheStats;
  /** What of the configured patterns fits nothing that the servers have. */
  readonly notices: readonly string[];
  /** Names that two servers share, with what was done about it. */
  readonly conflicts: Snapshot["conflicts"];
  /** Servers that a reload has let go and that still finish calls. */
  readonly draining: readonly string[];
  /** In the order of the configuration. */
  readonly servers: readonly (ServerStatus | DisabledServer)[];
}

/** Takes the gateway's state as it is now; of its lists, the snapshot that `tally` has counted. */
export async function gatewayStatus(gateway: Gateway, tally: TokenTally): Promise<GatewayStatus> {
  const { registry } = gateway.snapshots;
  return statusOf(gateway, registry, await tally.of(registry));
}

function statusOf(gateway: Gateway, registry: Snapshot, cost: RegistryCost): GatewayStatus {
  const { config } = gateway;
  return {
    version: VERSION,
    uptimeSeconds: Math.floor((Date.now() - gateway.startedAt) / 1000),
    config: gateway.configState.status(),
    clients: { sessions: gateway.sessions.size, requestsInFlight: gateway.inFlight },
    lists: { version: registry.version, ...registry.aggregate.counts },
    gating: cost.aggregate,
    profiles: [...registry.profiles].map(([name, { counts }]) => ({
      name,
      ...counts,
      gating: cost.profiles.get(name)!,
    })),
    resultCache: gateway.chains.cache.stats,
    notices: registry.notices.map(noticeText),
    conflicts: registry.conflicts,
    draining: gateway.members.leaving.map((member) => member.config.name),
    servers: [...config.servers.values()].map((server) => {
      const member = gateway.members.get(server.name);
      if (member === undefined) return disabledServer(server);
      return serverStatus(member, gateway, cost.servers.get(server.name) ?? 0);
    }),
  };
}

/** A server that is switched off, as far as there is something to say of it. */
export function disabledServer({ name, instances }: ServerConfig): DisabledServer {
  const target = instances[0]!;
  const transport = target.kind === "stdio" ? "stdio" : target.transport;
  const counts = { tools: 0, prompts: 0, resources: 0, templates: 0 };
  return { name, state: "disabled", transport, counts, tokens: 0 };
}

function serverStatus(
  member: Member,
  gateway: Gateway,
  tokens: number,
): ServerStatus {
  const { redact } = gateway;
  const successor = gateway.members.successor(member.config.name)?.upstream.state.phase;
  const { lastError, problems, instances, ...status } = member.upstream.status();
  const redacted = (text: string | undefined) => text === undefined ? undefined : redact(text);
  return {
    ...status,
    lastError: redacted(lastError),
    problems: problems.map(redact),
    instances: instances?.map((each) => ({ ...each, lastError: redacted(each.lastError) })),
    stale: member.entry.stale,
    successor,
    tokens,
  };
}
