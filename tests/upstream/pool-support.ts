/** Shared by the tests about several instances and about repeated calls. */

import { fileURLToPath } from "node:url";
import type { ServerConfig, ServerTarget } from "../../src/config/types.ts";
import type { Client } from "../../src/protocol/exchange.ts";
import type { UpstreamEvents } from "../../src/upstream/opener.ts";
import type { Upstream } from "../../src/upstream/upstream.ts";
import { BUN } from "../support/program.ts";
import {
  callText,
  exchangeFor,
  LEGACY_CLIENT,
  type RecordedLog,
  serverConfig,
  textOf,
  withUpstream,
} from "./support.ts";

const POOL = fileURLToPath(new URL("./fakes/pool-server.mjs", import.meta.url));

export const ANNA: Client = {
  ...LEGACY_CLIENT,
  session: "anna",
  capabilities: { elicitation: {} },
};
export const BERT: Client = { ...ANNA, session: "bert" };

/** The fake that tells which process answered. */
export function poolTarget(mode = "legacy", ...more: string[]): ServerTarget {
  return { kind: "stdio", command: BUN, args: [POOL, mode, ...more], env: {} };
}

export function pooled(targets: readonly ServerTarget[], overrides: Partial<ServerConfig> = {}) {
  return serverConfig(targets[0]!, { instances: targets, ...overrides });
}

/** What a tool answers. */
export async function say(
  upstream: Upstream,
  name: string,
  client = ANNA,
  args: unknown = {},
  // deno-lint-ignore no-explicit-any
): Promise<any> {
  const { raw } = await upstream.forward(exchangeFor(callText(name, args), client), []);
  return JSON.parse(textOf(raw));
}

/** The whole response to any request. */
export async function ask(upstream: Upstream, method: string, params: unknown, client = ANNA) {
  const raw = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params });
  return JSON.parse((await upstream.forward(exchangeFor(raw, client), [])).raw);
}

export const states = (upstream: Upstream) =>
  upstream.status().instances!.map(({ state }) => state);

/** An upstream whose instances are all ready; it settles with the first. */
export function withPool(
  config: ServerConfig,
  run: (upstream: Upstream, pids: number[], log: RecordedLog) => Promise<void>,
  events: UpstreamEvents = {},
): Promise<void> {
  return withUpstream(config, async (upstream, log) => {
    await log.when(() => states(upstream).every((state) => state === "ready"));
    const pids = upstream.status().instances!.map(({ pid }) => pid!);
    await run(upstream, pids, log);
  }, events);
}
