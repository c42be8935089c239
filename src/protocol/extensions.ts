/**
 * What is no part of the core protocol: which declared capability an unknown method belongs to, and
 * how the declarations of several servers become one.
 */

import { canonicalJson, isObject, type Json, type JsonObject, valueAt } from "../lib/json.ts";
import type { Era } from "./eras.ts";

/** Methods that are not called like the extension they belong to. */
const ADOPTED: ReadonlyMap<string, string> = new Map([
  // SEP-2640, directories of skills.
  ["resources/directory/read", "skills"],
]);

/**
 * The last segment of the key of the capability that `method` belongs to, were it an extension's:
 * the first segment of the method (`skills/list` to `io.modelcontextprotocol/skills`). Of a
 * notification, the segment behind `notifications/`.
 */
export function extensionOf(method: string): string {
  const adopted = ADOPTED.get(method);
  if (adopted !== undefined) return adopted;
  const [first, second] = method.split("/", 2);
  return first === "notifications" && second !== undefined ? second : first!;
}

/** Whether a capability key (`example.com/skills`, `skills`) ends in this segment. */
export function endsInSegment(key: string, segment: string): boolean {
  return segment !== "" && key.slice(key.lastIndexOf("/") + 1) === segment;
}

/** Tasks as an extension (SEP-2663). */
export const TASKS_EXTENSION = "io.modelcontextprotocol/tasks";

/**
 * The only era in which a capability means anything, `undefined` for both. `path` is its place in
 * the capabilities object. What is bound to an era is not bridged, so that neither declaration may
 * reach a client of the other one.
 */
export function eraOfCapability(path: readonly string[]): Era | undefined {
  const key = path.join("\n");
  if (key === "tasks") return "legacy";
  return key === `extensions\n${TASKS_EXTENSION}` ? "modern" : undefined;
}

/**
 * One declaration out of several of the same capability. Equal values stay; of objects every
 * member is merged; of arrays each element counts once, in order of appearance; of flags `true`
 * wins, for what one server can do the gateway can. Where nothing of this applies, the first
 * server's word counts: a setting that two servers define differently has no common meaning.
 */
export function mergeDeclared(values: readonly Json[]): Json {
  return values.reduce(merge);
}

function merge(a: Json, b: Json): Json {
  if (a === null) return b;
  if (isObject(a) && isObject(b)) return mergeObjects(a, b);
  if (Array.isArray(a) && Array.isArray(b)) {
    return [...new Map([...a, ...b].map((element) => [canonicalJson(element), element])).values()];
  }
  return a === false && b === true ? true : a;
}

function mergeObjects(a: JsonObject, b: JsonObject): JsonObject {
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
  // Entries, not assignments: a key may be called "__proto__".
  return Object.fromEntries([...keys].map((key) => {
    const [mine, other] = [valueAt(a, [key]), valueAt(b, [key])];
    return [key, mine === undefined ? other : other === undefined ? mine : merge(mine, other)];
  }));
}
