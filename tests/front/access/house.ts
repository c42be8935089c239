/** A gateway behind its door, all of it in memory: requests go straight to the handler. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { parseConfig } from "../../../src/config/load.ts";
import { loadOptions } from "../../../src/config/schema.ts";
import { type App, type AppOptions, createApp } from "../../../src/front/app.ts";
import { createDoor, type Door, type DoorOptions } from "../../../src/front/auth/door.ts";
import { Gateway, type GatewayOptions } from "../../../src/gateway/gateway.ts";
import { Observatory } from "../../../src/observe/observatory.ts";
import type { Admission } from "../../../src/protocol/exchange.ts";
import { Scope } from "../../behaviour/scope.ts";
import type { FakeProgram } from "../../support/fake-child.ts";
import { FakeRuntime } from "../../support/fake-runtime.ts";
import { Inbox } from "../../support/inbox.ts";

await loadOptions("auth access dashboard");

/** What a key of {@link House} is for `auth.keys`: everybody has one called after himself. */
export const keysOf = (...names: string[]) =>
  Object.fromEntries(names.map((name) => {
    const hash = createHash("sha256").update(keyOf(name)).digest("hex");
    return [name, `sha256:${hash}`];
  }));

const keyOf = (name: string) => `mcproxy_${name}`;

/** Who may change something where nobody has to say who he is: the gateway's own commands. */
export const LOCAL = { from: "127.0.0.1", as: "local" };

/** Has a tool `echo` that answers, and one `slow` that never does, and asks first if it is to. */
const program = (heard: Inbox<string>): FakeProgram => (process) => {
  const say = (message: object) =>
    process.stdout(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
  process.onInput((lines) => {
    for (const line of lines.split("\n").filter((line) => line !== "")) {
      const { id, method, params } = JSON.parse(line);
      heard.push(`${method} ${params?.name ?? ""}`.trim());
      if (method === "initialize") {
        const serverInfo = { name: "fake", version: "1" };
        const capabilities = { tools: { listChanged: true } };
        say({ id, result: { protocolVersion: "2025-11-25", capabilities, serverInfo } });
      } else if (method === "tools/list") {
        const tools = ["echo", "slow"].map((name) => ({ name, inputSchema: { type: "object" } }));
        say({ id, result: { tools } });
      } else if (method === "ping") say({ id, result: {} });
      else if (method === "tools/call" && params.name === "echo") {
        say({ id, result: { content: [{ type: "text", text: "echoed" }] } });
      } else if (params?.name === "slow" && params.arguments.ask === true) {
        const requestedSchema = { type: "object", properties: {} };
        const question = { message: "Sure?", requestedSchema };
        say({ id: `asked-${id}`, method: "elicitation/create", params: question });
      } else if (params?.name !== "slow" && id !== undefined && method !== undefined) {
        say({ id, error: { code: -32602, message: `Unknown tool "${params?.name}"` } });
      }
    }
  });
};

/** How a request is sent. */
export interface Ask {
  readonly method?: string;
  /** Whose key goes with it. */
  readonly as?: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: BodyInit | null;
  /** Where it comes from. */
  readonly from?: string | undefined;
  /** What a client of the modern era can do. */
  readonly can?: object;
}

const VERSION = "io.modelcontextprotocol/protocolVersion";
const CAPABILITIES = "io.modelcontextprotocol/clientCapabilities";
const META = {
  [VERSION]: "2026-07-28",
  "io.modelcontextprotocol/clientInfo": { name: "t", version: "1" },
};

/** Where the house keeps logins, and what opens its door. */
type HouseParts = Pick<AppOptions, "door" | "localKey"> & Pick<GatewayOptions, "logins"> & {
  /** Where its configuration is said to stand. */
  readonly file?: string | undefined;
  /** Where it keeps what outlives it. */
  readonly stateDirectory?: string | undefined;
};

/** See the top of the file. */
export class House {
  /** What either server was sent: method, and the name of the tool. */
  readonly heard: Inbox<string>;
  readonly gateway: Gateway;
  readonly app: App;
  #count = 0;

  readonly observatory: Observatory;

  private constructor(settings: object, { logins, file, stateDirectory, ...given }: HouseParts) {
    const doorway = { localKey: keyOf("local"), ...given };
    this.heard = new Inbox<string>("what the servers heard");
    const run = program(this.heard);
    const runtime = new FakeRuntime({ programs: { fake: run } });
    this.gateway = new Gateway({ config: configOf(settings, file), runtime, logins });
    const observatory = this.observatory = new Observatory(this.gateway, {
      stateDirectory,
      runtime,
    });
    const { gateway } = this;
    this.app = createApp({ gateway, boundHost: "127.0.0.1", observatory, ...doorway });
  }

  /** Servers `a` and `b`, each with a profile of its name, and these settings. */
  static async open(
    scope: Scope,
    settings: object,
    door?: (options: DoorOptions) => Door,
    parts: HouseParts = {},
  ): Promise<House> {
    const house = new House(settings, { door, ...parts });
    scope.defer(() => house.observatory.close());
    scope.defer(() => house.app.close());
    scope.defer(() => house.gateway.close());
    house.gateway.start();
    await house.gateway.settled();
    return house;
  }

  reload(settings: object): void {
    this.gateway.reload(configOf(settings));
  }

  /** Time goes by for what is open. */
  tick(): void {
    for (const ticks of [this.app.pending, this.app.keepAlive]) ticks.tick(performance.now());
  }

  async ask(path: string, { method = "GET", as, headers = {}, body = null, from }: Ask = {}) {
    const all = {
      host: "127.0.0.1:12009",
      ...as === undefined ? {} : { authorization: `Bearer ${keyOf(as)}` },
      ...headers,
    };
    const init = { method, headers: all, body, duplex: "half" } as RequestInit;
    const peer = from === undefined ? undefined : { remoteAddr: { hostname: from } };
    return await this.app.handler(new Request(`http://127.0.0.1:12009${path}`, init), peer);
  }

  /** A POST of what is JSON; `body` may be its text. */
  post(path: string, body: unknown, { as, headers, from }: Ask = {}): Promise<Response> {
    return this.ask(path, {
      method: "POST",
      as,
      from,
      headers: {
        "content-type": "application/json",
        accept: "application/json, text/event-stream",
        ...headers,
      },
      body: typeof body === "string" ? body : JSON.stringify(body),
    });
  }

  /** A request of the modern era. */
  modern(path: string, method: string, params: object = {}, ask: Ask = {}): Promise<Response> {
    const { name } = params as { name?: string };
    const headers = {
      "mcp-protocol-version": "2026-07-28",
      "mcp-method": method,
      ...name === undefined ? {} : { "mcp-name": name },
      ...ask.headers,
    };
    const _meta = { ...META, [CAPABILITIES]: ask.can ?? {} };
    return this.post(path, this.#request(method, { ...params, _meta }), { ...ask, headers });
  }

  /** A request in a legacy session; without one, the answer to `initialize`. */
  legacy(
    path: string,
    session: string | undefined,
    method: string,
    params: object = {},
    ask: Ask = {},
  ): Promise<Response> {
    const headers = session === undefined ? {} : { "mcp-session-id": session };
    return this.post(path, this.#request(method, params), { ...ask, headers });
  }

  initialize(path: string, as?: string): Promise<Response> {
    const clientInfo = { name: "t", version: "1" };
    const params = { protocolVersion: "2025-06-18", capabilities: {}, clientInfo };
    return this.legacy(path, undefined, "initialize", params, { as });
  }

  async session(path: string, as?: string): Promise<string> {
    const response = await this.initialize(path, as);
    assert.equal(response.status, 200, await response.clone().text());
    await response.text();
    return response.headers.get("mcp-session-id")!;
  }

  /** The stream of a session that is there already. */
  async listen(path: string, session: string, as?: string): Promise<Response> {
    const headers = { accept: "text/event-stream", "mcp-session-id": session };
    const response = await this.ask(path, { as, headers });
    assert.equal(response.status, 200);
    return response;
  }

  #request(method: string, params: object): object {
    return { jsonrpc: "2.0", id: ++this.#count, method, params };
  }
}

/** A door for whom a test makes up: by the text of `Authorization`, the rest is the real one. */
export function doorFor(people: ReadonlyMap<string, Admission | (() => never)>) {
  return (options: DoorOptions): Door => {
    const real = createDoor(options);
    return {
      admit(request, peer, path) {
        const found = people.get(request.headers.get("authorization") ?? "");
        if (typeof found === "function") return found();
        return found ?? real.admit(request, peer, path);
      },
      metadata: (path) => real.metadata(path),
      lacksScope: (scopes, path) => real.lacksScope(scopes, path),
      addressOf: (request, peer) => real.addressOf(request, peer),
      keys: real.keys,
      reload: (settings) => real.reload(settings),
    };
  };
}

function configOf(settings: object, file = "house.json") {
  const mcpServers = { a: { command: "fake" }, b: { command: "fake" } };
  const profiles = { pa: { servers: ["a"] }, pb: { servers: ["b"] } };
  const text = JSON.stringify({ mcpServers, profiles, startupGrace: 0, ...settings });
  const parsed = parseConfig(text, { file, env: {} });
  assert.ok(parsed.ok, JSON.stringify(parsed));
  return parsed.config;
}

/** The messages of an answer, JSON or a stream that ends. */
// deno-lint-ignore no-explicit-any
export async function messagesOf(response: Response): Promise<any[]> {
  const text = await response.text();
  if (response.headers.get("content-type") !== "text/event-stream") {
    return text === "" ? [] : [JSON.parse(text)];
  }
  return text.split("\n").filter((line) => line.startsWith("data: {"))
    .map((line) => JSON.parse(line.slice("data: ".length)));
}

/** A test with a scope of its own. */
export function inScope(run: (scope: Scope) => Promise<void>): () => Promise<void> {
  return async () => {
    await using scope = new Scope();
    await run(scope);
  };
}
