/** The labelled sets that search is measured with. */

import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";
import {
  readTool,
  type ServerText,
  serverText,
  type ToolDocument,
} from "../../src/gating/words/document.ts";

/** Public sets that are not part of the project: beside it, where nobody says where else. */
export const DATASETS = new URL("../../../shared/datasets/", import.meta.url);
const OWN = new URL("../../tests/golden/search/", import.meta.url);

/** Something somebody wants, and the tools that are right for it. */
export interface LabelledQuery {
  readonly id: string;
  readonly query: string;
  /** Ids of documents. */
  readonly relevant: readonly string[];
  /** How right each is; 1 where nothing is said. */
  readonly grades?: Readonly<Record<string, number>>;
}

/** Tools, and queries for them. */
export interface Dataset {
  readonly name: string;
  readonly documents: readonly ToolDocument[];
  readonly queries: readonly LabelledQuery[];
}

/** The labelled sets; the own one is always there. */
export const PUBLIC = ["mcpproxy45", "metatool", "toollinkos", "livemcpbench"] as const;

/** The folder that the first argument of the command line names, else {@link DATASETS}. */
export function folderGiven(): URL {
  const [, , given] = process.argv;
  return given === undefined ? DATASETS : pathToFileURL(`${resolve(given)}/`);
}

/** The set with this name, or `undefined` where its folder is missing. */
export function readDataset(name: string, among = DATASETS): Dataset | undefined {
  const folder = new URL(`${name}/`, among);
  if (!existsSync(folder)) return undefined;
  const servers = new Map(
    serversIn(new URL("servers.json", folder)).map((one) => [one.name, one]),
  );
  const documents = readLines<{ id: string; name: string; server: string }>(
    new URL("tools.jsonl", folder),
  ).map((tool): ToolDocument => {
    let server = servers.get(tool.server);
    if (server === undefined) {
      server = { name: tool.server, title: "", description: "" };
      servers.set(tool.server, server);
    }
    return { id: tool.id, name: tool.name, server, text: readTool(tool), tags: [] };
  });
  const queries = new URL("queries.jsonl", folder);
  return { name, documents, queries: existsSync(queries) ? readLines(queries) : [] };
}

/** What the servers of a set say of themselves, where the set knows it; read as the gateway does. */
function serversIn(file: URL): readonly ServerText[] {
  if (!existsSync(file)) return [];
  const servers: { server: string }[] = JSON.parse(readFileSync(file, "utf8"));
  return servers.map((one) =>
    serverText(one.server, { serverInfo: JSON.stringify(one), instructions: undefined })
  );
}

/** How many queries {@link asTasks} joins. */
const STEPS = 6;

/**
 * Whole tasks: six queries from all over the set said as one, for which the tools of all are right.
 * Queries of the sets are short; what agents are given is not.
 */
export function asTasks(queries: readonly LabelledQuery[], most: number): readonly LabelledQuery[] {
  const count = Math.min(most, queries.length);
  return Array.from({ length: count }, (_, task): LabelledQuery => {
    const steps = Array.from({ length: STEPS }, (_, step) => {
      const at = Math.floor((task / count + step / STEPS) * queries.length) + 7 * step * step;
      return queries[at % queries.length]!;
    });
    return {
      id: `${task}`,
      query: steps.map(({ query }) => query).join(" "),
      relevant: [...new Set(steps.flatMap(({ relevant }) => relevant))],
    };
  });
}

/** The project's own set: tools of the example servers. */
export function readOwnDataset(): Dataset {
  const servers: {
    name: string;
    serverInfo: object;
    instructions?: string;
    tools: { name: string }[];
  }[] = JSON.parse(readFileSync(new URL("tools.json", OWN), "utf8"));
  const documents = servers.flatMap(({ name, serverInfo, instructions, tools }) => {
    const server = serverText(name, { serverInfo: JSON.stringify(serverInfo), instructions });
    return tools.map((tool): ToolDocument => ({
      id: `${name}_${tool.name}`,
      name: tool.name,
      server,
      text: readTool(tool),
      tags: [],
    }));
  });
  return { name: "own", documents, queries: readLines(new URL("queries.jsonl", OWN)) };
}

/** The values in a file of JSON lines. */
export function readLines<T>(file: URL): T[] {
  return readFileSync(file, "utf8").split("\n").filter((line) => line !== "")
    .map((line) => JSON.parse(line) as T);
}
