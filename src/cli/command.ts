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
  /** The words it takes: `NAME` must be there, `[NAME]` may, as many as there are of `[NAME…]`. */
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

const flag = (help: string) => ({ type: "boolean", help }) as const;
const text = (value: string, help: string) => ({ type: "string", value, help }) as const;

/** Every option of every command, once: one name means one thing everywhere. */
export const OPTIONS = {
  config: {
    ...text("FILE", "Configuration file or directory, repeatable (env MCP_CONFIG_PATH)"),
    short: "c",
    repeat: true,
  },
  credentials: text("FILE", "Values for ${NAME} in the configuration (env MCP_CREDENTIALS_PATH)"),
  host: text("HOST", "Listen address (env MCPROXY_HOST)"),
  port: text("PORT", "Listen port, 0 for any (env MCPROXY_PORT; 12009)"),
  log: flag("Log to stdout instead of syslog"),
  "log-format": text("FORMAT", "text or json (text)"),
  "log-level": text("LEVEL", "trace, debug, info, warning, error or fatal (info)"),
  profile: text("NAME", "With --stdio: serve this profile of the configuration"),
  stdio: flag("Serve stdin and stdout as one client; HTTP too only with --port"),
  "no-auth": flag("Allow an address that other machines reach, without authentication"),
  connect: flag("Start the servers too, and look at what they offer"),
  strict: flag("Fail on warnings"),
  tokens: flag("Show about what tools take of a model's context, and what gating saves"),
  "exact-tokens": flag("The same, counted with OpenAI's o200k instead of estimated"),
  url: text("URL", "Ask this running gateway"),
  watch: {
    ...flag("Refresh every 2 seconds, or as often as said, until Ctrl+C"),
    value: "[SECONDS]",
  },
  health: flag("Only ask whether the gateway works; for health checks"),
  from: text("CLIENT", "Read the files of this client only"),
  write: flag("Change the files; without it nothing is written"),
  secrets: flag("Move literal secrets into the credentials file, with ${NAME} in their place"),
  rename: flag("Add servers whose names are taken under names of their own"),
  gated: flag("The endpoint with five tools that find all others, instead of all of them"),
  undo: flag("Take the gateway out of the client's configuration again"),
  replace: flag("Take the place of another entry of the gateway's name"),
  expires: text("TIME", "When the key ends, such as 90d, 12h or 2099-12-31; without, never"),
  yes: flag("Do not ask"),
  scope: text("SCOPES", "Ask for these rights, blanks between them"),
  for: text("NAME", "Log in this one, of those who each have a login of their own"),
  "no-browser": flag("Only print the address to open"),
  who: text("NAME", "Only what this one has done"),
  event: text("EVENT", "Only call, denied, limited, auth-failed, session, grant, pin or config"),
  since: text("TIME", "Only from then on: a date, or a time ago such as 2h or 7d"),
  head: text("HEX", "What the last line has to come to, as the log says"),
  json: flag("Machine-readable output"),
  help: { ...flag("Show this help"), short: "h" },
  version: flag("Show the version"),
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
