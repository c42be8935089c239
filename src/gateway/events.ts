/** What a new snapshot has to say about the configuration. */

import { getLogger } from "../log/mod.ts";
import { conflictText, noticeText } from "../registry/build.ts";
import type { Registry } from "../registry/types.ts";

const log = getLogger("mcproxy", "gateway");

/**
 * Each decision between servers that want the same name, and each pattern that turns out to fit
 * nothing, is told once, when it comes up.
 */
export function logFindings(before: Registry, after: Registry): void {
  for (const text of news(before.conflicts, after.conflicts, conflictText)) {
    log.warn("{conflict}", { conflict: text });
  }
  for (const text of news(before.notices, after.notices, noticeText)) {
    log.warn("{notice}", { notice: text });
  }
}

function news<T>(
  before: readonly T[],
  after: readonly T[],
  textOf: (finding: T) => string,
): readonly string[] {
  if (before === after || after.length === 0) return [];
  const known = new Set(before.map(textOf));
  return after.map(textOf).filter((text) => !known.has(text));
}
