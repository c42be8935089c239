import type { Io } from "../app/io.ts";
import type { Invocation } from "./command.ts";

/**
 * What a command asks servers through, as the command line has it; whoever opened it closes it.
 *
 * @param server the only one that is of interest
 * @throws {CliError} for a configuration that cannot be loaded
 */
export async function openCaller(
  { options }: Pick<Invocation, "options">,
  io: Io,
  server?: string,
) {
  if (options.url !== undefined) {
    const { RemoteCaller } = await import("./remote.ts");
    return new RemoteCaller(options.url);
  }
  const { openLocal } = await import("./local.ts");
  return await openLocal(options, io, server);
}

/**
 * Uses what was opened until `use` is done, and closes it. A signal closes it at once: what is
 * waited for then fails, and the signal's exit code is returned.
 */
export async function untilSignal<T>(
  opened: { close(): Promise<void> },
  io: Io,
  use: () => Promise<T>,
): Promise<T | number> {
  const interrupted = Promise.withResolvers<number>();
  const off = [
    io.runtime.onSignal("SIGINT", () => interrupted.resolve(130)),
    io.runtime.onSignal("SIGTERM", () => interrupted.resolve(143)),
  ];
  try {
    return await Promise.race([use(), interrupted.promise]);
  } finally {
    for (const remove of off) remove();
    await opened.close();
  }
}
