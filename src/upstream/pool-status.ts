import type { Calls } from "./calls.ts";
import type { Pool } from "./pool.ts";
import type { Slot } from "./slot.ts";
import {
  type InstanceStatus,
  type MemberStatus,
  type UpstreamStatus,
  worstHealth,
} from "./status.ts";

/** The status of a server by that of its instances: of one it is the status itself. */
export function poolStatus(pool: Pool, { usage, waiting }: Calls): UpstreamStatus {
  const { only } = pool;
  const used = { calls: usage.calls, failedCalls: usage.failed, queued: waiting };
  if (only !== undefined) return { ...only.instance.status(), ...used, instances: undefined };
  const all = pool.slots.map((slot) => ({ slot, status: slot.instance.status() }));
  const { phase, restarts } = pool.state;
  const best = all.find(({ status }) => status.state === phase)!.status;
  const { health, detail } = worstHealth(
    all.map(({ status }) => ({ health: status.health, detail: status.healthDetail })),
  );
  const { lists } = pool.inventory;
  return {
    ...best,
    ...used,
    health,
    healthDetail: detail,
    restarts,
    inFlight: sum(all, ({ status }) => status.inFlight),
    connections: sum(all, ({ status }) => status.connections),
    interactive: pool.interactive,
    ...lastError(all.map(({ status }) => status)),
    problems: [...new Set(all.flatMap(({ status }) => status.problems)), ...pool.differences],
    counts: {
      tools: lists.tools.items.length,
      prompts: lists.prompts.items.length,
      resources: lists.resources.items.length,
      templates: lists.templates.items.length,
    },
    instances: all.map(({ slot, status }) => memberStatus(slot, status)),
  };
}

/** The latest of all. */
function lastError(all: readonly InstanceStatus[]) {
  const latest = all.filter(({ lastErrorAt }) => lastErrorAt !== undefined)
    .toSorted((a, b) => b.lastErrorAt!.localeCompare(a.lastErrorAt!))[0];
  return { lastError: latest?.lastError, lastErrorAt: latest?.lastErrorAt };
}

function memberStatus({ label, calls, failed }: Slot, status: InstanceStatus): MemberStatus {
  return {
    name: label,
    state: status.state,
    reason: status.reason,
    retryAt: status.retryAt,
    health: status.health,
    healthDetail: status.healthDetail,
    pid: status.pid,
    since: status.since,
    restarts: status.restarts,
    calls,
    failedCalls: failed,
    inFlight: status.inFlight,
    connections: status.connections,
    lastError: status.lastError,
    lastErrorAt: status.lastErrorAt,
  };
}

function sum<T>(items: readonly T[], value: (item: T) => number): number {
  return items.reduce((total, item) => total + value(item), 0);
}
