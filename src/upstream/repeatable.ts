import { overriddenAnnotations, type ServerShape } from "../config/shaping.ts";
import type { JsonEdit } from "../lib/json-edit.ts";
import { isObject, type JsonObject } from "../lib/json.ts";
import type { Exchange } from "../protocol/exchange.ts";
import type { Inventory } from "../protocol/lists.ts";
import { methodRule } from "../protocol/methods.ts";

/** What is known of the server that got the request. */
export interface RepeatFacts {
  /** As the upstream gives it. */
  readonly inventory: Inventory;
  /** What the configuration says of its tools. */
  readonly shape: ServerShape | undefined;
}

/**
 * Whether a request may be sent a second time although nobody knows what became of the first:
 * reading does no harm, and neither does a tool that says so itself (server/tools, annotations), or
 * of which the configuration says so, which has the last word.
 */
export function isRepeatable(
  { request, client }: Exchange,
  edits: readonly JsonEdit[],
  { inventory, shape }: RepeatFacts,
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
  return mayRepeat(
    isObject(annotations) ? annotations : {},
    overriddenAnnotations(shape?.tools?.overrides ?? [], item.key),
  );
}

function mayRepeat(own: JsonObject, overridden: JsonObject): boolean {
  if ((overridden.readOnlyHint ?? own.readOnlyHint) === true) return true;
  if (overridden.idempotentHint !== undefined) return overridden.idempotentHint === true;
  // The hint means something of tools that write only: beside "reads only" the server has not
  // said it of what the configuration knows to write.
  return own.readOnlyHint !== true && own.idempotentHint === true;
}
