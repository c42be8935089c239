import type { ServerTarget } from "../config/types.ts";
import type { JsonObject } from "../lib/json.ts";
import type { Era } from "../protocol/eras.ts";
import type { Inventory, ListKind } from "../protocol/lists.ts";
import type { Connection } from "./connection/connection.ts";
import type { Health, HealthReport } from "./connection/health.ts";
import type { Phase, StateReason } from "./state.ts";
import type { Supervisor } from "./supervisor.ts";
import type { TransportKind } from "./transport/transport.ts";

/** One server in `/api/status`: plain data, serialised as it is. Undefined members are left out. */
export interface UpstreamStatus {
  readonly name: string;
  readonly state: Phase;
  /** Why it is in this state; left out while it is ready. */
  readonly reason: StateReason | undefined;
  /** When it is tried again, ISO 8601; while in back-off only. A call may try it earlier. */
  readonly retryAt: string | undefined;
  /** Whether it works, as far as that is known. */
  readonly health: Health;
  /** What is wrong with its health, as a clause that follows its name. */
  readonly healthDetail: string | undefined;
  /** In use, or configured while there is no connection; `auto` while that is open. */
  readonly transport: TransportKind | "auto";
  readonly era: Era | undefined;
  readonly protocolVersion: string | undefined;
  readonly pid: number | undefined;
  /** When it came into this state, ISO 8601. */
  readonly since: string;
  /** Milliseconds the last successful start took. */
  readonly startedInMs: number | undefined;
  /** How often it was connected again after a failure. */
  readonly restarts: number;
  /** Calls since the start of the gateway, and how many of them ended with an error. */
  readonly calls: number;
  readonly failedCalls: number;
  /** Calls that wait for an answer. */
  readonly inFlight: number;
  /** Calls that wait for others to end (`maxConcurrency`). */
  readonly queued: number;
  /** Live connections, those of single client sessions and calls included. */
  readonly connections: number;
  /** It asks its clients things that cannot be attributed on a shared connection. */
  readonly interactive: boolean;
  /** The last failure, also while it runs again. */
  readonly lastError: string | undefined;
  /** When that was, ISO 8601. */
  readonly lastErrorAt: string | undefined;
  /** What was wrong with the lists when they were last read. */
  readonly problems: readonly string[];
  readonly counts: Readonly<Record<ListKind, number>>;
  /** What it calls itself; `{}` while unknown. */
  readonly serverInfo: JsonObject;
  /** In the order of the configuration; where there are several only. */
  readonly instances: readonly MemberStatus[] | undefined;
}

/** One of several instances of a server; `calls` are those it is done with. */
export interface MemberStatus extends
  Pick<
    UpstreamStatus,
    | "state"
    | "reason"
    | "retryAt"
    | "health"
    | "healthDetail"
    | "pid"
    | "since"
    | "restarts"
    | "calls"
    | "failedCalls"
    | "inFlight"
    | "connections"
    | "lastError"
    | "lastErrorAt"
  > {
  /** `instance 2`, with its host where that tells them apart. */
  readonly name: string;
}

/** One instance of a server; its upstream adds the rest. */
export type InstanceStatus = Omit<
  UpstreamStatus,
  "calls" | "failedCalls" | "queued" | "instances"
>;

/** What a status is made from. */
export interface StatusParts {
  readonly name: string;
  readonly supervisor: Supervisor;
  readonly target: ServerTarget;
  readonly connection: Connection | undefined;
  /** The live ones beside it. */
  readonly others: readonly Connection[];
  readonly interactive: boolean;
  readonly inventory: Inventory;
  readonly problems: readonly string[];
  readonly startedIn: number | undefined;
}

/** The worst of them says how a server is; none, and nobody knows. */
export function worstHealth(reports: Iterable<HealthReport>): HealthReport {
  let worst: HealthReport = { health: "unknown", detail: undefined };
  for (const report of reports) {
    if (report.health === "degraded") return report;
    if (report.health === "ok") worst = report;
  }
  return worst;
}

/** Puts a status together. */
export function describeStatus(parts: StatusParts): InstanceStatus {
  const { target, connection, inventory, supervisor } = parts;
  const all = connection === undefined ? parts.others : [connection, ...parts.others];
  const { health, detail } = worstHealth(all.map((each) => each.health));
  const { lists } = inventory;
  return {
    name: parts.name,
    state: supervisor.state.phase,
    reason: supervisor.reason,
    retryAt: isoTime(supervisor.retryAt),
    health,
    healthDetail: detail,
    transport: connection?.transport ?? (target.kind === "stdio" ? "stdio" : target.transport),
    era: connection?.handshake.era,
    protocolVersion: connection?.handshake.protocolVersion,
    pid: connection?.pid,
    since: new Date(supervisor.since).toISOString(),
    startedInMs: parts.startedIn,
    restarts: supervisor.state.restarts,
    inFlight: all.reduce((sum, { atWork }) => sum + atWork, 0),
    connections: all.length,
    interactive: parts.interactive,
    lastError: supervisor.lastError?.message,
    lastErrorAt: isoTime(supervisor.lastErrorAt),
    problems: parts.problems,
    counts: {
      tools: lists.tools.items.length,
      prompts: lists.prompts.items.length,
      resources: lists.resources.items.length,
      templates: lists.templates.items.length,
    },
    serverInfo: JSON.parse(inventory.serverInfo) as JsonObject,
  };
}

function isoTime(ms: number | undefined): string | undefined {
  return ms === undefined ? undefined : new Date(ms).toISOString();
}
