/** Several files as one: the later one has the say, for each server and each setting as a whole. */

import { canonicalJson } from "../lib/canonical.ts";
import { IssueCollector } from "./collector.ts";
import { type ConfigIssue, type ConfigPath, formatPath } from "./issue.ts";
import type { ConfigTree } from "./tree.ts";

/** The one tree, and what in it took the place of something else. */
export interface Merged {
  readonly tree: ConfigTree;
  readonly warnings: readonly ConfigIssue[];
}

/** Merges at least one tree, in this order. Pure. */
export function mergeTrees(trees: readonly [ConfigTree, ...ConfigTree[]]): Merged {
  const [first] = trees;
  if (trees.length === 1) return { tree: first, warnings: [] };
  const settings = new Map<string, ConfigTree>();
  const servers = new Map<string, ConfigTree>();
  const warnings: ConfigIssue[] = [];
  let section: ConfigTree | undefined;
  let broken: ConfigTree | undefined;
  const report = (path: ConfigPath, before: ConfigTree | undefined, now: ConfigTree): void => {
    if (before === undefined || isSame(path, before, now)) return;
    const { file, line, column, path: written } = before.place(path, "key");
    const message = `takes the place of ${formatPath(written)} in ${file}:${line}:${column}`;
    warnings.push(new IssueCollector(now).issue(path, message, { part: "key" }));
  };
  for (const tree of trees) {
    for (const key of Object.keys(tree.value)) {
      if (key === "mcpServers") continue;
      if (key !== "$schema") report([key], settings.get(key), tree);
      settings.set(key, tree);
    }
    if (!("mcpServers" in tree.value)) continue;
    section ??= tree;
    if (!isSection(tree.value["mcpServers"])) broken ??= tree;
    for (const name of tree.names) {
      report(["mcpServers", name], servers.get(name), tree);
      servers.set(name, tree);
    }
  }
  const owner = ([key, name]: ConfigPath): ConfigTree => {
    if (key !== "mcpServers") return settings.get(String(key)) ?? first;
    return servers.get(String(name)) ?? broken ?? section ?? first;
  };
  const value: Record<string, unknown> = Object.create(null);
  for (const [key, tree] of settings) value[key] = tree.value[key];
  if (broken !== undefined) value["mcpServers"] = broken.value["mcpServers"];
  else if (section !== undefined) value["mcpServers"] = sectionOf(servers);
  const tree: ConfigTree = {
    value,
    names: [...servers.keys()],
    place: (path, part) => owner(path).place(path, part),
    origin: (path) => owner(path).origin(path),
  };
  return { tree, warnings };
}

function sectionOf(servers: ReadonlyMap<string, ConfigTree>): unknown {
  const section: Record<string, unknown> = Object.create(null);
  for (const [name, tree] of servers) section[name] = at(tree, ["mcpServers", name]);
  return section;
}

/** The same text in two files of one directory means the same. */
function isSame(path: ConfigPath, before: ConfigTree, now: ConfigTree): boolean {
  return canonicalJson(at(before, path)) === canonicalJson(at(now, path));
}

function at({ value }: ConfigTree, path: ConfigPath): unknown {
  let current: unknown = value;
  for (const step of path) current = (current as Record<string, unknown>)[step];
  return current;
}

function isSection(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
