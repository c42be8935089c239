import { rawAt } from "../../lib/json-edit.ts";
import type { ListItem } from "../../protocol/lists.ts";

/** Whether a tool with this entry in the list declares an output schema. */
export function declaresOutput({ raw }: ListItem): boolean {
  return raw.includes('"outputSchema"') && rawAt(raw, ["outputSchema"]) !== undefined;
}
