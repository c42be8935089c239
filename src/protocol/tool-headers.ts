import type { JsonObject } from "../lib/json.ts";
import type { Inventory } from "./lists.ts";
import { PARAM_HEADER_KEY, type ParamHeader, readParamHeaders } from "./param-headers.ts";

type Declared = ReadonlyMap<string, readonly ParamHeader[]>;

const known = new WeakMap<Inventory, Declared>();

/**
 * Which arguments of a tool are repeated in headers, by the tool's own name; read once per
 * inventory, and of the few tools only that say so.
 */
export function declaredHeaders(inventory: Inventory, tool: string): readonly ParamHeader[] {
  let declared = known.get(inventory);
  if (declared === undefined) {
    const entries = inventory.lists.tools.items
      .filter(({ raw }) => raw.includes(PARAM_HEADER_KEY))
      .map(({ key, raw }): [string, readonly ParamHeader[]] => {
        const { declared, problem } = readParamHeaders((JSON.parse(raw) as JsonObject).inputSchema);
        return [key, problem === undefined ? declared : []];
      });
    known.set(inventory, declared = new Map(entries));
  }
  return declared.get(tool) ?? [];
}

/** Why a client over modern HTTP must not offer this tool, or `undefined` (SEP-2243). */
export function headerProblem(raw: string): string | undefined {
  return raw.includes(PARAM_HEADER_KEY)
    ? readParamHeaders((JSON.parse(raw) as JsonObject).inputSchema).problem
    : undefined;
}
