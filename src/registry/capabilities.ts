import { rawAt } from "../lib/json-edit.ts";
import { isObject, type Json, type JsonObject, parsedObject } from "../lib/json.ts";
import type { Era } from "../protocol/eras.ts";
import {
  endsInSegment,
  eraOfCapability,
  extensionOf,
  mergeDeclared,
} from "../protocol/extensions.ts";
import { LIST_RULES } from "../protocol/lists.ts";
import type { Capabilities, Declaration, Declarations, ServerEntry } from "./types.ts";

/** Reads the declarations of these servers. A capability that is `null` or `false` is none. */
export function readCapabilities(servers: readonly ServerEntry[]): Capabilities {
  const declared = new Map<string, Declaration[]>();
  const experimental = new Map<string, Declaration[]>();
  const extensions = new Map<string, Declaration[]>();
  const subscribe: string[] = [];
  const taskLists: string[] = [];
  for (const { name: server, inventory: { capabilities: text, era } } of servers) {
    const parsed = parsedObject(text) ?? {};
    const by = { server, ...(era === undefined ? {} : { era }) };
    collect(declared, by, text, parsed, []);
    collect(experimental, by, text, parsed.experimental, ["experimental"]);
    collect(extensions, by, text, parsed.extensions, ["extensions"]);
    if (isObject(parsed.resources) && parsed.resources.subscribe === true) subscribe.push(server);
    if (era !== "modern" && isObject(parsed.tasks) && isObject(parsed.tasks.list)) {
      taskLists.push(server);
    }
  }
  return { declared, experimental, extensions, subscribe, taskLists };
}

function collect(
  into: Map<string, Declaration[]>,
  by: Omit<Declaration, "text">,
  text: string,
  members: unknown,
  path: readonly string[],
): void {
  if (!isObject(members)) return;
  for (const [key, value] of Object.entries(members)) {
    if (value === null || value === false) continue;
    into.getOrInsert(key, []).push({ ...by, text: rawAt(text, [...path, key])! });
  }
}

/**
 * Whether to advertise lists that no server declares: `always` so that a client comes back for what
 * a later server has, `declared` for exactly what there is. As long as nothing is known at all, all
 * lists are advertised: they will be announced when they are there.
 */
export type ListPolicy = "always" | "declared";

/** The capabilities that lists belong to; they may always change here. */
const LISTED: readonly string[] = [...new Set(LIST_RULES.map((rule) => rule.capability))];
/** Capabilities with declarations of their own inside. */
const NESTED = ["experimental", "extensions"] as const;
/** Everything the core protocol defines, except for `tasks`; its methods belong to no extension. */
const CORE: ReadonlySet<string> = new Set([...LISTED, ...NESTED, "logging", "completions"]);

/**
 * One capabilities object for a client of this era: all that some server declares and nothing
 * else. Where several declare the same, see {@link mergeDeclared}; what is bound to the other era
 * is left out, see {@link eraOfCapability}.
 */
export function mergedCapabilities(
  { declared, experimental, extensions }: Capabilities,
  era: Era,
  lists: ListPolicy,
): JsonObject {
  const top = mergeEach(declared, era, []);
  const nested = {
    experimental: mergeEach(experimental, era, ["experimental"]),
    extensions: mergeEach(extensions, era, ["extensions"]),
  };
  const all = lists === "always" || declared.size === 0;
  const members: [string, Json][] = LISTED
    .filter((key) => all || top.has(key))
    .map((key) => {
      const given = top.get(key);
      return [key, { ...(isObject(given) ? given : {}), listChanged: true }];
    });
  for (const [key, value] of top) {
    if (!LISTED.includes(key) && !NESTED.some((name) => name === key)) members.push([key, value]);
  }
  for (const key of NESTED) {
    if (nested[key].size > 0) members.push([key, Object.fromEntries(nested[key])]);
  }
  // Entries, not assignments: a key may be called "__proto__".
  return Object.fromEntries(members);
}

function mergeEach(
  declarations: Declarations,
  era: Era,
  path: readonly string[],
): ReadonlyMap<string, Json> {
  const merged = new Map<string, Json>();
  for (const [key, all] of declarations) {
    const bound = eraOfCapability([...path, key]);
    if (bound !== undefined && bound !== era) continue;
    const fitting = all.filter((one) => bound === undefined || (one.era ?? bound) === bound);
    if (fitting.length === 0) continue;
    merged.set(key, mergeDeclared(fitting.map(({ text }) => JSON.parse(text) as Json)));
  }
  return merged;
}

/**
 * The one server that an unknown method can be meant for: exactly one declares an extension, an
 * experimental or an unknown capability whose key ends in the method's first segment
 * (`extensions["io.modelcontextprotocol/skills"]` for `skills/list`). With two the request may
 * be meant for either, and guessing could change the wrong server's state.
 */
export function ownerOfExtension(
  { declared, experimental, extensions }: Capabilities,
  method: string,
): string | undefined {
  const segment = extensionOf(method);
  const owners = new Set<string>();
  for (const declarations of [declared, experimental, extensions]) {
    for (const [key, all] of declarations) {
      if (declarations === declared && CORE.has(key)) continue;
      if (endsInSegment(key, segment)) { for (const { server } of all) owners.add(server); }
    }
  }
  const [owner, other] = owners;
  return other === undefined ? owner : undefined;
}
