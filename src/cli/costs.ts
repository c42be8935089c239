/** What the views of a gateway cost in a model's context, as `list --tokens` and `status` tell it. */

import type { ServerOffer } from "../gateway/offers.ts";
import { type CountTool, type GateCost, registryCost, type Snapshot } from "../gating/gate.ts";
import { isObject, type JsonObject } from "../lib/json.ts";
import { plural } from "../lib/text.ts";
import { ESTIMATE, type Tokenizer } from "../lib/tokens.ts";
import { toolTokens } from "../registry/source.ts";

/** Tokens of a server's tools. */
export function serverTokens({ tools }: Pick<ServerOffer, "tools">): number {
  return tools.reduce((sum, { tokens }) => sum + (tokens ?? 0), 0);
}

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

/** Counts tools by their JSON, each once: profiles share most of theirs with the view of all. */
export function counterOf({ count }: Tokenizer): CountTool {
  const known = new Map<string, number>();
  return (raw) =>
    known.getOrInsertComputed(raw, () => toolTokens(JSON.parse(raw) as JsonObject, count));
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

/** What `/mcp` costs where nobody chose to gate it, and the way out; nothing within auto's bounds. */
export function ungatedHint(cost: GateCost | undefined): string | undefined {
  if (cost === undefined) return undefined;
  const { mode, tools, tokens, maxTools, maxTokens, gatedTools, gatedTokens } = cost;
  if (mode !== "off" || (tools <= maxTools && tokens <= maxTokens)) return undefined;
  return `/mcp lists ${tools} tools, about ${tokens} tokens of a model's context; /gated/mcp lists ` +
    `${gatedTools} that find the others, about ${gatedTokens} (mcproxy connect CLIENT --gated)`;
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

const COST_NUMBERS = [
  "maxTools",
  "maxTokens",
  "tools",
  "tokens",
  "gatedTools",
  "gatedTokens",
  "savedTokens",
] as const satisfies readonly (keyof GateCost)[];

/** The costs in a gateway's status, `undefined` where it does not tell them. */
export function costIn(value: unknown): GateCost | undefined {
  if (!isObject(value)) return undefined;
  const { mode, gated } = value;
  if (mode !== "off" && mode !== "on" && mode !== "auto") return undefined;
  const numbers = COST_NUMBERS.map((key) => [key, Number(value[key] ?? 0)] as const);
  return { mode, gated: gated === true, ...Object.fromEntries(numbers) } as unknown as GateCost;
}
