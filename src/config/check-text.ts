/** What is wrong with a text that may become the configuration, found without doing what it says. */

import type { ConfigIssue } from "./issue.ts";
import { type ParseConfigOptions, parseTree, shapedText } from "./load.ts";
import { storeOf } from "./values.ts";

/** Of values that only a start has: variables, credentials, files and what commands print. */
const UNKNOWN_VALUE = /(?:is not set|has no value|has not been read|has not been run)$/;

/**
 * What is wrong with a text of any format that is to become this file. No other file is read, and no
 * command run: what that leaves open is a warning.
 */
export async function checkText(
  text: string,
  { file, env }: ParseConfigOptions,
): Promise<Record<"issues" | "warnings", readonly ConfigIssue[]>> {
  const shaped = await shapedText(text, file);
  if (!shaped.ok) return { issues: shaped.issues, warnings: [] };
  const allowCommands = shaped.tree.value["allowCommands"] === true;
  const store = { ...storeOf(env), allowCommands };
  const result = parseTree(shaped.tree, { files: [file], store });
  const servers = result.ok ? [...result.config.servers.values()] : [];
  const found = [...shaped.issues, ...result.ok ? [] : result.issues];
  const isOpen = ({ message }: ConfigIssue) => UNKNOWN_VALUE.test(message);
  return {
    issues: found.filter((issue) => !isOpen(issue)),
    warnings: [
      ...found.filter(isOpen),
      ...shaped.warnings,
      // One server that cannot be started keeps no other from it.
      ...servers.flatMap(({ problem }) => problem ?? []),
      ...result.ok ? result.warnings : [],
    ],
  };
}
