import { editJson } from "../lib/json-edit.ts";
import { isObject, type Json } from "../lib/json.ts";
import type { ResponseMessage } from "../protocol/message.ts";
import type { View } from "../registry/types.ts";
import { STORED_PREFIX } from "./middleware/result-store.ts";

/** Members that hold a resource URI wherever they stand in a result (MCP Apps included). */
const URI_KEYS: ReadonlySet<string> = new Set(["uri", "resourceUri", "ui/resourceUri"]);

/** Finds out by one look at the text that a result names no URI, which is the rule. */
const MAY_NAME_URI = /[uU]ri"/;

/**
 * The text of a response in which the URIs that two servers share carry their exposed form.
 * Untouched text unless it does name a shared URI; only then the result is serialised anew.
 */
export function withExposedUris(response: ResponseMessage, server: string, view: View): string {
  const { raw, result } = response;
  if (result === undefined || !view.rewritesUris(server) || !MAY_NAME_URI.test(raw)) return raw;
  let changed = false;
  const walk = (value: Json | undefined): void => {
    if (Array.isArray(value)) {
      value.forEach(walk);
    } else if (isObject(value)) {
      for (const [key, member] of Object.entries(value)) {
        if (typeof member !== "string") {
          walk(member);
        } else if (URI_KEYS.has(key)) {
          // What the gateway keeps is nobody's, whatever templates servers have.
          if (member.startsWith(STORED_PREFIX)) continue;
          const exposed = view.exposedUri(server, member);
          if (exposed === member) continue;
          value[key] = exposed;
          changed = true;
        }
      }
    }
  };
  walk(result);
  return changed ? editJson(raw, [{ path: ["result"], value: JSON.stringify(result) }]) : raw;
}
