/** A schema and the schemas in it. */

import { decodedPercent, isObject, type Json, type JsonObject, valueAt } from "../lib/json.ts";
import type { KeywordForm } from "./dialect.ts";

/** Schemas deeper than this are not looked at: nobody writes them, and nobody reads them. */
export const MAX_SCHEMA_DEPTH = 100;

/** One schema of a document. */
export interface SchemaPlace {
  readonly schema: JsonObject;
  /** JSON pointer as a fragment: `#/properties/path`. */
  readonly pointer: string;
  /** Absolute URI that references in it are relative to. */
  readonly base: string;
  readonly depth: number;
}

/** What a document without `$id` is called. */
const NO_NAME = "schema:/";

/**
 * Every object schema of a document, the root first. What a keyword holds that has not the form the
 * dialect gives it is passed over, and so is all below {@link MAX_SCHEMA_DEPTH}.
 */
export function* schemaPlaces(
  root: JsonObject,
  keywords: ReadonlyMap<string, KeywordForm>,
): Generator<SchemaPlace> {
  const open: SchemaPlace[] = [{
    schema: root,
    pointer: "#",
    base: baseOf(root, NO_NAME),
    depth: 0,
  }];
  for (let place = open.pop(); place !== undefined; place = open.pop()) {
    yield place;
    if (place.depth >= MAX_SCHEMA_DEPTH) continue;
    const { schema, base, depth } = place;
    const inner: SchemaPlace[] = [];
    for (const [steps, value] of children(schema, keywords)) {
      if (!isObject(value)) continue;
      // Not joined, which would copy it: there may be thousands below a name of 50 KB.
      const pointer = steps.reduce((at, step) => `${at}/${escapeStep(step)}`, place.pointer);
      inner.push({ schema: value, pointer, base: baseOf(value, base), depth: depth + 1 });
    }
    open.push(...inner.reverse());
  }
}

function* children(
  schema: JsonObject,
  keywords: ReadonlyMap<string, KeywordForm>,
): Generator<readonly [readonly string[], Json]> {
  for (const [key, value] of Object.entries(schema)) {
    switch (keywords.get(key)) {
      case "schema":
      case "schema or boolean":
        yield [[key], value!];
        break;
      case "schema or schemas":
      case "schemas":
        if (!Array.isArray(value)) yield [[key], value!];
        else for (const [at, item] of value.entries()) yield [[key, String(at)], item];
        break;
      case "schema map":
      case "dependencies":
        if (!isObject(value)) break;
        for (const [name, item] of Object.entries(value)) yield [[key, name], item!];
    }
  }
}

/** Longer ones name nothing, and thousands relative to one would take half a minute. Characters. */
const LONGEST_URI = 2_000;

/** `$id` that is a fragment alone is an anchor (draft-06 and -07), not another document. */
function baseOf({ $id }: JsonObject, outer: string): string {
  if (typeof $id !== "string" || $id.startsWith("#") || $id.length > LONGEST_URI) return outer;
  const base = withoutFragment(URL.parse($id, outer)?.href ?? outer);
  return base.length > LONGEST_URI ? outer : base;
}

/** A URI without its fragment. */
export function withoutFragment(uri: string): string {
  const hash = uri.indexOf("#");
  return hash < 0 ? uri : uri.slice(0, hash);
}

/** One step of a JSON pointer. */
export function escapeStep(step: string): string {
  return step.replaceAll("~", "~0").replaceAll("/", "~1");
}

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
    const fragment = decodedPercent(target.slice(uri.length + 1));
    if (fragment === "") return document;
    if (!fragment.startsWith("/")) return anchors.get(`${uri}#${fragment}`) ?? "dangling";
    const found = valueAt(document, fragment.slice(1).split("/").map(unescaped));
    return isObject(found) || typeof found === "boolean" ? found : "dangling";
  };
}

function anchorsOf({ $anchor, $dynamicAnchor, $id }: JsonObject): string[] {
  const old = typeof $id === "string" && $id.startsWith("#") ? $id.slice(1) : undefined;
  return [$anchor, $dynamicAnchor, old].filter((anchor) => typeof anchor === "string");
}

/** A step of a JSON pointer. */
function unescaped(step: string): string {
  return step.replaceAll("~1", "/").replaceAll("~0", "~");
}
