/** The keys in a configuration, and the file they are written into. */

import { dirname } from "node:path";
import * as v from "valibot";
import { CliError, ExitCode, type Io, UsageError } from "../../app/io.ts";
import { configurationError, findConfiguration } from "../../app/plan.ts";
import { listFiles, resolveConfigFiles } from "../../config/files.ts";
import { authOption } from "../../config/schema-auth.ts";
import { DEFAULT_SETTINGS } from "../../config/settings.ts";
import type { Settings } from "../../config/types.ts";
import { sha256 } from "../../lib/json.ts";
import type { OptionValues } from "../command.ts";
import { makeDirectory, rewriteFile } from "./files.ts";
import { readTarget, type Target } from "./import-target.ts";
import { applyEdits, putProperty, removeProperty } from "./json-text.ts";

/** As it stands in the file: the hash, with its end where it has one. */
export type WrittenKey = string | { readonly hash: string; readonly expires: string };

/** A configuration that keys are added to. */
export interface KeysFile extends Pick<Target, "path" | "text"> {
  /** Of the whole configuration. */
  readonly settings: Settings;
  /** YAML is left to its owner. */
  readonly isEditable: boolean;
}

/** The hash of a key, as the configuration has it. */
export async function hashOfKey(key: string): Promise<string> {
  return `sha256:${await sha256(new TextEncoder().encode(key))}`;
}

/**
 * The configuration that a start would take, and of its files the one that says `auth`: the last one
 * counts. None says it: the file that servers are imported into, there or not.
 * @throws {CliError} where the configuration cannot be used
 */
export async function readKeys(options: OptionValues, io: Io): Promise<KeysFile> {
  const found = await findConfiguration(options, io);
  if (!found.ok && found.file !== undefined) throw configurationError(found.issues);
  const settings = found.ok ? found.config.settings : DEFAULT_SETTINGS;
  const named = await resolveConfigFiles({ ...io, path: options.config });
  const listed = named.ok
    ? await Promise.all(named.paths.map((path) => listFiles(path, new Map())))
    : [];
  const files = listed.flatMap((one) => one.files);
  let target: Target | undefined;
  for (const config of files.toReversed()) {
    target = await readTarget({ config }, io);
    if ("auth" in target.value) break;
    if (files.length > 1) target = undefined;
  }
  target ??= await readTarget(options, io);
  return { ...target, settings, isEditable: !/\.ya?ml$/i.test(target.path) };
}

/** Refuses what the configuration would refuse. @throws {UsageError} */
export function checkKey(name: string, key: WrittenKey): void {
  const { success, output } = v.safeParse(authOption, { keys: { [name]: key } });
  const { expires = Infinity } = (success ? output.keys?.[0] : undefined) ?? { expires: NaN };
  if (expires > Date.now()) return;
  throw new UsageError(
    `Cannot make the key ${JSON.stringify(name)}: expected a name of letters, digits and . _ -, ` +
      "and with --expires a time to come, such as 90d, 12h or 2099-12-31",
  );
}

/**
 * Writes a key into the file, or takes one out; all else stays as it is. Returns what takes that
 * back.
 * @throws {CliError} where the file cannot be changed
 */
export async function putKey(
  { path, text, isEditable }: KeysFile,
  name: string,
  key: WrittenKey | undefined,
): Promise<() => Promise<unknown>> {
  if (!isEditable) {
    const said = JSON.stringify(name);
    throw new CliError(
      ExitCode.Failed,
      `Cannot change the keys in ${JSON.stringify(path)}: only files of JSON are edited`,
      {
        hint: key === undefined
          ? `Take ${said} out of "keys" in its "auth"`
          : `Add this line to "keys" in its "auth":\n    ${said}: ${JSON.stringify(key)}`,
      },
    );
  }
  const mark = text?.startsWith("\uFEFF") ? "\uFEFF" : "";
  const body = text?.slice(mark.length) || '{\n  "mcpServers": {}\n}\n';
  const at = ["auth", "keys", name];
  const edits = key === undefined ? removeProperty(body, at) : putProperty(body, at, key);
  const result = mark + applyEdits(body, edits);
  if (text === undefined) await makeDirectory(dirname(path));
  await rewriteFile(path, result, text);
  return () => rewriteFile(path, text ?? "", result);
}
