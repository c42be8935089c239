import type { Config } from "../../config/config.ts";
import type { JsonObject } from "../../lib/json.ts";
import { getLogger } from "../../log/mod.ts";
import { ErrorCode, RpcError } from "../../protocol/errors.ts";
import type { Client } from "../../protocol/exchange.ts";
import type { ListKind } from "../../protocol/lists.ts";
import type { RequestMessage } from "../../protocol/message.ts";
import { findTool } from "../../registry/gating/find-tool.ts";
import type { Gate } from "../../registry/gating/gate.ts";
import {
  type Executor,
  isExecutor,
  isMetaTool,
  META_TOOLS,
  type MetaTool,
} from "../../registry/gating/meta-tools.ts";
import type { ListText } from "../../registry/list-text.ts";
import type { Registry, Route, View } from "../../registry/types.ts";
import type { Phase } from "../../upstream/state.ts";
import { type Endpoint, gateOf, goneText } from "../endpoint.ts";
import type { ActiveExchange } from "../exchange.ts";
import type { ListListener } from "../listeners.ts";
import type { Reply } from "../reply.ts";
import { discoverTools } from "./discover.ts";
import { prepareExecution } from "./execute.ts";
import type { Finder } from "./finder.ts";
import { listMcpServers } from "./list-servers.ts";
import { ArgumentMistake, readArguments, readText, readTexts } from "./meta-arguments.ts";
import type { MetaCall } from "./meta-call.ts";
import { metaReply, type MetaResult, mistake } from "./meta-result.ts";
import { nearestTools } from "./nearest.ts";
import { changedWithOwn, ownTools } from "./own-lists.ts";
import { listProvisioned, provisionTools } from "./provision.ts";
import { Provisioned, provisionKey, sessionKey } from "./provisioned.ts";
import { type ServerFacts, serverFacts } from "./server-facts.ts";

/** What {@link Gating} needs of the gateway. */
export interface GatingOptions {
  readonly finder: Pick<Finder, "find" | "prepare" | "called" | "close">;
  /** The configuration in force. */
  config(): Config;
  /** The state of an enabled server. */
  phase(server: string): Phase | undefined;
  /** A legacy session by its label. */
  session(label: string): Pick<ListListener, "listsChanged"> | undefined;
}

/** What {@link Gating} needs of whoever routes a call. */
export interface GatingHost {
  /** The current snapshot. */
  readonly registry: Registry;
  /** As in the router. */
  whenListable(endpoint: Endpoint): Promise<void> | undefined;
  /** As in the router. */
  whenNamed(endpoint: Endpoint, known: (view: View) => boolean): Promise<void>;
}

const log = getLogger("mcproxy", "gating");

/**
 * The tools that find tools: answers calls of them, remembers who has provisioned what, and keeps
 * the search up to date. One for a gateway.
 */
export class Gating {
  readonly #options: GatingOptions;
  readonly #provisioned = new Provisioned();
  /** Clashes that have been told of. */
  readonly #told = new Set<string>();
  #countsUse = false;

  constructor(options: GatingOptions) {
    this.#options = options;
  }

  /**
   * Whether a `tools/call` at this endpoint is answered by {@link Gating.answer}: on a gated view by
   * name; elsewhere only where gating may come and go (a client that listed before need not list
   * again) and no real tool has that name.
   */
  answers({ params }: RequestMessage, endpoint: Endpoint, registry: Registry): boolean {
    const name = params?.name;
    if (!isMetaTool(name)) return false;
    const gate = gateOf(registry, endpoint);
    if (gate === undefined) return false;
    if (endpoint.gated ?? gate.isClosed) return true;
    return endpoint.gated === undefined && gate.config.mode !== "off" &&
      gate.full.tool(name) === undefined;
  }

  /**
   * Answers the call of a meta tool; `undefined` where the exchange has become the call of another
   * tool, which is to be routed as any.
   * @throws {RpcError} where the endpoint is not configured any more
   */
  answer(
    exchange: ActiveExchange,
    endpoint: Endpoint,
    host: GatingHost,
  ): Reply | undefined | Promise<Reply | undefined> {
    const name = exchange.request.params?.name as MetaTool;
    const reply = (result: MetaResult | undefined) =>
      result && metaReply(exchange, gateBefore(endpoint, host).view, result);
    const result = isExecutor(name)
      ? this.#execute(exchange, endpoint, name, host)
      : this.#tell(exchange, endpoint, name, host);
    return result instanceof Promise ? result.then(reply) : reply(result);
  }

  /**
   * Whether the list of tools at this endpoint is the same whatever the servers have, so that nobody
   * needs to wait for one of them.
   */
  isConstant(endpoint: Endpoint, registry: Registry): boolean {
    const gate = gateOf(registry, endpoint);
    if (gate === undefined) return false;
    const { mode, alwaysVisible, exposeProvisioned } = gate.config;
    const isGated = endpoint.gated ?? mode === "on";
    return isGated && alwaysVisible.length === 0 && exposeProvisioned === false;
  }

  /** {@link ownTools} */
  ownTools(
    client: Client | undefined,
    endpoint: Endpoint,
    registry: Registry,
  ): ListText | undefined {
    return ownTools(this.#provisioned, client, endpoint, registry);
  }

  /** {@link changedWithOwn} */
  changedFor(
    listener: ListListener,
    before: Registry,
    after: Registry,
    kinds: readonly ListKind[],
  ): readonly ListKind[] {
    return changedWithOwn(this.#provisioned, listener, before, after, kinds);
  }

  /** There is another snapshot. */
  registryChanged(registry: Registry): void {
    const { aggregate, profiles } = registry.gates;
    const gates = [aggregate, ...profiles.values()];
    this.#countsUse = gates.some(({ config }) => config.usageRanking);
    for (const gate of gates) this.#warnOfClashes(gate);
    this.#options.finder.prepare(registry);
  }

  /** A tool was called with success. */
  called(route: Route): void {
    if (this.#countsUse) this.#options.finder.called(route);
  }

  /** A legacy session has ended. */
  sessionClosed(label: string): void {
    this.#provisioned.forget(sessionKey(label));
  }

  /** Ends the search. */
  async close(): Promise<void> {
    await this.#options.finder.close();
  }

  #execute(exchange: ActiveExchange, endpoint: Endpoint, name: Executor, host: GatingHost) {
    const { client, request } = exchange;
    const gate = gateBefore(endpoint, host);
    return prepareExecution(exchange, name, gate, {
      isProvisioned: (id) => {
        const key = provisionKey(client, gate.full.id, handleOf(request));
        return key !== undefined && this.#provisioned.has(key, id);
      },
      whenNamed: async (id) => {
        await host.whenNamed(endpoint, (view) => view.tool(id) !== undefined);
        return gateBefore(endpoint, host);
      },
      nearest: (id) => nearestTools(gateBefore(endpoint, host), host.registry, this.#tags, id),
    });
  }

  async #tell(
    { client, request }: ActiveExchange,
    endpoint: Endpoint,
    name: Teller,
    host: GatingHost,
  ): Promise<MetaResult> {
    await host.whenListable(endpoint);
    try {
      const args = readArguments(request.params?.arguments);
      if (name === "provision_tools") await whenFound(args, client, endpoint, host);
      const { registry } = host;
      const gate = gateBefore(endpoint, host);
      return await this.#result(name, { client, endpoint, registry, gate, args });
    } catch (error) {
      if (error instanceof ArgumentMistake) return mistake(error.message);
      throw error;
    }
  }

  #result(name: Teller, call: MetaCall): MetaResult | Promise<MetaResult> {
    const { finder } = this.#options;
    switch (name) {
      case "discover_tools":
        return discoverTools(call, { finder, servers: this.#servers(call), tags: this.#tags });
      case "provision_tools":
        return this.#provision(call);
      case "list_provisioned_tools":
        return listProvisioned(call, this.#provisioned);
      case "list_mcp_servers":
        return listMcpServers(call.args, this.#servers(call));
    }
  }

  #provision(call: MetaCall): MetaResult {
    const { client, endpoint, gate, registry } = call;
    const before = this.ownTools(client, endpoint, registry);
    const result = provisionTools(call, {
      store: this.#provisioned,
      nearest: (id) => nearestTools(gate, registry, this.#tags, id),
    });
    const after = this.ownTools(client, endpoint, registry);
    const was = before ?? gate.view.list("tools", client.era);
    if (client.session !== undefined && after !== undefined && !after.sameItems(was)) {
      this.#options.session(client.session)?.listsChanged(["tools"]);
    }
    return result;
  }

  get #tags(): Config["settings"]["tags"] {
    return this.#options.config().settings.tags;
  }

  #servers({ endpoint, registry, gate }: MetaCall): readonly ServerFacts[] {
    return serverFacts({
      config: this.#options.config(),
      registry,
      view: gate.full,
      endpoint,
      phase: (server) => this.#options.phase(server),
    });
  }

  #warnOfClashes({ full, isClosed }: Gate): void {
    for (const tool of isClosed ? META_TOOLS : []) {
      if (full.tool(tool)?.exposed !== tool) continue;
      const clash = JSON.stringify([full.id, tool]);
      if (this.#told.has(clash)) continue;
      this.#told.add(clash);
      log.warn("Tool {tool} of {view} is hidden by a gating tool; execute_tool still calls it", {
        tool,
        view: full.id,
      });
    }
  }
}

type Teller = Exclude<MetaTool, Executor>;

function gateBefore(endpoint: Endpoint, { registry }: GatingHost): Gate {
  const gate = gateOf(registry, endpoint);
  if (gate !== undefined) return gate;
  throw new RpcError(ErrorCode.UpstreamUnavailable, goneText(endpoint));
}

/** Servers may still be starting, as with a direct call by a name nobody has yet. */
async function whenFound(
  args: JsonObject,
  { era }: Client,
  endpoint: Endpoint,
  host: GatingHost,
): Promise<void> {
  const ids = readTexts(args, "tool_ids");
  const { full } = gateBefore(endpoint, host);
  if (ids.every((id) => findTool(full, id, era) !== undefined)) return;
  await host.whenNamed(endpoint, (view) => ids.every((id) => view.tool(id) !== undefined));
}

/** The handle in the arguments of a call; what cannot be one is none. */
function handleOf({ params }: RequestMessage): string | undefined {
  try {
    return readText(readArguments(params?.arguments), "handle");
  } catch (error) {
    if (error instanceof ArgumentMistake) return undefined;
    throw error;
  }
}
