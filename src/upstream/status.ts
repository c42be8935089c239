import type { JsonObject } from "../lib/json.ts";
import type { Era } from "../protocol/eras.ts";
import { type Inventory, LIST_RULES, type ListKind } from "../protocol/lists.ts";
import type { Health, HealthReport } from "./connection/health.ts";
import type { Phase, StateReason } from "./state.ts";
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

/** What is told of each of several instances. */
const OF_EACH = [
  "name",
  "state",
  "reason",
  "retryAt",
  "health",
  "healthDetail",
  "pid",
  "since",
  "restarts",
  "calls",
  "failedCalls",
  "inFlight",
  "connections",
  "lastError",
  "lastErrorAt",
] as const;

/**
 * One of several instances of a server. Its `name` is `instance 2`, with its host where that tells
 * them apart; `calls` are those it is done with.
 */
export type MemberStatus = Pick<UpstreamStatus, typeof OF_EACH[number]>;

/** One instance of a server; its upstream adds the rest. */
export type InstanceStatus = Omit<
  UpstreamStatus,
  "calls" | "failedCalls" | "queued" | "instances"
>;

/** The worst of them says how a server is; none, and nobody knows. */
export function worstHealth(reports: Iterable<HealthReport>): HealthReport {
  let worst: HealthReport = { health: "unknown", detail: undefined };
  for (const report of reports) {
    if (report.health === "degraded") return report;
    if (report.health === "ok") worst = report;
  }
  return worst;
}

/** The status of a server with several instances, from what is known of all and of each of them. */
export function combinedStatus(
  server: Omit<UpstreamStatus, Exclude<keyof InstanceStatus, Shared> | "instances">,
  members: readonly (InstanceStatus & MemberStatus)[],
): UpstreamStatus {
  const best = members.find(({ state }) => state === server.state)!;
  const { health, detail } = worstHealth(
    members.map(({ health, healthDetail }) => ({ health, detail: healthDetail })),
  );
  const latest = members.filter(({ lastErrorAt }) => lastErrorAt !== undefined)
    .toSorted((a, b) => b.lastErrorAt!.localeCompare(a.lastErrorAt!))[0];
  return {
    ...best,
    ...server,
    health,
    healthDetail: detail,
    inFlight: members.reduce((sum, { inFlight }) => sum + inFlight, 0),
    connections: members.reduce((sum, { connections }) => sum + connections, 0),
    lastError: latest?.lastError,
    lastErrorAt: latest?.lastErrorAt,
    problems: [...new Set(members.flatMap(({ problems }) => problems)), ...server.problems],
    instances: members.map((member) =>
      Object.fromEntries(OF_EACH.map((key) => [key, member[key]])) as unknown as MemberStatus
    ),
  };
}

/** What of an instance's status is another thing for the whole server. */
type Shared = "name" | "state" | "restarts" | "interactive" | "problems" | "counts";

/** How long its lists are. */
export function countsOf({ lists }: Inventory): UpstreamStatus["counts"] {
  const counts = LIST_RULES.map(({ kind }) => [kind, lists[kind].items.length]);
  return Object.fromEntries(counts) as UpstreamStatus["counts"];
}

/** A time in ms since the epoch as ISO 8601. */
export function isoTime(ms: number | undefined): string | undefined {
  return ms === undefined ? undefined : new Date(ms).toISOString();
}
