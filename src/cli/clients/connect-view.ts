/** What `connect` tells: the lines that change, and no others, since those may hold secrets. */

import { lineIndex } from "../../config/document.ts";
import { printable } from "../../lib/text.ts";
import type { Style } from "../view/style.ts";
import { type ClientApp, ENTRY_NAME } from "./clients.ts";
import type { Edit } from "./json-text.ts";

/** What becomes of a client's file. `restore`: a backup comes back; `delete`: it was ours alone. */
export type ConnectAction = "add" | "replace" | "remove" | "restore" | "delete" | "none";

/** What `connect --json` prints; part of the public contract. It contains no secret. */
export interface ConnectReport {
  readonly client: string;
  readonly file: string;
  readonly action: ConnectAction;
  readonly written: boolean;
  readonly backup: string | null;
}

/** The report for people. */
export function renderConnect(
  { file, action, written, backup }: ConnectReport,
  { before, edits = [] }: { readonly before: string; readonly edits?: readonly Edit[] },
  { title }: ClientApp,
  style: Style,
): string[] {
  if (action === "none") return [`${title}: nothing to do in ${printable(file)}`];
  const changed = action === "add" || action === "replace" ? addedLines(before, edits, style) : [];
  const gone = action === "add" ? [] : [style.bad(`-  "${ENTRY_NAME}"`)];
  const what: Record<Exclude<ConnectAction, "none">, string> = {
    add: `${title} is connected; restart it to see the tools`,
    replace: `${title} is connected; restart it to see the tools`,
    remove: `${title} is disconnected; the entry was taken out`,
    restore: `${title} is disconnected; the file is as it was before`,
    delete: `${title} is disconnected; the file had nothing else and was removed`,
  };
  const verdict = written
    ? style.good(what[action])
    : "Nothing was written; the same with --write does it";
  return [
    style.bold(printable(file)),
    ...gone,
    ...changed,
    "",
    verdict,
    ...(backup === null ? [] : [style.dim(`Backup: ${printable(backup)}`)]),
  ];
}

/** The new lines with their numbers in the file as it is. */
function addedLines(before: string, edits: readonly Edit[], style: Style): string[] {
  const locate = lineIndex(before);
  return edits.filter(({ content }) => content.trim().length > 1).flatMap(({ offset, content }) => {
    const lines = content.replace(/^,/, "").split(/\r\n|\n|\r/).filter((line) =>
      line.trim() !== ""
    );
    return [
      style.dim(`@@ line ${locate(offset).line}`),
      ...lines.map((line) => style.good(`+  ${printable(withoutUser(line))}`)),
    ];
  });
}

/** User and password of an address are for the file only. */
function withoutUser(line: string): string {
  return line.replaceAll(/:\/\/[^/@\s"]+@/g, "://***@");
}
