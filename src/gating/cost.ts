/** What lists of tools take in a model's context, and what gating saves of it. */

import type { GatingConfig } from "../config/gating.ts";
import type { ListText } from "../registry/list-text.ts";
import type { Registry } from "../registry/types.ts";
import type { Gate } from "./gate.ts";

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
export function* costedTools({ gates }: Pick<Registry, "gates">): Generator<string> {
  for (const { full, view } of [gates.aggregate, ...gates.profiles.values()]) {
    yield* full.list("tools", "legacy").items;
    yield* view.list("tools", "legacy").items;
  }
}

/** Adds up what a snapshot costs. */
export function registryCost({ gates }: Pick<Registry, "gates">, count: CountTool): RegistryCost {
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
