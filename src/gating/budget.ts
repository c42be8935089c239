import type { GatingConfig } from "../config/gating.ts";
import type { View } from "../registry/types.ts";
import { listedTools } from "./listed-tools.ts";

/** Whether a view has more tools than `auto` lists directly, or more tokens of them. */
export function exceeds(
  view: View,
  { maxTools, maxTokens }: Pick<GatingConfig, "maxTools" | "maxTokens">,
): boolean {
  // Only few are ever counted: tokens of many tools would take longer than the snapshot itself.
  if (view.counts.tools > maxTools) return true;
  let tokens = 0;
  for (const tool of listedTools(view).values()) {
    tokens += tool.tokens;
    if (tokens > maxTokens) return true;
  }
  return false;
}
