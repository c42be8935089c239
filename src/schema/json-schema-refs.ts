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
  const find = finder(places);
  return places.flatMap((place) => {
    const { schema: { $ref: reference }, pointer } = place;
    if (typeof reference !== "string") return [];
    const found = find(reference, place.base);
    if (found !== "dangling" && found !== "remote") return [];
    return [{ type: found, pointer: `${pointer}/$ref`, reference }];
  });
}

/** The schema that each `$ref` among these places (as above) leads to, by the object it stands in. */
export function referredSchemas(
  places: readonly SchemaPlace[],
): ReadonlyMap<JsonObject, JsonObject | boolean> {
  const find = finder(places);
  const referred = new Map<JsonObject, JsonObject | boolean>();
  for (const { schema, base } of places) {
    if (typeof schema.$ref !== "string") continue;
    const found = find(schema.$ref, base);
    if (typeof found !== "string") referred.set(schema, found);
  }
  return referred;
}

/** Looks up references by the base they are relative to. */
function finder(places: readonly SchemaPlace[]) {
  const documents = new Map<string, JsonObject>();
  const anchors = new Map<string, JsonObject>();
  for (const { schema, base } of places) {
    if (!documents.has(base)) documents.set(base, schema);
    for (const anchor of anchorsOf(schema)) anchors.set(`${base}#${anchor}`, schema);
  }
  return (reference: string, base: string): JsonObject | boolean | LostReference["type"] => {
    const target = URL.parse(reference, base)?.href;
    if (target === undefined) return "dangling";
    const uri = withoutFragment(target);
    const document = documents.get(uri);
    if (document === undefined) return "remote";
    const fragment = decoded(target.slice(uri.length + 1));
    if (fragment === "") return document;
    if (!fragment.startsWith("/")) return anchors.get(`${uri}#${fragment}`) ?? "dangling";
    const found = valueAt(document, fragment.slice(1).split("/"));
    return isObject(found) || typeof found === "boolean" ? found : "dangling";
  };
}

function anchorsOf({ $anchor, $dynamicAnchor, $id }: JsonObject): string[] {
  const old = typeof $id === "string" && $id.startsWith("#") ? $id.slice(1) : undefined;
  return [$anchor, $dynamicAnchor, old].filter((anchor) => typeof anchor === "string");
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
