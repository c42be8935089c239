/** Reads files of clients, byte for byte and as documents. */

import { readFile } from "node:fs/promises";
import type { DocumentResult } from "../../config/document.ts";
import { parseText } from "../../config/format.ts";
import { type ConfigIssue, describeKind } from "../../config/issue.ts";
import { fileIssue, readText } from "../../config/read-file.ts";

/** A file's text with its byte order mark, `undefined` where there is none, or what is wrong. */
export type ClientFileText =
  | { readonly ok: true; readonly text: string | undefined }
  | { readonly ok: false; readonly issues: readonly ConfigIssue[] };

/** Reads a file that need not be there. Never rejects. */
export async function readClientFile(path: string): Promise<ClientFileText> {
  const read = await readText(path);
  if (!read.ok && read.missing) return { ok: true, text: undefined };
  if (!read.ok) {
    const issue = fileIssue(path, `Cannot read the file: ${read.why}`, read.remedy);
    return { ok: false, issues: [issue] };
  }
  try {
    return { ok: true, text: await readFile(path, "utf8") };
  } catch {
    return { ok: false, issues: [fileIssue(path, "Cannot read the file: it has just gone")] };
  }
}

/** Parses by the ending of the name, TOML too. What is no object is an issue. Never rejects. */
export async function parseClientText(text: string, file: string): Promise<DocumentResult> {
  const parsed = await parse(text, file);
  if (!parsed.ok) return parsed;
  const { value, position } = parsed.document;
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return parsed;
  const place = position.call(parsed.document, []);
  const message = `found ${describeKind(value)}, expected an object`;
  return { ok: false, issues: [{ file, ...place, path: "", message }] };
}

async function parse(text: string, file: string): Promise<DocumentResult> {
  if (!/\.toml$/i.test(file)) return await parseText(text, file);
  const { parseToml } = await import("./toml.ts");
  return parseToml(text, file);
}
