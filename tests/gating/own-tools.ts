/** Real tools of the example servers, as many as are wanted, and queries for them. */

import { readFileSync } from "node:fs";
import type { ToolGiven } from "./support.ts";

const GOLDEN = new URL("../golden/search/", import.meta.url);
const SERVERS: readonly { readonly name: string; readonly tools: readonly ToolGiven[] }[] = JSON
  .parse(readFileSync(new URL("tools.json", GOLDEN), "utf8"));

/** What somebody may want of them. */
export const OWN_QUERIES: readonly string[] = readFileSync(new URL("queries.jsonl", GOLDEN), "utf8")
  .trim().split("\n").map((line) => JSON.parse(line).query as string);

/**
 * So many tools by server: whole rounds of the servers, under another name each time, and of the
 * last round what is missing.
 */
export function ownTools(count: number): ReadonlyMap<string, readonly ToolGiven[]> {
  const servers = new Map<string, readonly ToolGiven[]>();
  let left = count;
  for (let round = 1; left > 0; round++) {
    for (const { name, tools } of SERVERS) {
      const some = tools.slice(0, left);
      if (some.length > 0) servers.set(`${name}-${round}`, some);
      left -= some.length;
    }
  }
  return servers;
}
