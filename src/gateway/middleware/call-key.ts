/** What makes two calls the same call. */

import { canonicalJson } from "../../lib/canonical.ts";
import { nodeCrypto } from "../../lib/crypto.ts";
import { editJson, type JsonEdit, rawAt, rawElements, rawMembers } from "../../lib/json-edit.ts";
import { ENVELOPE_KEYS, MetaKey } from "../../protocol/envelope.ts";
import { metaOf } from "../../protocol/projection.ts";
import type { Call } from "./middleware.ts";

/** Members of `_meta` that are about this one request and not about its answer. */
const PASSING: ReadonlySet<string> = new Set([
  ...ENVELOPE_KEYS,
  MetaKey.ProgressToken,
  "traceparent",
  "tracestate",
  "baggage",
]);

/** Deeper nesting than any tool asks for. */
const MAX_DEPTH = 64;

/**
 * A key that only equal calls have: same server, same method, same parameters as the upstream gets
 * them whatever the order of their members, from clients it cannot tell apart. `scope` is whose
 * calls may share it, and in which configuration. Undefined for parameters too deep to compare.
 */
export function callKey({ exchange, server, edits }: Call, scope: string): string | undefined {
  const { client, request } = exchange;
  const raw = editJson(request.raw, [...edits, ...passingEdits(metaOf(request.params))]);
  const params = canonicalText(rawAt(raw, ["params"]) ?? "{}");
  if (params === undefined) return undefined;
  // A server may answer by what the client can do; and texts differ between the eras.
  const facts = [scope, server, request.method, client.era, canonicalJson(client.capabilities)];
  return nodeCrypto().createHash("sha256").update(JSON.stringify([...facts, params]))
    .digest("base64url");
}

function passingEdits(meta: object): readonly JsonEdit[] {
  const keys = Object.keys(meta);
  const path = ["params", "_meta"];
  if (keys.every((key) => PASSING.has(key))) return [{ path, value: undefined }];
  return keys.filter((key) => PASSING.has(key))
    .map((key) => ({ path: [...path, key], value: undefined }));
}

/**
 * JSON with members in one order and no space between tokens. Unlike `canonicalJson` it compares
 * what is written, not what it is parsed to: numbers beyond 2^53 that differ stay different, and so
 * does an object that repeats a key, of which the upstream may see another value than we do.
 */
function canonicalText(text: string, depth = 0): string | undefined {
  if (depth > MAX_DEPTH) return undefined;
  const elements = rawElements(text)?.map((element) => canonicalText(element, depth + 1));
  if (elements !== undefined) {
    return elements.includes(undefined) ? undefined : `[${elements.join(",")}]`;
  }
  const members = rawMembers(text);
  if (members === undefined) return text.trim();
  const texts = members
    .toSorted(([one], [other]) => one < other ? -1 : one > other ? 1 : 0)
    .map(([key, value]) => [JSON.stringify(key), canonicalText(value, depth + 1)] as const);
  if (texts.some(([, value]) => value === undefined)) return undefined;
  return `{${texts.map(([key, value]) => `${key}:${value}`).join(",")}}`;
}
