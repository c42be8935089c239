/** What each rule says of what is known at a moment. Pure. */

import type { AlertChannel, AlertRule } from "../../config/types.ts";
import { type GatewayCondition, levelOf, type ServerCondition } from "../../gateway/attention.ts";
import { parseGlob } from "../../lib/glob.ts";
import { cut, plural, quoted } from "../../lib/text.ts";
import { formatDuration } from "../../lib/time.ts";
import { quantile } from "../history/tally.ts";
import type { Totals } from "./window.ts";

/** What is known, secrets masked; with the resident bytes. */
export type Reading = Pick<GatewayCondition, "servers" | "config"> & { readonly memory: number };

/** What a rule says of a subject. */
export interface Measured {
  /** A server, or the gateway. */
  readonly subject: string;
  /** It begins above the bound, and ends at four fifths of that. */
  readonly value: number;
  readonly bound: number;
  /** There is too little to go by for a begin. */
  readonly isUnsure?: boolean;
  readonly text: string;
}

/** What a rule says of everything it is about; `recent` is what came of calls in its time. */
export function findingsOf(
  rule: AlertRule,
  { servers, config: { error }, memory }: Reading,
  recent: (server: string) => Totals,
): readonly Measured[] {
  const ofGateway = { subject: "mcproxy" };
  if (rule.when === "config") {
    const text = `The configuration was refused: ${cut(error ?? "", 300)}`;
    return [{ ...ofGateway, ...so(error !== null, text) }];
  }
  if (rule.when === "memory") {
    const text = `The gateway takes ${megabytes(memory)}, more than ${megabytes(rule.above)}`;
    return [{ ...ofGateway, value: memory, bound: rule.above, text }];
  }
  const globs = rule.servers?.map((pattern) => parseGlob(pattern));
  return servers.filter(({ name }) => globs?.some((glob) => glob.matches(name)) ?? true)
    .map((server) => ({ subject: server.name, ...ofServer(rule, server, recent) }));
}

function ofServer(
  rule: Exclude<AlertRule, { when: "config" | "memory" }>,
  server: ServerCondition,
  recent: (server: string) => Totals,
): Omit<Measured, "subject"> {
  const { name, state, reason, lastError, queued = 0, pins } = server;
  const its = quoted(name);
  switch (rule.when) {
    case "down": {
      const level = levelOf(server);
      // Others that are not quite well are on their way.
      const isDown = level === "bad" || (level === "warn" && state === "ready");
      const why = lastError && cut(`: ${lastError.replace(`Server ${its} `, "")}`, 300);
      return so(isDown, `Server ${its} is down${why ?? ""}`);
    }
    case "login":
      return so(reason === "login", `Server ${its} wants a login: mcproxy login ${name}`);
    case "pin": {
      const waiting = pins?.waiting ?? 0;
      const what = plural(waiting, "definition");
      return so(waiting > 0, `Of ${its} ${what} changed or came: mcproxy approve ${name}`);
    }
    case "queue": {
      const text = `${plural(queued, "call")} to ${its} wait, more than ${rule.above}`;
      return { value: queued, bound: rule.above, text };
    }
  }
  const { calls, failed, buckets } = recent(name);
  const of = `of ${plural(calls, "call")} to ${its} in ${formatDuration(rule.in)}`;
  if (rule.when === "slow") {
    const value = quantile(buckets, 0.95) ?? 0;
    const text = `p95 ${of} is ${Math.round(value)} ms, more than ${formatDuration(rule.p95)}`;
    return { value, bound: rule.p95, text };
  }
  const value = calls === 0 ? 0 : 100 * failed / calls;
  const text = `${Math.round(value)} % ${of} failed`;
  return { value, bound: rule.above, isUnsure: calls < rule.of, text };
}

/** What is so, or is not. */
function so(isSo: boolean, text: string) {
  return { value: Number(isSo), bound: 0.5, text };
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1e6)} MB`;
}

/** A channel as it may be shown: its address is a secret, its host is none. */
export function shownChannel(channel: AlertChannel) {
  const { kind } = channel;
  const target = kind === "command" ? channel.command[0]! : new URL(channel.url).host;
  return { kind, target };
}
