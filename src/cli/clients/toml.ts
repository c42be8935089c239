/**
 * TOML to a {@link ConfigDocument}, and changes in its text. Loaded only where there is such a
 * file. The parser of the library knows no positions: it is asked about one statement at a time.
 */

import { parse, stringify, TomlError } from "smol-toml";
import { type DocumentResult, lineIndex } from "../../config/document.ts";
import { attempt, isObject, type JsonObject } from "../../lib/json.ts";
import type { Edit } from "./json-text.ts";

/** Parses the text of a file. Never throws. A byte order mark is skipped. */
export function parseToml(input: string, file: string): DocumentResult {
  const text = input.startsWith("\uFEFF") ? input.slice(1) : input;
  let value: unknown;
  try {
    value = parse(text);
  } catch (error) {
    const [line, column] = error instanceof TomlError ? [error.line, error.column] : [1, 1];
    const reason = error instanceof TomlError ? reasonOf(error) : "it cannot be read";
    const message = `found invalid TOML: ${reason}; expected TOML 1.0`;
    return { ok: false, issues: [{ file, line, column, path: "", message }] };
  }
  const statements = statementsOf(text);
  const locate = lineIndex(text);
  return {
    ok: true,
    document: {
      file,
      value,
      position(path) {
        for (let length = path.length; length > 0; length--) {
          const found = statements.find((one) => startsWith(one.path, path.slice(0, length)));
          if (found !== undefined) return locate(found.offset);
        }
        return locate(0);
      },
      keys(path) {
        let node = value;
        for (const step of path) node = isObject(node) ? node[step] : undefined;
        return isObject(node) ? Object.keys(node) : [];
      },
    },
  };
}

/** The first line of the message says what is wrong; the others quote the file, secrets and all. */
function reasonOf({ message }: TomlError): string {
  return (message.split("\n")[0] ?? "").replace(/^Invalid TOML document: /, "");
}

function startsWith(path: readonly string[], start: readonly (string | number)[]): boolean {
  return start.every((step, at) => path[at] === String(step));
}

/**
 * The edits that put a table at `path`, in place of the one that is there under headers. The keys of
 * the path and of objects need no quotes.
 */
export function putTable(
  text: string,
  path: readonly string[],
  value: JsonObject,
): readonly Edit[] {
  const eol = /\r\n|\n/.exec(text)?.[0] ?? "\n";
  // In one line, so that the table has no others below it.
  const lineOf = ([key, one]: [string, unknown]) =>
    isObject(one)
      ? `${key} = { ${stringify(one).trimEnd().replaceAll("\n", ", ")} }`
      : stringify({ [key]: one }).trimEnd();
  const lines = [`[${path.join(".")}]`, ...Object.entries(value).map(lineOf)];
  const content = lines.map((line) => `${line}${eol}`).join("");
  const [first, ...rest] = removeTable(text, path);
  if (first !== undefined) return [{ ...first, content }, ...rest];
  const gap = text.trim() === "" ? "" : /(?:\r\n|\n)$/.test(text) ? eol : `${eol}${eol}`;
  return [{ offset: text.length, length: 0, content: gap + content }];
}

/** The edits that take out the table at `path` and those below it, as they are under headers. */
export function removeTable(text: string, path: readonly string[]): readonly Edit[] {
  const edits: Edit[] = [];
  let isWithin = false;
  for (const { isHeader, path: own, offset, end } of statementsOf(text)) {
    if (isHeader) isWithin = startsWith(own, path);
    if (!isWithin) continue;
    const start = isHeader ? offset : edits.pop()!.offset;
    edits.push({ offset: start, length: end - start, content: "" });
  }
  return edits;
}

/** A header of a table, or a key with its value. */
export interface Statement {
  readonly isHeader: boolean;
  /** From the root: a key of a table has the path of the table before it. */
  readonly path: readonly string[];
  /** In UTF-16 units, of the first character and behind the last line. */
  readonly offset: number;
  readonly end: number;
}

/** The statements of a valid text: each is the fewest lines that are valid by themselves. */
export function statementsOf(text: string): readonly Statement[] {
  const statements: Statement[] = [];
  let table: readonly string[] = [];
  let start = 0;
  for (const { 0: line, index } of text.matchAll(/[^\n]*\n|[^\n]+$/g)) {
    const end = index + line.length;
    // Only these end what goes on from line to line: to try each one takes long in a long text.
    if (index > start && !/"""|'''|[\]}]/.test(line)) continue;
    // Where it goes on, it does not parse.
    const path = attempt(() => onlyKeys(parse(text.slice(start, end))));
    if (path === undefined) continue;
    const offset = start + text.slice(start, end).search(/\S|$/);
    const isHeader = text[offset] === "[";
    if (isHeader) table = path;
    if (path.length > 0) {
      statements.push({ isHeader, path: isHeader ? path : [...table, ...path], offset, end });
    }
    start = end;
  }
  return statements;
}

/** The keys of one statement; none for a blank line. */
function onlyKeys(value: unknown): string[] {
  const [key, ...more] = isObject(value) ? Object.keys(value) : [];
  return key === undefined || more.length > 0 ? [] : [key, ...onlyKeys((value as JsonObject)[key])];
}
