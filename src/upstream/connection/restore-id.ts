import { editJson } from "../../lib/json-edit.ts";
import type { ResponseMessage } from "../../protocol/message.ts";

const HEAD = '{"jsonrpc":"2.0","id":';
const TAIL = ',"jsonrpc":"2.0","id":';

/**
 * The text of a response with `idText` in the place of its id.
 *
 * Servers write the id first or (the TypeScript SDK) last, in two fixed spellings; those are
 * spliced, since scanning a large result for its last member costs more than all the rest. The
 * splice is taken only where no second `id` can be hidden in the text: JSON parsers keep the last
 * of two equal keys, and an answer must not reach a client under an id the upstream chose.
 */
export function restoreId(response: ResponseMessage, idText: string): string {
  const { raw, id } = response;
  const own = String(id);
  // The last member decides, so nothing before it can matter.
  const tail = `${TAIL}${own}}`;
  if (raw.endsWith(tail)) return `${raw.slice(0, -own.length - 1)}${idText}}`;
  const behind = HEAD.length + own.length;
  if (
    raw.startsWith(HEAD) && raw.startsWith(own, HEAD.length) && raw[behind] === "," &&
    raw.lastIndexOf('"id"') === HEAD.length - 5 && !raw.includes("\\u00")
  ) return `${HEAD}${idText}${raw.slice(behind)}`;
  return editJson(raw, [{ path: ["id"], value: idText }]);
}
