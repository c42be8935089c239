/** What each rule says of what is known at a moment. Pure. */

import type { AlertChannel, AlertRule } from "../../config/types.ts";
import { parseGlob } from "../../lib/glob.ts";
import { cut, plural, quoted } from "../../lib/text.ts";
import { formatDuration } from "../../lib/time.ts";
import { quantile } from "../history/tally.ts";
import type { Totals } from "./window.ts";

/** What is known of one server. */
export interface ServerReading {
  readonly name: string;
  readonly isDown: boolean;
  /** The last failure, secrets masked. */
  readonly error: string | undefined;
  readonly queued: number;
  readonly wantsLogin: boolean;
  /** Definitions that are not as they were approved. */
  readonly unapproved: number;
}

/** What is known of all. */
export interface Reading {
  readonly servers: readonly ServerReading[];
  /** Why the configuration was refused; secrets are masked. */
  readonly configError: string | undefined;
  /** Resident bytes. */
  readonly memory: number;
}

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

/** The subject of what is about no server. */
export const GATEWAY = "mcproxy";

/** Where it begins that something is so: it is 0 or 1. */
const HALF = 0.5;

/** What a rule says of everything it is about; `recent` is what came of calls in its time. */
export function findingsOf(
  rule: AlertRule,
  { servers, configError, memory }: Reading,
  recent: (server: string) => Totals,
): readonly Measured[] {
  if (rule.when === "config") {
    const text = `The configuration was refused: ${cut(configError ?? "", 300)}`;
    return [{ subject: GATEWAY, value: Number(configError !== undefined), bound: HALF, text }];
  }
  if (rule.when === "memory") {
    const text = `The gateway takes ${megabytes(memory)}, more than ${megabytes(rule.above)}`;
    return [{ subject: GATEWAY, value: memory, bound: rule.above, text }];
  }
  const globs = rule.servers?.map((pattern) => parseGlob(pattern));
  return servers.filter(({ name }) => globs?.some((glob) => glob.matches(name)) ?? true)
    .map((server) => ({ subject: server.name, ...ofServer(rule, server, recent) }));
}

function ofServer(
  rule: Exclude<AlertRule, { when: "config" | "memory" }>,
  { name, isDown, error, queued, wantsLogin, unapproved }: ServerReading,
  recent: (server: string) => Totals,
): Omit<Measured, "subject"> {
  const server = quoted(name);
  const is = (value: boolean, text: string) => ({ value: Number(value), bound: HALF, text });
  switch (rule.when) {
    case "down": {
      const why = error === undefined
        ? ""
        : cut(`: ${error.replace(`Server ${server} `, "")}`, 300);
      return is(isDown, `Server ${server} is down${why}`);
    }
    case "login":
      return is(wantsLogin, `Server ${server} wants a login: mcproxy login ${name}`);
    case "pin": {
      const what = plural(unapproved, "definition");
      return is(unapproved > 0, `Of ${server} ${what} changed or came: mcproxy approve ${name}`);
    }
    case "queue": {
      const text = `${plural(queued, "call")} to ${server} wait, more than ${rule.above}`;
      return { value: queued, bound: rule.above, text };
    }
  }
  const { calls, failed, buckets } = recent(name);
  const of = `of ${plural(calls, "call")} to ${server} in ${formatDuration(rule.in)}`;
  if (rule.when === "slow") {
    const value = quantile(buckets, 0.95) ?? 0;
    const text = `p95 ${of} is ${Math.round(value)} ms, more than ${formatDuration(rule.p95)}`;
    return { value, bound: rule.p95, text };
  }
  const value = calls === 0 ? 0 : 100 * failed / calls;
  const text = `${Math.round(value)} % ${of} failed`;
  return { value, bound: rule.above, isUnsure: calls < rule.of, text };
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
