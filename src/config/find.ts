/** Where the configuration is. */

import { lstat } from "node:fs/promises";
import { delimiter, join, resolve } from "node:path";
import type { Env } from "./config.ts";
import { type ConfigIssue, quote } from "./issue.ts";

/** What the search depends on. */
export interface FindConfigOptions {
  readonly env: Env;
  /** The working directory, absolute. */
  readonly cwd: string;
}

/** The names that are looked for in each place, best first. */
const NAMES = ["mcp-servers.json", "mcp-servers.jsonc", "mcp-servers.yaml", "mcp-servers.yml"];

/**
 * Where the files of the user are. As the XDG specification says, an `XDG_CONFIG_HOME` that is not
 * absolute is ignored. Undefined where the environment names no home.
 */
export function userDirectory(env: Env): string | undefined {
  const home = env["HOME"];
  const xdg = env["XDG_CONFIG_HOME"];
  return xdg?.startsWith("/") ? xdg : home ? join(home, ".config") : undefined;
}

/** The directories to look in, best first: the working directory, the user's, the machine's. */
export function configDirectories({ env, cwd }: FindConfigOptions): readonly string[] {
  const user = userDirectory(env);
  return [cwd, ...(user === undefined ? [] : [join(user, "mcproxy")]), "/etc/mcproxy"];
}

/** Options of {@link resolveConfigFiles}. */
export interface ResolveConfigOptions extends FindConfigOptions {
  /** What `--config` named, once or several times; it counts, there or not. */
  readonly path?: string | readonly string[] | undefined;
}

/** The files and directories to load, in this order, or why there is none. */
export type ResolvedConfigFiles =
  | { readonly ok: true; readonly paths: readonly string[] }
  | { readonly ok: false; readonly issues: readonly ConfigIssue[] };

/**
 * The files to load: those that `path`, else `MCP_CONFIG_PATH` (several with the separator of
 * `PATH` between) names, without a look at them, so that loading says what is wrong with them; else
 * the first `mcp-servers.*` there is. A wrong name must not be passed over in silence.
 */
export async function resolveConfigFiles(
  { path, env, cwd }: ResolveConfigOptions,
): Promise<ResolvedConfigFiles> {
  const flags = path === undefined ? [] : typeof path === "string" ? [path] : path;
  const variable = env["MCP_CONFIG_PATH"]?.split(delimiter).filter((one) => one !== "") ?? [];
  const named = flags.length > 0 ? flags : variable;
  if (named.length > 0) return { ok: true, paths: named.map((one) => resolve(cwd, one)) };
  const directories = configDirectories({ env, cwd });
  for (const directory of directories) {
    for (const name of NAMES) {
      const candidate = join(directory, name);
      if (await exists(candidate)) return { ok: true, paths: [candidate] };
    }
  }
  return {
    ok: false,
    issues: [{
      file: "mcp-servers.json",
      line: 0,
      column: 0,
      path: "",
      message: "Cannot find a configuration file: looked for mcp-servers.json (or .jsonc, .yaml, " +
        `.yml) in ${directories.map(quote).join(", ")}`,
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
