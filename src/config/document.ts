/**
 * A parsed configuration file that remembers where everything stood. Each file format gives one of
 * these (so far JSON with comments); nothing above knows which format it was.
 */

import type { ConfigIssue, ConfigPath } from "./issue.ts";

/** A place in a file, both from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** The content of a file, and the way back to it. */
export interface ConfigDocument {
  readonly file: string;
  /** Plain data; objects have no prototype, so that any key is just a key. */
  readonly value: unknown;
  /**
   * Where the value (or, with `"key"`, its key) at `path` starts; for a path that is not there, the
   * nearest of its ancestors.
   */
  position(path: ConfigPath, part?: "key" | "value"): Position;
  /**
   * The keys of the object at `path` in the order of the file, which the value itself does not keep
   * for keys like "7"; empty where there is no object.
   */
  keys(path: ConfigPath): readonly string[];
}

/** Either a document, or why there is none. */
export type DocumentResult =
  | { readonly ok: true; readonly document: ConfigDocument }
  | { readonly ok: false; readonly issues: readonly ConfigIssue[] };

/** A function from an offset in `text` to its line and column; `\n`, `\r\n` and `\r` end lines. */
export function lineIndex(text: string): (offset: number) => Position {
  const starts = [0];
  for (const match of text.matchAll(/\r\n|\n|\r/g)) starts.push(match.index + match[0].length);
  return (offset) => {
    let low = 0;
    let high = starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((starts[middle] ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    return { line: low + 1, column: offset - (starts[low] ?? 0) + 1 };
  };
}
