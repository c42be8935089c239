/**
 * How long a registry snapshot takes to build, whole and after one server changed, without and with
 * profiles and shaped servers.
 *
 *     deno run -A --v8-flags=--expose-gc bench/registry.ts
 *     bun --expose-gc bench/registry.ts
 *
 * Without `--expose-gc` the heap is not measured.
 */

import process from "node:process";
import {
  type Config,
  diffConfig,
  type ProfileConfig,
  type ServerShape,
} from "../src/config/types.ts";
import { parseConfig } from "../src/config/load.ts";
import { buildSnapshot, type Snapshot } from "../src/gating/gate.ts";
import { planReload } from "../src/gateway/members/members.ts";
import { EMPTY_INVENTORY, type Inventory, type ListItem } from "../src/protocol/lists.ts";
import { buildRegistry, changedLists } from "../src/registry/build.ts";
import type { Registry, ServerEntry } from "../src/registry/types.ts";

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
  const bytes = median(1, () => void current.aggregate.list("tools").text);
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
      `${(current.aggregate.list("tools").text.length / 1e6).toFixed(1)} MB:`,
      `  full build          ${ms(full)}`,
      `  one server changed  ${ms(one)}`,
      `  nothing changed     ${ms(none)}`,
      `  bytes, first time   ${ms(bytes)}`,
      `  resolve one name    ${(resolved / names.length * 1e6).toFixed(0)} ns`,
      "",
    ].join("\n"),
  );
}

/**
 * Five profiles: one of everything, one of some servers, one by tag, and two that filter; every third
 * server is shaped. A reload brings equal profiles and shapes that are new objects.
 */
function measureProfiles(servers: number, toolsEach: number): void {
  const shapes = (): readonly (ServerShape | undefined)[] =>
    Array.from({ length: servers }, (_, index) =>
      index % 3 !== 0 ? undefined : {
        tags: ["third"],
        tools: {
          exclude: ["*_tool_3"],
          rename: { [`s${index}_tool_1`]: "renamed" },
          overrides: [{ match: "*", hideParameters: ["argument_7"], fixed: { argument_6: "x" } }],
        },
      });
  const profiles = (): readonly ProfileConfig[] => [
    { name: "all" },
    { name: "some", servers: ["server-1*"] },
    { name: "tagged", tags: ["third"] },
    { name: "filtered", tools: { include: ["*_tool_{1,2,5,7}*", "renamed"] } },
    { name: "safe", tools: { exclude: ["*_tool_1*"] }, prefix: "conflict" },
  ];
  const build = (given: readonly ServerEntry[], named: readonly ProfileConfig[], old?: Registry) =>
    buildRegistry({ version: 0, servers: given, profiles: named, tags: [] }, old);
  const entries = (): ServerEntry[] => {
    const shaped = shapes();
    return Array.from({ length: servers }, (_, index) => ({
      name: `server-${index}`,
      prefix: "always",
      separator: "_",
      inventory: inventory(index, toolsEach),
      shape: shaped[index],
      stale: false,
    }));
  };
  const inputs = Array.from({ length: 12 }, entries);
  let current: Registry | undefined;
  const full = median(inputs.length, (round) => {
    current = build(inputs[round]!, profiles());
  });
  let named = profiles();
  const reload = median(12, () => {
    const shaped = shapes();
    named = profiles();
    const next = current!.entries.map((entry, index) => ({ ...entry, shape: shaped[index] }));
    current = build(next, named, current);
  });
  const refreshes = Array.from({ length: 12 }, (_, round) => inventory(3, toolsEach, round + 1));
  let changed = 0;
  const one = median(refreshes.length, (round) => {
    const before = current!;
    current = build(
      before.entries.map((entry, index) =>
        index === 3 ? { ...entry, inventory: refreshes[round]! } : entry
      ),
      named,
      before,
    );
    for (const [name, view] of current.profiles) {
      changed += changedLists(before.profiles.get(name), view).length;
    }
  });
  // Profiles "some" and "filtered" have nothing of what changes.
  if (changed === 0) throw new Error("Expected profiles to change, saw none");
  const ms = (value: number) => `${value.toFixed(2)} ms`;
  const sizes = [...current!.profiles.values()].map((view) => view.counts.tools);
  process.stdout.write(
    [
      `${servers} servers x ${toolsEach} tools, a third shaped, profiles of ${sizes.join(", ")}:`,
      `  full build          ${ms(full)}`,
      `  config reloaded     ${ms(reload)}`,
      `  one server changed  ${ms(one)}`,
      "",
    ].join("\n"),
  );
}

/**
 * What a reload computes, from the text of the file to the new snapshot: 30 servers, a third shaped,
 * and five profiles, of which one server changes its program and another its shape (issue 5: 100 ms).
 */
function measureReload(servers: number, toolsEach: number): void {
  const textOf = (version: number) =>
    JSON.stringify({
      mcpServers: Object.fromEntries(
        Array.from({ length: servers }, (_, index) => [`server-${index}`, {
          command: "npx",
          args: ["-y", `@example/server-${index}`, ...(index === 1 ? [`--v=${version}`] : [])],
          env: { TOKEN: `token-${index}` },
          ...(index % 3 !== 0 ? {} : {
            tags: ["third"],
            tools: {
              exclude: ["*_tool_3"],
              rename: { [`s${index}_tool_1`]: index === 0 ? `renamed_${version}` : "renamed" },
              override: { "*": { hideParameters: ["argument_7"], fixed: { argument_6: "x" } } },
            },
          }),
        }]),
      ),
      profiles: {
        all: {},
        some: { servers: ["server-1*"] },
        tagged: { tags: ["third"] },
        filtered: { tools: { include: ["*_tool_{1,2,5,7}*", "renamed"] } },
        safe: { tools: { exclude: ["*_tool_1*"] }, prefix: "conflict" },
      },
    });
  const read = (version: number): Config => {
    const parsed = parseConfig(textOf(version), { file: "mcp-servers.json", env: {} });
    if (!parsed.ok) throw new Error(JSON.stringify(parsed));
    return parsed.config;
  };
  const inventories = Array.from({ length: servers }, (_, index) => inventory(index, toolsEach));
  const build = (config: Config, previous?: Snapshot) =>
    buildSnapshot({
      version: 0,
      servers: [...config.servers.values()].map(({ name, prefix, separator, shape }, index) => ({
        name,
        prefix,
        separator,
        shape,
        inventory: inventories[index]!,
        stale: false,
      })),
      profiles: config.settings.profiles,
      tags: config.settings.tags,
      gating: config.settings.gating,
    }, previous);
  let config = read(0);
  let registry = build(config);
  const rounds = 20;
  const took = median(rounds, (round) => {
    const next = read(round + 1);
    const { changed } = diffConfig(config, next);
    const actual = new Map([...config.servers].map(([name, serving]) => [name, { serving }]));
    const steps = planReload(actual, next.servers);
    const rebuilt = build(next, registry);
    const told = [...rebuilt.profiles].filter(([name, view]) =>
      changedLists(registry.profiles.get(name), view).length > 0
    );
    if (changed.length !== 2 || steps.filter((step) => step.do === "replace").length !== 1) {
      throw new Error(`Expected two changes and one replacement, saw ${changed}`);
    }
    if (told.length === 0) throw new Error("Expected profiles to change, saw none");
    config = next;
    registry = rebuilt;
  });
  process.stdout.write(
    `${servers} servers x ${toolsEach} tools, 5 profiles, from the file's text to the snapshot:\n` +
      `  read, plan, build   ${took.toFixed(2)} ms\n`,
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
    void registry.aggregate.list("tools").text;
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
measureProfiles(30, 34);
measureReload(30, 34);
growth(1000);
