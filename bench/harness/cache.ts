import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A folder for what a gateway keeps between its runs; removed in the end. */
export interface EmptyCache extends Disposable {
  /** Variables that make the gateway use it. */
  readonly env: Readonly<Record<string, string>>;
}

/**
 * An empty one: no measurement begins with what another one has left, and none of them writes to
 * the user's own. Not `XDG_CACHE_HOME`: there the runtimes keep what they have compiled.
 */
export function emptyCache(): EmptyCache {
  const folder = mkdtempSync(join(tmpdir(), "mcproxy-bench-cache-"));
  return {
    env: { CACHE_DIRECTORY: folder, STATE_DIRECTORY: join(folder, "state") },
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}
