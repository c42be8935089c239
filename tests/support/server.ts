/** A gateway with its listener inside the test's process, started as `mcproxy serve` does it. */

import { runtime } from "#runtime";
import process from "node:process";
import { planServe } from "../../src/app/plan.ts";
import type { Server } from "../../src/app/server.ts";
import type { OptionValues } from "../../src/cli/command.ts";
import { follow, openServer, startLogging, tellStart } from "../../src/cli/serve.ts";
import type { StandardOutputs } from "../../src/log/mod.ts";

interface StartServerOptions {
  /** Path of the configuration file. */
  readonly config: string;
  readonly host?: string;
  /** 0 for any; the file's where absent. */
  readonly port?: number;
  /** Where `${NAME}` looks. @default that of the process */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Takes the lines of the log, which otherwise is not set up at all. */
  readonly log?: (line: string) => void;
}

/** A gateway that runs inside this process. */
export interface RunningServer extends AsyncDisposable {
  /** Of the aggregated endpoint. */
  readonly url: string;
  readonly server: Server;
  /** Stops it gracefully. Idempotent. */
  close(): Promise<void>;
}

/**
 * Starts a gateway with its listener inside this process and returns as soon as it listens.
 * @throws {CliError} as `mcproxy serve` would end
 */
export async function startServer(options: StartServerOptions): Promise<RunningServer> {
  const { config, host, port, env = process.env, log: onLine } = options;
  const flags: OptionValues = {
    config,
    log: true,
    ...(host === undefined ? {} : { host }),
    ...(port === undefined ? {} : { port: String(port) }),
  };
  const cwd = process.cwd();
  const plan = await planServe(flags, { env, cwd });
  const logging = onLine === undefined
    ? undefined
    : await startLogging(plan, { env: { ...env, NO_COLOR: "1" }, runtime }, lineOutputs(onLine));
  let server: Server;
  try {
    server = await openServer(plan, { runtime, env });
  } catch (error) {
    await logging?.close();
    throw error;
  }
  tellStart(plan, server.url);
  const reloads = follow({
    gateway: server.gateway,
    started: plan,
    plan: () => planServe(flags, { env, cwd }, { listening: plan.config.settings.host }),
    runtime,
    logging,
  });
  let closed: Promise<void> | undefined;
  const close = () => {
    reloads.close();
    return closed ??= server.stop().finally(() => logging?.close());
  };
  return { url: server.url ?? "", server, close, [Symbol.asyncDispose]: close };
}

function lineOutputs(onLine: (line: string) => void): StandardOutputs {
  const output = {
    isTerminal: false,
    identity: null,
    write: (text: string) => {
      for (const line of text.split("\n")) if (line !== "") onLine(line);
      return Promise.resolve();
    },
  };
  return { stdout: output, stderr: output };
}
