/** Finds and loads the configuration for a command, and tells what is wrong with it. */

import { isAbsolute, relative } from "node:path";
import type { Config, ConfigResult } from "../config/config.ts";
import { resolveConfigFiles } from "../config/find.ts";
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

/** What a command line says about the configuration. */
export interface ConfigurationFlags {
  /** Each `--config`, files and directories. */
  readonly config?: string | readonly string[] | undefined;
  /** `--credentials`. */
  readonly credentials?: string | undefined;
}

/** The flags, or only what `--config` named. */
export type ConfigurationChoice = string | readonly string[] | ConfigurationFlags | undefined;

/**
 * The result of loading, with the files it is about (commas between them); no file at all is an
 * issue like others.
 */
export type Configuration = ConfigResult & {
  readonly file: string | undefined;
  /** As {@link Config.sources}; empty where there is no file at all. */
  readonly sources: readonly string[];
};

/** Finds (`--config`, `MCP_CONFIG_PATH`, the usual places) and loads. Never rejects. */
export async function findConfiguration(
  choice: ConfigurationChoice,
  { env, cwd }: ConfigurationIo,
): Promise<Configuration> {
  const { config: path, credentials } = flagsOf(choice);
  const found = await resolveConfigFiles({ path, env, cwd });
  if (!found.ok) return { ...found, file: undefined, sources: [] };
  const file = found.paths.join(", ");
  return { ...await loadConfig(found.paths, { env, cwd, credentials }), file };
}

function flagsOf(choice: ConfigurationChoice): ConfigurationFlags {
  if (typeof choice === "string" || choice === undefined) return { config: choice };
  return "length" in choice ? { config: choice } : choice;
}

/**
 * The configuration, for a command that cannot do without.
 * @throws {CliError} exit code 3, with every issue
 */
export async function requireConfiguration(
  choice: ConfigurationChoice,
  io: ConfigurationIo,
): Promise<LoadedConfiguration> {
  const result = await findConfiguration(choice, io);
  if (result.ok) return result;
  throw configurationError(result.issues, io.cwd, {
    missing: result.file === undefined,
    sources: result.sources,
  });
}

/** A configuration that cannot be used, with everything that was read or looked for. */
export class ConfigurationError extends CliError {
  override readonly name = "ConfigurationError";
  constructor(
    message: string,
    /** As {@link Config.sources}: a change of one of them may mend it. */
    readonly sources: readonly string[],
    options: ConstructorParameters<typeof CliError>[2],
  ) {
    super(ExitCode.Config, message, options);
  }
}

/** The end of a command whose configuration cannot be used; `missing`: there is no file at all. */
export function configurationError(
  issues: readonly ConfigIssue[],
  cwd: string,
  { missing = false, sources = [] }: {
    readonly missing?: boolean;
    readonly sources?: readonly string[];
  } = {},
): ConfigurationError {
  const message = issues.map((issue) => describeIssue(issue, cwd)).join("\n");
  const hint = missing ? `A minimal mcp-servers.json:\n${MINIMAL_CONFIG}` : undefined;
  return new ConfigurationError(message, sources, {
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
