/** What a start of the gateway is going to do, from flags, environment and file. */

import { resolveConfigFiles, type Sources } from "../config/files.ts";
import { type ConfigIssue, formatIssue } from "../config/issue.ts";
import { loadConfig } from "../config/load.ts";
import { collectSecrets } from "../config/secrets.ts";
import { type FlagSettings, type Layers, parsePort, settingsFromEnv } from "../config/settings.ts";
import { loadOptions } from "../config/schema.ts";
import type { Config, ConfigResult, LogLevel, SyslogAddress } from "../config/types.ts";
import { AGGREGATE, type Endpoint, profileEndpoint } from "../gating/endpoint.ts";
import { isLoopback } from "../lib/text.ts";
import { didYouMean, suggest } from "../lib/suggest.ts";
import type { LogFormat } from "../log/entry.ts";
import { LOG_LEVELS, type LogDestination, parseLevel } from "../log/mod.ts";
import { CliError, ExitCode, type Io, UsageError } from "./io.ts";

/** Everything decided before anything is started. */
export interface ServePlan {
  /** With flags and environment applied. */
  readonly config: Config;
  /** What it was read from. */
  readonly sources: Sources;
  readonly warnings: readonly ConfigIssue[];
  readonly listen: boolean;
  readonly stdio: boolean;
  /** What stdin and stdout are given. */
  readonly endpoint: Endpoint;
  readonly destination: LogDestination;
  readonly logFormat: LogFormat;
  readonly logLevel: LogLevel;
  /** What the log must not contain. */
  readonly secrets: readonly string[];
}

/** What a command line says of a start, by the names of its options. */
export interface ServeFlags extends ConfigurationFlags {
  readonly host?: string | undefined;
  readonly port?: string | undefined;
  readonly profile?: string | undefined;
  readonly stdio?: boolean | undefined;
  readonly json?: boolean | undefined;
  readonly log?: boolean | undefined;
  readonly "log-format"?: string | undefined;
  readonly "log-level"?: string | undefined;
  readonly "no-auth"?: boolean | undefined;
}

/**
 * Decides, in the order flags, environment, file, defaults. `listening`: the host of a gateway that
 * runs, which stays where it listens; the status says that another address waits for a start.
 * @throws {CliError} exit code 2 for what the flags ask, 3 for the configuration
 */
export async function planServe(
  options: ServeFlags,
  io: ConfigurationIo,
  { listening }: { readonly listening?: string } = {},
): Promise<ServePlan> {
  const flags = readFlags(options);
  await loadOptions(Object.keys(io.env).join(" "));
  const environment = settingsFromEnv(io.env);
  if (environment.issues.length > 0) throw configurationError(environment.issues);
  const layers = { environment, flags };
  const { config, warnings, sources } = await requireConfiguration(options, io, layers);
  const { settings } = config;
  const stdio = options.stdio === true;
  const listen = !stdio || (flags.port ?? environment.settings.port) !== undefined;
  if (listen && settings.auth === undefined && options["no-auth"] !== true) {
    refuseOpenAddress(listening ?? settings.host);
  }
  return {
    config,
    sources,
    warnings,
    listen,
    stdio,
    endpoint: endpointOf(options, config),
    destination: destinationOf(options, settings),
    // Where events are JSON lines on stdout, log lines beside them must not be something else.
    logFormat: options.json === true && options["log-format"] === undefined
      ? "json"
      : settings.logFormat,
    logLevel: settings.logLevel,
    secrets: secretsOf(config),
  };
}

function endpointOf({ profile }: ServeFlags, { settings: { profiles } }: Config): Endpoint {
  if (profile === undefined) return AGGREGATE;
  const names = profiles.map(({ name }) => name);
  if (names.includes(profile)) return profileEndpoint(profile);
  const near = suggest(profile, names);
  throw new UsageError(
    `Cannot serve profile ${JSON.stringify(profile)}: ` +
      (names.length === 0
        ? 'the configuration has no "profiles"'
        : `expected one of ${names.join(", ")}`) +
      didYouMean(near),
  );
}

function readFlags(options: ServeFlags): FlagSettings {
  const { host, port, "log-format": format, "log-level": level } = options;
  return {
    host,
    port: port === undefined ? undefined : parsePort(port) ?? refuse("port", port, "0 to 65535"),
    logFormat: format === undefined || format === "text" || format === "json"
      ? format
      : refuse("log-format", format, "text or json"),
    logLevel: level === undefined
      ? undefined
      : parseLevel(level) ?? refuse("log-level", level, LOG_LEVELS.join(", ")),
  };
}

function refuse(option: string, value: string, expected: string): never {
  throw new UsageError(
    `Cannot use --${option} ${JSON.stringify(value)}: expected ${expected}`,
    'Run "mcproxy help serve" for usage',
  );
}

/** Whoever reaches an open address can use every server, with all they are allowed to do. */
function refuseOpenAddress(host: string): void {
  if (isLoopback(host)) return;
  throw new CliError(
    ExitCode.Usage,
    `Cannot listen on ${JSON.stringify(host)}: other machines could use every server without ` +
      'authentication; expected a loopback address ("host": "127.0.0.1"), "auth", or --no-auth',
    {
      hint:
        'Run "mcproxy keys add NAME" to let in who has a key; add --no-auth where the network, ' +
        "or a proxy in front, decides who may connect",
    },
  );
}

/** Where the log goes, by what is known of the settings. */
export function destinationOf(
  { log }: ServeFlags,
  { syslog: target }: { readonly syslog?: SyslogAddress | undefined },
): LogDestination {
  if (log === true) return { kind: "stdout" };
  if (target === undefined || "socket" in target) return { kind: "syslog", target };
  const remote = "udp" in target
    ? { udp: hostAndPort(target.udp) }
    : { tcp: hostAndPort(target.tcp) };
  return { kind: "syslog", target: remote };
}

/** `host:port`, `[v6]:port`, or a host alone. */
export function hostAndPort(text: string): { readonly host: string; readonly port?: number } {
  const [, bracketed, plain, port] = /^(?:\[(.+)\]|([^:]*|.*:.*:.*?))(?::(\d+))?$/.exec(text) ?? [];
  const host = bracketed ?? plain ?? text;
  return port === undefined ? { host } : { host, port: Number(port) };
}

/**
 * The secrets of a configuration, but for those that are part of the address the gateway itself
 * listens on: `env: { "HOST": "127.0.0.1" }` must not hide the URL.
 */
function secretsOf(config: Config): readonly string[] {
  const { host, port } = config.settings;
  const address = `http://${host}:${port}/mcp http://127.0.0.1 localhost`;
  return collectSecrets(config).filter((secret) => !address.includes(secret));
}

// Finds and loads the configuration for a command, and tells what is wrong with it.

/** A file somebody without one can begin with. */
export const MINIMAL_CONFIG = `{
  "mcpServers": {
    "memory": { "command": "npx", "args": ["-y", "@modelcontextprotocol/server-memory"] }
  }
}`;

/** What of an {@link Io} loading needs. */
export type ConfigurationIo = Pick<Io, "env" | "cwd" | "secrets">;

/** What a command line says about the configuration. */
export interface ConfigurationFlags {
  /** Each `--config`, files and directories. */
  readonly config?: string | readonly string[] | undefined;
  /** `--credentials`. */
  readonly credentials?: string | undefined;
}

/**
 * The result of loading, with the files it is about (commas between them); no file at all is an
 * issue like others.
 */
export type Configuration = ConfigResult & {
  readonly file: string | undefined;
  /** Empty where there is no file at all. */
  readonly sources: Sources;
};

/** Finds (`--config`, `MCP_CONFIG_PATH`, the usual places) and loads. Never rejects. */
export async function findConfiguration(
  { config: path, credentials }: ConfigurationFlags,
  { env, cwd, secrets }: ConfigurationIo,
  layers?: Layers,
): Promise<Configuration> {
  const found = await resolveConfigFiles({ path, env, cwd });
  if (!found.ok) return { ...found, file: undefined, sources: new Map() };
  const file = found.paths.join(", ");
  const loaded = await loadConfig(found.paths, { env, layers, cwd, credentials });
  if (loaded.ok) { for (const secret of collectSecrets(loaded.config)) secrets?.add(secret); }
  return { ...loaded, file };
}

/**
 * The configuration, for a command that cannot do without.
 * @throws {CliError} exit code 3, with every issue
 */
export async function requireConfiguration(
  flags: ConfigurationFlags,
  io: ConfigurationIo,
  layers?: Layers,
): Promise<Extract<Configuration, { readonly ok: true }>> {
  const result = await findConfiguration(flags, io, layers);
  if (result.ok) return result;
  throw configurationError(result.issues, {
    missing: result.file === undefined,
    sources: result.sources,
  });
}

/** A configuration that cannot be used, with everything that was read or looked for. */
export class ConfigurationError extends CliError {
  override readonly name = "ConfigurationError";
  /** A change of one of them may mend it. */
  sources: Sources = new Map();
}

/** The end of a command whose configuration cannot be used; `missing`: there is no file at all. */
export function configurationError(
  issues: readonly ConfigIssue[],
  { missing, sources }: { readonly missing?: boolean; readonly sources?: Sources } = {},
): ConfigurationError {
  const message = issues.map(formatIssue).join("\n");
  const hint = missing ? { hint: `A minimal mcp-servers.json:\n${MINIMAL_CONFIG}` } : {};
  const error = new ConfigurationError(ExitCode.Config, message, { ...hint, data: { issues } });
  if (sources !== undefined) error.sources = sources;
  return error;
}
