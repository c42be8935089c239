/** What a start of the gateway is going to do, from flags, environment and file. */

import type { OptionValues } from "../cli/options.ts";
import type { Config, LogFormat, LogLevel, SyslogAddress } from "../config/config.ts";
import type { ConfigIssue } from "../config/issue.ts";
import { collectSecrets } from "../config/secrets.ts";
import { applyOverrides, overridesFromEnv, parsePort } from "../config/settings.ts";
import { AGGREGATE, type Endpoint, profileEndpoint } from "../gating/endpoint.ts";
import { isLoopback } from "../lib/loopback.ts";
import { suggest } from "../lib/suggest.ts";
import { LOG_LEVELS, type LogDestination, parseLevel } from "../log/mod.ts";
import { configurationError, type ConfigurationIo, requireConfiguration } from "./configuration.ts";
import { CliError, ExitCode, UsageError } from "./exit.ts";

/** Everything decided before anything is started. */
export interface ServePlan {
  /** With flags and environment applied. */
  readonly config: Config;
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

/**
 * Decides, in the order flags, environment, file, defaults. `running`: for a gateway that listens
 * already.
 * @throws {CliError} exit code 2 for what the flags ask, 3 for the configuration
 */
export async function planServe(
  options: OptionValues,
  io: ConfigurationIo,
  { running = false }: { readonly running?: boolean } = {},
): Promise<ServePlan> {
  const flags = readFlags(options);
  const environment = overridesFromEnv(io.env);
  if (!environment.ok) throw configurationError(environment.issues, io.cwd);
  const { config: file, warnings } = await requireConfiguration(options, io);
  const settings = applyOverrides(file.settings, environment.overrides, flags);
  const config: Config = { ...file, settings };
  const stdio = options.stdio === true;
  const listen = !stdio || (flags.port ?? environment.overrides.port) !== undefined;
  // A gateway that runs stays where it listens; the status says that the address waits for a start.
  if (listen && !running && options["no-auth"] !== true) refuseOpenAddress(settings.host);
  return {
    config,
    warnings,
    listen,
    stdio,
    endpoint: endpointOf(options, config),
    destination: options.log === true
      ? { kind: "stdout" }
      : { kind: "syslog", target: syslogTarget(settings.syslog) },
    // Where events are JSON lines on stdout, log lines beside them must not be something else.
    logFormat: options.json === true && options["log-format"] === undefined
      ? "json"
      : settings.logFormat,
    logLevel: settings.logLevel,
    secrets: secretsOf(config),
  };
}

function endpointOf(
  { profile }: OptionValues,
  { settings: { profiles } }: Config,
): Endpoint {
  if (profile === undefined) return AGGREGATE;
  const names = profiles.map(({ name }) => name);
  if (names.includes(profile)) return profileEndpoint(profile);
  const near = suggest(profile, names);
  throw new UsageError(
    `Cannot serve profile ${JSON.stringify(profile)}: ` +
      (names.length === 0
        ? 'the configuration has no "profiles"'
        : `expected one of ${names.join(", ")}`) +
      (near === undefined ? "" : ` (did you mean "${near}"?)`),
  );
}

interface ServeFlags {
  readonly host?: string | undefined;
  readonly port?: number | undefined;
  readonly logFormat?: LogFormat | undefined;
  readonly logLevel?: LogLevel | undefined;
}

function readFlags(options: OptionValues): ServeFlags {
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
      'authentication; expected a loopback address ("host": "127.0.0.1"), or --no-auth',
    { hint: "Add --no-auth where the network, or a proxy in front, decides who may connect" },
  );
}

function syslogTarget(
  target: SyslogAddress | undefined,
): Extract<LogDestination, { kind: "syslog" }>["target"] {
  if (target === undefined || "socket" in target) return target;
  return "udp" in target ? { udp: hostAndPort(target.udp) } : { tcp: hostAndPort(target.tcp) };
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
