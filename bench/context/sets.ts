/** Lists of tools to count, and what is looked for in them. */

import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import type { JsonObject } from "../../src/lib/json.ts";
import { summary } from "../../src/gating/hit.ts";
import { OWN_QUERIES, ownTools } from "../../tests/gating/own-tools.ts";
import type { ToolGiven } from "../../tests/gating/support.ts";
import { DATASETS, readDataset, readLines } from "../search/dataset.ts";

/** Tools of one size, and queries for them. */
export interface ToolSet {
  readonly name: string;
  /** By server. */
  readonly servers: ReadonlyMap<string, readonly ToolGiven[]>;
  readonly queries: readonly string[];
}

/** Queries that are made of the tools of a set themselves. */
const OF_ITSELF = 200;

interface Line {
  readonly id: string;
  readonly server: string;
  readonly name: string;
  readonly description?: string;
  /** `null` where whoever collected it did not keep it; a server must give one. */
  readonly inputSchema?: JsonObject | null;
}

/** The sets whose data are there, and the project's own. */
export function readSets(skipped: (name: string) => void): readonly ToolSet[] {
  const small = readLinesOf("mcpproxy45", skipped);
  const large = readLinesOf("toucan3000", skipped);
  const queries = readDataset("mcpproxy45")?.queries.map(({ query }) => query) ?? [];
  const foreign = [...queries, ...OWN_QUERIES];
  const setOf = (name: string, lines: readonly Line[], asked: readonly string[]) => ({
    name,
    servers: serversOf(lines),
    queries: asked,
  });
  const grown = (name: string, lines: readonly Line[]) =>
    lines.length === 0 ? [] : [100, 500, lines.length].map((size) => {
      const some = lines.slice(0, size);
      return setOf(name, some, [...foreign, ...queriesOf(some)]);
    });
  const described = large.filter(({ inputSchema }) => isObjectSchema(inputSchema));
  return [
    ...(small.length === 0 ? [] : [setOf("mcpproxy45", small, queries)]),
    ...grown("toucan3000", large),
    ...grown("toucan3000 with schema", described),
    ...[100, 500].map((size) => ({
      name: "own, repeated",
      servers: ownTools(size),
      queries: OWN_QUERIES,
    })),
  ];
}

/** In an order that is the same each time and means nothing. */
function readLinesOf(name: string, skipped: (name: string) => void): readonly Line[] {
  const file = new URL(`${name}/tools.jsonl`, DATASETS);
  if (!existsSync(file)) {
    skipped(name);
    return [];
  }
  const hash = ({ id }: Line) => createHash("sha256").update(id).digest("hex");
  return readLines<Line>(file)
    .map((line) => ({ line, key: hash(line) }))
    .toSorted((a, b) => a.key < b.key ? -1 : 1)
    .map(({ line }) => line);
}

function isObjectSchema(schema: Line["inputSchema"]): boolean {
  return typeof schema === "object" && schema !== null;
}

function serversOf(lines: readonly Line[]): ReadonlyMap<string, readonly ToolGiven[]> {
  const servers = new Map<string, ToolGiven[]>();
  for (const { server, name, description = "", inputSchema } of lines) {
    const tools = servers.get(server) ?? [];
    tools.push({ name, description, inputSchema: inputSchema ?? { type: "object" } });
    servers.set(server, tools);
  }
  return servers;
}

/** What somebody may want of these tools, in words that are near to their own. */
function queriesOf(lines: readonly Line[]): readonly string[] {
  return lines.slice(0, OF_ITSELF)
    .map(({ name, description = "" }) => summary(description) || name);
}
