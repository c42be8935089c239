/** What servers offer, as `list` shows it. */

import { CliError, ExitCode } from "../app/io.ts";
import { type GateCost, registryCost, type Snapshot } from "../gating/gate.ts";
import { listedTools } from "../gating/view.ts";
import { canonicalJson, isObject, type Json, type JsonObject } from "../lib/json.ts";
import { suggest } from "../lib/suggest.ts";
import { plural } from "../lib/text.ts";
import { type CountTokens, ESTIMATE, estimateTokens, type Tokenizer } from "../lib/tokens.ts";
import { LIST_RULES, type ListKind, listRule } from "../protocol/lists.ts";
import { exposedName } from "../protocol/names.ts";
import { toolTokens } from "../registry/source.ts";
import type { Registry, View } from "../registry/types.ts";

/** One tool, prompt, resource or template. */
export interface OfferedItem {
  /** The name, URI or URI template to use at the gateway; null where it cannot be told. */
  readonly exposed: string | null;
  /** As the server itself calls it. */
  readonly own: string;
  readonly title: string | null;
  readonly description: string | null;
  /**
   * What it takes of a model's context as the list of all has it, by the tokenizer that was asked
   * for; only of tools that are found there.
   */
  readonly tokens?: number;
}

/** Everything of one server. */
export type OfferedLists = Readonly<Record<ListKind, readonly OfferedItem[]>>;

/** One server in `list --json`; part of the public contract. */
export interface ServerOffer extends OfferedLists {
  readonly name: string;
  /** Its state, or `disabled`. */
  readonly state: string;
  readonly transport: string;
  /** Why it is not ready; null when it is. */
  readonly error: string | null;
}

/** One list as parsed, per kind. */
export type ParsedLists = Readonly<Record<ListKind, readonly JsonObject[]>>;

/** No items of any kind. */
export const NOTHING: OfferedLists = { tools: [], prompts: [], resources: [], templates: [] };

/** What a server offers according to a registry snapshot. */
export function offersOf(
  server: string,
  { aggregate, servers }: Registry,
  count: CountTokens = estimateTokens,
): OfferedLists {
  const view = servers.get(server);
  if (view === undefined) return NOTHING;
  const exposed: Record<ListKind, ReadonlyMap<string, string>> = {
    tools: namesOf(server, aggregate.names("tool"), (name) => aggregate.tool(name)),
    prompts: namesOf(server, aggregate.names("prompt"), (name) => aggregate.prompt(name)),
    resources: new Map(),
    templates: templatesOf(server, aggregate),
  };
  const listed = listedTools(aggregate);
  return eachKind((kind) =>
    parsedItems(view, kind).map((item) => {
      const own = keyOf(item, kind);
      const name = kind === "resources"
        ? aggregate.exposedUri(server, own)
        : exposed[kind].get(own);
      const tool = kind === "tools" ? listed.get(name ?? "")?.definition : undefined;
      return { ...describe(item, kind, name ?? null), ...tokensOf(tool, count) };
    })
  );
}

function namesOf(
  server: string,
  names: readonly string[],
  resolve: (name: string) => { readonly server: string; readonly name: string } | undefined,
): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const exposed of names) {
    const route = resolve(exposed);
    if (route?.server === server) found.set(route.name, exposed);
  }
  return found;
}

function templatesOf(server: string, aggregate: View): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const item of parsedItems(aggregate, "templates")) {
    const exposed = keyOf(item, "templates");
    const route = aggregate.template(exposed);
    if (route?.server === server) found.set(route.uri, exposed);
  }
  return found;
}

function parsedItems(view: View, kind: ListKind): JsonObject[] {
  return view.list(kind).items.map((text) => JSON.parse(text) as JsonObject);
}

/** The lists of one server as it has them. */
export interface ServerLists {
  readonly server: string;
  readonly lists: ParsedLists;
}

/**
 * The same from outside: `direct` are the servers' own lists in the order of the configuration,
 * `aggregate` is the list of all. An item is found again by everything but its name; of items that
 * are alike otherwise, the first belongs to the first server, for that is the aggregate's order.
 * One that the configuration describes otherwise is found by the name it has unless configured.
 */
export function matchOffers(
  direct: readonly ServerLists[],
  aggregate: ParsedLists,
  count: CountTokens = estimateTokens,
): readonly OfferedLists[] {
  const pools = eachKind((kind) => Map.groupBy(aggregate[kind], (item) => withoutKey(item, kind)));
  const found = direct.map(({ lists }) =>
    eachKind((kind) => lists[kind].map((item) => pools[kind].get(withoutKey(item, kind))?.shift()))
  );
  const left = eachKind((kind) => {
    const items = [...pools[kind].values()].flat();
    return new Map(items.map((item) => [keyOf(item, kind), item]));
  });
  return direct.map(({ server, lists }, at) =>
    eachKind((kind) =>
      lists[kind].map((item, index) => {
        const match = found[at]![kind][index] ??
          left[kind].get(usualName(server, keyOf(item, kind)));
        return {
          ...describe(item, kind, match === undefined ? null : keyOf(match, kind)),
          ...tokensOf(kind === "tools" ? match : undefined, count),
        };
      })
    )
  );
}

function usualName(server: string, own: string): string {
  return exposedName({ server, name: own, prefix: "always", separator: "_" });
}

function withoutKey(item: JsonObject, kind: ListKind): string {
  return canonicalJson({ ...item, [listRule(kind).key]: null });
}

function keyOf(item: JsonObject, kind: ListKind): string {
  return String(item[listRule(kind).key] ?? "");
}

function describe(item: JsonObject, kind: ListKind, exposed: string | null): OfferedItem {
  const { title, description } = item;
  return {
    exposed,
    own: keyOf(item, kind),
    title: textOf(title),
    description: textOf(description),
  };
}

function tokensOf(tool: JsonObject | undefined, count: CountTokens): { readonly tokens?: number } {
  return tool === undefined ? {} : { tokens: toolTokens(tool, count) };
}

function textOf(value: Json | undefined): string | null {
  return typeof value === "string" ? value : null;
}

/** One value for each kind of list. */
export function eachKind<T>(make: (kind: ListKind) => T): Record<ListKind, T> {
  return Object.fromEntries(LIST_RULES.map(({ kind }) => [kind, make(kind)])) as Record<
    ListKind,
    T
  >;
}

/** The items of a list result; what is no object is left out. */
export function itemsIn(result: JsonObject, kind: ListKind): JsonObject[] {
  const items = result[listRule(kind).field];
  return Array.isArray(items) ? items.filter(isObject) : [];
}

/** What the views of a gateway cost in a model's context, as `list --tokens` and `status` tell it. */

/** One view; part of the public contract of `list --json --tokens`. */
export interface ViewCost extends GateCost {
  /** Its path at the gateway, `/mcp`. */
  readonly path: string;
  /** `null` for that of all servers. */
  readonly profile: string | null;
  /** {@link savedPercent} */
  readonly savedPercent: number;
  /** Why it is gated, or is not: `600 tools > 50`. */
  readonly why: string;
}

/** The costs of all views of a snapshot. */
export function viewCosts(registry: Snapshot, tokenizer: Tokenizer): readonly ViewCost[] {
  const estimated = registryCost(registry, counterOf(ESTIMATE));
  const cost = tokenizer.isExact ? registryCost(registry, counterOf(tokenizer)) : estimated;
  return [
    viewCost(undefined, cost.aggregate, estimated.aggregate),
    ...[...cost.profiles].map(([name, one]) =>
      viewCost(name, one, estimated.profiles.get(name) ?? one)
    ),
  ];
}

/** Profiles share most of their tools with the view of all. */
function counterOf({ count }: Tokenizer): (raw: string) => number {
  const known = new Map<string, number>();
  return (raw) => {
    let tokens = known.get(raw);
    if (tokens === undefined) {
      known.set(raw, tokens = toolTokens(JSON.parse(raw) as JsonObject, count));
    }
    return tokens;
  };
}

/**
 * A view with these costs. Whether it is gated was decided by estimates, so those say why.
 *
 * @param estimated where `cost` was counted exactly
 */
export function viewCost(
  profile: string | undefined,
  cost: GateCost,
  estimated: GateCost = cost,
): ViewCost {
  const path = profile === undefined ? "/mcp" : `/profiles/${encodeURIComponent(profile)}/mcp`;
  return {
    path,
    profile: profile ?? null,
    ...cost,
    savedPercent: savedPercent(cost),
    why: whyGated(estimated),
  };
}

/** The share of the tokens that gating saves, in percent with one decimal. */
export function savedPercent({ tokens, savedTokens }: GateCost): number {
  return tokens === 0 ? 0 : Math.round(1_000 * savedTokens / tokens) / 10;
}

function whyGated({ mode, gated, tools, tokens, maxTools, maxTokens }: GateCost): string {
  if (mode !== "auto") return `gating is ${mode}`;
  const count = plural(tools, "tool");
  if (!gated) return `${count} ≤ ${maxTools}, about ${tokens} tokens ≤ ${maxTokens}`;
  return tools > maxTools ? `${count} > ${maxTools}` : `about ${tokens} tokens > ${maxTokens}`;
}

/** The costs in a gateway's status, `undefined` where it does not tell them. */
export function costIn(value: unknown): GateCost | undefined {
  if (!isObject(value)) return undefined;
  const { mode, gated } = value;
  if (mode !== "off" && mode !== "on" && mode !== "auto") return undefined;
  const number = (key: string) => Number(value[key] ?? 0);
  return {
    mode,
    gated: gated === true,
    maxTools: number("maxTools"),
    maxTokens: number("maxTokens"),
    tools: number("tools"),
    tokens: number("tokens"),
    gatedTools: number("gatedTools"),
    gatedTokens: number("gatedTokens"),
    savedTokens: number("savedTokens"),
  };
}

/** The end of a command that names a server nobody has. */
export function unknownServer(name: string, known: Iterable<string>): CliError {
  const names = [...known];
  const near = suggest(name, names);
  const hint = near === undefined
    ? `Configured: ${names.join(", ") || "none"}`
    : `Did you mean "${near}"?`;
  return new CliError(
    ExitCode.Failed,
    `Cannot find server "${name}": it is not configured; expected one of mcpServers`,
    { hint },
  );
}
