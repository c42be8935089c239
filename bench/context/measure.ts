/** What one set of tools costs with and without gating, by what the gateway really answers. */

import type { Json, JsonObject } from "../../src/lib/json.ts";
import { type CountTokens, estimateTokens } from "../../src/lib/tokens.ts";
import { registryCost } from "../../src/gating/gate.ts";
import { toolTokens } from "../../src/registry/source.ts";
import { GatingWorld } from "../../tests/gating/support.ts";
import type { ToolSet } from "./sets.ts";

/** Hits that a search is counted with; one that finds fewer is left out, for it costs less. */
const HITS = 8;
/** Schemas that are read after a search. */
const SCHEMAS = 2;
/** Searches in one conversation. */
const SEARCHES = [1, 3, 5, 10] as const;

/** Of many numbers. */
export interface Spread {
  readonly mean: number;
  readonly median: number;
  /** 19 of 20 are not larger. */
  readonly p95: number;
}

/** One line of the results; tokens by o200k. */
export interface ContextCost {
  readonly set: string;
  readonly tools: number;
  readonly servers: number;
  /** The list of all tools. */
  readonly full: number;
  /** The gated list: the meta tools. */
  readonly meta: number;
  /** Searches with eight hits. */
  readonly queries: number;
  /** Answers of `discover_tools`: the text, and the same as structured content. */
  readonly hits: Spread;
  readonly structuredHits: Spread;
  /** Answers of `provision_tools` with the first two hits. */
  readonly schemas: Spread;
  /** What is saved of the full list, by how many searches with hits and schemas, in percent. */
  readonly savedPercent: Readonly<Record<string, number>>;
  /** The same after one search for clients that show their model the structured content. */
  readonly savedPercentStructured: number;
  /** Searches after which gating has cost more than the full list. */
  readonly breakEven: number;
  /** How far estimates are from it, in percent: of the whole list, and of single tools. */
  readonly estimate: {
    readonly total: number;
    readonly meanPerTool: number;
    readonly p5: number;
    readonly p95: number;
  };
}

/** Counts everything that {@link ContextCost} tells of a set. */
export async function measureContext(set: ToolSet, count: CountTokens): Promise<ContextCost> {
  const servers = Object.fromEntries([...set.servers].map(([name, tools]) => [name, { tools }]));
  const world = new GatingWorld({ gating: "on" }, servers as GivenServers);
  const { aggregate } = registryCost(
    world.registry,
    (raw) => toolTokens(JSON.parse(raw) as JsonObject, count),
  );
  const { tools, tokens: full, gatedTokens: meta } = aggregate;
  const hits: number[] = [];
  const structuredHits: number[] = [];
  const schemas: number[] = [];
  for (const query of set.queries) {
    const found = await world.call("discover_tools", { query });
    const ids: Json[] = found.structuredContent.tools.map(({ id }: { id: string }) => id);
    if (ids.length < HITS) continue;
    hits.push(count(found.text));
    structuredHits.push(count(JSON.stringify(found.structuredContent)));
    const provisioned = await world.call("provision_tools", { tool_ids: ids.slice(0, SCHEMAS) });
    schemas.push(count(provisioned.text));
  }
  const [hit, structured, schema] = [spread(hits), spread(structuredHits), spread(schemas)];
  const saved = (searches: number, answer = hit) =>
    percent(1 - (meta + searches * (answer.mean + schema.mean)) / full);
  return {
    set: set.name,
    tools,
    servers: set.servers.size,
    full,
    meta,
    queries: hits.length,
    hits: hit,
    structuredHits: structured,
    schemas: schema,
    savedPercent: Object.fromEntries(SEARCHES.map((searches) => [searches, saved(searches)])),
    savedPercentStructured: saved(1, structured),
    breakEven: Math.floor((full - meta) / (hit.mean + schema.mean)) + 1,
    estimate: errorOf(world, count),
  };
}

type GivenServers = ConstructorParameters<typeof GatingWorld>[1];

function errorOf({ registry }: GatingWorld, count: CountTokens): ContextCost["estimate"] {
  const pairs = registry.aggregate.list("tools", "legacy").items.map((raw) => {
    const tool = JSON.parse(raw) as JsonObject;
    return { exact: toolTokens(tool, count), estimated: toolTokens(tool, estimateTokens) };
  });
  const errors = pairs.map(({ exact, estimated }) => percent(estimated / exact - 1));
  const sum = (pick: (pair: typeof pairs[number]) => number) =>
    pairs.reduce((total, pair) => total + pick(pair), 0);
  const sorted = errors.toSorted((a, b) => a - b);
  return {
    total: percent(sum(({ estimated }) => estimated) / sum(({ exact }) => exact) - 1),
    meanPerTool: round(errors.reduce((total, error) => total + Math.abs(error), 0) / errors.length),
    p5: at(sorted, 0.05),
    p95: at(sorted, 0.95),
  };
}

function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const mean = values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
  return { mean: Math.round(mean), median: at(sorted, 0.5), p95: at(sorted, 0.95) };
}

function at(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
}

function percent(share: number): number {
  return round(100 * share);
}

function round(value: number): number {
  return Math.round(10 * value) / 10;
}
