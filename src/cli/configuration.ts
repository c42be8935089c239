/** Finds and loads the configuration for a command, and tells what is wrong with it. */

import { isAbsolute, relative } from "node:path";
import type { Config, ConfigResult } from "../config/config.ts";
import { resolveConfigFile } from "../config/find.ts";
import { type ConfigIssue, formatIssue } from "../config/issue.ts";
import { loadConfig } from "../config/load.ts";
import { CliError, ExitCode } from "./exit.ts";
import type { Io } from "./io.ts";

/** A file somebody without one can begin with. */
export const MINIMAL_CONFIG = `{
  "mcpServers": {
    "memory": { "command": "npx", "args": ["-y", "@modelcontextprotocol/server-memory"] }
  }
}`;

/** What of an {@link Io} loading needs. */
export type ConfigurationIo = Pick<Io, "env" | "cwd">;

/** A configuration that could be loaded. */
export interface LoadedConfiguration {
  readonly config: Config;
  readonly warnings: readonly ConfigIssue[];
}

/** The result of loading, with the file it is about; no file at all is an issue like others. */
export type Configuration = ConfigResult & { readonly file: string | undefined };

/** Finds (`--config`, `MCP_CONFIG_PATH`, the usual places) and loads. Never rejects. */
export async function findConfiguration(
  path: string | undefined,
  { env, cwd }: ConfigurationIo,
): Promise<Configuration> {
  const found = await resolveConfigFile({ path, env, cwd });
  if (!found.ok) return { ...found, file: undefined };
  return { ...await loadConfig(found.path, { env }), file: found.path };
}

/**
 * The configuration, for a command that cannot do without.
 * @throws {CliError} exit code 3, with every issue
 */
export async function requireConfiguration(
  path: string | undefined,
  io: ConfigurationIo,
): Promise<LoadedConfiguration> {
  const result = await findConfiguration(path, io);
  if (result.ok) return result;
  throw configurationError(result.issues, io.cwd, result.file === undefined);
}

/** The end of a command whose configuration cannot be used; `missing`: there is no file at all. */
export function configurationError(
  issues: readonly ConfigIssue[],
  cwd: string,
  missing = false,
): CliError {
  const message = issues.map((issue) => describeIssue(issue, cwd)).join("\n");
  const hint = missing ? `A minimal mcp-servers.json:\n${MINIMAL_CONFIG}` : undefined;
  return new CliError(ExitCode.Config, message, {
    ...(hint === undefined ? {} : { hint }),
    data: { issues },
  });
}

/** One issue in one line; the file as seen from the working directory where it is below. */
export function describeIssue(issue: ConfigIssue, cwd: string): string {
  return formatIssue({ ...issue, file: displayPath(issue.file, cwd) });
}

function displayPath(file: string, cwd: string): string {
  // A service runs in the root: "etc/mcproxy/…" in its log would name nothing.
  if (!isAbsolute(file) || cwd === "/") return file;
  const near = relative(cwd, file);
  return near === "" || near.startsWith("..") ? file : near;
}
