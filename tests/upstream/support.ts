/** Shared by the upstream tests: builders for configs and exchanges, a log that remembers. */

import type { CancelSignal } from "../../src/lib/cancel.ts";
import assert from "node:assert/strict";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { runtime } from "#runtime";
import type { HttpTarget, ServerConfig, ServerTarget } from "../../src/config/types.ts";
import type { Client, Exchange } from "../../src/protocol/exchange.ts";
import {
  parseMessage,
  type RequestMessage,
  type ResponseMessage,
} from "../../src/protocol/message.ts";
import type { LineLimits } from "../../src/upstream/lines.ts";
import type { LogProps, UpstreamLog } from "../../src/upstream/transport/transport.ts";
import type { UpstreamEvents } from "../../src/upstream/opener.ts";
import { Upstream } from "../../src/upstream/upstream.ts";
import { BUN } from "../support/program.ts";

/** Speaks legacy, modern or both, and asks back: {@link askingTarget}. */
const ASKING = fileURLToPath(new URL("./fakes/asking-server.mjs", import.meta.url));

export const FAKE = fileURLToPath(new URL("./fakes/stdio-server.mjs", import.meta.url));

export function serverConfig(
  target: ServerTarget,
  overrides: Partial<ServerConfig> = {},
): ServerConfig {
  return {
    name: "x",
    disabled: false,
    instances: [target],
    drainTimeout: 1_000,
    healthInterval: 0,
    healthThreshold: 2,
    lazy: false,
    maxQueue: 100,
    protocol: "auto",
    startupTimeout: 10_000,
    timeout: 10_000,
    prefix: "always",
    separator: "_",
    sharing: "auto",
    pin: "warn",
    key: "k",
    ...overrides,
  };
}

/** The fake stdio server in one of its modes, run by Bun so that it starts fast. */
export function fakeTarget(mode = "plain", ...args: string[]): ServerTarget {
  return { kind: "stdio", command: BUN, args: [FAKE, mode, ...args], env: {} };
}

/** The fake that asks its client back. */
export function askingTarget(mode: "legacy" | "modern" | "dual" = "legacy"): ServerTarget {
  return { kind: "stdio", command: BUN, args: [ASKING, mode], env: {} };
}

export function httpTarget(url: string, overrides: Partial<HttpTarget> = {}): HttpTarget {
  return { kind: "http", url, transport: "auto", headers: {}, ...overrides };
}

export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly props: LogProps | undefined;
}

/** A log to look into. */
export class RecordedLog implements UpstreamLog {
  readonly lines: LogLine[] = [];
  #waiters: (() => void)[] = [];
  debug = (message: string, props?: LogProps) => this.#add("debug", message, props);
  info = (message: string, props?: LogProps) => this.#add("info", message, props);
  warn = (message: string, props?: LogProps) => this.#add("warn", message, props);
  error = (message: string, props?: LogProps) => this.#add("error", message, props);

  #add(level: string, message: string, props: LogProps | undefined) {
    this.lines.push({ level, message, props });
    for (const wake of this.#waiters.splice(0)) wake();
  }

  has(part: string): boolean {
    return this.lines.some(({ message }) => message.includes(part));
  }

  /** Resolves when a line with `part` is there. */
  async until(part: string): Promise<void> {
    await this.when(() => this.has(part));
  }

  /** Resolves when `test` holds, looked at after every line. */
  async when(test: () => boolean): Promise<void> {
    while (!test()) await new Promise<void>((wake) => this.#waiters.push(wake));
  }
}

export const LEGACY_CLIENT: Client = {
  label: "c1",
  session: "c1",
  era: "legacy",
  protocolVersion: "2025-11-25",
  capabilities: {},
  info: { name: "test", version: "1" },
  logLevel: undefined,
};

export const MODERN_CLIENT: Client = {
  ...LEGACY_CLIENT,
  session: undefined,
  era: "modern",
  protocolVersion: "2026-07-28",
};

/** One question an upstream has put to a {@link TestExchange}. */
export interface Asked {
  readonly method: string;
  readonly params: unknown;
  readonly signal: CancelSignal | undefined;
  /** Answers with a result. */
  readonly answer: (result: unknown) => void;
  readonly refuse: (error: Error) => void;
}

export interface TestExchange extends Exchange {
  readonly sent: string[];
  /** What it was asked, in order. */
  readonly asked: Asked[];
  /** Resolves with the next question that was not waited for yet. */
  nextAsked(): Promise<Asked>;
  readonly abort: (reason?: string) => void;
}

let count = 0;

export function exchangeFor(raw: string, client: Client = LEGACY_CLIENT): TestExchange {
  const controller = new AbortController();
  const sent: string[] = [];
  const asked: Asked[] = [];
  const waiters: (() => void)[] = [];
  let taken = 0;
  return {
    rid: `r${++count}`,
    client,
    request: parseMessage(raw) as RequestMessage,
    signal: controller.signal,
    server: "",
    sent,
    abort: (reason = "gone") => controller.abort(new Error(reason)),
    notify: (text) => void sent.push(text),
    asked,
    ask: (method, paramsText, signal) => {
      const { promise, resolve, reject } = Promise.withResolvers<ResponseMessage>();
      asked.push({
        method,
        params: paramsText === undefined ? undefined : JSON.parse(paramsText),
        signal,
        answer: (result) =>
          resolve(
            parseMessage(JSON.stringify({ jsonrpc: "2.0", id: 1, result })) as ResponseMessage,
          ),
        refuse: reject,
      });
      for (const wake of waiters.splice(0)) wake();
      return promise;
    },
    nextAsked: async () => {
      while (asked.length <= taken) await new Promise<void>((wake) => waiters.push(wake));
      return asked[taken++]!;
    },
  };
}

export function callText(
  name: string,
  args: unknown = {},
  { id = 1 as string | number, token }: { id?: string | number; token?: string | number } = {},
): string {
  const meta = token === undefined ? {} : { _meta: { progressToken: token } };
  const params = { name, arguments: args, ...meta };
  return JSON.stringify({ jsonrpc: "2.0", id, method: "tools/call", params });
}

export function call(name: string, args?: unknown, options?: { id?: string; token?: string }) {
  return exchangeFor(callText(name, args, options));
}

/** Text of the first content item of a tool result. */
export function textOf(raw: string): string {
  return JSON.parse(raw).result.content[0].text;
}

/** An upstream that is started, and closed at the end with proof that its process is gone. */
export async function withUpstream(
  config: ServerConfig,
  run: (upstream: Upstream, log: RecordedLog) => Promise<void>,
  events: UpstreamEvents = {},
  limits?: LineLimits,
): Promise<void> {
  const log = new RecordedLog();
  const pids = new Set<number>();
  const recording = {
    ...runtime,
    spawn: async (options: Parameters<typeof runtime.spawn>[0]) => {
      const child = await runtime.spawn(options);
      pids.add(child.pid);
      return child;
    },
  };
  const upstream = new Upstream({
    config,
    runtime: recording,
    log,
    events,
    ...(limits === undefined ? {} : { limits }),
  });
  try {
    upstream.start();
    await upstream.settled;
    await run(upstream, log);
  } finally {
    await upstream.close();
    for (const pid of pids) assert.equal(alive(pid), false, `process ${pid} was left behind`);
  }
}

export function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Resolves when `test` holds, looked at whenever an upstream event happens. */
export class Watch implements UpstreamEvents {
  #wake: (() => void)[] = [];
  readonly #stir = () => {
    for (const wake of this.#wake.splice(0)) wake();
  };
  onStateChange = this.#stir;
  onInventory = this.#stir;
  onNotification = this.#stir;

  async until(test: () => boolean): Promise<void> {
    while (!test()) await new Promise<void>((wake) => this.#wake.push(wake));
  }
}
