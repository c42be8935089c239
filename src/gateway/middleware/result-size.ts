import { isObject } from "../../lib/json.ts";
import type { ResponseMessage } from "../../protocol/message.ts";
import { edited } from "./content.ts";
import type { Call, Middleware } from "./middleware.ts";
import type { ResultStore } from "./result-store.ts";
import { type Excess, excessOf, trimEdits } from "./trim.ts";

/** What {@link limitResults} needs. */
export interface LimitResultsOptions {
  /** Bytes of text a result may have. */
  readonly limit: number;
  /** Where the whole result is kept. */
  readonly store: ResultStore;
  /** Whether the called tool declares an output schema, which `structuredContent` is there for. */
  declaresOutput(call: Call): boolean;
}

/** The first version with content of this type; older clients refuse a result that has it. */
const FIRST_WITH_LINKS = "2025-06-18";

/**
 * Cuts the text of a result that has too much of it, says so, and links to the whole. An error of
 * the tool is cut in the same way. `structuredContent` that is too large is left out as a whole,
 * and only where the tool declares no output schema: clients refuse a result without it otherwise.
 */
export function limitResults({ limit, store, declaresOutput }: LimitResultsOptions): Middleware {
  return async (call, next) => {
    const response = await next(call);
    const mayDrop = () => response.result?.isError === true || !declaresOutput(call);
    const excess = excessOf(response, limit, mayDrop);
    if (excess === undefined) return response;
    const uri = await store.put(call.principal, excess.whole);
    const items = [note(excess, uri), ...link(call, response, excess, uri)];
    return edited(response, trimEdits(response, excess, items));
  };
}

function note({ total, left }: Excess, uri: string | undefined): string {
  const where = uri === undefined ? "it is too large to be kept" : `the whole is at ${uri}`;
  const text = `[mcproxy left out ${left} of ${total} bytes of this result; ${where}]`;
  return JSON.stringify({ type: "text", text });
}

/** The link as an item of `content`, for clients that know such items. */
function link(
  { exchange, name }: Call,
  { result }: ResponseMessage,
  { total, whole }: Excess,
  uri: string | undefined,
): readonly string[] {
  if (uri === undefined || exchange.client.protocolVersion < FIRST_WITH_LINKS) return [];
  if (!isObject(result)) return [];
  const mimeType = whole.length === 1 ? whole[0]!.mimeType : undefined;
  return [JSON.stringify({
    type: "resource_link",
    uri,
    name: `${name} (whole result)`,
    mimeType,
    size: total,
  })];
}
