/**
 * What every server offers, under which names, and about how many tokens of a model's context it
 * takes: for `/api/tools`, `/api/status` and `mcproxy list`.
 */

import {
  costedTools,
  type CountTool,
  type RegistryCost,
  registryCost,
  type Snapshot,
} from "../gating/gate.ts";
import type { JsonObject } from "../lib/json.ts";
import { takingTurns } from "../lib/time.ts";
import { type ListKind, listRule } from "../protocol/lists.ts";
import { memoised, toolTokens } from "../registry/source.ts";
import type { Registry, ResourceRoute, Route, View } from "../registry/types.ts";
import type { Gateway } from "./gateway.ts";
import { disabledServer } from "./status.ts";

/** One tool, prompt, resource or template. */
export interface OfferedItem {
  /** The name, URI or URI template to use at the gateway; null where clients do not see it there. */
  readonly exposed: string | null;
  /** As the server itself calls it. */
  readonly own: string;
  readonly title: string | null;
  readonly description: string | null;
  /** What it takes of a model's context as the list of all has it; only of tools found there. */
  readonly tokens?: number;
}

/** Everything of one server. */
export type OfferedLists = Readonly<Record<ListKind, readonly OfferedItem[]>>;

/** One server in `/api/tools` and `list --json`; part of the public contract. */
export interface ServerOffer extends OfferedLists {
  readonly name: string;
  /** Its state, or `disabled`. */
  readonly state: string;
  readonly transport: string;
  /** Why it is not ready; null when it is. */
  readonly error: string | null;
}

/**
 * Every configured server, or `only` one, in the order of the configuration: lists of one snapshot,
 * however much time the caller takes between two servers.
 *
 * @param count tokens of a tool by its JSON as clients get it
 */
export function* serverOffers(
  gateway: Gateway,
  count: CountTool,
  only?: string,
): Generator<ServerOffer> {
  const { snapshots: { registry }, config } = gateway;
  const offersOf = offersIn(registry, count);
  for (const server of config.servers.values()) {
    const { name } = server;
    if (only !== undefined && name !== only) continue;
    const status = gateway.members.get(name)?.upstream.status();
    const { state, transport } = status ?? disabledServer(server);
    const error = status === undefined || state === "ready"
      ? null
      : gateway.redact(status.lastError ?? `is ${state}`);
    yield { name, state, transport, error, ...offersOf(name) };
  }
}

/** Tells what a server of a snapshot offers: nothing where it has no lists. */
export function offersIn(
  { aggregate, servers }: Pick<Registry, "aggregate" | "servers">,
  count: CountTool,
): (server: string) => OfferedLists {
  const tools = aggregate.list("tools", "legacy").items;
  const keysOf = (kind: ListKind) => itemsOf(aggregate, kind).map((item) => keyOf(item, kind));
  const shown = {
    tools: byOwner(aggregate.names("tool"), (name) => aggregate.tool(name)),
    prompts: byOwner(aggregate.names("prompt"), (name) => aggregate.prompt(name)),
    resources: byOwner(keysOf("resources"), (uri) => aggregate.resource(uri)),
    templates: byOwner(keysOf("templates"), (template) => aggregate.template(template)),
  };
  const offered = (server: string, kind: ListKind) =>
    itemsOf(servers.get(server), kind).map((item): OfferedItem => {
      const own = keyOf(item, kind);
      const { exposed = null, at } = shown[kind].get(ownerKey(server, own)) ?? {};
      const title = typeof item.title === "string" ? item.title : null;
      const description = typeof item.description === "string" ? item.description : null;
      const tokens = kind === "tools" && at !== undefined ? { tokens: count(tools[at]!) } : {};
      return { exposed, own, title, description, ...tokens };
    });
  return (server) => ({
    tools: offered(server, "tools"),
    prompts: offered(server, "prompts"),
    resources: offered(server, "resources"),
    templates: offered(server, "templates"),
  });
}

/** What the list of all calls an item and at which place it has it, by server and its own key. */
function byOwner(
  keys: readonly string[],
  routeOf: (key: string) => Route | ResourceRoute | undefined,
) {
  return new Map(keys.flatMap((exposed, at) => {
    const route = routeOf(exposed);
    if (route === undefined) return [];
    const own = "uri" in route ? route.uri : route.name;
    return [[ownerKey(route.server, own), { exposed, at }] as const];
  }));
}

function ownerKey(server: string, own: string): string {
  return JSON.stringify([server, own]);
}

function itemsOf(view: View | undefined, kind: ListKind): readonly JsonObject[] {
  return view?.list(kind).items.map((text) => JSON.parse(text) as JsonObject) ?? [];
}

function keyOf(item: JsonObject, kind: ListKind): string {
  return String(item[listRule(kind).key] ?? "");
}

const tallies = new WeakMap<Gateway, TokenTally>();

/** The one that counts for a gateway. */
export function tallyOf(gateway: Gateway): TokenTally {
  return tallies.getOrInsertComputed(gateway, () => new TokenTally());
}

/**
 * Counts tokens of whole snapshots (estimates) for whoever asks, in slices: thousands of tools take
 * longer than a call may wait. A tool that was counted once is not counted again.
 */
export class TokenTally {
  readonly #costs = new WeakMap<Snapshot, Promise<RegistryCost>>();
  /** By the JSON of each tool of the snapshot that was counted last. */
  #known: ReadonlyMap<string, number> = new Map();
  #last: Promise<unknown> = Promise.resolve();

  /** What the snapshot's views cost. */
  of(registry: Snapshot): Promise<RegistryCost> {
    return memoised(this.#costs, registry, () => {
      // One after the other, for each starts with what the one before has counted.
      const count = () => this.#count(registry);
      return this.#last = this.#last.then(count, count);
    });
  }

  /** A tool's tokens by its JSON; at once for those of the snapshot that was counted last. */
  tokensOf(raw: string): number {
    return this.#known.get(raw) ?? toolTokens(JSON.parse(raw) as JsonObject);
  }

  async #count(registry: Snapshot): Promise<RegistryCost> {
    const counts = new Map<string, number>();
    // Finding one again costs something, too, and twenty profiles have most of them twenty times.
    for await (const raw of takingTurns(costedTools(registry))) {
      if (!counts.has(raw)) counts.set(raw, this.tokensOf(raw));
    }
    this.#known = counts;
    return registryCost(registry, (raw) => counts.get(raw)!);
  }
}
