import type { JsonObject } from "../lib/json.ts";
import type { Exchange } from "../protocol/exchange.ts";
import { idTextOf, resultResponse } from "../protocol/message.ts";
import { serverMeta } from "../registry/answers.ts";
import type { View } from "../registry/types.ts";

/** What a meta tool answers. */
export interface MetaResult {
  /** For the model. */
  readonly text: string;
  /** The same as data. */
  readonly structured?: JsonObject;
  /** The model has made a mistake it can mend: `text` says how. */
  readonly isError?: boolean;
}

/** The response to a call of a meta tool, as a client of either era gets it (server/tools: results). */
export function metaReply(
  { client, request }: Pick<Exchange, "client" | "request">,
  view: View,
  { text, structured, isError = false }: MetaResult,
): string {
  const parts = [
    `"content":[${wellFormed({ type: "text", text })}]`,
    ...(structured === undefined ? [] : [`"structuredContent":${wellFormed(structured)}`]),
    `"isError":${isError}`,
    ...(client.era === "legacy" ? [] : ['"resultType":"complete"', serverMeta(view)]),
  ];
  return resultResponse(idTextOf(request), `{${parts.join(",")}}`);
}

/**
 * JSON that every parser takes: some refuse a message for half a character, and of what models and
 * servers write, not all is whole, nor is what was cut.
 */
function wellFormed(value: JsonObject): string {
  const text = JSON.stringify(value);
  if (!text.includes("\\ud")) return text;
  return JSON.stringify(
    value,
    (_key, part: unknown) => typeof part === "string" ? part.toWellFormed() : part,
  );
}

/** A mistake of the model, in words it can mend it by. */
export function mistake(text: string, structured?: JsonObject): MetaResult {
  return { text, isError: true, ...(structured === undefined ? {} : { structured }) };
}
