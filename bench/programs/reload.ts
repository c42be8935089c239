/**
 * Times what a reload computes: the reading of a configuration, and from there to the snapshot
 * clients see, where one server of many has changed. Prints JSON: samples in milliseconds.
 */

import { type Config, diffConfig } from "../../src/config/types.ts";
import { parseConfig } from "../../src/config/load.ts";
import { buildSnapshot } from "../../src/gating/gate.ts";
import { planReload } from "../../src/gateway/members/members.ts";
import { EMPTY_INVENTORY, type Inventory, type ListItem } from "../../src/protocol/lists.ts";
import { changedLists } from "../../src/registry/build.ts";
import type { ServerEntry } from "../../src/registry/types.ts";

const SERVERS = 30;
const TOOLS = 1_000;
const ROUNDS = 20;

/** A configuration whose first server is another one in each version. */
function textOf(version: number): string {
  const mcpServers = Object.fromEntries(
    Array.from({ length: SERVERS }, (_, index) => [`server${index}`, {
      command: "npx",
      args: ["-y", `@example/server-${index}`, ...(index === 0 ? [`--version=${version}`] : [])],
      env: { TOKEN: `token-${index}`, ROOT: `/srv/${index}` },
    }]),
  );
  return JSON.stringify({ mcpServers }, null, 2);
}

function read(text: string): Config {
  const parsed = parseConfig(text, { file: "mcp-servers.json", env: {} });
  if (!parsed.ok) throw new Error(JSON.stringify(parsed));
  return parsed.config;
}

/** A tool of about 1 KB. */
function tool(name: string): ListItem {
  const properties = Object.fromEntries(
    Array.from({ length: 8 }, (_, index) => [`argument_${index}`, {
      type: "string",
      description: `What argument ${index} of ${name} is good for, in a few words`,
    }]),
  );
  const inputSchema = { type: "object", properties };
  return { key: name, raw: JSON.stringify({ name, description: `Does ${name}`, inputSchema }) };
}

function inventory(server: number, version: number): Inventory {
  const count = Math.floor(TOOLS / SERVERS) + (server < TOOLS % SERVERS ? 1 : 0);
  const items = Array.from({ length: count }, (_, index) => tool(`tool_${index}_v${version}`));
  return { ...EMPTY_INVENTORY, lists: { ...EMPTY_INVENTORY.lists, tools: { items } } };
}

type Named = Pick<ServerEntry, "name" | "prefix" | "separator">;

function entry({ name, prefix, separator }: Named, inventory: Inventory): ServerEntry {
  return { name, prefix, separator, inventory, stale: false };
}

let config = read(textOf(0));
let servers = [...config.servers.values()].map((server, index) =>
  entry(server, inventory(index, 0))
);
const { gating } = config.settings;
let registry = buildSnapshot({ version: 0, servers, gating });
if (registry.aggregate.counts.tools !== TOOLS) throw new Error("The benchmark lost some tools");

const reading: number[] = [];
const planning: number[] = [];
for (let round = 1; round <= ROUNDS; round++) {
  const text = textOf(round);
  const changed = inventory(0, round);
  const began = performance.now();
  const next = read(text);
  const wasRead = performance.now();
  const { changed: names } = diffConfig(config, next);
  const actual = new Map([...config.servers].map(([name, serving]) => [name, { serving }]));
  const steps = planReload(actual, next.servers);
  servers = servers.map((server, index) => index === 0 ? entry(server, changed) : server);
  const rebuilt = buildSnapshot({ version: round, servers, gating }, registry);
  const told = changedLists(registry.aggregate, rebuilt.aggregate);
  planning.push(performance.now() - wasRead);
  reading.push(wasRead - began);
  const replaced = steps.filter((step) => step.do === "replace").length;
  if (names.length !== 1 || replaced !== 1 || told.join() !== "tools") {
    throw new Error(`Expected one change, saw ${names}, ${replaced} replaced, ${told} changed`);
  }
  config = next;
  registry = rebuilt;
}
console.log(JSON.stringify({ reading, planning }));
