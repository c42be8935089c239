/** What every server offers, and under which names: for `/api/tools` and `mcproxy list`. */

import type { CountTool } from "../gating/gate.ts";
import type { Json, JsonObject } from "../lib/json.ts";
import { type ListKind, listRule } from "../protocol/lists.ts";
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
      const title = textOf(item.title);
      const description = textOf(item.description);
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

function textOf(value: Json | undefined): string | null {
  return typeof value === "string" ? value : null;
}
