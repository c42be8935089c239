/** Where the references of a schema lead. Nothing is ever fetched. */

import { isObject, type Json, type JsonObject } from "../lib/json.ts";
import { type SchemaPlace, withoutFragment } from "./json-schema-walk.ts";

/** A reference that does not lead to a schema of its own document. */
export interface LostReference {
  /** `dangling`: there is no such place in the document; `remote`: it is in another document. */
  readonly type: "dangling" | "remote";
  /** Where it stands, as a JSON pointer. */
  readonly pointer: string;
  readonly reference: string;
}

/** The references among these places (all of one document, the root first) that are lost. */
export function lostReferences(places: readonly SchemaPlace[]): LostReference[] {
  const documents = new Map<string, JsonObject>();
  const anchors = new Set<string>();
  for (const { schema, base } of places) {
    if (!documents.has(base)) documents.set(base, schema);
    for (const anchor of anchorsOf(schema)) anchors.add(`${base}#${anchor}`);
  }
  return places.flatMap(({ schema, pointer, base }) => {
    const { $ref: reference } = schema;
    if (typeof reference !== "string") return [];
    const target = URL.parse(reference, base)?.href;
    const type = target === undefined ? "dangling" : fateOf(target, documents, anchors);
    return type === undefined ? [] : [{ type, pointer: `${pointer}/$ref`, reference }];
  });
}

function anchorsOf({ $anchor, $dynamicAnchor, $id }: JsonObject): string[] {
  const old = typeof $id === "string" && $id.startsWith("#") ? $id.slice(1) : undefined;
  return [$anchor, $dynamicAnchor, old].filter((anchor) => typeof anchor === "string");
}

function fateOf(
  target: string,
  documents: ReadonlyMap<string, JsonObject>,
  anchors: ReadonlySet<string>,
): LostReference["type"] | undefined {
  const uri = withoutFragment(target);
  const document = documents.get(uri);
  if (document === undefined) return "remote";
  const fragment = decoded(target.slice(uri.length + 1));
  if (fragment === "") return undefined;
  if (!fragment.startsWith("/")) return anchors.has(`${uri}#${fragment}`) ? undefined : "dangling";
  const found = valueAt(document, fragment.slice(1).split("/"));
  return isObject(found) || typeof found === "boolean" ? undefined : "dangling";
}

function valueAt(document: JsonObject, steps: readonly string[]): Json | undefined {
  let value: Json | undefined = document;
  for (const step of steps) {
    const key = step.replaceAll("~1", "/").replaceAll("~0", "~");
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as JsonObject)[key];
  }
  return value;
}

function decoded(fragment: string): string {
  try {
    return decodeURIComponent(fragment);
  } catch {
    return fragment;
  }
}
