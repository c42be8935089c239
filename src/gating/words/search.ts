/** Finds the right tools of a view: what its clients can call, by what they want to do. */

import type { TagRule } from "../../config/types.ts";
import type { ListItem } from "../../protocol/lists.ts";
import { tagsOf } from "../../registry/filter.ts";
import { shapeInventory } from "../../registry/shape.ts";
import { memoised } from "../../registry/source.ts";
import type { ServerEntry, View } from "../../registry/types.ts";
import {
  readTool,
  type ServerText,
  serverText,
  type ToolDocument,
  type ToolText,
} from "./document.ts";
import { indexSteps, type SearchIndex } from "./index.ts";
import { finish } from "./postings.ts";

/** An index and what it was built from, the view aside. */
interface Indexed {
  /** Those whose tools it has: a change of others does not change it. */
  readonly servers: ReadonlySet<string>;
  readonly inputs: readonly unknown[];
  readonly index: SearchIndex;
}

let indexes = new WeakMap<View, Indexed>();
let texts = new WeakMap<ListItem, ToolText>();
let serverTexts = new WeakMap<ServerEntry["inventory"], Map<string, ServerText>>();
const NO_RULES: readonly TagRule[] = [];

/** After so many tools reading them lets others have a turn: about a millisecond of work. */
const SLICE = 50;

/**
 * The index of a view's tools: those it lists, as the configuration shapes them. Built at the first
 * call and kept as long as the view and what it is tagged with; what was read of a tool for one
 * index is not read again for another.
 *
 * @param entries those of the same snapshot: `Registry.entries`
 * @param rules tags of the tools of all servers; the same array each time
 */
export function indexOf(
  view: View,
  entries: readonly ServerEntry[],
  rules: readonly TagRule[] = NO_RULES,
): SearchIndex {
  return knownIndex(view, entries, rules) ?? finish(stepsOf(view, entries, rules));
}

/**
 * Builds the index in steps of a few milliseconds, so that later {@link indexOf} has it. Where
 * somebody needs it in between, that builds it at once and the other steps are for nothing.
 */
export function* prepareIndex(
  view: View,
  entries: readonly ServerEntry[],
  rules: readonly TagRule[] = NO_RULES,
): Generator<void, SearchIndex> {
  return knownIndex(view, entries, rules) ?? (yield* stepsOf(view, entries, rules));
}

function* stepsOf(
  view: View,
  entries: readonly ServerEntry[],
  rules: readonly TagRule[],
): Generator<void, SearchIndex> {
  const documents = yield* documentSteps(view, entries, rules);
  const built = yield* indexSteps(documents);
  const known = knownIndex(view, entries, rules);
  if (known !== undefined) return known;
  const servers = new Set(documents.map(({ server }) => server.name));
  indexes.set(view, { servers, inputs: inputsOf(servers, entries, rules), index: built });
  return built;
}

function inputsOf(
  servers: ReadonlySet<string>,
  entries: readonly ServerEntry[],
  rules: readonly TagRule[],
): readonly unknown[] {
  const own = entries.filter(({ name }) => servers.has(name));
  return [rules, ...own.flatMap(({ inventory, shape }) => [inventory, shape])];
}

/** Lets go of all indexes and what was read for them: views live much longer than searches in them. */
export function forgetIndexes(): void {
  indexes = new WeakMap();
  texts = new WeakMap();
  serverTexts = new WeakMap();
}

/** What {@link indexOf} gives without building anything. */
export function knownIndex(
  view: View,
  entries: readonly ServerEntry[],
  rules: readonly TagRule[] = NO_RULES,
): SearchIndex | undefined {
  const known = indexes.get(view);
  if (known === undefined) return undefined;
  const inputs = inputsOf(known.servers, entries, rules);
  const isSame = known.inputs.length === inputs.length &&
    known.inputs.every((input, index) => input === inputs[index]);
  return isSame ? known.index : undefined;
}

function* documentSteps(
  view: View,
  entries: readonly ServerEntry[],
  rules: readonly TagRule[],
): Generator<void, readonly ToolDocument[]> {
  const servers = new Map<string, ReturnType<typeof readServer>>();
  for (const entry of entries) {
    servers.set(entry.name, readServer(entry, rules));
    yield;
  }
  const documents: ToolDocument[] = [];
  for (const id of view.names("tool")) {
    const route = view.tool(id);
    const server = route && servers.get(route.server);
    const item = server?.items.get(route!.name);
    if (server === undefined || item === undefined) continue;
    const text = memoised(texts, item, () => readTool(JSON.parse(item.raw)));
    documents.push({ id, name: route!.name, server: server.text, text, tags: server.tags(item) });
    if (documents.length % SLICE === 0) yield;
  }
  return documents;
}

function readServer(entry: ServerEntry, rules: readonly TagRule[]) {
  const { name, shape, inventory } = entry;
  const items = new Map<string, ListItem>();
  for (const item of shapeInventory(inventory, shape).inventory.lists.tools.items) {
    // Of entries with the same name the first counts, as in the list.
    const own = item.origin ?? item.key;
    if (!items.has(own)) items.set(own, item);
  }
  const byName = memoised(serverTexts, inventory, () => new Map<string, ServerText>());
  const key = JSON.stringify([name, shape?.alias]);
  let text = byName.get(key);
  if (text === undefined) {
    text = serverText(name, { ...inventory, alias: shape?.alias });
    byName.set(key, text);
  }
  return { items, text, tags: tagsOf(entry, rules) };
}
