/** What is said about expressions and durations, the same for servers and for global settings. */

import type { IssueCollector } from "./collector.ts";
import type { MissingValue, TreeExpansion } from "./expand.ts";
import { type ConfigIssue, type ConfigPath, quote } from "./issue.ts";

/** The issue for an expression without value; it is not added to the collector. */
export function missingValue(
  path: ConfigPath,
  { why, remedy }: MissingValue,
  collector: IssueCollector,
): ConfigIssue {
  return collector.issue(path, why, { remedy });
}

/** Reports each `${…}` that is not an expression. */
export function reportMalformed(
  { malformed }: TreeExpansion,
  base: ConfigPath,
  collector: IssueCollector,
): void {
  for (const { path, text } of malformed) {
    collector.error(
      [...base, ...path],
      `found ${quote(text)}, expected "\${NAME}", "\${NAME:-default}", or a known kind such as ` +
        '"${file:/path}"',
      { remedy: 'write "$${" for a literal "${"' },
    );
  }
}

/** Other clients count timeouts in seconds: a bare `60` is hardly ever meant as 60 ms. */
export function warnShortTimeout(
  value: unknown,
  path: ConfigPath,
  collector: IssueCollector,
): void {
  if (typeof value !== "number" || !(value >= 1 && value < 1000)) return;
  collector.warn(path, `${value} means ${value} milliseconds`, {
    remedy: `write "${value}s" for seconds, or "${value}ms" to keep it`,
  });
}
