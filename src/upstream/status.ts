import type { ServerTarget } from "../config/config.ts";
import type { JsonObject } from "../lib/json.ts";
import type { Inventory, ListKind } from "../protocol/lists.ts";
import type { Era } from "../protocol/versions.ts";
import type { Connection } from "./connection.ts";
import type { Phase, UpstreamState } from "./state.ts";
import type { TransportKind } from "./transport.ts";

/** One server in `/api/status`: plain data, serialised as it is. Undefined members are left out. */
export interface UpstreamStatus {
  readonly name: string;
  readonly state: Phase;
  /** In use, or configured while there is no connection; `auto` while that is open. */
  readonly transport: TransportKind | "auto";
  readonly era: Era | undefined;
  readonly protocolVersion: string | undefined;
  readonly pid: number | undefined;
  /** When it came into this state, ISO 8601. */
  readonly since: string;
  /** Milliseconds the last successful start took. */
  readonly startedInMs: number | undefined;
  /** How often it was connected again after the first time. */
  readonly restarts: number;
  /** Calls that wait for an answer. */
  readonly inFlight: number;
  /** Live connections, those of single client sessions and calls included. */
  readonly connections: number;
  /** It asks its clients things that cannot be attributed on a shared connection. */
  readonly interactive: boolean;
  /** The last failure, also while it runs again. */
  readonly lastError: string | undefined;
  /** What was wrong with the lists when they were last read. */
  readonly problems: readonly string[];
  readonly counts: Readonly<Record<ListKind, number>>;
  /** What it calls itself; `{}` while unknown. */
  readonly serverInfo: JsonObject;
}

/** What a status is made from. */
export interface StatusParts {
  readonly name: string;
  readonly state: UpstreamState;
  readonly target: ServerTarget;
  readonly connection: Connection | undefined;
  /** The live ones beside it. */
  readonly others: readonly Connection[];
  readonly interactive: boolean;
  readonly inventory: Inventory;
  readonly problems: readonly string[];
  /** Milliseconds since the epoch. */
  readonly since: number;
  readonly startedIn: number | undefined;
  readonly lastError: string | undefined;
}

/** Puts a status together. */
export function describeStatus(parts: StatusParts): UpstreamStatus {
  const { target, connection, inventory } = parts;
  const all = connection === undefined ? parts.others : [connection, ...parts.others];
  const { lists } = inventory;
  return {
    name: parts.name,
    state: parts.state.phase,
    transport: connection?.transport ?? (target.kind === "stdio" ? "stdio" : target.transport),
    era: connection?.handshake.era,
    protocolVersion: connection?.handshake.protocolVersion,
    pid: connection?.pid,
    since: new Date(parts.since).toISOString(),
    startedInMs: parts.startedIn,
    restarts: parts.state.restarts,
    inFlight: all.reduce((sum, { inFlight }) => sum + inFlight, 0),
    connections: all.length,
    interactive: parts.interactive,
    lastError: parts.lastError,
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
