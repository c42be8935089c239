/** The layout of most clients, and ours: `mcpServers`, and settings beside it. */

import { addSection, type RawObject, type ShapeContext } from "./section.ts";
import { addInputs } from "./vscode.ts";

/** Settings of Claude Desktop that stand beside `mcpServers` in its file. */
const CLIENT_SETTINGS: readonly string[] = ["globalShortcut", "preferences"];

/** Maps `mcpServers` and what stands beside it. */
export function mapPlain(root: RawObject, context: ShapeContext): void {
  const { document, mapping, collector } = context;
  for (const key of document.keys([])) {
    if (key === "mcpServers") addSection(root[key], ["mcpServers"], context);
    else if (key === "inputs") addInputs(root[key], ["inputs"], context);
    else if (CLIENT_SETTINGS.includes(key)) {
      collector.warn([key], `"${key}" is a setting of other clients and ignored here`, {
        part: "key",
      });
    } else mapping.setting(key, root[key], [key]);
  }
}
