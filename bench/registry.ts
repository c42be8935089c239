/**
 * How long a registry snapshot takes to build, whole and after one server changed.
 *
 *     deno run -A --v8-flags=--expose-gc bench/registry.ts
 *     bun --expose-gc bench/registry.ts
 *
 * Without `--expose-gc` the heap is not measured.
 */

import process from "node:process";
import { EMPTY_INVENTORY, type Inventory, type ListItem } from "../src/protocol/lists.ts";
import { buildRegistry, type Registry, type ServerEntry } from "../src/registry/build.ts";
import { changedLists } from "../src/registry/diff.ts";

/** A tool of about 1 KB, the mean of the real servers in the protocol notes. */
function tool(name: string): ListItem {
  const properties = Object.fromEntries(
    Array.from({ length: 8 }, (_, index) => [`argument_${index}`, {
      type: "string",
      description: `What argument ${index} of ${name} is good for, in a few words`,
    }]),
  );
  const raw = JSON.stringify({
    name,
    description: `Does what ${name} says`,
    inputSchema: { type: "object", properties },
  });
  return { key: name, raw };
}

function inventory(server: number, tools: number, version = 0): Inventory {
  const items = Array.from(
    { length: tools },
    (_, index) => tool(`s${server}_tool_${index}${index === 0 ? `_v${version}` : ""}`),
  );
  const resources = Array.from({ length: 20 }, (_, index) => {
    const uri = `demo://s${server}/${index}`;
    return { key: uri, raw: JSON.stringify({ uri, name: `Resource ${index}` }) };
  });
  return {
    ...EMPTY_INVENTORY,
    lists: { ...EMPTY_INVENTORY.lists, tools: { items }, resources: { items: resources } },
  };
}

/** The median of `rounds` timings, milliseconds; `work` gets the round's number. */
function median(rounds: number, work: (round: number) => void): number {
  const times = Array.from({ length: rounds }, (_, round) => {
    const started = performance.now();
    work(round);
    return performance.now() - started;
  });
  return times.sort((a, b) => a - b)[rounds >> 1]!;
}

function measure(servers: number, toolsEach: number): void {
  const entries = (): ServerEntry[] =>
    Array.from({ length: servers }, (_, index) => ({
      name: `server-${index}`,
      prefix: "always",
      separator: "_",
      inventory: inventory(index, toolsEach),
      stale: false,
    }));
  // Fresh inventories each time: what a list was read for is remembered with it.
  const inputs = Array.from({ length: 12 }, entries);
  let registry: Registry | undefined;
  const full = median(inputs.length, (round) => {
    registry = buildRegistry({ version: round, servers: inputs[round]! });
  });

  let current = registry!;
  const refreshes = Array.from({ length: 12 }, (_, round) => inventory(0, toolsEach, round + 1));
  const refreshed = (round: number): Registry =>
    buildRegistry({
      version: round,
      servers: current.entries.map((entry, index) =>
        index === 0 ? { ...entry, inventory: refreshes[round]! } : entry
      ),
    }, current);
  let changed = 0;
  const one = median(refreshes.length, (round) => {
    const next = refreshed(round);
    changed += changedLists(current.aggregate, next.aggregate).length;
    current = next;
  });
  if (changed !== refreshes.length) throw new Error(`Expected a change each round, saw ${changed}`);

  const none = median(12, () => {
    current = buildRegistry({ version: 0, servers: current.entries }, current);
  });
  const bytes = median(1, () => void current.aggregate.list("tools").bytes());
  const names = current.aggregate.names("tool");
  const resolved = median(12, () => {
    for (const name of names) {
      if (current.aggregate.tool(name) === undefined) throw new Error(`Lost "${name}"`);
    }
  });
  const ms = (value: number) => `${value.toFixed(2)} ms`;
  process.stdout.write(
    [
      `${servers} servers x ${toolsEach} tools, ` +
      `${(current.aggregate.list("tools").bytes().length / 1e6).toFixed(1)} MB:`,
      `  full build          ${ms(full)}`,
      `  one server changed  ${ms(one)}`,
      `  nothing changed     ${ms(none)}`,
      `  bytes, first time   ${ms(bytes)}`,
      `  resolve one name    ${(resolved / names.length * 1e6).toFixed(0)} ns`,
      "",
    ].join("\n"),
  );
}

/** Snapshots must not keep their predecessors: the heap after many rebuilds, in MB. */
function growth(rounds: number): void {
  const { gc } = globalThis as { gc?: () => void };
  if (gc === undefined) return;
  let registry = buildRegistry({
    version: 0,
    servers: Array.from({ length: 12 }, (_, index) => ({
      name: `server-${index}`,
      prefix: "always" as const,
      separator: "_",
      inventory: inventory(index, 50),
      stale: false,
    })),
  });
  const heaps: number[] = [];
  for (let round = 1; round <= rounds; round++) {
    const servers = registry.entries.map((entry, index) =>
      index === round % 12 ? { ...entry, inventory: inventory(index, 50, round) } : entry
    );
    registry = buildRegistry({ version: round, servers }, registry);
    registry.aggregate.list("tools").bytes();
    if (round % (rounds / 5) !== 0) continue;
    gc();
    heaps.push(process.memoryUsage().heapUsed / 1e6);
  }
  process.stdout.write(
    `heap over ${rounds} rebuilds: ${heaps.map((heap) => heap.toFixed(0)).join(", ")} MB\n`,
  );
}

measure(12, 50);
measure(12, 600);
growth(1000);
