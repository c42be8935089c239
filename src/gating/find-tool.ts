import type { Era } from "../protocol/versions.ts";
import { memoised } from "../registry/memo.ts";
import type { View } from "../registry/types.ts";
import { type ListedTool, listedTools } from "./listed-tools.ts";

/**
 * The tool of an ungated view that an id means: its exposed name, else the upstream's own name where
 * only one server has it, else `server:name`. Only tools that the view lists are found.
 */
export function findTool(view: View, id: string, era: Era): ListedTool | undefined {
  const listed = listedTools(view, era);
  return listed.get(id) ?? listed.get(view.tool(id)?.exposed ?? "") ?? qualified(listed, id);
}

const namesByView = new WeakMap<ReadonlyMap<string, ListedTool>, ReadonlyMap<string, ListedTool>>();

/** Both parts may have a colon in them, so that nothing is cut; of equals the first one counts. */
function qualified(listed: ReadonlyMap<string, ListedTool>, id: string): ListedTool | undefined {
  if (!id.includes(":")) return undefined;
  const tools = memoised(namesByView, listed, () => {
    const named = listed.values().map((tool) =>
      [`${tool.route.server}:${tool.route.name}`, tool] as const
    );
    return new Map([...named].reverse());
  });
  return tools.get(id);
}
