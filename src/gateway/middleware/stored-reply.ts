import type { Exchange } from "../../protocol/exchange.ts";
import { idTextOf, resultResponse } from "../../protocol/message.ts";
import { serverMeta } from "../../registry/answers.ts";
import type { View } from "../../registry/types.ts";
import type { ResultStore } from "./result-store.ts";

/**
 * Answers `resources/read` for the whole of a result that was cut; `undefined` for every other
 * resource. To be asked first: an upstream must not be shown what the gateway keeps.
 * @throws {RpcError} for one that is not kept any more, or not for this client
 */
export function storedReply(
  { client, request }: Exchange,
  store: ResultStore,
  view: View,
): string | undefined {
  const uri = request.params?.uri;
  const contents = typeof uri === "string" ? store.read(uri, client) : undefined;
  if (contents === undefined) return undefined;
  // It never changes, and to keep it is the client's own choice.
  const envelope = client.era === "legacy"
    ? ""
    : `,"resultType":"complete","ttlMs":0,"cacheScope":"private",${serverMeta(view)}`;
  return resultResponse(idTextOf(request), `{"contents":${contents}${envelope}}`);
}
