/** A look at the texts in a tool's result, and edits of them that leave everything else alone. */

import { editJson, type JsonEdit, rawAt, rawElements } from "../../lib/json-edit.ts";
import { isObject, type JsonObject } from "../../lib/json.ts";
import { parseMessage, type ResponseMessage } from "../../protocol/message.ts";

/** Text for the model in one item of `content`: its own, or that of a resource in it. */
export interface TextPart {
  /** Which item of `content`. */
  readonly index: number;
  /** Where in the item. */
  readonly path: readonly string[];
  readonly text: string;
  readonly mimeType: string;
}

const OWN_TEXT = ["text"];
const RESOURCE_TEXT = ["resource", "text"];

/** The texts of a result, in order. Images, audio, links and what is unknown have none. */
export function textParts({ content }: JsonObject): readonly TextPart[] {
  if (!Array.isArray(content)) return [];
  return content.flatMap((item, index): readonly TextPart[] => {
    if (!isObject(item)) return [];
    if (item.type === "text" && typeof item.text === "string") {
      return [{ index, path: OWN_TEXT, text: item.text, mimeType: "text/plain" }];
    }
    if (item.type !== "resource" || !isObject(item.resource)) return [];
    const { text, mimeType } = item.resource;
    if (typeof text !== "string") return [];
    const kind = typeof mimeType === "string" ? mimeType : "text/plain";
    return [{ index, path: RESOURCE_TEXT, text, mimeType: kind }];
  });
}

/** What becomes of the items of `content`. */
export interface ContentChange {
  /** New texts of parts; `undefined` takes the item away. */
  readonly texts: ReadonlyMap<TextPart, string | undefined>;
  /** JSON of items to be added at the end. */
  readonly added?: readonly string[];
}

/** The edit of a response that makes a change of its `content`. */
export function contentEdit(raw: string, { texts, added = [] }: ContentChange): JsonEdit {
  const path = ["result", "content"];
  const changes = new Map([...texts].map(([part, text]) => [part.index, { part, text }]));
  const edited = mapElements(rawAt(raw, path) ?? "[]", (item, index) => {
    const change = changes.get(index);
    if (change === undefined) return item;
    if (change.text === undefined) return undefined;
    return editJson(item, [{ path: change.part.path, value: JSON.stringify(change.text) }]);
  });
  return { path, value: withElements(edited, added) };
}

/** The array's text with other elements; one for which `map` gives nothing goes. */
function mapElements(
  arrayText: string,
  map: (element: string, index: number) => string | undefined,
): string {
  let out = "";
  let from = 0;
  let kept = 0;
  for (const [index, element] of (rawElements(arrayText) ?? []).entries()) {
    // Nothing but spaces and a comma is before it, so this finds it and nothing else.
    const start = arrayText.indexOf(element, from === 0 ? 1 : from);
    const before = arrayText.slice(from, start);
    from = start + element.length;
    const value = map(element, index);
    if (value === undefined) {
      if (index === 0) out = "[";
      continue;
    }
    // What goes takes the comma before it along; the first that stays needs none.
    out += index > 0 && kept === 0 ? before.replace(",", "") : before;
    out += value;
    kept++;
  }
  return out + arrayText.slice(from);
}

function withElements(arrayText: string, added: readonly string[]): string {
  if (added.length === 0) return arrayText;
  const end = arrayText.lastIndexOf("]");
  const comma = /^\s*\[\s*\]\s*$/.test(arrayText) ? "" : ",";
  return arrayText.slice(0, end) + comma + added.join(",") + arrayText.slice(end);
}

/** A response with edits made, its parsed side too. */
export function edited(response: ResponseMessage, edits: readonly JsonEdit[]): ResponseMessage {
  return edits.length === 0
    ? response
    : parseMessage(editJson(response.raw, edits)) as ResponseMessage;
}
