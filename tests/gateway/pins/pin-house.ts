/** Servers in memory whose definitions change, and gateways over them that share a state directory. */

import { runtime } from "#runtime";
import { configureSync, type LogRecord, resetSync } from "@logtape/logtape";
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Server } from "../../../src/app/server.ts";
import { parseConfig } from "../../../src/config/load.ts";
import type { Config } from "../../../src/config/types.ts";
import type { PinFact } from "../../../src/gateway/events.ts";
import { ListCache } from "../../../src/gateway/members/list-cache.ts";
import { createRedactor } from "../../../src/lib/secrets.ts";
import { renderEntry } from "../../../src/log/entry.ts";
import { HttpClient } from "../../support/clients/http.ts";
import { ModernClient } from "../../support/clients/modern.ts";
import type { FakeProcess, FakeProgram } from "../../support/fake-child.ts";
import { FakeRuntime, listeningWith } from "../../support/fake-runtime.ts";
import { eventually } from "../../support/inbox.ts";

/** A tool as a server lists it. */
export interface ToolDefinition {
  readonly name: string;
  readonly description?: string;
  readonly inputSchema: object;
  readonly [member: string]: unknown;
}

export function tool(name: string, description = `Does ${name}.`, more: object = {}) {
  return { name, description, inputSchema: { type: "object" }, ...more };
}

/** What a server says of itself; to be changed at any time. */
export class PinnedFake {
  tools: readonly ToolDefinition[];
  prompts: readonly object[] = [];
  instructions: string | undefined;
  readonly #open = new Set<FakeProcess>();

  constructor(...tools: readonly ToolDefinition[]) {
    this.tools = tools;
  }

  /** Other tools from now on, and says so. */
  change(...tools: readonly ToolDefinition[]): void {
    this.tools = tools;
    for (const kind of ["tools", "prompts"]) {
      const text = { jsonrpc: "2.0", method: `notifications/${kind}/list_changed` };
      for (const process of this.#open) process.stdout(`${JSON.stringify(text)}\n`);
    }
  }

  readonly program: FakeProgram = (process) => {
    this.#open.add(process);
    process.onInput((lines) => {
      for (const line of lines.split("\n").filter((line) => line !== "")) {
        const { id, method, params } = JSON.parse(line);
        if (id === undefined) continue;
        const result = this.#answer(method, params);
        const body = result ?? { error: { code: -32601, message: "Method not found" } };
        process.stdout(`${JSON.stringify({ jsonrpc: "2.0", id, ...body })}\n`);
      }
    });
  };

  #answer(method: string, params: { readonly name?: string }): object | undefined {
    const lists = { listChanged: true };
    switch (method) {
      case "initialize":
        return {
          result: {
            protocolVersion: "2025-11-25",
            capabilities: { tools: lists, prompts: lists, completions: {} },
            serverInfo: { name: "fake", version: "1" },
            instructions: this.instructions,
          },
        };
      case "tools/list":
        return { result: { tools: this.tools } };
      case "prompts/list":
        return { result: { prompts: this.prompts } };
      case "tools/call":
        return { result: { content: [{ type: "text", text: `called ${params.name}` }] } };
      case "ping":
        return { result: {} };
      default:
        return undefined;
    }
  }
}

/** A gateway of a {@link PinHouse}. */
export interface PinGateway {
  readonly server: Server;
  /** All facts about pins, in their order. */
  readonly facts: PinFact[];
  /** A client's answer, or the message of the error. */
  ask(path: string, method: string, params?: Record<string, unknown>): Promise<string>;
  /** As {@link PinGateway.ask}, by a client of the newer era. */
  askModern(path: string, method: string, params?: Record<string, unknown>): Promise<string>;
  /** The names of the tools a path lists. */
  tools(path?: string): Promise<readonly string[]>;
  counts(server?: string): { readonly waiting: number; readonly held: number };
  /** Resolves when so many definitions wait. */
  waits(count: number, server?: string): Promise<void>;
}

export class PinHouse implements AsyncDisposable {
  readonly #servers: Server[] = [];
  /** Lines of the log. */
  readonly lines: string[] = [];

  private constructor(
    readonly directory: string,
    readonly fakes: Readonly<Record<string, PinnedFake>>,
  ) {}

  static async open(fakes: Readonly<Record<string, PinnedFake>>): Promise<PinHouse> {
    const house = new PinHouse(await mkdtemp(join(tmpdir(), "mcproxy-pins-")), fakes);
    const options = { format: "text", redactor: createRedactor() } as const;
    configureSync({
      sinks: {
        all: (record: LogRecord) => {
          const { message, level } = renderEntry(record, options);
          if (level === "warning" || level === "error") house.lines.push(message);
        },
      },
      loggers: [
        { category: ["mcproxy", "gateway"], sinks: ["all"], lowestLevel: "info" },
        { category: ["logtape", "meta"], sinks: [] },
      ],
      reset: true,
    });
    return house;
  }

  /** Resolves when the log has such a line. */
  async told(pattern: RegExp): Promise<void> {
    const found = async () => {
      await this.#look();
      return this.lines.some((line) => pattern.test(line));
    };
    await eventually(found, (is) => is, `a line that matches ${pattern}`);
  }

  get file(): string {
    return join(this.directory, "pins.json");
  }

  // deno-lint-ignore no-explicit-any
  async content(): Promise<any> {
    return JSON.parse(await readFile(this.file, "utf8"));
  }

  /** The configuration of all servers. */
  config(settings: object = {}, one: object = {}): Config {
    const mcpServers = Object.fromEntries(
      Object.keys(this.fakes).map((name) => [name, { command: name, ...one }]),
    );
    const text = JSON.stringify({ port: 0, healthInterval: 0, ...settings, mcpServers });
    const parsed = parseConfig(text, { file: "pins.json", env: {} });
    assert.ok(parsed.ok, JSON.stringify(parsed));
    return parsed.config;
  }

  /** A gateway with all servers, when all have settled. */
  async gateway(settings: object = {}, one: object = {}): Promise<PinGateway> {
    const fake = new FakeRuntime({
      programs: Object.fromEntries(
        Object.entries(this.fakes).map(([name, { program }]) => [name, program]),
      ),
    });
    const facts: PinFact[] = [];
    const server = await Server.start({
      config: this.config(settings, one),
      runtime: listeningWith(runtime.serve, fake),
      listen: true,
      stateDirectory: this.directory,
      cache: new ListCache(this.directory),
    });
    this.#servers.push(server);
    const { gateway } = server;
    gateway.events.on("pin", (fact) => void facts.push(fact));
    await gateway.settled();
    const urlOf = (path: string) => new URL(path, server.url!).href;
    const asked = async (client: HttpClient | ModernClient, method: string, params?: object) => {
      const { json } = await client.request(method, params as Record<string, unknown>);
      return json.error === undefined ? JSON.stringify(json.result) : json.error.message;
    };
    const counts = (name = Object.keys(this.fakes)[0]!) =>
      gateway.pins?.counts(name) ?? { waiting: -1, held: -1 };
    const ask: PinGateway["ask"] = async (path, method, params = {}) =>
      await asked(await HttpClient.connect(urlOf(path)), method, params);
    return {
      server,
      facts,
      ask,
      askModern: (path, method, params) => asked(new ModernClient(urlOf(path)), method, params),
      tools: async (path = "/mcp") => {
        const { tools } = JSON.parse(await ask(path, "tools/list"));
        return tools.map(({ name }: { readonly name: string }) => name);
      },
      counts,
      waits: async (count, name) =>
        void await eventually(
          async () => {
            await this.#look();
            return counts(name).waiting;
          },
          (waiting) => waiting === count,
          `${count} definitions that wait`,
        ),
    };
  }

  /** What the gateways do with the file every second. */
  async #look(): Promise<void> {
    for (const { gateway } of this.#servers) await gateway.pins?.look();
  }

  /** Resolves when the file says what is asked of it. */
  // deno-lint-ignore no-explicit-any
  async written(holds: (content: any) => boolean): Promise<any> {
    const read = async () => {
      await this.#look();
      return await this.content().catch(() => undefined);
    };
    return await eventually(
      read,
      (content) => content !== undefined && holds(content),
      "the pins in their file",
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of this.#servers.reverse()) await server.stop();
    resetSync();
    await rm(this.directory, { recursive: true, force: true });
  }
}
