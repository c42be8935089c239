// Imported, not read: it must be inside the compiled program.

import schema from "../../schema/mcp-servers.schema.json" with { type: "json" };
import { ExitCode, type Io, say } from "../app/io.ts";
import type { Invocation } from "./command.ts";

/** `mcproxy schema`: the JSON schema of the configuration file, for editors. */
export async function run(_: Invocation, io: Io): Promise<ExitCode> {
  await say(io.stdout, `${JSON.stringify(schema, null, 2)}\n`);
  return ExitCode.Ok;
}
