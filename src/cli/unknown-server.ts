import { CliError, ExitCode } from "../app/exit.ts";
import { suggest } from "../lib/suggest.ts";

/** The end of a command that names a server nobody has. */
export function unknownServer(name: string, known: Iterable<string>): CliError {
  const names = [...known];
  const near = suggest(name, names);
  const hint = near === undefined
    ? `Configured: ${names.join(", ") || "none"}`
    : `Did you mean "${near}"?`;
  return new CliError(
    ExitCode.Failed,
    `Cannot find server "${name}": it is not configured; expected one of mcpServers`,
    { hint },
  );
}
