import { isObject, type JsonObject } from "../lib/json.ts";
import type { JsonEdit } from "../lib/json-edit.ts";
import type { Exchange } from "../protocol/exchange.ts";
import type { Inventory } from "../protocol/lists.ts";
import { methodRule } from "../protocol/methods.ts";

/**
 * Whether a request may be sent a second time although nobody knows what became of the first:
 * reading does no harm, and neither does a tool that says so itself (server/tools, annotations).
 */
export function isRepeatable(
  { request, client }: Exchange,
  edits: readonly JsonEdit[],
  inventory: Inventory,
): boolean {
  if (methodRule(request.method, client.era)?.safe === true) return true;
  if (request.method !== "tools/call") return false;
  const edited = edits.findLast(({ path }) =>
    path.length === 2 && path[0] === "params" && path[1] === "name"
  )?.value;
  const name = edited === undefined ? request.params?.name : JSON.parse(edited);
  const item = inventory.lists.tools.items.find(({ key }) => key === name);
  if (item === undefined) return false;
  const { annotations } = JSON.parse(item.raw) as JsonObject;
  return isObject(annotations) &&
    (annotations.readOnlyHint === true || annotations.idempotentHint === true);
}
