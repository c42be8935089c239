import type { Io } from "../app/io.ts";

/** One parsed command line. */
export interface Invocation {
  readonly command: Command;
  /** The table it was found in. */
  readonly commands: readonly Command[];
  readonly options: OptionValues;
  /** The words after the command. */
  readonly args: readonly string[];
}

/** One row of the table. */
export interface Command {
  readonly name: string;
  readonly aliases?: readonly string[];
  /** One line for the overview. */
  readonly summary: string;
  /** The words it takes: `NAME` must be there, `[NAME]` may. */
  readonly words?: readonly string[];
  /** Besides {@link COMMON_OPTIONS}. */
  readonly options?: readonly OptionName[];
  /** Further lines of its help. */
  readonly notes?: readonly string[];
  /**
   * Its code, which runs it to its end and returns the exit code. It throws a `CliError` for
   * an end that is told in one message.
   */
  readonly load: () => Promise<(invocation: Invocation, io: Io) => Promise<number>>;
}

/** One option. */
export interface OptionSpec {
  /** Whether it takes a value; otherwise it is there or not. */
  readonly type: "string" | "boolean";
  readonly short?: string;
  /** What stands for the value in the help, `FILE`. A boolean that has one may take a number. */
  readonly value?: string;
  /** Whether it may be given several times; its values are an array then. */
  readonly repeat?: true;
  /** One line of help. */
  readonly help: string;
}

/** Every option of every command, once: one name means one thing everywhere. */
export const OPTIONS = {
  config: {
    type: "string",
    short: "c",
    value: "FILE",
    repeat: true,
    help: "Configuration file or directory, repeatable (env MCP_CONFIG_PATH)",
  },
  credentials: {
    type: "string",
    value: "FILE",
    help: "Values for ${NAME} in the configuration (env MCP_CREDENTIALS_PATH)",
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
  profile: {
    type: "string",
    value: "NAME",
    help: "With --stdio: serve this profile of the configuration",
  },
  stdio: {
    type: "boolean",
    help: "Serve stdin and stdout as one client; HTTP too only with --port",
  },
  "no-auth": {
    type: "boolean",
    help: "Allow an address that other machines reach, without authentication",
  },
  connect: { type: "boolean", help: "Start the servers too, and look at what they offer" },
  strict: { type: "boolean", help: "Fail on warnings" },
  tokens: {
    type: "boolean",
    help: "Show about what tools take of a model's context, and what gating saves",
  },
  "exact-tokens": {
    type: "boolean",
    help: "The same, counted with OpenAI's o200k instead of estimated",
  },
  url: { type: "string", value: "URL", help: "Ask this running gateway" },
  watch: {
    type: "boolean",
    value: "[SECONDS]",
    help: "Refresh every 2 seconds, or as often as said, until Ctrl+C",
  },
  health: { type: "boolean", help: "Only ask whether the gateway works; for health checks" },
  from: { type: "string", value: "CLIENT", help: "Read the files of this client only" },
  write: { type: "boolean", help: "Change the files; without it nothing is written" },
  secrets: {
    type: "boolean",
    help: "Move literal secrets into the credentials file, with ${NAME} in their place",
  },
  rename: { type: "boolean", help: "Add servers whose names are taken under names of their own" },
  undo: { type: "boolean", help: "Take the gateway out of the client's configuration again" },
  replace: { type: "boolean", help: "Take the place of another entry of the gateway's name" },
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
  readonly [Name in OptionName]?: (typeof OPTIONS)[Name] extends { readonly repeat: true }
    ? string | readonly string[]
    : (typeof OPTIONS)[Name]["type"] extends "string" ? string
    : (typeof OPTIONS)[Name] extends { readonly value: string } ? string | true
    : true;
};
