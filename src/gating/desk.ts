import type { Config } from "../config/types.ts";
import type { JsonObject } from "../lib/json.ts";
import type { Client, ReplaceableExchange } from "../protocol/exchange.ts";
import type { RequestMessage } from "../protocol/message.ts";
import type { Reply } from "../registry/answers.ts";
import type { View } from "../registry/types.ts";
import type { Phase } from "../upstream/state.ts";
import { discoverTools, nearestTools } from "./discover.ts";
import { type Endpoint, gateOf, gone, type ListListener } from "./endpoint.ts";
import { prepareExecution } from "./execute.ts";
import type { Finder } from "./finder.ts";
import type { Gate, Snapshot } from "./gate.ts";
import {
  ArgumentMistake,
  type MetaCall,
  metaReply,
  type MetaResult,
  mistake,
  readMetaArguments,
  readString,
} from "./meta-call.ts";
import { type Executor, isExecutor, type MetaTool } from "./meta-tools.ts";
import { listProvisioned, provisionTools, wantedIds } from "./provision.ts";
import { type Provisioned, provisionKey } from "./provisioned.ts";
import { listMcpServers, type ServerFacts, serverFacts } from "./servers.ts";
import { findTool } from "./view.ts";

/** What {@link Desk} needs of the gateway. */
export interface DeskOptions {
  /** The configuration in force. */
  readonly config: () => Config;
  /** The state of an enabled server. */
  readonly phase: (server: string) => Phase | undefined;
  /** A legacy session by its label. */
  session(label: string): Pick<ListListener, "listsChanged"> | undefined;
  /** Why there is no such tool, where it is there and held back. */
  heldBack?(tool: string, endpoint: Endpoint): string | undefined;
}

/** What {@link Desk} needs of whoever routes a call. */
export interface GatingHost {
  /** The current snapshot. */
  readonly registry: Snapshot;
  /** As in the router. */
  whenListable(endpoint: Endpoint): Promise<void> | undefined;
  /** As in the router. */
  whenNamed(endpoint: Endpoint, known: (view: View) => boolean): Promise<void>;
}

/** The search that a {@link Desk} asks. */
export type DeskFinder = Pick<Finder, "find" | "index" | "prepare" | "called" | "close">;

/** Answers calls of meta tools. Everything behind it is loaded with it. */
export class Desk {
  constructor(
    private readonly options: DeskOptions,
    private readonly provisioned: Provisioned,
    readonly finder: DeskFinder,
  ) {}

  /**
   * Answers the call of a meta tool; `undefined` where the exchange has become the call of another
   * tool, which is to be routed as any.
   * @throws {RpcError} where the endpoint is not configured any more
   */
  answer(
    exchange: ReplaceableExchange,
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

  #execute(exchange: ReplaceableExchange, endpoint: Endpoint, name: Executor, host: GatingHost) {
    const { client, request } = exchange;
    const gate = gateBefore(endpoint, host);
    return prepareExecution(exchange, name, gate, {
      isProvisioned: (id) => {
        const key = provisionKey(client, gate.full.id, handleOf(request));
        return key !== undefined && this.provisioned.has(key, id);
      },
      whenNamed: async (id) => {
        await host.whenNamed(endpoint, (view) => view.tool(id) !== undefined);
        return gateBefore(endpoint, host);
      },
      nearest: (id) => nearestTools(gateBefore(endpoint, host), host.registry, this.finder, id),
      heldBack: (id) => this.options.heldBack?.(id, endpoint),
    });
  }

  async #tell(
    { client, request }: ReplaceableExchange,
    endpoint: Endpoint,
    name: Teller,
    host: GatingHost,
  ): Promise<MetaResult> {
    await host.whenListable(endpoint);
    try {
      const args = readMetaArguments(request.params?.arguments);
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
    const { finder } = this;
    switch (name) {
      case "discover_tools":
        return discoverTools(call, { finder, servers: this.#servers(call) });
      case "provision_tools":
        return this.#provision(call);
      case "list_provisioned_tools":
        return listProvisioned(call, this.provisioned);
      case "list_mcp_servers":
        return listMcpServers(call.args, this.#servers(call));
    }
  }

  async #provision(call: MetaCall): Promise<MetaResult> {
    const { client, endpoint, gate, registry } = call;
    const before = this.provisioned.ownTools(client, endpoint, registry);
    const nearest = (id: string) => nearestTools(gate, registry, this.finder, id);
    const result = await provisionTools(call, this.provisioned, nearest);
    const after = this.provisioned.ownTools(client, endpoint, registry);
    const was = before ?? gate.view.list("tools", client.era);
    if (client.session !== undefined && after !== undefined && !after.sameItems(was)) {
      this.options.session(client.session)?.listsChanged(["tools"]);
    }
    return result;
  }

  #servers(call: MetaCall): readonly ServerFacts[] {
    const { config, phase } = this.options;
    return serverFacts(call, config(), phase);
  }
}

type Teller = Exclude<MetaTool, Executor>;

function gateBefore(endpoint: Endpoint, { registry }: GatingHost): Gate {
  const gate = gateOf(registry, endpoint);
  if (gate !== undefined) return gate;
  throw gone(endpoint);
}

/** Servers may still be starting, as with a direct call by a name nobody has yet. */
async function whenFound(
  args: JsonObject,
  { era }: Client,
  endpoint: Endpoint,
  host: GatingHost,
): Promise<void> {
  const { ids } = wantedIds(args);
  const { full } = gateBefore(endpoint, host);
  if (ids.every((id) => findTool(full, id, era) !== undefined)) return;
  await host.whenNamed(endpoint, (view) => ids.every((id) => view.tool(id) !== undefined));
}

/** The handle in the arguments of a call; what cannot be one is none. */
function handleOf({ params }: RequestMessage): string | undefined {
  try {
    return readString(readMetaArguments(params?.arguments), "handle");
  } catch (error) {
    if (error instanceof ArgumentMistake) return undefined;
    throw error;
  }
}
