/** The file servers are added to, and the one their secrets are moved into. */

import { rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { CliError, ExitCode, type Io, UsageError } from "../../app/io.ts";
import { configurationError } from "../../app/plan.ts";
import { credentialsFile, loadCredentials } from "../../config/credentials.ts";
import { fileIssue, resolveConfigFiles, userDirectory } from "../../config/files.ts";
import { isRawObject, shapeDocument } from "../../config/layouts.ts";
import { loadConfig } from "../../config/load.ts";
import { ROOT_KEYS } from "../../config/parse.ts";
import { canonicalJson } from "../../lib/json.ts";
import type { OptionValues } from "../options.ts";
import { valueAt } from "./connect-edit.ts";
import { makeDirectory, parseClientText, readClientFile, writeTemporary } from "./files.ts";
import { addTo } from "./import-plan.ts";

/** A configuration file that may not be there yet. */
export interface Target {
  /** Absolute. */
  readonly path: string;
  /** As it was read; undefined where there is no file. */
  readonly text: string | undefined;
  /** Keys from the root to the object of servers. */
  readonly section: readonly string[];
  /** In the internal raw form. */
  readonly value: Readonly<Record<string, unknown>>;
}

/**
 * Reads the file that `--config` or `MCP_CONFIG_PATH` names, else the usual one, else none yet.
 * @throws {CliError} where it cannot be added to
 */
export async function readTarget(options: OptionValues, io: Io): Promise<Target> {
  const path = await findTarget(options, io);
  const read = await readClientFile(path);
  if (!read.ok) throw configurationError(read.issues, io.cwd);
  const { text } = read;
  const fresh: Target = { path, text, section: ["mcpServers"], value: {} };
  if (text === undefined || text.trim() === "") return fresh;
  const parsed = await parseClientText(text, path);
  if (!parsed.ok) throw configurationError(parsed.issues, io.cwd);
  const { document } = parsed;
  const section = [["mcpServers"], ["servers"], ["context_servers"], ["mcp", "servers"]]
    .find((keys) => valueAt(document.value, keys) !== undefined) ?? ["mcpServers"];
  const servers = valueAt(document.value, section);
  if (servers !== undefined && !isRawObject(servers)) {
    const key = section.join(".");
    const message = "found no object, expected an object of servers to add to";
    const issue = { file: path, ...document.position(section), path: key, message };
    throw configurationError([issue], io.cwd);
  }
  const shaped = shapeDocument(document, ROOT_KEYS);
  if (!shaped.ok) throw configurationError(shaped.issues, io.cwd);
  return { ...fresh, section, value: shaped.tree.value };
}

async function findTarget({ config }: OptionValues, { env, cwd }: Io): Promise<string> {
  const found = await resolveConfigFiles({ path: config, env, cwd });
  if (found.ok) {
    const [path, ...more] = found.paths;
    if (path !== undefined && more.length === 0) return path;
    throw new UsageError(
      `Cannot import into ${found.paths.length} files; expected one: --config FILE`,
      'Run "mcproxy help import" for usage',
    );
  }
  const directory = userDirectory(env);
  if (directory !== undefined) return join(directory, "mcproxy", "mcp-servers.json");
  return join(cwd, "mcp-servers.json");
}

/** The servers of a target by name. */
export function serversOf({ value }: Target): ReadonlyMap<string, unknown> {
  const servers = value["mcpServers"];
  return new Map(isRawObject(servers) ? Object.entries(servers) : []);
}

/**
 * The text of the target with the servers in it.
 * @throws {CliError} where anything else would not be as it was
 */
export async function withServers(
  target: Target,
  servers: ReadonlyMap<string, unknown>,
): Promise<string> {
  const { path, text, section, value } = target;
  const additions = [...servers].map(([name, entry]) => ({
    path: [...section, name],
    value: entry,
  }));
  try {
    const result = await addTo(text ?? "", path, additions);
    const parsed = await parseClientText(result, path);
    const shaped = parsed.ok ? shapeDocument(parsed.document, ROOT_KEYS) : parsed;
    if (shaped.ok && isKept(value, shaped.tree.value, servers)) return result;
  } catch {
    // Told below: whatever the library says of it names no remedy.
  }
  throw new CliError(
    ExitCode.Failed,
    `Cannot add servers to ${
      JSON.stringify(path)
    }: its layout cannot be kept; expected an object ` +
      `"${section.join(".")}"`,
    { hint: "The file was left as it is; name another one with --config FILE" },
  );
}

function isKept(
  before: Target["value"],
  after: Target["value"],
  added: ReadonlyMap<string, unknown>,
): boolean {
  const without = ({ mcpServers, ...rest }: Target["value"]) =>
    canonicalJson({
      ...rest,
      mcpServers: Object.fromEntries(
        Object.entries(isRawObject(mcpServers) ? mcpServers : {}).filter(([name]) =>
          !added.has(name)
        ),
      ),
    });
  return without(before) === without(after);
}

/** The credentials that are there, and the file for more. */
export interface CredentialsTarget {
  /** Absolute. */
  readonly path: string;
  readonly text: string | undefined;
  readonly values: ReadonlyMap<string, string>;
}

/** Reads the credentials. @throws {CliError} where they cannot be used or have no place */
export async function readCredentials(
  { credentials }: OptionValues,
  { env, cwd }: Io,
): Promise<CredentialsTarget> {
  const where = { env, cwd, path: credentials };
  const file = credentialsFile(where);
  if (file === undefined) {
    throw new UsageError("Cannot move secrets: found no home; expected --credentials FILE");
  }
  const read = await readClientFile(file.path);
  if (!read.ok) throw configurationError(read.issues, cwd);
  const loaded = await loadCredentials(where);
  // The one that was named may be missing here: it is about to be made.
  const issues = read.text === undefined
    ? loaded.issues.filter((issue) => issue.file !== file.path)
    : loaded.issues;
  if (issues.length > 0) throw configurationError(issues, cwd);
  return { path: file.path, text: read.text, values: loaded.values };
}

/** The text of the credentials file with more in it. */
export async function withCredentials(
  { path, text }: CredentialsTarget,
  added: ReadonlyMap<string, string>,
): Promise<string> {
  return await addTo(
    text ?? "",
    path,
    [...added].map(([name, value]) => ({ path: [name], value })),
  );
}

/** Texts that are to be files. */
export interface Draft {
  readonly target: Target;
  readonly text: string;
  readonly credentials?: { readonly path: string; readonly text: string } | undefined;
}

/**
 * Loads the files as they would be, from beside their places, where nobody takes them for real.
 * @throws {CliError} where they do not load or cannot be written
 */
export async function validateDraft(
  { target, text, credentials }: Draft,
  options: OptionValues,
  { env, cwd }: Io,
): Promise<void> {
  const temporary: string[] = [];
  const write = async (path: string, content: string): Promise<string> => {
    await makeDirectory(dirname(path));
    const file = await writeTemporary(path, content, 0o600).catch((cause: unknown) => {
      throw new CliError(
        ExitCode.Failed,
        `Cannot write to ${JSON.stringify(dirname(path))}; expected a folder that you may write to`,
        { cause },
      );
    });
    temporary.push(file);
    return file;
  };
  try {
    const draft = await write(target.path, text);
    const secrets = credentials === undefined
      ? options.credentials
      : await write(credentials.path, credentials.text);
    const result = await loadConfig(draft, { env, cwd, credentials: secrets });
    if (result.ok) return;
    // What was wrong before is told with the places it has in the file as it is.
    const before = target.text === undefined
      ? undefined
      : await loadConfig(target.path, { env, cwd, credentials: secrets });
    if (before?.ok === false) throw configurationError(before.issues, cwd);
    const real = result.issues.map((issue) =>
      basename(issue.file) === basename(draft) ? { ...issue, file: target.path } : issue
    );
    throw configurationError(
      [fileIssue(target.path, "Cannot write the file: it would not load"), ...real],
      cwd,
    );
  } finally {
    await Promise.all(temporary.map((file) => rm(file, { force: true })));
  }
}
