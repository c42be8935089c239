import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { startProcess } from "../../tests/support/process.ts";
import { fakeArgs, fakeUpstreams } from "../harness/config.ts";
import { freePort } from "../harness/listening.ts";
import {
  availableTargets,
  baselineCommand,
  type CommandLine,
  gatewayCommand,
  ROOT,
  runtimeOf,
  type Target,
} from "../harness/programs.ts";
import { Client } from "./client.mjs";
import { familyOf } from "./processes.mjs";

/** How many upstreams, with how many tools each. */
export interface Setting {
  readonly upstreams: number;
  readonly tools: number;
}

/** One program of the comparison. */
export interface Side {
  readonly name: string;
  /** Whether it brings several servers together; else it is measured with one. */
  readonly aggregates: boolean;
  /** Whether it takes an edit of its configuration while it runs. */
  readonly reloads: boolean;
  /** Whether it listens on every interface, so that it runs only in a namespace of its own. */
  readonly binds?: "all";
  /** It has HTTP+SSE alone. */
  readonly sse?: boolean;
  /** Why it cannot be run at all. */
  readonly missing?: string;
  readonly command: (config: string, port: number, upstream: readonly string[]) => CommandLine;
}

/** A side that runs and lists all its tools. */
export interface RunningSide extends AsyncDisposable {
  readonly pid: number;
  readonly target: { readonly port: number; readonly sse: boolean };
  readonly config: string;
  /** The name of a tool of the first server. */
  readonly tool: string;
  /** From the start of the process to the first list with all tools, ms. */
  readonly started: number;
}

const MODULES = `${ROOT}bench/peers/node_modules`;
const PATIENCE = 20_000;

/** What is compared, ours first: on Deno the bundle, or else the source. */
export function allSides(): readonly Side[] {
  const built = availableTargets();
  const onDeno: Target = built.includes("deno-bundle") ? "deno-bundle" : "deno";
  const onBun: Target = built.includes("binary") ? "binary" : "bun";
  const all = { aggregates: true, reloads: true };
  const bridge = { aggregates: false, reloads: false };
  return [
    {
      name: `mcproxy on Deno${onDeno === "deno" ? ", from source" : ""}`,
      ...all,
      command: (config, port) => gatewayCommand(onDeno, config, port),
    },
    {
      name: "mcproxy, binary of Bun",
      ...all,
      ...(onBun === "binary" ? {} : { missing: "there is no build of this source" }),
      command: (config, port) => gatewayCommand("binary", config, port),
    },
    // Built as ours is.
    ...[onDeno, onBun].map((target): Side => ({
      name: `bare forwarder on ${runtimeOf(target) === "deno" ? "Deno" : "Bun"}`,
      ...bridge,
      command: (_, __, upstream) => baselineCommand(target, "forwarder.ts", upstream),
    })),
    {
      ...ofPackage("@modelcontextprotocol/sdk", "the SDK way"),
      ...all,
      reloads: false,
      command: (config, port) => node("../sdk-way.mjs", `${config} ${port}`),
    },
    {
      ...ofPackage("mcp-hub"),
      ...all,
      binds: "all",
      sse: true,
      command: (config, port) =>
        node("mcp-hub/dist/cli.js", `--port ${port} --config ${config} --watch`),
    },
    {
      ...ofPackage("mcp-proxy"),
      ...bridge,
      binds: "all",
      command: (_, port, upstream) =>
        node("mcp-proxy/dist/bin/mcp-proxy.mjs", `--port ${port} --server stream --`, ...upstream),
    },
    {
      ...ofPackage("supergateway"),
      ...bridge,
      binds: "all",
      command: (_, port, upstream) => {
        const options =
          `--port ${port} --outputTransport streamableHttp --stateful --logLevel none`;
        return node("supergateway/dist/index.js", options, "--stdio", upstream.join(" "));
      },
    },
  ];
}

/** Starts a side and waits for its first list with all tools. */
export async function startSide(side: Side, { upstreams, tools }: Setting): Promise<RunningSide> {
  const config = fakeUpstreams(upstreams, { tools });
  const home = mkdtempSync(join(tmpdir(), "mcproxy-peers-"));
  const port = await freePort();
  const { command, args } = side.command(config.path, port, ["node", ...fakeArgs({ tools })]);
  // What a peer keeps in its user's folders is in one that is removed.
  const env: NodeJS.ProcessEnv = { ...process.env, NO_COLOR: "1" };
  if (command === "node") {
    env["HOME"] = home;
    for (const name of Object.keys(env)) if (name.startsWith("XDG_")) delete env[name];
  } else Object.assign(env, { CACHE_DIRECTORY: home, STATE_DIRECTORY: join(home, "state") });
  const began = performance.now();
  const running = await startProcess(command, args, {
    cwd: home,
    env,
  });
  const stop = async () => {
    for (const pid of familyOf(running.pid)) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It has ended by itself.
      }
    }
    await running.kill();
    config[Symbol.dispose]();
    rmSync(home, { recursive: true, force: true });
  };
  try {
    // The bare forwarder picks its port, and prints it.
    const picked = () => /http:\/\/127\.0\.0\.1:(\d+)/.exec(running.stdout.items[0] ?? "")?.[1];
    const target = () => ({ port: Number(picked() ?? port), sse: side.sse === true });
    const ended = () => running.stdout.ended;
    const { names, at } = await untilListed(target, upstreams * tools, ended);
    const started = at - began;
    const tool = names.find((name) => /^(server00.*)?read_document_000$/.test(name))!;
    const { pid } = running;
    return {
      pid,
      target: target(),
      config: config.path,
      tool,
      started,
      [Symbol.asyncDispose]: stop,
    };
  } catch (error) {
    const said = running.stderr.items.find((line) => line.includes("Error")) ?? "";
    await stop();
    throw new Error(`${(error as Error).message} ${said}`.trim());
  }
}

/** Asks for the list until it has so many tools; these, and when it had. */
async function untilListed(
  target: () => RunningSide["target"],
  count: number,
  hasEnded: () => boolean,
): Promise<{ readonly names: readonly string[]; readonly at: number }> {
  const end = performance.now() + PATIENCE;
  let client: Client | undefined;
  let why = "";
  try {
    while (performance.now() < end) {
      if (hasEnded()) throw new Error("it ended by itself");
      try {
        client ??= await withinTime(2_000, Client.open(target()));
        const names: string[] = await withinTime(5_000, client.tools());
        if (names.length >= count) return { names, at: performance.now() };
        why = `${names.length} of ${count} tools`;
      } catch (error) {
        why = (error as Error).message;
        void client?.close();
        client = undefined;
      }
      await new Promise((resolve) => setTimeout(resolve, 3));
    }
    throw new Error(`no complete list within ${PATIENCE / 1000} s: ${why}`);
  } finally {
    await client?.close();
  }
}

/** @throws {Error} when it takes longer, ms */
export function withinTime<T>(ms: number, work: Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`not within ${ms / 1000} s`)), ms);
  return Promise.race([work, promise]).finally(() => clearTimeout(timer));
}

function ofPackage(name: string, title = name): Pick<Side, "name" | "missing"> {
  try {
    const { version } = JSON.parse(readFileSync(`${MODULES}/${name}/package.json`, "utf8"));
    return { name: `${title} (${version})` };
  } catch {
    return { name: title, missing: "could not be installed" };
  }
}

function node(script: string, options: string, ...more: readonly string[]): CommandLine {
  return { command: "node", args: [`${MODULES}/${script}`, ...options.split(" "), ...more] };
}
