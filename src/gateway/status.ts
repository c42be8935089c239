import type { ServerConfig } from "../config/config.ts";
import { VERSION } from "../lib/version.ts";
import type { Registry } from "../registry/types.ts";
import type { UpstreamStatus } from "../upstream/status.ts";
import type { Gateway } from "./gateway.ts";
import type { Member } from "./member.ts";

/** A configured server that is switched off. */
export interface DisabledServer {
  readonly name: string;
  readonly state: "disabled";
  readonly transport: UpstreamStatus["transport"];
  readonly counts: UpstreamStatus["counts"];
}

/** One server in `/api/status`. */
export interface ServerStatus extends UpstreamStatus {
  /** Its entries are shown from memory while it is away. */
  readonly stale: boolean;
}

/** The whole of `/api/status`; part of the public contract (DESIGN §2). */
export interface GatewayStatus {
  readonly version: string;
  readonly uptimeSeconds: number;
  readonly config: {
    readonly path: string;
    /** ISO 8601. */
    readonly loadedAt: string;
    readonly error: string | null;
  };
  readonly clients: { readonly sessions: number; readonly requestsInFlight: number };
  readonly lists: {
    readonly version: number;
    readonly tools: number;
    readonly prompts: number;
    readonly resources: number;
    readonly templates: number;
  };
  /** Names that two servers share, with what was done about it. */
  readonly conflicts: Registry["conflicts"];
  /** In the order of the configuration. */
  readonly servers: readonly (ServerStatus | DisabledServer)[];
}

/** Takes the gateway's state as it is now. */
export function gatewayStatus(gateway: Gateway): GatewayStatus {
  const { registry, config } = gateway;
  return {
    version: VERSION,
    uptimeSeconds: Math.floor((Date.now() - gateway.startedAt) / 1000),
    config: {
      path: config.file,
      loadedAt: new Date(gateway.startedAt).toISOString(),
      error: null,
    },
    clients: { sessions: gateway.sessions.size, requestsInFlight: gateway.inFlight },
    lists: { version: registry.version, ...registry.aggregate.counts },
    conflicts: registry.conflicts,
    servers: [...config.servers.values()].map((server) => {
      const member = gateway.member(server.name);
      return member === undefined ? disabledServer(server) : serverStatus(member, gateway.redact);
    }),
  };
}

function disabledServer({ name, target }: ServerConfig): DisabledServer {
  const transport = target.kind === "stdio" ? "stdio" : target.transport;
  const counts = { tools: 0, prompts: 0, resources: 0, templates: 0 };
  return { name, state: "disabled", transport, counts };
}

function serverStatus(member: Member, redact: (text: string) => string): ServerStatus {
  const { lastError, problems, ...status } = member.upstream.status();
  return {
    ...status,
    lastError: lastError === undefined ? undefined : redact(lastError),
    problems: problems.map(redact),
    stale: member.entry.stale,
  };
}
