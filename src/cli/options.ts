/** Every option of every command, once: one name means one thing everywhere. */

/** One option. */
export interface OptionSpec {
  /** Whether it takes a value; otherwise it is there or not. */
  readonly type: "string" | "boolean";
  readonly short?: string;
  /** What stands for the value in the help, `FILE`. */
  readonly value?: string;
  /** One line of help. */
  readonly help: string;
}

/** All options by their long names. */
export const OPTIONS = {
  config: {
    type: "string",
    short: "c",
    value: "FILE",
    help: "Configuration file (env MCP_CONFIG_PATH)",
  },
  host: { type: "string", value: "HOST", help: "Listen address (env MCPROXY_HOST)" },
  port: {
    type: "string",
    value: "PORT",
    help: "Listen port, 0 for any (env MCPROXY_PORT; 12009)",
  },
  log: { type: "boolean", help: "Log to stdout instead of syslog" },
  "log-format": { type: "string", value: "FORMAT", help: "text or json (text)" },
  "log-level": {
    type: "string",
    value: "LEVEL",
    help: "trace, debug, info, warning, error or fatal (info)",
  },
  stdio: {
    type: "boolean",
    help: "Serve stdin and stdout as one client; HTTP too only with --port",
  },
  "no-auth": {
    type: "boolean",
    help: "Allow an address that other machines reach, without authentication",
  },
  url: { type: "string", value: "URL", help: "Ask this running gateway" },
  json: { type: "boolean", help: "Machine-readable output" },
  help: { type: "boolean", short: "h", help: "Show this help" },
  version: { type: "boolean", help: "Show the version" },
} as const satisfies Readonly<Record<string, OptionSpec>>;

/** The long name of an option. */
export type OptionName = keyof typeof OPTIONS;

/** What every command takes. */
export const COMMON_OPTIONS: readonly OptionName[] = ["json", "help", "version"];

/** The value an option has when given; always optional. */
export type OptionValues = {
  readonly [Name in OptionName]?: (typeof OPTIONS)[Name]["type"] extends "string" ? string : true;
};
