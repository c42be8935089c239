/**
 * The method table: what the gateway does with each client request, and in which era it exists.
 * A Map, because methods named `toString` or `constructor` come in from outside.
 */

import type { Era } from "./eras.ts";
import { LIST_RULES, type ListRule } from "./lists.ts";

/** How a request is answered. */
export type Handling =
  /** By the session or the modern front itself: it is about the connection, not a server. */
  | { readonly by: "front" }
  /** From the registry's cached list. */
  | { readonly by: "list"; readonly rule: ListRule }
  /** By the upstream that owns what `path` in the request names. */
  | { readonly by: "owner"; readonly of: "tool" | "prompt" | "resource" | "completion" | "task" }
  /** By all servers that have tasks, merged. */
  | { readonly by: "taskList" };

/** One row of the table. */
export interface MethodRule {
  /** The only era that has it; both when undefined. */
  readonly era?: Era;
  readonly handling: Handling;
  /** Whether repeating it can do no harm, so that a lost connection may be hidden by a retry. */
  readonly safe: boolean;
}

const front: Handling = { by: "front" };

const RULES: ReadonlyMap<string, MethodRule> = new Map<string, MethodRule>([
  ["initialize", { era: "legacy", handling: front, safe: false }],
  ["ping", { era: "legacy", handling: front, safe: true }],
  ["server/discover", { era: "modern", handling: front, safe: true }],
  ["subscriptions/listen", { era: "modern", handling: front, safe: true }],
  ...LIST_RULES.map((rule): [string, MethodRule] => [
    rule.method,
    { handling: { by: "list", rule }, safe: true },
  ]),
  ["tools/call", { handling: { by: "owner", of: "tool" }, safe: false }],
  ["prompts/get", { handling: { by: "owner", of: "prompt" }, safe: true }],
  ["resources/read", { handling: { by: "owner", of: "resource" }, safe: true }],
  ["tasks/get", { handling: { by: "owner", of: "task" }, safe: true }],
  ["tasks/cancel", { handling: { by: "owner", of: "task" }, safe: false }],
  ["tasks/result", { era: "legacy", handling: { by: "owner", of: "task" }, safe: true }],
  ["tasks/update", { era: "modern", handling: { by: "owner", of: "task" }, safe: false }],
  ["tasks/list", { era: "legacy", handling: { by: "taskList" }, safe: true }],
  ["completion/complete", { handling: { by: "owner", of: "completion" }, safe: true }],
]);

/** The row for a method in an era, or `undefined` for one the gateway does not know there. */
export function methodRule(method: string, era: Era): MethodRule | undefined {
  return isForeign(method, era) ? undefined : RULES.get(method);
}

/** True for a method that exists, but only in the other era: it is never passed on. */
export function isForeign(method: string, era: Era): boolean {
  const rule = RULES.get(method);
  return rule?.era !== undefined && rule.era !== era;
}

/**
 * Methods that change state the gateway keeps for all clients of an upstream. They are never
 * passed on as they are, not even where one upstream is served 1:1.
 */
export const STATEFUL_METHODS: ReadonlySet<string> = new Set([
  "logging/setLevel",
  "resources/subscribe",
  "resources/unsubscribe",
]);

/** The syslog levels of MCP logging, least severe first (server/utilities/logging). */
export const LOGGING_LEVELS = [
  "debug",
  "info",
  "notice",
  "warning",
  "error",
  "critical",
  "alert",
  "emergency",
] as const;

/** One of {@link LOGGING_LEVELS}. */
export type LoggingLevel = typeof LOGGING_LEVELS[number];

/** True for a level a client may ask for. */
export function isLoggingLevel(value: unknown): value is LoggingLevel {
  return (LOGGING_LEVELS as readonly unknown[]).includes(value);
}

/**
 * Whether a client that asked for `wanted` is to see a line of `level`. Levels nobody knows are
 * shown: the reader will make more of them than we can.
 */
export function passes(level: unknown, wanted: string): boolean {
  const severity = LOGGING_LEVELS.indexOf(level as LoggingLevel);
  return severity < 0 || severity >= LOGGING_LEVELS.indexOf(wanted as LoggingLevel);
}

/** The level that lets through what any of `levels` lets through, `undefined` for none. */
export function mostVerbose(levels: Iterable<string | undefined>): LoggingLevel | undefined {
  const known = [...levels].filter(isLoggingLevel);
  return LOGGING_LEVELS.find((level) => known.includes(level));
}
