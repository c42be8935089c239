import type { ExitCode, Io } from "../app/io.ts";
import type { Tokenizer } from "../lib/tokens.ts";
import type { ServerOffer } from "../gateway/offers.ts";
import type { ViewCost } from "./costs.ts";
import type { OptionName, OptionValues } from "./options.ts";

/** What a command asks servers through. Whoever opened it closes it. */
export interface Caller {
  /** Every configured server in the order of the configuration, once all have settled. */
  offers(tokenizer: Tokenizer): Promise<readonly ServerOffer[]>;
  /**
   * What the tools of all servers take together and those of each profile, and what gating saves;
   * nothing where the gateway does not know gating.
   */
  views(tokenizer: Tokenizer): Promise<readonly ViewCost[]>;
  /**
   * Calls a tool by its exposed name and returns the JSON-RPC response as it came. `argumentsText`
   * is JSON and is passed on character by character.
   *
   * @param onNotification takes what the server says before its answer, as JSON texts
   * @throws {CliError} where no answer can be had
   */
  call(
    tool: string,
    argumentsText: string,
    onNotification: (raw: string) => void,
  ): Promise<string>;
  /** Stops what was started. Never rejects. */
  close(): Promise<void>;
}

/** One parsed command line. */
export interface Invocation {
  readonly command: Command;
  /** The table it was found in. */
  readonly commands: readonly Command[];
  readonly options: OptionValues;
  /** The words after the command. */
  readonly args: readonly string[];
}

/** A command's code. */
export interface CommandModule {
  /**
   * Runs it to its end and returns the exit code.
   * @throws {CliError} for an end that is told in one message
   */
  run(invocation: Invocation, io: Io): Promise<ExitCode | number>;
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
  readonly load: () => Promise<CommandModule>;
}
