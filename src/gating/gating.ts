import { getLogger } from "../log/mod.ts";
import type { ReplaceableExchange } from "../protocol/exchange.ts";
import type { RequestMessage } from "../protocol/message.ts";
import type { Reply } from "../registry/answers.ts";
import type { Route } from "../registry/types.ts";
import type { Desk, DeskFinder, DeskOptions, GatingHost } from "./desk.ts";
import { type Endpoint, gateOf, isGated } from "./endpoint.ts";
import type { Gate, Snapshot } from "./gate.ts";
import { isMetaTool, META_TOOLS } from "./meta-tools.ts";
import { Provisioned, sessionKey } from "./provisioned.ts";

/** What {@link Gating} needs of the gateway. */
export interface GatingOptions extends DeskOptions {
  /** Makes the search; called once, when it is first needed. */
  createFinder(): Promise<DeskFinder>;
  /** How many legacy sessions there can be at one time. */
  readonly maxSessions: number;
}

const log = getLogger("mcproxy", "gating");

/**
 * The tools that find tools: knows which calls are theirs, remembers who has provisioned what, and
 * keeps the search up to date. One for a gateway. What answers the calls is loaded for the first
 * client that is shown a gated list, or calls without having looked.
 */
export class Gating {
  /** What clients have provisioned, and the lists of their own that come of it. */
  readonly provisioned: Provisioned;
  /** Clashes that have been told of. */
  readonly #told = new Set<string>();
  #countsUse = false;
  #registry: Snapshot | undefined;
  #desk: Desk | undefined;
  #opening: Promise<Desk> | undefined;
  #hasFailed = false;

  constructor(private readonly options: GatingOptions) {
    this.provisioned = new Provisioned({ sessions: options.maxSessions });
  }

  /**
   * Whether a `tools/call` at this endpoint is answered by {@link Gating.answer}: on a gated view by
   * name; elsewhere only where gating may come and go (a client that listed before need not list
   * again) and no real tool has that name.
   */
  answers({ params }: RequestMessage, endpoint: Endpoint, registry: Snapshot): boolean {
    const name = params?.name;
    if (!isMetaTool(name)) return false;
    const gate = gateOf(registry, endpoint);
    if (gate === undefined) return false;
    if (isGated(endpoint, gate)) return true;
    return endpoint.gated === undefined && gate.config.mode !== "off" &&
      gate.full.tool(name) === undefined;
  }

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
    // Once it is there no promise is waited for: calls through execute_tool are to be as fast as any.
    return this.#desk === undefined
      ? this.#open().then((desk) => desk.answer(exchange, endpoint, host))
      : this.#desk.answer(exchange, endpoint, host);
  }

  /**
   * Whether the list of tools at this endpoint is the same whatever the servers have, so that nobody
   * needs to wait for one of them.
   */
  isConstant(endpoint: Endpoint, registry: Snapshot): boolean {
    const gate = gateOf(registry, endpoint);
    if (gate === undefined) return false;
    const { mode, alwaysVisible, exposeProvisioned } = gate.config;
    const isAlways = endpoint.gated ?? mode === "on";
    return isAlways && alwaysVisible.length === 0 && exposeProvisioned === false;
  }

  /** There is another snapshot. */
  registryChanged(registry: Snapshot): void {
    const { aggregate, profiles } = registry.gates;
    const gates = [aggregate, ...profiles.values()];
    this.#countsUse = gates.some(({ config }) => config.usageRanking);
    for (const gate of gates) this.#warnOfClashes(gate);
    this.#registry = registry;
    if (this.#desk !== undefined) this.#desk.finder.prepare(registry);
    // Vectors come from elsewhere, which takes longer than anybody who searches would wait.
    else if (this.options.config().settings.embeddings !== undefined) {
      if (gates.some(({ isClosed }) => isClosed)) void this.#open();
    }
  }

  /** A client is shown the tools of this endpoint. Where they are gated, it will call them. */
  listed(endpoint: Endpoint, registry: Snapshot): void {
    if (this.#opening !== undefined) return;
    const gate = gateOf(registry, endpoint);
    if (gate !== undefined && isGated(endpoint, gate)) void this.#open();
  }

  /** Whether calls are to be told to {@link Gating.called}: some gate ranks by use. */
  get countsUse(): boolean {
    return this.#countsUse;
  }

  /** A tool was called with success. */
  called(route: Route): void {
    if (this.#countsUse) this.#open().then(({ finder }) => finder.called(route), () => {});
  }

  /** A legacy session has ended. */
  sessionClosed(label: string): void {
    this.provisioned.forget(sessionKey(label));
  }

  /** Ends the search. Never rejects. */
  async close(): Promise<void> {
    const desk = await this.#opening?.catch(() => undefined);
    await desk?.finder.close();
  }

  /** Whoever does not wait for it need not look after its failure; the next call tries again. */
  #open(): Promise<Desk> {
    if (this.#opening !== undefined) return this.#opening;
    const opening = Promise.all([import("./desk.ts"), this.options.createFinder()])
      .then(([{ Desk }, finder]) => {
        this.#desk = new Desk(this.options, this.provisioned, finder);
        if (this.#registry !== undefined) finder.prepare(this.#registry);
        return this.#desk;
      });
    opening.catch((error) => {
      this.#opening = undefined;
      if (!this.#hasFailed) log.error("The search cannot be loaded, and is tried again", { error });
      this.#hasFailed = true;
    });
    return this.#opening = opening;
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
