/** The internal form of the configuration: what every file format is brought into. */

import { parseGlob } from "../lib/glob.ts";
import type { JsonObject } from "../lib/json.ts";
import type { LogFormat } from "../log/entry.ts";
import type { ConfigIssue } from "./issue.ts";

/** When exposed names carry the server's name: always, only where two collide, or never. */
export type PrefixMode = "always" | "conflict" | "never";

/** Which protocol era to speak to an upstream; `auto` probes. */
export type ProtocolMode = "auto" | "legacy" | "modern";

/**
 * Whose a connection to a legacy upstream is: one for all clients, one for each client
 * session, or shared until the upstream asks its clients something.
 */
export type SharingMode = "auto" | "shared" | "session";

/** Log levels, lowest first; the names are LogTape's. */
export type LogLevel = "trace" | "debug" | "info" | "warning" | "error" | "fatal";

/** Where syslog messages go; `udp` and `tcp` are `host:port`. */
export type SyslogAddress =
  | { readonly socket: string }
  | { readonly udp: string }
  | { readonly tcp: string };

/** A process that speaks MCP on its stdin and stdout. */
export interface StdioTarget {
  readonly kind: "stdio";
  readonly command: string;
  readonly args: readonly string[];
  /** Only what the file says; the safe list of inherited variables is the upstream's business. */
  readonly env: Readonly<Record<string, string>>;
  /** As written: relative means relative to the gateway's own working directory. */
  readonly cwd?: string;
}

/** A server reached over HTTP. */
export interface HttpTarget {
  readonly kind: "http";
  /** Absolute, `http:` or `https:`; only a server with a {@link ServerConfig.problem} may differ. */
  readonly url: string;
  /** `http` is Streamable HTTP, `sse` is HTTP+SSE; `auto` tries them in this order. */
  readonly transport: "auto" | "http" | "sse";
  readonly headers: Readonly<Record<string, string>>;
}

/** Where an upstream is and how it is reached. */
export type ServerTarget = StdioTarget | HttpTarget;

/** One entry of `mcpServers`, complete: defaults and global settings are already applied. */
export interface ServerConfig {
  /** The key in the file: any text that is not empty. */
  readonly name: string;
  readonly disabled: boolean;
  /** Where it is; of several instances the first. */
  readonly target: ServerTarget;
  /** One for each instance, {@link ServerConfig.target} first; they differ in their URL at most. */
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
  readonly prefix: PrefixMode;
  /** Between server name and tool name. */
  readonly separator: string;
  readonly sharing: SharingMode;
  /** What a server that asks for roots outside any call is told; none when absent. */
  readonly roots?: readonly Root[];
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

/** What applies to the gateway as a whole. Durations are milliseconds. */
export interface Settings {
  /** Address to listen on; a change needs a restart. */
  readonly host: string;
  /** Port to listen on, 0 for any; a change needs a restart. */
  readonly port: number;
  /** Default of {@link ServerConfig.prefix}. */
  readonly prefix: PrefixMode;
  /** Default of {@link ServerConfig.separator}. */
  readonly separator: string;
  /** Default of {@link ServerConfig.startupTimeout}. */
  readonly startupTimeout: number;
  /** Default of {@link ServerConfig.timeout}. */
  readonly timeout: number;
  /** Default of {@link ServerConfig.drainTimeout}. */
  readonly drainTimeout: number;
  /** Default of {@link ServerConfig.healthInterval}. */
  readonly healthInterval: number;
  /** Default of {@link ServerConfig.healthThreshold}. */
  readonly healthThreshold: number;
  /** Whether lists of the last run are kept on disk and shown until servers have answered. */
  readonly warmStart: boolean;
  /** Default of {@link ServerConfig.roots}. */
  readonly roots?: readonly Root[];
  /** How long the first list waits while no server is ready yet. */
  readonly startupGrace: number;
  /** How long a lost server keeps its entries in the lists. */
  readonly staleGrace: number;
  /** A session without request or stream for this long is ended. */
  readonly sessionIdleTimeout: number;
  /** How long a stop waits for calls in flight. */
  readonly shutdownTimeout: number;
  /** Largest accepted request body in bytes. */
  readonly bodyLimit: number;
  /** Most entries in one page of a list; 0 for no limit, and no pages. */
  readonly pageSize: number;
  /** `Host` header values accepted beside the loopback names. */
  readonly allowedHosts: readonly string[];
  /** `Origin` header values accepted beside the loopback origins. */
  readonly allowedOrigins: readonly string[];
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
  /** Absent: the local socket, `/dev/log`. */
  readonly syslog?: SyslogAddress;
  /** Whether `${cmd:…}` runs its command when a configuration is loaded. */
  readonly allowCommands: boolean;
  /** Bytes of cached results for all servers; 0 for none. */
  readonly cacheSize: number;
  /** How tools are gated where a profile does not say otherwise. */
  readonly gating: GatingConfig;
  /** The second arm of the search over tools; absent: words alone. */
  readonly embeddings?: EmbeddingsConfig;
  /** Named views, in the order of the file. */
  readonly profiles: readonly ProfileConfig[];
  /** Tags of the entries of all servers. */
  readonly tags: readonly TagRule[];
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

/**
 * What clients see of a server's lists: which entries, under which names, with which texts. Plain
 * data, as the configuration gives it; `src/registry/shape.ts` applies it to the lists.
 */

/** Which entries of a list are there: patterns as in `src/lib/glob.ts`. */
export interface Filter {
  /** Only what one of these matches; everything when absent, nothing when empty. */
  readonly include?: readonly string[];
  /** And of that nothing that one of these matches. */
  readonly exclude?: readonly string[];
}

/** What is said differently about the entries a pattern matches; absent members stay as they are. */
export interface Override {
  /** Pattern for the upstream's own names. */
  readonly match: string;
  readonly title?: string;
  readonly description?: string;
  /** Resources only. */
  readonly mimeType?: string;
  /** Each of these members replaces the one of the upstream; the others stay. */
  readonly annotations?: JsonObject;
  /** Tools only: parameters no client sees, and none may send. */
  readonly hideParameters?: readonly string[];
  /** Tools only: arguments of calls that do not have them; those parameters are not required. */
  readonly defaults?: JsonObject;
  /** Tools only: arguments of every call, whatever it says; no client sees those parameters. */
  readonly fixed?: JsonObject;
}

/** What the overrides say in the annotations of the entry with this name of the upstream's own. */
export function overriddenAnnotations(overrides: readonly Override[], own: string): JsonObject {
  const concerned = overrides.filter(({ annotations, match }) =>
    annotations !== undefined && parseGlob(match).matches(own)
  );
  return Object.assign({}, ...concerned.map(({ annotations }) => annotations));
}

/** The tags of the entries a pattern matches. */
export interface TagRule {
  readonly match: string;
  readonly tags: readonly string[];
}

/** How one kind of things is shown. Resource templates are resources here, matched by template. */
export interface KindShape extends Filter {
  /** New names by the upstream's own ones; no patterns. Tools and prompts only. */
  readonly rename?: Readonly<Record<string, string>>;
  /** All that match apply, in the order of the file; of the same member the last. */
  readonly overrides?: readonly Override[];
  readonly tags?: readonly TagRule[];
}

/** The kinds that have a shape. */
export type ShapedKind = "tools" | "prompts" | "resources";

/** How a server is shown. An absent member changes nothing. */
export interface ServerShape extends Readonly<Partial<Record<ShapedKind, KindShape>>> {
  /** Stands for the server's name in exposed names and headings; what it is stays its name. */
  readonly alias?: string;
  /** What profiles may choose the server by. */
  readonly tags?: readonly string[];
}

/**
 * A named view. It has the servers that `servers` or `tags` choose, of the other servers the entries
 * that `tags` choose, and everything where neither is there; less what the filters leave out.
 */
export interface ProfileConfig {
  readonly name: string;
  /** Patterns for the names of servers. */
  readonly servers?: readonly string[];
  readonly tags?: readonly string[];
  /** Comes before what the servers say. */
  readonly instructions?: string;
  /** In place of what each server has. */
  readonly prefix?: "always" | "conflict" | "never";
  /** In place of what each server has. */
  readonly separator?: string;
  readonly tools?: Filter;
  readonly prompts?: Filter;
  readonly resources?: Filter;
  /** What is different from {@link Settings.gating}. */
  readonly gating?: Partial<GatingConfig>;
}

/** How many of the tools clients get to see, and how the others are found. */

/** Whether clients see a few tools that find the others, instead of all of them. */
export type GatingMode = "off" | "on" | "auto";

/** How the tools of a view are gated; complete, defaults applied. */
export interface GatingConfig {
  /** `auto` gates a view that exceeds one of the two bounds. */
  readonly mode: GatingMode;
  /** Most tools that `auto` still lists directly. */
  readonly maxTools: number;
  /** Most (estimated) tokens of tools that `auto` still lists, and what provisioning may return. */
  readonly maxTokens: number;
  /** Patterns for exposed names of tools that are listed in any case. */
  readonly alwaysVisible: readonly string[];
  /** Whether provisioned tools join the list of their client; `auto`: of one known to notice. */
  readonly exposeProvisioned: boolean | "auto";
  /** Whether a tool must be provisioned before it can be executed. */
  readonly requireProvisioning: boolean;
  /** Whether there is one tool to execute for each risk, so that clients can ask for approval. */
  readonly splitByRisk: boolean;
  /** Whether tools that were called before rank a little higher. */
  readonly usageRanking: boolean;
}

/** An endpoint that turns texts into vectors, as OpenAI's API does. */
export interface EmbeddingsConfig {
  /** Base address, with or without `/embeddings` at its end. */
  readonly url: string;
  readonly model: string;
  /** Sent as a bearer token; a secret. */
  readonly apiKey?: string | undefined;
  /** Milliseconds that a search waits for the vector of its query. */
  readonly timeout: number;
}

/** A directory or file an upstream may take as its ground (client/roots 2025-11-25). */
export interface Root {
  /** A `file://` URI; the protocol knows no other. */
  readonly uri: string;
  readonly name?: string;
}

/** How large the results of some tools may be. */
export interface SizeRule {
  /** Pattern for the upstream's own names; `*` for all. */
  readonly tools: string;
  /** Bytes of UTF-8; 0 for no limit. */
  readonly bytes: number;
}

/** What is replaced in the results of some tools. */
export interface ReplaceRule {
  /** Patterns for the upstream's own names. */
  readonly tools: readonly string[];
  /** Regular expression as in `patterns.ts`. */
  readonly pattern: string;
  /** Any of `i`, `m` and `s`. */
  readonly flags: string;
  /** `$1`, `$<name>` and `$&` stand for what was matched, `$$` for a dollar. */
  readonly with: string;
  /** Whether the strings of `structuredContent` are gone through, too. */
  readonly structured: boolean;
}

/** Which tools' results are kept, and for how long. */
export interface CacheRule {
  /** Pattern for the upstream's own names. */
  readonly tools: string;
  /** Milliseconds; 0 keeps nothing. */
  readonly ttl: number;
  /** Whether what one client was answered may be given to another. */
  readonly public: boolean;
}

/** Everything of one server. In each list the first rule that names a tool decides about it. */
export interface ServerTransform {
  readonly maxResultBytes: readonly SizeRule[];
  /** Here all that name a tool apply, in this order. */
  readonly replace: readonly ReplaceRule[];
  readonly cache: readonly CacheRule[];
}
