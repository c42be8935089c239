/** A small world of servers behind gates, and the meta tools called in it. */

import assert from "node:assert/strict";
import { parseConfig } from "../../src/config/load.ts";
import {
  AGGREGATE,
  type Endpoint,
  type ListListener,
  withGating,
} from "../../src/gating/endpoint.ts";
import { ActiveExchange } from "../../src/gateway/clients/exchange.ts";
import { Finder } from "../../src/gating/finder.ts";
import type { GatingHost } from "../../src/gating/desk.ts";
import { buildSnapshot, type Snapshot } from "../../src/gating/gate.ts";
import { Gating } from "../../src/gating/gating.ts";
import { replyText } from "../../src/registry/answers.ts";
import type { Json, JsonObject } from "../../src/lib/json.ts";
import type { Client } from "../../src/protocol/exchange.ts";
import type { ListKind } from "../../src/protocol/lists.ts";
import { parseMessage, type RequestMessage } from "../../src/protocol/message.ts";
import type { Phase } from "../../src/upstream/state.ts";
import { inventory } from "../registry/builders.ts";
import { clientOf } from "../gateway/middleware/middleware-support.ts";

export { clientOf } from "../gateway/middleware/middleware-support.ts";

/** The aggregate with its gate closed. */
export const GATED: Endpoint = withGating(AGGREGATE, true);

/** A tool in short. */
export interface ToolGiven {
  readonly name: string;
  readonly description?: string;
  readonly inputSchema?: Json;
  readonly outputSchema?: Json;
  readonly annotations?: JsonObject;
}

/** A server in short: what it says, and what of it stands in the configuration. */
export interface ServerGiven {
  readonly tools?: readonly ToolGiven[];
  readonly prompts?: readonly string[];
  readonly instructions?: string;
  readonly serverInfo?: JsonObject;
  readonly phase?: Phase;
  readonly config?: JsonObject;
}

const text = { type: "string" };

/** A few servers of different kinds. */
export const SERVERS: Readonly<Record<string, ServerGiven>> = {
  github: {
    serverInfo: { name: "gh", title: "GitHub" },
    instructions: "Works with repositories and issues. Always give owner and repo.",
    prompts: ["review"],
    config: { tags: ["code"] },
    tools: [
      {
        name: "create_issue",
        description: "Creates an issue in a repository on GitHub. Needs a token.",
        inputSchema: {
          type: "object",
          properties: { body: text, title: text },
          required: ["title"],
        },
        annotations: { destructiveHint: false, title: "New issue" },
      },
      {
        name: "delete_branch",
        description: "Deletes a branch of a repository on GitHub for good.",
        inputSchema: { type: "object", properties: { name: text }, required: ["name"] },
        annotations: { readOnlyHint: false, destructiveHint: true },
      },
      {
        name: "list_issues",
        description: "Lists the issues of a repository on GitHub, newest first.",
        inputSchema: { type: "object", properties: { state: { enum: ["open", "closed"] } } },
        outputSchema: { type: "object", properties: { issues: { type: "array" } } },
        annotations: { readOnlyHint: true },
      },
    ],
  },
  weather: {
    serverInfo: { name: "weather", description: "Forecasts for places on earth. Free." },
    tools: [{ name: "get_forecast", description: "Says how the weather of a place will be." }],
  },
  late: { phase: "connecting" },
};

/** Calls of meta tools in a snapshot that a test may exchange. */
export class GatingWorld implements GatingHost {
  registry: Snapshot;
  readonly gating: Gating;
  /** What sessions were told. */
  readonly told: (readonly [session: string, kinds: readonly ListKind[]])[] = [];
  /** Puts in place what servers have when somebody waits for them. */
  arrival: (() => void) | undefined;
  readonly #config;
  #servers: Readonly<Record<string, ServerGiven>>;

  constructor(settings: object = {}, servers: Readonly<Record<string, ServerGiven>> = SERVERS) {
    const parsed = parseConfig(
      JSON.stringify({
        mcpServers: Object.fromEntries(
          Object.entries(servers).map(([name, { config }]) => [name, { command: "x", ...config }]),
        ),
        ...settings,
      }),
      { file: "gating.json", env: {} },
    );
    assert.ok(parsed.ok, JSON.stringify(parsed));
    this.#config = parsed.config;
    this.#servers = servers;
    this.gating = new Gating({
      maxSessions: 10_000,
      createFinder: () => Promise.resolve(new Finder({ settings: () => this.#config.settings })),
      config: () => this.#config,
      phase: (server) => this.#servers[server] && (this.#servers[server].phase ?? "ready"),
      session: (label) => ({ listsChanged: (kinds) => this.told.push([label, kinds]) }),
    });
    this.registry = this.#build();
    this.gating.registryChanged(this.registry);
  }

  whenListable = () => undefined;

  whenNamed(): Promise<void> {
    this.arrival?.();
    return Promise.resolve();
  }

  /** Another snapshot: these servers now say this. The one before is returned. */
  change(servers: Readonly<Record<string, ServerGiven>>): Snapshot {
    const before = this.registry;
    this.#servers = { ...this.#servers, ...servers };
    this.registry = this.#build(before);
    this.gating.registryChanged(this.registry);
    return before;
  }

  /** The result of a meta tool. */
  async call(
    name: string,
    args: Json | undefined,
    { client = clientOf("c1"), endpoint = GATED }: { client?: Client; endpoint?: Endpoint } = {},
  ): Promise<Called> {
    const exchange = exchangeOf(name, args, client);
    assert.ok(this.gating.answers(exchange.request, endpoint, this.registry), `not for ${name}`);
    const reply = await this.gating.answer(exchange, endpoint, this);
    assert.ok(reply !== undefined);
    const { result } = JSON.parse(replyText(reply));
    return { ...result, text: result.content[0].text };
  }

  /** A session that hears of changes. */
  listener(client: Client, endpoint: Endpoint = GATED): ListListener {
    return { client, endpoint, era: client.era, listsChanged: () => {} };
  }

  #build(previous?: Snapshot): Snapshot {
    const { profiles, tags, gating } = this.#config.settings;
    const servers = [...this.#config.servers.values()].map(({ name, prefix, separator, shape }) => {
      const { tools = [], prompts = [], serverInfo = {}, instructions } = this.#servers[name]!;
      const items = tools.map((tool) => ({
        key: tool.name,
        raw: JSON.stringify({ inputSchema: { type: "object" }, ...tool }),
      }));
      const known = this.#kept.get(this.#servers[name]!) ?? inventory(
        { tools: { items }, prompts },
        { serverInfo: JSON.stringify(serverInfo), instructions },
      );
      this.#kept.set(this.#servers[name]!, known);
      return { name, prefix, separator, shape, inventory: known, stale: false };
    });
    const version = (previous?.version ?? 0) + 1;
    return buildSnapshot({ version, servers, profiles, tags, gating }, previous);
  }

  readonly #kept = new Map<ServerGiven, ReturnType<typeof inventory>>();
}

/** The result of a call, and the text in it. */
export interface Called {
  readonly text: string;
  readonly isError: boolean;
  readonly resultType?: string;
  readonly _meta?: unknown;
  // deno-lint-ignore no-explicit-any
  readonly structuredContent: any;
}

/** A `tools/call` in flight. */
export function exchangeOf(name: string, args: Json | undefined, client: Client): ActiveExchange {
  const request = parseMessage(
    JSON.stringify({
      jsonrpc: "2.0",
      id: 1,
      method: "tools/call",
      params: { name, arguments: args },
    }),
  ) as RequestMessage;
  return new ActiveExchange(client, request, { send: () => {} });
}
