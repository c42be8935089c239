import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The fake upstream of the benchmark. */
export const UPSTREAM = fileURLToPath(new URL("../programs/upstream.mjs", import.meta.url));

/** What a fake upstream is like. */
export interface Fake {
  /** How many tools it lists. */
  readonly tools: number;
  /** Milliseconds before it answers `initialize`. @default 0 */
  readonly delay?: number;
}

/** A config file in a folder of its own, removed in the end. */
export interface ConfigFile extends Disposable {
  readonly path: string;
  /** What it says under `mcpServers`. */
  readonly servers: Readonly<Record<string, unknown>>;
  /** What it says beside that. */
  readonly settings: Readonly<Record<string, unknown>>;
}

/** The command line of a fake upstream. */
export function fakeArgs({ tools, delay = 0 }: Fake): string[] {
  return [UPSTREAM, String(tools), String(delay)];
}

/**
 * Writes a config with `count` stdio upstreams, all alike, and these settings. Without gating, which
 * would replace the lists of hundreds of tools that are measured; `/gated/mcp` has it all the same.
 */
export function fakeUpstreams(count: number, fake: Fake, more: object = {}): ConfigFile {
  const servers = Object.fromEntries(
    Array.from({ length: count }, (_, index) => [
      `server${String(index).padStart(2, "0")}`,
      { command: "node", args: fakeArgs(fake) },
    ]),
  );
  return configOf(servers, more);
}

/** Writes a config with these servers, without gating as well. */
export function configOf(mcpServers: Readonly<Record<string, unknown>>, more = {}): ConfigFile {
  // The targets are of a gateway that keeps no history; what one costs has a case of its own.
  const settings = { gating: "off", history: "off", ...more };
  const folder = mkdtempSync(join(tmpdir(), "mcproxy-bench-"));
  const path = join(folder, "mcp-servers.json");
  writeFileSync(path, JSON.stringify({ ...settings, mcpServers }));
  return {
    path,
    servers: mcpServers,
    settings,
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}
