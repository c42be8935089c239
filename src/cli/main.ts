import { CliError, ExitCode, type Io, say, UsageError } from "../app/io.ts";
import { createRedactor } from "../lib/secrets.ts";
import { messageOf, printable } from "../lib/text.ts";
import { parseCommandLine } from "./args.ts";
import type { Invocation } from "./command.ts";
import { SERVE } from "./default-command.ts";

/**
 * Runs one command line to its end and returns the exit code; what is written has been taken by the
 * system by then. Touches nothing of the process but what `io` gives. Never rejects.
 */
export async function main(argv: readonly string[], io: Io): Promise<number> {
  const uncaught = Promise.withResolvers<never>();
  // The runtime would print it as it is, with whatever it quotes.
  const release = io.onUncaught(uncaught.reject);
  try {
    return await Promise.race([runCommand(argv, io), uncaught.promise]);
  } catch (error) {
    // Parsing may be what failed, so the flag is looked for as it was written.
    return await report(error, io, argv.includes("--json"));
  } finally {
    release();
  }
}

async function runCommand(argv: readonly string[], io: Io): Promise<number> {
  const invocation = await read(argv);
  const { command, options } = invocation;
  if (options.version === true || options.help === true) {
    const { printVersion, showHelp } = await import("./help.ts");
    if (options.version === true) return await printVersion(invocation, io);
    // A bare `mcproxy --help` asks about the program, not about serve.
    const named = argv.includes(command.name) || command.aliases?.some((a) => argv.includes(a));
    return await showHelp(named && command.name !== "help" ? command : undefined, invocation, io);
  }
  return await (await command.load())(invocation, io);
}

/** @throws {UsageError} */
async function read(argv: readonly string[]): Promise<Invocation> {
  try {
    const start = parseCommandLine(argv, [SERVE]);
    if (start.options.version !== true && start.options.help !== true) return start;
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
  }
  // No plain start: a name of another command, or something to be told of by all their names.
  return parseCommandLine(argv, (await import("./commands.ts")).COMMANDS);
}

async function report(error: unknown, io: Io, json: boolean): Promise<number> {
  const known = error instanceof CliError ? error : undefined;
  const exitCode = known?.exitCode ?? ExitCode.Failed;
  const { text } = createRedactor(io.secrets);
  const message = text(messageOf(error));
  // The journal takes what carries no severity for information.
  const mark = io.env["JOURNAL_STREAM"] === io.stderr.identity ? "<3>" : "";
  const tell = (lines: string) => say(io.stderr, `${lines.replace(/^/gm, mark)}\n`);
  if (json) {
    const body = { message, exitCode, hint: known?.hint, ...known?.data };
    await tell(JSON.stringify({ error: body }));
    return exitCode;
  }
  const { styleFor } = await import("./view/table.ts");
  const style = styleFor({ isTerminal: io.stderr.isTerminal, env: io.env });
  const lines = [style.bad(printable(message, { lines: true }))];
  if (known?.hint !== undefined) lines.push(known.hint);
  // What nobody expected is a bug of ours: where it happened is what a report needs.
  if (known === undefined && error instanceof Error && error.stack !== undefined) {
    lines.push(style.dim(printable(text(error.stack), { lines: true })));
  }
  await tell(lines.join("\n"));
  return exitCode;
}
