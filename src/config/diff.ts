/** What a new configuration changes. */

import { canonicalJson } from "../lib/json.ts";
import type { Config, ServerConfig, Settings } from "./types.ts";

/** Names of servers and settings, each list sorted. */
export interface ConfigDiff {
  readonly added: readonly string[];
  readonly removed: readonly string[];
  /** Different in anything; where `ServerConfig.key` is the same the connection may be kept. */
  readonly changed: readonly string[];
  readonly unchanged: readonly string[];
  /** Settings that differ, those in `restartNeeded` included. */
  readonly settingsChanged: readonly string[];
  /** Settings that differ and that a running gateway cannot take on. */
  readonly restartNeeded: readonly string[];
}

const RESTART_SETTINGS: readonly string[] = [
  "host",
  "port",
  "logFormat",
  "syslog",
  "warmStart",
] satisfies (keyof Settings)[];

/** Compares by meaning: the order of keys and servers, comments and white space are no change. */
export function diffConfig(old: Config, next: Config): ConfigDiff {
  const added: string[] = [];
  const changed: string[] = [];
  const unchanged: string[] = [];
  for (const [name, server] of next.servers) {
    const before = old.servers.get(name);
    if (before === undefined) added.push(name);
    else if (identity(before) === identity(server)) unchanged.push(name);
    else changed.push(name);
  }
  const removed = [...old.servers.keys()].filter((name) => !next.servers.has(name));
  const settingsChanged = changedSettings(old.settings, next.settings);
  return {
    added: added.sort(),
    removed: removed.sort(),
    changed: changed.sort(),
    unchanged: unchanged.sort(),
    settingsChanged,
    restartNeeded: settingsChanged.filter((name) => RESTART_SETTINGS.includes(name)),
  };
}

/**
 * The next configuration with the very objects of the old one wherever they mean the same: what is
 * remembered by them is not worked out again.
 */
export function keepUnchanged(old: Config, next: Config): Config {
  const same = new Set(diffConfig(old, next).unchanged);
  const servers = new Map(
    [...next.servers].map(([name, server]) => [
      name,
      same.has(name) ? old.servers.get(name)! : server,
    ]),
  );
  const before = new Map<string, unknown>(Object.entries(old.settings));
  const settings = Object.fromEntries(
    Object.entries(next.settings).map(([name, value]) => [
      name,
      canonicalJson(before.get(name)) === canonicalJson(value) ? before.get(name) : value,
    ]),
  ) as unknown as Settings;
  return { ...next, servers, settings };
}

/** A problem that only moved to another line is the same problem. */
function identity({ problem, ...server }: ServerConfig): string {
  return canonicalJson({ ...server, problem: problem?.message });
}

function changedSettings(old: Settings, next: Settings): string[] {
  const names = new Set([...Object.keys(old), ...Object.keys(next)]) as Set<keyof Settings>;
  return [...names]
    .filter((name) => canonicalJson(old[name]) !== canonicalJson(next[name]))
    .sort();
}
