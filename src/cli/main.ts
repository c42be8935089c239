import { CliError, ExitCode, type Io, say } from "../app/io.ts";
import { messageOf } from "../lib/text.ts";
import { parseCommandLine } from "./args.ts";
import { COMMANDS } from "./commands.ts";
import { styleFor } from "./view/table.ts";

/**
 * Runs one command line to its end and returns the exit code; what is written has been taken by the
 * system by then. Touches nothing of the process but what `io` gives. Never rejects.
 */
export async function main(argv: readonly string[], io: Io): Promise<number> {
  try {
    const invocation = parseCommandLine(argv, COMMANDS);
    const { command, options } = invocation;
    if (options.version === true) return await (await import("./version.ts")).run(invocation, io);
    if (options.help === true) {
      const { showHelp } = await import("./help.ts");
      // A bare `mcproxy --help` asks about the program, not about serve.
      const named = argv.includes(command.name) || command.aliases?.some((a) => argv.includes(a));
      return await showHelp(named && command.name !== "help" ? command : undefined, invocation, io);
    }
    return await (await command.load()).run(invocation, io);
  } catch (error) {
    // Parsing may be what failed, so the flag is looked for as it was written.
    return await report(error, io, argv.includes("--json"));
  }
}

async function report(error: unknown, io: Io, json: boolean): Promise<number> {
  const known = error instanceof CliError ? error : undefined;
  const exitCode = known?.exitCode ?? ExitCode.Failed;
  const message = messageOf(error);
  if (json) {
    const hint = known?.hint;
    const body = { message, exitCode, ...(hint === undefined ? {} : { hint }), ...known?.data };
    await say(io.stderr, `${JSON.stringify({ error: body })}\n`);
    return exitCode;
  }
  const style = styleFor({ isTerminal: io.stderr.isTerminal, env: io.env });
  const lines = [style.bad(message)];
  if (known?.hint !== undefined) lines.push(known.hint);
  // What nobody expected is a bug of ours: where it happened is what a report needs.
  if (known === undefined && error instanceof Error && error.stack !== undefined) {
    lines.push(style.dim(error.stack));
  }
  await say(io.stderr, `${lines.join("\n")}\n`);
  return exitCode;
}
