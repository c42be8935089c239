import { ExitCode, type Io, say } from "../app/io.ts";
import { VERSION } from "../lib/version.ts";
import type { Invocation } from "./command.ts";

/** `mcproxy version`: the program, and what it runs on. */
export async function run({ options }: Invocation, io: Io): Promise<ExitCode> {
  const { name: runtime, version: runtimeVersion } = io.runtime;
  const text = options.json === true
    ? JSON.stringify({ name: "mcproxy", version: VERSION, runtime, runtimeVersion })
    : `mcproxy ${VERSION} (${runtime} ${runtimeVersion})`;
  await say(io.stdout, `${text}\n`);
  return ExitCode.Ok;
}
