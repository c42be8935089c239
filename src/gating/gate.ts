import type { ConfigPath } from "../config/issue.ts";
import { gatingFor } from "../config/schema-gating.ts";
import type { GatingConfig, ProfileConfig } from "../config/types.ts";
import { EMPTY_INVENTORY } from "../protocol/lists.ts";
import { buildRegistry, type RegistryInput } from "../registry/build.ts";
import { PatternUse } from "../registry/filter.ts";
import type { ListText } from "../registry/lists.ts";
import { memoised } from "../registry/source.ts";
import type { Registry, ShapeNotice, View } from "../registry/types.ts";
import { GatedView, listedTools } from "./view.ts";

/** What is behind one view's gate, and how it looks with the gate closed. */
export interface Gate {
  readonly config: GatingConfig;
  /** The view with all its tools. */
  readonly full: View;
  /** The same view with the tools that find its tools. */
  readonly view: GatedView;
  /** Whether clients that do not choose get {@link Gate.view}. */
  readonly isClosed: boolean;
}

/** The gates of a snapshot. */
export interface Gates {
  readonly aggregate: Gate;
  /** By profile. */
  readonly profiles: ReadonlyMap<string, Gate>;
}

/** The registry with its gates: all that a request needs to know of what is offered. Immutable. */
export interface Snapshot extends Registry {
  /** What is before the tools of the aggregate and of each profile. */
  readonly gates: Gates;
}

/** What a {@link Snapshot} is built from. */
export interface SnapshotInput extends RegistryInput {
  /** How tools are gated where a profile does not say otherwise. */
  readonly gating: GatingConfig;
}

/** Builds the registry and puts gates before its views, of both what is the same as in `previous`. */
export function buildSnapshot(input: SnapshotInput, previous?: Snapshot): Snapshot {
  const { servers, profiles = [], gating } = input;
  const registry = buildRegistry(input, previous);
  const gates: Gates = {
    aggregate: buildGate(registry.aggregate, gating, undefined, previous?.gates.aggregate),
    profiles: new Map(profiles.map((profile) => {
      const { name, instructions } = profile;
      const full = registry.profiles.get(name)!;
      const before = previous?.gates.profiles.get(name);
      return [name, buildGate(full, gatingOf(profile, gating), instructions, before)];
    })),
  };
  // What is missing may be one's that has not answered yet.
  const isKnown = servers.every(({ inventory }) => inventory !== EMPTY_INVENTORY);
  const notices = isKnown ? pinNotices(gates, profiles) : [];
  return Object.freeze({ ...registry, gates, notices: [...registry.notices, ...notices] });
}

const merged = new WeakMap<ProfileConfig, WeakMap<GatingConfig, GatingConfig>>();

/** The same object for the same two: it is compared. */
function gatingOf(profile: ProfileConfig, of: GatingConfig): GatingConfig {
  const { gating } = profile;
  if (gating === undefined) return of;
  const all = memoised(merged, profile, () => new WeakMap());
  return memoised(all, of, () => gatingFor(gating, of));
}

/**
 * Puts a gate before a view. Whatever depends on the same as in `previous` is the same object, so
 * that no client is told of a change that is none.
 *
 * @param preface instructions that come before those of the servers
 */
function buildGate(
  full: View,
  config: GatingConfig,
  preface: string | undefined,
  previous: Gate | undefined,
): Gate {
  const view = GatedView.build({ full, config, preface }, previous?.view);
  const isClosed = config.mode === "on" || (config.mode === "auto" && exceeds(full, config));
  return previous?.view === view && previous.isClosed === isClosed && previous.config === config
    ? previous
    : { config, full, view, isClosed };
}

/** Whether a view has more tools than `auto` lists directly, or more tokens of them. */
export function exceeds(
  view: View,
  { maxTools, maxTokens }: Pick<GatingConfig, "maxTools" | "maxTokens">,
): boolean {
  // Only few are ever counted: tokens of many tools would take longer than the snapshot itself.
  if (view.counts.tools > maxTools) return true;
  let tokens = 0;
  for (const tool of listedTools(view).values()) {
    tokens += tool.tokens;
    if (tokens > maxTokens) return true;
  }
  return false;
}

/** A view by the tools it has: they are the same as long as it is the same object. */
const unused = new WeakMap<View, WeakMap<readonly string[], readonly string[]>>();

/** What of `alwaysVisible` matches no tool of the views it is for. */
function pinNotices(
  { aggregate, profiles: gates }: Gates,
  profiles: readonly ProfileConfig[],
): readonly ShapeNotice[] {
  const own = profiles.filter(({ gating }) => gating?.alwaysVisible !== undefined);
  const heirs = profiles.filter((profile) => !own.includes(profile));
  const gateOf = ({ name }: ProfileConfig) => gates.get(name)!;
  return [
    // Names differ between views: a profile may have another prefix, or more of a server.
    ...noticesOf(["gating"], aggregate.config.alwaysVisible, [aggregate, ...heirs.map(gateOf)]),
    ...own.flatMap((profile) => {
      const gate = gateOf(profile);
      return noticesOf(["profiles", profile.name, "gating"], gate.config.alwaysVisible, [gate]);
    }),
  ];
}

function noticesOf(
  base: ConfigPath,
  patterns: readonly string[],
  gates: readonly { readonly full: View }[],
): readonly ShapeNotice[] {
  if (patterns.length === 0) return [];
  const [first = [], ...others] = gates.map(({ full }) => unusedIn(full, patterns));
  return first.filter((pattern) => others.every((list) => list.includes(pattern)))
    .map((subject) => ({ type: "unused", path: [...base, "alwaysVisible"], subject }));
}

function unusedIn(view: View, patterns: readonly string[]): readonly string[] {
  const byPatterns = memoised(unused, view, () => new WeakMap());
  return memoised(byPatterns, patterns, () => {
    const use = new PatternUse(patterns);
    for (const name of view.names("tool")) use.note([name]);
    return use.unused;
  });
}

/** What one view costs with its gate open and closed. */
export interface GateCost extends Pick<GatingConfig, "mode" | "maxTools" | "maxTokens"> {
  /** Whether clients that do not choose get the gated list. */
  readonly gated: boolean;
  /** How many tools there are. */
  readonly tools: number;
  /** Tokens of all of them. */
  readonly tokens: number;
  /** How many tools the gated list has. */
  readonly gatedTools: number;
  /** Tokens of those. */
  readonly gatedTokens: number;
  /** What the gated list saves, or would save; below 0 where it costs more than all tools. */
  readonly savedTokens: number;
}

/** What the views of one snapshot cost. */
export interface RegistryCost {
  readonly aggregate: GateCost;
  /** By profile. */
  readonly profiles: ReadonlyMap<string, GateCost>;
  /** Tokens of a server's tools in the list of all; servers without tools are not there. */
  readonly servers: ReadonlyMap<string, number>;
}

/** Tokens of a tool by its JSON as clients get it. */
export type CountTool = (raw: string) => number;

/** The JSON of every tool that {@link registryCost} asks for, some of them more than once. */
export function* costedTools({ gates }: Pick<Snapshot, "gates">): Generator<string> {
  for (const { full, view } of [gates.aggregate, ...gates.profiles.values()]) {
    yield* full.list("tools", "legacy").items;
    yield* view.list("tools", "legacy").items;
  }
}

/** Adds up what a snapshot costs. */
export function registryCost({ gates }: Pick<Snapshot, "gates">, count: CountTool): RegistryCost {
  const { aggregate, profiles } = gates;
  return {
    aggregate: gateCost(aggregate, count),
    profiles: new Map([...profiles].map(([name, gate]) => [name, gateCost(gate, count)])),
    servers: serverCosts(aggregate, count),
  };
}

function gateCost({ config, full, view, isClosed }: Gate, count: CountTool): GateCost {
  // Both eras have the same names, descriptions and input schemas.
  const all = full.list("tools", "legacy");
  const listed = view.list("tools", "legacy");
  return {
    mode: config.mode,
    gated: isClosed,
    maxTools: config.maxTools,
    maxTokens: config.maxTokens,
    tools: all.count,
    gatedTools: listed.count,
    ...costsOf(tokensOf(all, count), tokensOf(listed, count)),
  };
}

/** The three numbers of tokens in a {@link GateCost}. */
export function costsOf(
  tokens: number,
  gatedTokens: number,
): Pick<GateCost, "tokens" | "gatedTokens" | "savedTokens"> {
  return { tokens, gatedTokens, savedTokens: tokens - gatedTokens };
}

function tokensOf({ items }: ListText, count: CountTool): number {
  return items.reduce((sum, raw) => sum + count(raw), 0);
}

function serverCosts({ full }: Gate, count: CountTool): ReadonlyMap<string, number> {
  const names = full.names("tool");
  const costs = new Map<string, number>();
  full.list("tools", "legacy").items.forEach((raw, index) => {
    const server = full.tool(names[index]!)?.server;
    if (server !== undefined) costs.set(server, (costs.get(server) ?? 0) + count(raw));
  });
  return costs;
}
