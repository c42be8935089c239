import { cut } from "../lib/text.ts";
/** What is wrong with a configuration, where, and what to do about it. */

/** Keys and indexes from the root of the document to a value. */
export type ConfigPath = readonly (string | number)[];

/** One thing wrong (or, as a warning, doubtful) in a configuration. It never contains a secret. */
export interface ConfigIssue {
  /** As the caller named it. */
  readonly file: string;
  /** From 1; 0 where the issue is about the file as a whole. */
  readonly line: number;
  /** From 1, in UTF-16 units as editors count; 0 where `line` is. */
  readonly column: number;
  /** Such as `mcpServers.gh.args[1]`; empty for the root or the whole file. */
  readonly path: string;
  /** What was found and what was expected. */
  readonly message: string;
  /** What to do, where the message does not say it already. */
  readonly remedy?: string;
}

/** An issue at a place of a file. */
export function issueAt(
  { file, line, column }: Pick<ConfigIssue, "file" | "line" | "column">,
  path: ConfigPath,
  message: string,
  remedy?: string,
): ConfigIssue {
  const issue = { file, line, column, path: formatPath(path), message };
  return remedy === undefined ? issue : { ...issue, remedy };
}

/**
 * One line for people and editors:
 * `mcp-servers.json:4:68 mcpServers.gh.timeout: found "5 apples", expected a duration …`.
 */
export function formatIssue(issue: ConfigIssue): string {
  const place = issue.line > 0 ? `${issue.file}:${issue.line}:${issue.column}` : issue.file;
  const subject = issue.path === "" ? `${place}:` : `${place} ${issue.path}:`;
  const remedy = issue.remedy === undefined ? "" : `; ${issue.remedy}`;
  return `${subject} ${issue.message}${remedy}`;
}

/** `["mcpServers", "my server", "args", 1]` as `mcpServers["my server"].args[1]`. */
export function formatPath(path: ConfigPath): string {
  let text = "";
  for (const step of path) {
    if (typeof step === "number") text += `[${step}]`;
    else if (!/^[\w$-]+$/.test(step)) text += `[${quote(step)}]`;
    else text += text === "" ? step : `.${step}`;
  }
  return text;
}

/** How much of a value from the file a message repeats. */
const LONGEST_QUOTE = 60;

/** Text in double quotes, on one line, cut to a readable length. */
export function quote(text: string): string {
  return JSON.stringify(cut(text, LONGEST_QUOTE));
}

/** What a value is, for "found …": scalars as written, containers by their kind. */
export function describeValue(value: unknown): string {
  if (typeof value === "string") return quote(value);
  if (Array.isArray(value)) return "an array";
  if (typeof value === "object" && value !== null) return "an object";
  return value === undefined ? "nothing" : String(value);
}

/** {@link describeValue} without the value, for places where secrets are kept. */
export function describeKind(value: unknown): string {
  if (typeof value === "string") return value === "" ? quote(value) : "a string";
  if (typeof value === "number") return "a number";
  if (typeof value === "boolean") return "a boolean";
  return describeValue(value);
}

/** Drops members that are undefined, which a spread would copy over good values. */
export function withoutUndefined<T extends object>(
  value: T,
): { [Key in keyof T]: Exclude<T[Key], undefined> } {
  return Object.fromEntries(
    Object.entries(value).filter(([, member]) => member !== undefined),
  ) as { [Key in keyof T]: Exclude<T[Key], undefined> };
}
