/** Where the configuration file is. */

import { lstat } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { Env } from "./config.ts";
import type { ConfigIssue } from "./issue.ts";

/** What the search depends on. */
export interface FindConfigOptions {
  readonly env: Env;
  /** The working directory, absolute. */
  readonly cwd: string;
}

/**
 * The files to look for, best first: `MCP_CONFIG_PATH` alone where it is set (a wrong one must not
 * be passed over in silence), else `./mcp-servers.json`, the user's and the machine's. As the XDG
 * specification says, an `XDG_CONFIG_HOME` that is not absolute is ignored.
 */
export function findConfigFile({ env, cwd }: FindConfigOptions): readonly string[] {
  const named = env["MCP_CONFIG_PATH"];
  if (named) return [resolve(cwd, named)];
  const home = env["HOME"];
  const xdg = env["XDG_CONFIG_HOME"];
  const userDirectory = xdg?.startsWith("/") ? xdg : home ? join(home, ".config") : undefined;
  return [
    join(cwd, "mcp-servers.json"),
    ...(userDirectory === undefined ? [] : [join(userDirectory, "mcproxy", "mcp-servers.json")]),
    "/etc/mcproxy/mcp-servers.json",
  ];
}

/** Options of {@link resolveConfigFile}. */
export interface ResolveConfigOptions extends FindConfigOptions {
  /** What `--config` named; it counts, there or not. */
  readonly path?: string | undefined;
}

/** The file to load, or why there is none. */
export type ResolvedConfigFile =
  | { readonly ok: true; readonly path: string }
  | { readonly ok: false; readonly issues: readonly ConfigIssue[] };

/**
 * The file to load: a named one without a look at it ({@link findConfigFile}, `path`), so that
 * loading says what is wrong with it; else the first candidate there is.
 */
export async function resolveConfigFile(
  { path, ...options }: ResolveConfigOptions,
): Promise<ResolvedConfigFile> {
  if (path !== undefined) return { ok: true, path: resolve(options.cwd, path) };
  const candidates = findConfigFile(options);
  const [first] = candidates;
  if (candidates.length === 1 && first !== undefined) return { ok: true, path: first };
  for (const candidate of candidates) {
    if (await exists(candidate)) return { ok: true, path: candidate };
  }
  const places = candidates.map((place) => JSON.stringify(place)).join(", ");
  return {
    ok: false,
    issues: [{
      file: "mcp-servers.json",
      line: 0,
      column: 0,
      path: "",
      message: `Cannot find a configuration file: looked for ${places}`,
      remedy: "create one of them, or name a file with --config FILE or MCP_CONFIG_PATH",
    }],
  };
}

/**
 * Only a plain "not there" counts as absent: a file that cannot be reached and a link that leads
 * nowhere are worth an issue.
 */
async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    return code !== "ENOENT" && code !== "ENOTDIR";
  }
}
