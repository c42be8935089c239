/**
 * TOML to a {@link ConfigDocument}, and changes in its text. Loaded only where there is such a
 * file. The parser of the library knows no positions, so the text is scanned a second time for them.
 */

import { parse, stringify, TomlError } from "smol-toml";
import { type DocumentResult, lineIndex } from "../../config/document.ts";
import type { JsonObject } from "../../lib/json.ts";
import type { Edit } from "./json-text.ts";
import { type Statement, statementsOf } from "./toml-scan.ts";

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
