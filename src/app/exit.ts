/** How a command ends. */

/** Exit codes, part of the public contract (DESIGN §2); pinned by a test. */
export const ExitCode = {
  Ok: 0,
  /** It was tried and did not work. */
  Failed: 1,
  /** The command line asks for something that does not exist or may not be. */
  Usage: 2,
  /** The configuration is missing or invalid. */
  Config: 3,
} as const;

/** Any of {@link ExitCode}. */
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

/** Options of a {@link CliError}. */
export interface CliErrorOptions extends ErrorOptions {
  /** Further lines below the message: what to do, examples. Not coloured. */
  readonly hint?: string;
  /** What `--json` adds to `error`. Never a secret. */
  readonly data?: Readonly<Record<string, unknown>>;
}

/** An end that is not success: what is told on stderr, and the code. Never a stack. */
export class CliError extends Error {
  override readonly name: string = "CliError";
  readonly hint: string | undefined;
  readonly data: Readonly<Record<string, unknown>>;

  constructor(readonly exitCode: ExitCode, message: string, options: CliErrorOptions = {}) {
    super(message, options);
    this.hint = options.hint;
    this.data = options.data ?? {};
  }
}

/** What is wrong is on the command line; the reader is sent to the help. */
export class UsageError extends CliError {
  override readonly name = "UsageError";
  constructor(message: string, hint = 'Run "mcproxy help" for usage') {
    super(ExitCode.Usage, message, { hint });
  }
}
