/** Which parser a file is for. */

import type { DocumentResult } from "./document.ts";
import { parseJsonc } from "./jsonc.ts";

/** Files of a directory that count as configuration, by their names. */
export const CONFIG_FILE: RegExp = /\.(jsonc?|ya?ml)$/i;

/**
 * Parses the text of a file by the ending of its name; what has another one is JSON. The parser of
 * YAML is loaded when it is first needed. Never rejects because of the text.
 */
export async function parseText(text: string, file: string): Promise<DocumentResult> {
  if (!/\.ya?ml$/i.test(file)) return parseJsonc(text, file);
  const { parseYaml } = await import("./yaml.ts");
  return parseYaml(text, file);
}
