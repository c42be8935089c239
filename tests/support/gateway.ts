import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { eventually, Inbox, within } from "./inbox.ts";
import { runInside } from "./inside.ts";
import { type Mode, type ProcessMode, startProgram } from "./program.ts";
import type { Exit, TestProcess } from "./process.ts";

/** A config as the file holds it: an object, or the text itself. */
export type Config = string | {
  readonly mcpServers: Readonly<Record<string, unknown>>;
  readonly gating?: unknown;
};

export interface GatewayOptions {
  readonly mode: Mode;
  readonly config: Config;
  /** Further arguments. */
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** A running gateway. */
export interface Gateway {
  readonly mode: Mode;
  /** Its address without path. */
  readonly base: string;
  /** The aggregated endpoint. */
  readonly url: string;
  readonly port: number;
  readonly configPath: string;
  /** The process, where it is one. */
  readonly process: TestProcess | undefined;
  readonly pid: number;
  /** Log lines, of stdout and stderr alike. */
  readonly logs: Inbox<string>;
  /** The 1:1 endpoint of a server. */
  serverUrl(name: string): string;
  waitForLog(pattern: RegExp, from?: number): Promise<string>;
  status(): Promise<Status>;
  /** Asks for the status until a server's entry satisfies the predicate. */
  waitForServer(name: string, predicate: (server: ServerStatus) => boolean): Promise<ServerStatus>;
  /** Waits until every server has settled its first attempt. */
  ready(): Promise<void>;
  /** Stops it the polite way; it must exit with 0. */
  stop(): Promise<void>;
  /** Ends it and its children at once. Safe after a stop. */
  kill(): Promise<void>;
}

/** What `GET /api/status` gives. */
export interface Status {
  readonly version: string;
  readonly uptimeSeconds: number;
  readonly config: {
    readonly path: string;
    readonly loadedAt: string;
    readonly error: string | null;
    readonly restartNeeded: readonly string[];
  };
  readonly servers: readonly ServerStatus[];
}

export interface ServerStatus {
  readonly name: string;
  readonly state: "idle" | "connecting" | "ready" | "backoff" | "closed";
  readonly transport: string;
  readonly protocolVersion: string | null;
  readonly counts: Readonly<Record<"tools" | "prompts" | "resources" | "templates", number>>;
  readonly restarts: number;
  readonly lastError?: unknown;
  readonly lastErrorAt?: string;
  readonly pid?: number | null;
  readonly reason?: string;
  /** ISO 8601, as all times here. */
  readonly retryAt?: string;
  readonly since: string;
  readonly health: "ok" | "degraded" | "unknown";
  readonly healthDetail?: string;
  readonly stale: boolean;
  /** The state of what a reload has started to take its place. */
  readonly successor?: string;
  readonly inFlight: number;
  readonly queued: number;
  readonly instances?: readonly Pick<ServerStatus, "name" | "state" | "pid" | "inFlight">[];
}

/** Starts a gateway on a free loopback port and waits until it says where it listens. */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const directory = await mkdtemp(join(tmpdir(), "mcproxy-test-"));
  const configPath = join(directory, "mcp-servers.json");
  const { config } = options;
  await writeFile(configPath, typeof config === "string" ? config : JSON.stringify(config));
  const logs = new Inbox<string>("the gateway's log");
  const cleanUp = () => rm(directory, { recursive: true, force: true });
  // Nothing of a run is left for the next one, nor for the user's own gateway.
  const kept = {
    CACHE_DIRECTORY: join(directory, "cache"),
    STATE_DIRECTORY: join(directory, "state"),
  };
  const env = { ...kept, ...options.env };
  try {
    const started = options.mode === "memory"
      ? await startInside({ ...options, env }, configPath, logs)
      : await startOutside(options.mode, { ...options, env }, configPath, logs);
    return assemble(options.mode, started, configPath, logs, cleanUp);
  } catch (error) {
    await cleanUp();
    throw error;
  }
}

interface Started {
  readonly url: string;
  readonly process: TestProcess | undefined;
  stop(): Promise<void>;
  kill(): Promise<void>;
}

/** Arguments every gateway under test is started with; where it listens is read from the log. */
function argumentsFor(configPath: string, args: readonly string[]): string[] {
  return ["--log", "--port", "0", "--config", configPath, ...args];
}

async function startInside(
  { args = [], env = {} }: GatewayOptions,
  configPath: string,
  logs: Inbox<string>,
): Promise<Started> {
  const running = runInside(argumentsFor(configPath, args), { ...process.env, ...env }, logs);
  const url = addressIn(await logs.waitFor((line) => addressIn(line) !== undefined))!;
  const stop = async () => {
    running.signal("SIGTERM");
    return await within(running.exited, "the stop of the gateway");
  };
  return {
    url,
    process: undefined,
    stop: async () => assert.equal(await stop(), 0),
    kill: async () => void await stop(),
  };
}

async function startOutside(
  mode: ProcessMode,
  { args = [], env = {} }: GatewayOptions,
  configPath: string,
  logs: Inbox<string>,
): Promise<Started> {
  const all = argumentsFor(configPath, args);
  const running = await startProgram(mode, all, { env: { NO_COLOR: "1", ...env } });
  running.stdout.follow((line) => logs.push(line), (reason) => logs.end(reason));
  running.stderr.follow((line) => logs.push(line), () => {});
  let url: string;
  try {
    url = addressIn(await logs.waitFor((line) => addressIn(line) !== undefined))!;
  } catch (error) {
    await running.kill();
    throw error;
  }
  return {
    url,
    process: running,
    stop: async () => {
      running.signal("SIGTERM");
      const exit = await within(running.exited, "the stop of the gateway");
      assert.deepEqual(exit, { code: 0, signal: null } satisfies Exit);
    },
    kill: () => running.kill(),
  };
}

function addressIn(line: string): string | undefined {
  return /http:\/\/127\.0\.0\.1:\d+\/mcp/.exec(line)?.[0];
}

function assemble(
  mode: Mode,
  started: Started,
  configPath: string,
  logs: Inbox<string>,
  cleanUp: () => Promise<void>,
): Gateway {
  const base = new URL(started.url).origin;
  const status = async () => await (await fetch(`${base}/api/status`)).json() as Status;
  return {
    mode,
    base,
    url: `${base}/mcp`,
    port: Number(new URL(base).port),
    configPath,
    process: started.process,
    pid: started.process?.pid ?? process.pid,
    logs,
    serverUrl: (name) => `${base}/servers/${encodeURIComponent(name)}/mcp`,
    waitForLog: (pattern, from = 0) => logs.waitFor((line) => pattern.test(line), { from }),
    status,
    waitForServer: async (name, predicate) => {
      const find = async () => (await status()).servers.find((server) => server.name === name);
      const holds = (server: ServerStatus | undefined) => server !== undefined && predicate(server);
      return (await eventually(find, holds, `the awaited status of "${name}"`))!;
    },
    ready: async () => {
      const ask = async () => {
        const response = await fetch(`${base}/readyz`);
        return { status: response.status, body: await response.text() };
      };
      await eventually(ask, ({ status }) => status === 200, "a ready gateway", 30_000);
    },
    stop: async () => {
      try {
        await started.stop();
      } finally {
        await started.kill();
        await cleanUp();
      }
    },
    kill: async () => {
      await started.kill();
      await cleanUp();
    },
  };
}
