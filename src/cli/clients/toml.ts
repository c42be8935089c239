/**
 * TOML to a {@link ConfigDocument}, and changes in its text. Loaded only where there is such a
 * file. The parser of the library knows no positions, so the text is scanned a second time for them.
 */

import { parse, stringify, TomlError } from "smol-toml";
import { type DocumentResult, lineIndex } from "../../config/document.ts";
import type { JsonObject } from "../../lib/json.ts";
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
        for (const step of path) node = isTable(node) ? node[String(step)] : undefined;
        return isTable(node) ? Object.keys(node) : [];
      },
    },
  };
}

/** The first line of the message says what is wrong; the others quote the file, secrets and all. */
function reasonOf({ message }: TomlError): string {
  return (message.split("\n")[0] ?? "").replace(/^Invalid TOML document: /, "");
}

function isTable(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function startsWith(path: readonly string[], start: readonly (string | number)[]): boolean {
  return start.every((step, at) => path[at] === String(step));
}

/**
 * The edits that put a table of simple values at `path`, in place of the one that is there under
 * headers. The keys of the path need no quotes.
 */
export function putTable(
  text: string,
  path: readonly string[],
  value: JsonObject,
): readonly Edit[] {
  const eol = /\r\n|\n/.exec(text)?.[0] ?? "\n";
  const lines = [`[${path.join(".")}]`, ...stringify(value).trimEnd().split("\n")];
  const content = lines.map((line) => `${line}${eol}`).join("");
  const [first, ...rest] = removeTable(text, path);
  if (first !== undefined) return [{ ...first, content }, ...rest];
  const gap = text.trim() === "" ? "" : /(?:\r\n|\n)$/.test(text) ? eol : `${eol}${eol}`;
  return [{ offset: text.length, length: 0, content: gap + content }];
}

/** The edits that take out the table at `path` and those below it, as they are under headers. */
export function removeTable(text: string, path: readonly string[]): readonly Edit[] {
  const statements = statementsOf(text);
  const edits: Edit[] = [];
  let current: { offset: number; end: number } | undefined;
  const finish = () => {
    if (current === undefined) return;
    edits.push({ offset: current.offset, length: current.end - current.offset, content: "" });
    current = undefined;
  };
  for (const statement of statements) {
    if (statement.isHeader) {
      finish();
      if (startsWith(statement.path, path)) {
        current = { offset: statement.offset, end: lineEnd(text, statement) };
      }
    } else if (current !== undefined) current.end = lineEnd(text, statement);
  }
  finish();
  return edits;
}

function lineEnd(text: string, { end }: Statement): number {
  const next = text.indexOf("\n", end);
  return next === -1 ? text.length : next + 1;
}

/** Where the statements of a TOML file stand. */

/** A header of a table, or a key with its value. */
export interface Statement {
  readonly isHeader: boolean;
  /** From the root: a key of a table has the path of the table before it. */
  readonly path: readonly string[];
  /** In UTF-16 units, of the first character and behind the last. */
  readonly offset: number;
  readonly end: number;
}

/** The statements of a text that a parser has found to be valid. Never throws. */
export function statementsOf(text: string): readonly Statement[] {
  const statements: Statement[] = [];
  let table: readonly string[] = [];
  let at = 0;
  while (at < text.length) {
    const char = text[at]!;
    if (/\s/.test(char)) at++;
    else if (char === "#") at = endOfLine(text, at);
    else if (char === "[") {
      const { path, end } = readKey(text, at + (text[at + 1] === "[" ? 2 : 1));
      table = path;
      const stop = end + (text[at + 1] === "[" ? 2 : 1);
      statements.push({ isHeader: true, path, offset: at, end: stop });
      at = stop;
    } else {
      const { path, end } = readKey(text, at);
      const stop = endOfValue(text, end + 1);
      statements.push({ isHeader: false, path: [...table, ...path], offset: at, end: stop });
      // Whatever the text is, the scan goes on.
      at = Math.max(stop, at + 1);
    }
  }
  return statements;
}

/** A dotted key up to the `=` or `]` behind it. */
function readKey(text: string, start: number): { path: string[]; end: number } {
  const path: string[] = [];
  let at = start;
  while (at < text.length) {
    const char = text[at]!;
    if (char === "=" || char === "]" || char === "\n") break;
    if (char === '"' || char === "'") {
      const end = endOfString(text, at);
      path.push(unquote(text.slice(at, end)));
      at = end;
    } else if (/[\w-]/.test(char)) {
      const [word = char] = /^[\w-]+/.exec(text.slice(at)) ?? [];
      path.push(word);
      at += word.length;
    } else at++;
  }
  return { path, end: at };
}

function unquote(quoted: string): string {
  if (quoted.startsWith("'")) return quoted.slice(1, -1);
  try {
    return String(JSON.parse(quoted));
  } catch {
    // TOML knows escapes that JSON does not; such a name is only not found.
    return quoted.slice(1, -1);
  }
}

function endOfLine(text: string, at: number): number {
  const end = text.indexOf("\n", at);
  return end === -1 ? text.length : end;
}

function endOfString(text: string, start: number): number {
  const quote = text[start]!;
  const triple = quote.repeat(3);
  if (text.startsWith(triple, start)) {
    let at = start + 3;
    while (at < text.length && !text.startsWith(triple, at)) {
      at += quote === '"' && text[at] === "\\" ? 2 : 1;
    }
    at += 3;
    // Up to two quotes more belong to the string.
    while (text[at] === quote) at++;
    return Math.min(at, text.length);
  }
  let at = start + 1;
  while (at < text.length && text[at] !== quote) at += quote === '"' && text[at] === "\\" ? 2 : 1;
  return Math.min(at + 1, text.length);
}

/** Behind the value that begins at `start`: at the end of its line, brackets being closed. */
function endOfValue(text: string, start: number): number {
  let depth = 0;
  let at = start;
  let end = start;
  while (at < text.length) {
    const char = text[at]!;
    if (char === '"' || char === "'") at = endOfString(text, at);
    else if (char === "#") {
      if (depth === 0) return end;
      at = endOfLine(text, at);
      continue;
    } else if (char === "\n" && depth === 0) return end;
    else {
      if (char === "[" || char === "{") depth++;
      if (char === "]" || char === "}") depth--;
      at++;
    }
    if (!/\s/.test(char)) end = at;
  }
  return end;
}
