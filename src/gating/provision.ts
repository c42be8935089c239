/** `provision_tools` and `list_provisioned_tools`: full definitions, and what one client has read. */

import type { JsonObject } from "../lib/json.ts";
import { shownId } from "./discover.ts";
import { compactHit, definitionTokens, fullDefinition } from "./hit.ts";
import {
  type MetaCall,
  type MetaResult,
  mistake,
  readCount,
  readString,
  readTexts,
} from "./meta-call.ts";
import { type Provisioned, provisionKey } from "./provisioned.ts";
import { findTool, type ListedTool } from "./view.ts";

/** More is a mistake, or no choice at all. */
const MOST_IDS = 100;

/** Of more unknown ids nobody mends each by itself; to look for what is near takes milliseconds. */
const MOST_EXPLAINED = 5;

/**
 * The tools that a call of `provision_tools` asks for, as far as it will look at them.
 * @throws {ArgumentMistake}
 */
export function wantedIds(args: JsonObject): { readonly ids: readonly string[]; left: number } {
  const all = readTexts(args, "tool_ids");
  return { ids: all.slice(0, MOST_IDS), left: Math.max(0, all.length - MOST_IDS) };
}

const HANDLE_LOST =
  "This handle is not known here, or not any more; call provision_tools again without one";

/**
 * Answers `provision_tools`: the definitions that fit, in the given order, and what did not fit.
 *
 * @param nearest present tools that an id may have meant, best first
 * @throws {ArgumentMistake}
 */
export async function provisionTools(
  call: MetaCall,
  store: Provisioned,
  nearest: (id: string) => Promise<readonly string[]>,
): Promise<MetaResult> {
  const { args, client, gate } = call;
  const { ids, left } = wantedIds(args);
  if (ids.length === 0) {
    return mistake('"tool_ids" must be a list of ids as discover_tools returns them');
  }
  const budget = readCount(args, "context_tokens", { least: 0, most: Number.MAX_SAFE_INTEGER }) ??
    gate.config.maxTokens;
  const given = client.session === undefined ? readString(args, "handle") : undefined;
  const isNew = client.session === undefined && given === undefined;
  // Nobody can guess it: whoever knows it is the client.
  const handle = isNew ? crypto.randomUUID() : given;
  const key = provisionKey(client, gate.full.id, handle)!;
  if (given !== undefined && !store.knows(key)) return mistake(HANDLE_LOST);
  const { fitting, tooLarge, unknown } = await chosen(call, ids, budget, nearest);
  if (fitting.length > 0) store.add(key, fitting.map(({ tool }) => tool.route.exposed));
  const tools = fitting.map(({ definition, tokens }) => ({ ...definition, tokens }));
  const notes: JsonObject = {
    ...(left === 0 ? {} : { hint: `Only ${MOST_IDS} ids at a time; ${left} were not looked at` }),
    ...(store.knows(key) && handle !== undefined ? { handle } : {}),
  };
  return {
    // Programs want every member; to a model those that say nothing are tokens.
    text: JSON.stringify({
      tools,
      ...(tooLarge.length === 0 ? {} : { did_not_fit: tooLarge }),
      ...(unknown.length === 0 ? {} : { unknown }),
      ...notes,
    }),
    structured: { tools, did_not_fit: tooLarge, unknown, ...notes },
    isError: unknown.length === ids.length,
  };
}

/** First come, first served; what is too large leaves its room to those behind it. */
async function chosen(
  { gate, client: { era } }: MetaCall,
  ids: readonly string[],
  budget: number,
  nearest: (id: string) => Promise<readonly string[]>,
) {
  const fitting: { tool: ListedTool; definition: JsonObject; tokens: number }[] = [];
  const tooLarge: { id: string; tokens: number }[] = [];
  const unknown: { id: string; nearest: string[] }[] = [];
  const seen = new Set<ListedTool>();
  let room = budget;
  for (const id of ids) {
    const tool = findTool(gate.full, id, era);
    if (tool === undefined) {
      const isExplained = unknown.length < MOST_EXPLAINED;
      unknown.push({ id: shownId(id), nearest: isExplained ? [...await nearest(id)] : [] });
      continue;
    }
    if (seen.has(tool)) continue;
    seen.add(tool);
    const definition = fullDefinition(tool, gate.config);
    const tokens = definitionTokens(definition);
    if (tokens > room) {
      tooLarge.push({ id: tool.route.exposed, tokens });
      continue;
    }
    room -= tokens;
    fitting.push({ tool, definition, tokens });
  }
  return { fitting, tooLarge, unknown };
}

/**
 * Answers `list_provisioned_tools`.
 * @throws {ArgumentMistake}
 */
export function listProvisioned(call: MetaCall, store: Provisioned): MetaResult {
  const { args, client, gate } = call;
  const handle = client.session === undefined ? readString(args, "handle") : undefined;
  const key = provisionKey(client, gate.full.id, handle);
  if (handle !== undefined && !store.knows(key!)) return mistake(HANDLE_LOST);
  const tools: { id: string; signature: string; tokens: number }[] = [];
  const gone: string[] = [];
  for (const id of key === undefined ? [] : store.of(key)) {
    const tool = findTool(gate.full, id, client.era);
    if (tool === undefined) gone.push(id);
    else {
      const { signature, tokens } = compactHit(tool, gate.config);
      tools.push({ id, signature, tokens });
    }
  }
  const lines = [
    ...tools.map(({ id, signature, tokens }) => `${id}: ${signature} [${tokens} tokens]`),
    ...(gone.length === 0 ? [] : [`Gone since: ${gone.join(", ")}`]),
  ];
  const none = key === undefined
    ? "None: pass the handle that provision_tools returned"
    : "None so far: provision_tools adds some";
  return { text: lines.length === 0 ? none : lines.join("\n"), structured: { tools, gone } };
}
