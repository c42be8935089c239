/** The keys in a configuration, and the file they are written into. */

import { dirname } from "node:path";
import * as v from "valibot";
import { failed, type Io, UsageError } from "../../app/io.ts";
import { configurationError, findConfiguration } from "../../app/plan.ts";
import { authOption } from "../../config/schema-auth.ts";
import { DEFAULT_SETTINGS } from "../../config/settings.ts";
import type { Settings } from "../../config/types.ts";
import { sha256 } from "../../lib/json.ts";
import { messageOf } from "../../lib/text.ts";
import type { OptionValues } from "../command.ts";
import { ownAddress } from "../urls.ts";
import { makeDirectory, rewriteFile } from "./files.ts";
import { addTo, readTarget, type Target } from "./import-target.ts";

/** A configuration that keys are added to. */
export interface KeysFile extends Pick<Target, "path" | "text"> {
  /** Of the whole configuration. */
  readonly settings: Settings;
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
  const { files } = await ownAddress(io, options.config);
  for (const config of files.toReversed()) {
    const target = await readTarget({ config }, io);
    if ("auth" in target.value || files.length === 1) return { ...target, settings };
  }
  return { ...await readTarget(options, io), settings };
}

/**
 * Writes the hash of a key into the file, or takes it out; all else stays as it is.
 * @throws {CliError} where the file cannot be changed
 * @throws {UsageError} for what the configuration would refuse
 */
export async function putKey(
  { path, text }: KeysFile,
  name: string,
  key: string | { readonly hash: string; readonly expires: string } | undefined,
): Promise<void> {
  if (key !== undefined) checkKey(name, key);
  const begun = text?.trim() ? text : '{\n  "mcpServers": {}\n}\n';
  const result = await addTo({ path, text: begun }, ["auth", "keys"], new Map([[name, key]])).catch(
    (error: unknown) => {
      const message = `Cannot change the keys in ${JSON.stringify(path)}: ${messageOf(error)}`;
      throw failed(message, { cause: error });
    },
  );
  if (text === undefined) await makeDirectory(dirname(path));
  await rewriteFile(path, result, text);
}

function checkKey(name: string, key: unknown): void {
  const { success, output } = v.safeParse(authOption, { keys: { [name]: key } });
  const { expires = Infinity } = (success ? output.keys?.[0] : undefined) ?? { expires: NaN };
  if (expires > Date.now()) return;
  throw new UsageError(
    `Cannot make the key ${JSON.stringify(name)}: expected a name of letters, digits and . _ -, ` +
      "and with --expires a time to come, such as 90d, 12h or 2099-12-31",
  );
}
