/**
 * The internal form of the configuration, what every file format is brought into, and what a new one
 * changes.
 */

import { parseGlob } from "../lib/glob.ts";
import { canonicalJson, type JsonObject } from "../lib/json.ts";
import type { ConfigIssue } from "./issue.ts";
import type { AuthConfig } from "./schema-auth.ts";
import type { Rate } from "./schema-limits.ts";
import type { LoginConfig } from "./schema-login.ts";
import type { Checked } from "./schema-parts.ts";
import type { ServerTransform } from "./schema-results.ts";
import type { Sandbox } from "./schema-sandbox.ts";
import type { Override, ServerShape } from "./schema-shaping.ts";
import type { SettingsSchema } from "./schema.ts";

export type { ProfileConfig } from "./profiles.ts";
export type { AccessRule } from "./schema-access.ts";
export type { AuthConfig, IssuerConfig, KeyConfig, ProxyConfig } from "./schema-auth.ts";
export type { AuditConfig, LimitsConfig, Rate } from "./schema-limits.ts";
export type {
  AlertChannel,
  AlertRule,
  AlertsConfig,
  DashboardConfig,
  HistoryConfig,
  OtelConfig,
} from "./schema-observe.ts";
export type { EmbeddingsConfig, GatingConfig, GatingMode } from "./schema-gating.ts";
export type { ClientConfig, LoginConfig, OAuthConfig } from "./schema-login.ts";
export type { CacheRule, ReplaceRule, ServerTransform, SizeRule } from "./schema-results.ts";
export type {
  Filter,
  KindShape,
  Override,
  ServerShape,
  ShapedKind,
  TagRule,
} from "./schema-shaping.ts";

/** What applies to the gateway as a whole, as the schema describes it. Durations are milliseconds. */
export type Settings = Checked<typeof SettingsSchema>;

/** Log levels, lowest first; the names are LogTape's. */
export type LogLevel = Settings["logLevel"];

/** Where syslog messages go; `udp` and `tcp` are `host:port`. */
export type SyslogAddress = NonNullable<Settings["syslog"]>;

/** When exposed names carry the server's name: always, only where two collide, or never. */
export type PrefixMode = "always" | "conflict" | "never";

/** Which protocol era to speak to an upstream; `auto` probes. */
export type ProtocolMode = "auto" | "legacy" | "modern";

/**
 * Whose a connection to a legacy upstream is: one for all clients, one for each client
 * session, or shared until the upstream asks its clients something.
 */
export type SharingMode = "auto" | "shared" | "session";

export type { Sandbox } from "./schema-sandbox.ts";

/** A process that speaks MCP on its stdin and stdout. */
export interface StdioTarget {
  readonly kind: "stdio";
  /** The program, or the name of the {@link StdioTarget.image}. */
  readonly command: string;
  readonly args: readonly string[];
  /** Only what the file says; the safe list of inherited variables is the upstream's business. */
  readonly env: Readonly<Record<string, string>>;
  /** As written: relative means relative to the gateway's own working directory. */
  readonly cwd?: string;
  /** What is let through, where it runs in a sandbox. */
  readonly sandbox?: Sandbox;
  /** What the container is given, where an image is run. */
  readonly image?: { readonly mounts: readonly string[]; readonly network: boolean };
  /** Where it is kept in: files of the gateway that it must not see. */
  readonly hidden?: readonly string[];
}

/** A server reached over HTTP. */
export interface HttpTarget {
  readonly kind: "http";
  /** Absolute, `http:` or `https:`; only a server with a {@link ServerConfig.problem} may differ. */
  readonly url: string;
  /** `http` is Streamable HTTP, `sse` is HTTP+SSE; `auto` tries them in this order. */
  readonly transport: "auto" | "http" | "sse";
  readonly headers: Readonly<Record<string, string>>;
  /** How it is told who asks, where that is no header that stays the same. */
  readonly login?: LoginConfig;
}

/** A server at this address, of which nothing else is said. */
export function plainTarget(url: string, headers: HttpTarget["headers"] = {}): HttpTarget {
  return { kind: "http", url, transport: "http", headers };
}

/** Where an upstream is and how it is reached. */
export type ServerTarget = StdioTarget | HttpTarget;

/** Tells a key from others of its name, in few characters; undefined for who comes without one. */
export function keyMark(auth: AuthConfig | undefined, principal: string): string | undefined {
  const key = auth?.keys?.find(({ name }) => `key:${name}` === principal);
  return key !== undefined && Date.now() < (key.expires ?? Infinity)
    ? key.hash.slice(0, 16)
    : undefined;
}

/** Whether `auth` may still let this principal in: the one with the very key of this mark. */
export function mayEnter(auth: AuthConfig | undefined, principal: string, mark?: string): boolean {
  const { issuers = [], proxy } = auth ?? {};
  if (principal.startsWith("key:")) return mark !== undefined && mark === keyMark(auth, principal);
  if (principal.startsWith("proxy:")) return proxy !== undefined;
  const [issuer, subject] = principal.split(" ");
  return subject === undefined || issuers.some((one) => one.issuer === issuer);
}

/** The address at which people log in to a server, as far as they do, and what is said of that. */
export function oauthOf(server: ServerConfig | undefined) {
  const target = server?.instances[0];
  if (target?.kind !== "http") return undefined;
  const { login = { type: "oauth" } } = target;
  return login.type === "oauth" ? { target, login } : undefined;
}

/** Whether each of its users logs in to it: what it says to one is for nobody else. */
export function isPersonal(target: ServerTarget | undefined): boolean {
  return target?.kind === "http" && target.login?.type === "oauth" && target.login.per === "user";
}

/** One entry of `mcpServers`, complete: defaults and global settings are already applied. */
export interface ServerConfig {
  /** The key in the file: any text that is not empty. */
  readonly name: string;
  readonly disabled: boolean;
  /** Where it is, one for each instance; they differ in their URL at most. */
  readonly instances: readonly ServerTarget[];
  readonly protocol: ProtocolMode;
  /** Milliseconds from start to a finished handshake. */
  readonly startupTimeout: number;
  /** Milliseconds a request may take; progress starts them anew. */
  readonly timeout: number;
  /** Milliseconds that calls in flight may go on after a reload has changed or removed it. */
  readonly drainTimeout: number;
  /** Milliseconds of silence before it is probed; 0 for never. */
  readonly healthInterval: number;
  /** Probes without an answer that end a connection. */
  readonly healthThreshold: number;
  /** Started at its first use. */
  readonly lazy: boolean;
  /** Milliseconds without use after which it is stopped; never when absent. */
  readonly idleTimeout?: number;
  /** Calls it gets at a time; no bound when absent. */
  readonly maxConcurrency?: number;
  /** Calls that may wait for one of those to end. */
  readonly maxQueue: number;
  /** How many it gets in which time; no bound when absent. */
  readonly rate?: Rate;
  readonly prefix: PrefixMode;
  /** Between server name and tool name. */
  readonly separator: string;
  readonly sharing: SharingMode;
  /** What a server that asks for roots outside any call is told; none when absent. */
  readonly roots?: Settings["roots"];
  /** What becomes of definitions that are not as they were approved. */
  readonly pin: Settings["pin"];
  /** What clients see of it; everything, as it is, when absent. */
  readonly shape?: ServerShape;
  /**
   * All that a connection depends on (instances, protocol and sharing), as text: while it stays the
   * same, the connection may be kept. It contains secrets: compare it, never show it.
   */
  readonly key: string;
  /** What becomes of the results of its tools; nothing when absent. */
  readonly transform?: ServerTransform;
  /** Why this server cannot be started, though the file as a whole is valid. */
  readonly problem?: ConfigIssue;
}

/** A valid configuration; immutable, replaced as a whole by a reload. */
export interface Config {
  /** The file it came from, as the caller named it; of several their names, with commas between. */
  readonly file: string;
  /** In the order of the file. */
  readonly servers: ReadonlyMap<string, ServerConfig>;
  readonly settings: Settings;
  /** Secret values that expressions such as `${NAME}` brought in; see `collectSecrets()`. */
  readonly expandedSecrets: readonly string[];
}

/** What parsing or loading gives: never a half-valid configuration, never a throw. */
export type ConfigResult =
  | {
    readonly ok: true;
    readonly config: Config;
    /** Nothing here stops the gateway. */
    readonly warnings: readonly ConfigIssue[];
  }
  | { readonly ok: false; readonly issues: readonly ConfigIssue[] };

/** The environment as the configuration sees it; `process.env` fits. */
export type Env = Readonly<Record<string, string | undefined>>;

/** What the overrides say in the annotations of the entry with this name of the upstream's own. */
export function overriddenAnnotations(overrides: readonly Override[], own: string): JsonObject {
  const concerned = overrides.filter(({ annotations, match }) =>
    annotations !== undefined && parseGlob(match).matches(own)
  );
  return Object.assign({}, ...concerned.map(({ annotations }) => annotations));
}

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
