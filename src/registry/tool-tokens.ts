import type { Json, JsonObject } from "../lib/json.ts";
import { type CountTokens, estimateTokens } from "../lib/tokens.ts";

/** What a client puts into a model's context of a tool: its name, description and input schema. */
export function contextText({ name, description, inputSchema }: JsonObject): string {
  const text = (schema: Json | undefined) =>
    JSON.stringify({ name, description, input_schema: schema });
  return unlessTooDeep(() => text(inputSchema)) ?? text(undefined);
}

/** How many tokens {@link contextText} takes; without a tokenizer, about how many. */
export function toolTokens(definition: JsonObject, count: CountTokens = estimateTokens): number {
  return count(contextText(definition));
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
