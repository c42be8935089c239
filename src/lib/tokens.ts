import { estimateTokenCount } from "tokenx";

/** How many tokens a tokenizer makes of a text. */
export type CountTokens = (text: string) => number;

/** A way to count tokens, and what its numbers are worth. */
export interface Tokenizer {
  readonly name: "tokenx" | "o200k_base";
  /** Whether that tokenizer itself counts; models of other makers have others. */
  readonly isExact: boolean;
  readonly count: CountTokens;
}

/** A text of megabytes would keep the process from anything else for a tenth of a second. */
const LONGEST_READ = 64_000;

/**
 * About how many tokens a model's tokenizer makes of a text; good for comparing and for sums, not
 * for limits: it is a heuristic, and models differ. A very long text is judged by its beginning.
 */
export function estimateTokens(text: string): number {
  if (text.length <= LONGEST_READ) return estimateTokenCount(text);
  const read = estimateTokenCount(text.slice(0, LONGEST_READ));
  return Math.round(read * text.length / LONGEST_READ);
}

/** {@link estimateTokens} */
export const ESTIMATE: Tokenizer = { name: "tokenx", isExact: false, count: estimateTokens };

/**
 * OpenAI's o200k, exactly. Its vocabulary is megabytes of code, so it is loaded here and by nothing
 * else.
 */
export async function exactTokenizer(): Promise<Tokenizer> {
  const { countTokens } = await import("gpt-tokenizer/encoding/o200k_base");
  // A description may quote control tokens; to a model they are text, to the library an error.
  const options = { disallowedSpecial: new Set<string>() };
  return { name: "o200k_base", isExact: true, count: (text) => countTokens(text, options) };
}
