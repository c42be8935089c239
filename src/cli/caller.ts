/** What `list` and `call` ask: a gateway started for the purpose, or a running one. */

import type { Io } from "../app/io.ts";
import type { Tokenizer } from "../lib/tokens.ts";
import type { Invocation } from "./commands.ts";
import type { ServerOffer } from "./offers.ts";
import type { ViewCost } from "./view-cost.ts";

/** Options of {@link Caller.call}. */
export interface CallerOptions {
  /** Takes what the server says before its answer: progress and log lines, as JSON texts. */
  readonly onNotification: (raw: string) => void;
}

/** See the top of the file. Whoever opened it closes it. */
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
   * @throws {CliError} where no answer can be had
   */
  call(tool: string, argumentsText: string, options: CallerOptions): Promise<string>;
  /** Stops what was started. Never rejects. */
  close(): Promise<void>;
}

/** What a caller is asked to start, where it starts something. */
export interface OpenOptions {
  /** Only this server is of interest. */
  readonly server?: string | undefined;
}

/**
 * The caller a command line asks for.
 * @throws {CliError} for a configuration that cannot be loaded
 */
export async function openCaller(
  { options }: Pick<Invocation, "options">,
  io: Io,
  open: OpenOptions = {},
): Promise<Caller> {
  if (options.url !== undefined) {
    const { RemoteCaller } = await import("./remote.ts");
    return new RemoteCaller(options.url);
  }
  const { openLocal } = await import("./local.ts");
  return await openLocal(options, io, open);
}

/**
 * Uses a caller until `use` is done, and closes it. A signal closes it at once: what is waited for
 * then fails, and the exit code is that of the signal.
 */
export async function withCaller(
  caller: Caller,
  io: Io,
  use: (caller: Caller) => Promise<number>,
): Promise<number> {
  const interrupted = Promise.withResolvers<number>();
  const off = [
    io.runtime.onSignal("SIGINT", () => interrupted.resolve(130)),
    io.runtime.onSignal("SIGTERM", () => interrupted.resolve(143)),
  ];
  try {
    return await Promise.race([use(caller), interrupted.promise]);
  } finally {
    for (const remove of off) remove();
    await caller.close();
  }
}
