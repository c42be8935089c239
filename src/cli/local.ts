import { failed, type Io } from "../app/io.ts";
import { type ConfigurationFlags, requireConfiguration } from "../app/plan.ts";
import type { Config, ServerConfig } from "../config/types.ts";
import { ActiveExchange } from "../gateway/clients/exchange.ts";
import { Gateway } from "../gateway/gateway.ts";
import { stateDirectory } from "../lib/own-file.ts";
import { type ServerOffer, serverOffers } from "../gateway/offers.ts";
import { AGGREGATE, UNGATED } from "../gating/endpoint.ts";
import type { Tokenizer } from "../lib/tokens.ts";
import { LATEST_LEGACY_VERSION } from "../protocol/eras.ts";
import type { Client } from "../protocol/exchange.ts";
import { parseMessage, request, type RequestMessage } from "../protocol/message.ts";
import { exposedName } from "../protocol/names.ts";
import { replyText } from "../registry/answers.ts";
import { unknownServer } from "./args.ts";
import { counterOf, type ViewCost, viewCosts } from "./costs.ts";
import { liveServers } from "./announce.ts";
import { LiveScreen, renderServers } from "./view/live.ts";
import { styleFor } from "./view/table.ts";

/** The command line as a client of its own gateway. */
const CLIENT: Client = {
  session: undefined,
  logLevel: undefined,
  label: "cli",
  era: "legacy",
  protocolVersion: LATEST_LEGACY_VERSION,
  capabilities: {},
  info: { name: "mcproxy-cli" },
};

/**
 * Starts the configured servers in this process, without a listener.
 * @throws {CliError} exit code 3 for the configuration, 1 for a server it does not have
 */
export async function openLocal(
  choice: ConfigurationFlags,
  io: Io,
  server?: string,
): Promise<LocalCaller> {
  const { config } = await requireConfiguration(choice, io);
  return new LocalCaller(server === undefined ? config : narrowed(config, server), io);
}

/**
 * Only the one server, where the others cannot matter: with other prefix modes its exposed names
 * depend on them.
 */
function narrowed(config: Config, name: string): Config {
  const server = config.servers.get(name);
  if (server === undefined) throw unknownServer(name, config.servers.keys());
  return server.prefix === "always" ? { ...config, servers: new Map([[name, server]]) } : config;
}

/** A gateway in this process without a listener; on a terminal people see its servers start. */
export class LocalGateway {
  readonly gateway: Gateway;
  readonly #screen: LiveScreen | undefined;
  #closed: Promise<void> | undefined;

  /** Starts all servers at once. */
  constructor(config: Config, io: Io) {
    const blocks = config.servers.values().some(({ pin }) => pin === "block");
    // Who warns is the gateway that goes on.
    const state = blocks ? stateDirectory(io.env) : undefined;
    // Of an audit there is one writer, the gateway that goes on.
    const { audit: _audit, ...settings } = config.settings;
    const own = { ...config, settings };
    const parts = { runtime: io.runtime, stateDirectory: state, logins: io };
    this.gateway = new Gateway({ config: own, ...parts });
    if (io.stderr.isTerminal && io.env["TERM"] !== "dumb") {
      const style = styleFor({ isTerminal: true, env: io.env });
      this.#screen = new LiveScreen(
        io.stderr,
        (frame, size) => renderServers(liveServers(this.gateway), { ...size, style, frame }),
      );
      this.#screen.start();
    }
    this.gateway.start();
  }

  /** Resolves when every server is up or has failed, and what they offer is in the registry. */
  async settled(): Promise<void> {
    await this.gateway.settled();
    await this.gateway.snapshots.whenListable(UNGATED);
    this.clear();
  }

  /** Takes what people see of the start off the screen. */
  clear(): void {
    this.#screen?.clear();
  }

  /** Stops every server. Never rejects. */
  close(): Promise<void> {
    this.clear();
    return this.#closed ??= this.gateway.close();
  }
}

class LocalCaller extends LocalGateway {
  /** Every configured server in the order of the configuration, once all have settled. */
  async offers(tokenizer: Tokenizer): Promise<readonly ServerOffer[]> {
    await this.settled();
    return [...serverOffers(this.gateway, counterOf(tokenizer))];
  }

  /** What the tools of all servers take together and those of each profile, and what gating saves. */
  async views(tokenizer: Tokenizer): Promise<readonly ViewCost[]> {
    await this.settled();
    return viewCosts(this.gateway.snapshots.registry, tokenizer);
  }

  /**
   * Calls a tool by its exposed name and returns the JSON-RPC response as it came. `argumentsText`
   * is JSON and is passed on character by character.
   *
   * @param onNotification takes what the server says before its answer, as JSON texts
   * @throws {CliError} where no answer can be had
   */
  async call(
    tool: string,
    argumentsText: string,
    onNotification: (raw: string) => void,
  ): Promise<string> {
    await this.#resolvable(tool);
    this.clear();
    const params = `{"name":${JSON.stringify(tool)},"arguments":${argumentsText},` +
      `"_meta":{"progressToken":"cli"}}`;
    const message = parseMessage(request("1", "tools/call", params)) as RequestMessage;
    const exchange = new ActiveExchange(CLIENT, message, { send: onNotification });
    const reply = await this.gateway.handle(exchange, AGGREGATE);
    if (reply !== undefined) return replyText(reply);
    throw failed(`Cannot call "${tool}": the call was cancelled`);
  }

  /**
   * Resolves when it is certain what the name means: at once when it is there and no server that is
   * still starting can lay claim to it, at the latest when all have settled.
   */
  async #resolvable(tool: string): Promise<void> {
    const { snapshots } = this.gateway;
    const { promise, resolve } = Promise.withResolvers<void>();
    const look = () => {
      if (snapshots.registry.aggregate.tool(tool)?.exposed !== tool) return;
      const open = this.gateway.members.all.filter((member) => !member.isSettled);
      if (!open.some(({ config }) => mayExpose(config, tool))) resolve();
    };
    const stop = snapshots.listen({ endpoint: UNGATED, era: "legacy", listsChanged: look });
    try {
      await Promise.race([promise, this.gateway.settled()]);
    } finally {
      stop();
    }
    await snapshots.whenListable(UNGATED);
  }
}

/** Whether a server that has not answered yet might expose a tool under this name. */
export function mayExpose(server: ServerConfig, exposed: string): boolean {
  if (server.prefix !== "always") return true;
  const { name, prefix, separator } = server;
  const start = exposedName({ server: name, name: "", prefix, separator });
  // A long name is cut, and then begins differently.
  return start.length > 24 || exposed.startsWith(start);
}
