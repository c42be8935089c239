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
}

const FLAG = { type: "boolean" } as const;
const text = (value: string) => ({ type: "string", value }) as const;

/** Every option of every command, once: one name means one thing everywhere. */
export const OPTIONS = {
  config: {
    ...text("FILE"),
    short: "c",
    repeat: true,
  },
  credentials: text("FILE"),
  host: text("HOST"),
  port: text("PORT"),
  log: FLAG,
  "log-format": text("FORMAT"),
  "log-level": text("LEVEL"),
  profile: text("NAME"),
  stdio: FLAG,
  "no-auth": FLAG,
  connect: FLAG,
  strict: FLAG,
  tokens: FLAG,
  "exact-tokens": FLAG,
  url: text("URL"),
  watch: {
    ...FLAG,
    value: "[SECONDS]",
  },
  health: FLAG,
  from: text("CLIENT"),
  write: FLAG,
  secrets: FLAG,
  rename: FLAG,
  gated: FLAG,
  undo: FLAG,
  replace: FLAG,
  expires: text("TIME"),
  yes: FLAG,
  scope: text("SCOPES"),
  for: text("NAME|TIME"),
  "no-browser": FLAG,
  who: text("NAME"),
  event: text("EVENT"),
  since: text("TIME"),
  limit: text("N"),
  by: text("WHAT"),
  range: text("TIME"),
  state: text("STATE"),
  server: text("NAME"),
  errors: FLAG,
  edit: FLAG,
  head: text("HEX"),
  json: FLAG,
  help: { ...FLAG, short: "h" },
  version: FLAG,
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
