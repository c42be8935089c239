import { estimateTokenCount } from "tokenx";

/**
 * About how many tokens a model's tokenizer makes of a text; good for comparing and for sums, not
 * for limits: it is a heuristic, and models differ.
 */
export function estimateTokens(text: string): number {
  return estimateTokenCount(text);
}
