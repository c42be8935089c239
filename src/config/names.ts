/** Server names in exposed names. */

import type { IssueCollector } from "./collector.ts";
import { quote } from "./issue.ts";

/**
 * A server name as it may stand in an exposed name: each character outside `[A-Za-z0-9_-]` (a whole
 * code point, so an emoji counts once) becomes `_`.
 */
export function sanitizeServerName(name: string): string {
  return name.replaceAll(/[^A-Za-z0-9_-]/gu, "_");
}

/** Reports names that are different in the file and the same once sanitised. */
export function reportCollisions(names: readonly string[], collector: IssueCollector): void {
  const taken = new Map<string, string>();
  for (const name of names) {
    const sanitized = sanitizeServerName(name);
    const other = taken.get(sanitized);
    if (other === undefined) {
      taken.set(sanitized, name);
      continue;
    }
    const path = ["mcpServers", name];
    const [here, there] = [path, ["mcpServers", other]].map((one) =>
      collector.issue(one, "", { part: "key" })
    );
    const where = there === undefined || there.file === here?.file
      ? ""
      : ` (${there.file}:${there.line}:${there.column})`;
    collector.error(
      path,
      `servers ${quote(other)}${where} and ${quote(name)} both become "${sanitized}" in tool ` +
        "names, expected names that stay different",
      { part: "key", remedy: "rename one of them" },
    );
  }
}
