import type { Json, JsonObject } from "../lib/json.ts";
import { estimateTokens } from "../lib/tokens.ts";

/** About how many tokens a tool takes in a model's context: its name, description and schema. */
export function toolTokens({ name, description, inputSchema }: JsonObject): number {
  const text = (schema: Json | undefined) =>
    JSON.stringify({ name, description, input_schema: schema });
  return estimateTokens(unlessTooDeep(() => text(inputSchema)) ?? text(undefined));
}

/**
 * What `write` makes of a value, `undefined` where that is nested too deep for the runtime's stack:
 * a server may say anything, and no client takes such a tool.
 */
export function unlessTooDeep(write: () => string): string | undefined {
  try {
    return write();
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}
