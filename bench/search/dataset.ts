/** The labelled sets that search is measured with. */

import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import {
  readTool,
  type ServerText,
  serverText,
  type ToolDocument,
} from "../../src/gating/words/document.ts";

/** Development data that is not part of the project: beside it, where it is there at all. */
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

/** The set with this name, or `undefined` where its folder is missing. */
export function readDataset(name: string): Dataset | undefined {
  const folder = new URL(`${name}/`, DATASETS);
  if (!existsSync(folder)) return undefined;
  const servers = new Map<string, ServerText>();
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

/** The two fixed halves: one that numbers are tuned on, one that is only reported. */
export function halfOf({ id }: LabelledQuery): "tuned" | "unseen" {
  return createHash("sha256").update(id).digest()[0]! % 2 === 0 ? "tuned" : "unseen";
}

/** The values in a file of JSON lines. */
export function readLines<T>(file: URL): T[] {
  return readFileSync(file, "utf8").split("\n").filter((line) => line !== "")
    .map((line) => JSON.parse(line) as T);
}
