import { editJson, type JsonEdit } from "../lib/json-edit.ts";
import type { ListItem } from "../protocol/lists.ts";

/** The exposed texts of one server's entries in one list of the aggregate. */
export interface ListPart {
  readonly server: string;
  readonly items: readonly ListItem[];
  readonly texts: readonly string[];
  /** What each text was made with, to know whether it is still good; `""` = the raw text. */
  readonly marks: readonly string[];
}

/**
 * Writes a part. Entries whose edits are none keep the upstream's text; those that were written
 * alike for `previous` are taken from there.
 */
export function writePart(
  server: string,
  items: readonly ListItem[],
  editsOf: (item: ListItem, index: number) => readonly JsonEdit[],
  previous: ListPart | undefined,
): ListPart {
  const reusable = previous?.items === items ? previous : undefined;
  const marks: string[] = [];
  const texts = items.map((item, index) => {
    const edits = editsOf(item, index);
    if (edits.length === 0) {
      marks.push("");
      return item.raw;
    }
    const mark = edits.map((edit) => `${edit.path.at(-1)}=${edit.value}`).join();
    marks.push(mark);
    return reusable?.marks[index] === mark ? reusable.texts[index]! : editJson(item.raw, edits);
  });
  return { server, items, texts, marks };
}
