/** JSON with comments and trailing commas (as VS Code reads it) to a {@link ConfigDocument}. */

import {
  createScanner,
  type Node,
  type ParseError,
  parseTree,
  printParseErrorCode,
} from "jsonc-parser";
import {
  arrayNode,
  type DocumentResult,
  lineIndex,
  locatedDocument,
  type LocatedEntry,
  type LocatedNode,
  MAX_DEPTH,
  NOTHING_FOUND,
  objectNode,
  saidTwice,
  TOO_DEEP,
} from "./document.ts";
import { type ConfigIssue, type ConfigPath, issueAt } from "./issue.ts";

/** More duplicates than this help nobody. */
const MAX_DUPLICATES = 20;

/**
 * Parses the text of a file named `file`. Never throws: a syntax error, nesting beyond 64 levels,
 * an empty file and duplicate keys are issues. A byte order mark is skipped.
 */
export function parseJsonc(input: string, file: string): DocumentResult {
  const text = input.startsWith("\uFEFF") ? input.slice(1) : input;
  const locate = lineIndex(text);
  const issue = (offset: number, path: ConfigPath, message: string, remedy?: string) =>
    issueAt({ file, ...locate(offset) }, path, message, remedy);
  const fail = (offset: number, message: string, remedy?: string): DocumentResult => ({
    ok: false,
    issues: [issue(offset, [], message, remedy)],
  });
  // The parser recurses, so it must not see it.
  const tooDeep = findDepth(text, MAX_DEPTH);
  if (tooDeep !== undefined) return fail(tooDeep, TOO_DEEP);
  const errors: ParseError[] = [];
  const root = parseTree(text, errors, { allowTrailingComma: true });
  if (root === undefined && isBlank(text)) {
    return fail(0, NOTHING_FOUND, 'write at least { "mcpServers": {} }');
  }
  const [first] = errors;
  if (first !== undefined) return fail(first.offset, ...explain(first, text));
  if (root === undefined) return fail(0, 'found no value, expected an object with "mcpServers"');
  const duplicates: ConfigIssue[] = [];
  const converted = convert(root, [], (key, path, first) => {
    if (duplicates.length >= MAX_DUPLICATES) return;
    const said = saidTwice(String(key.value), locate(first).line);
    duplicates.push(issue(key.offset, path, ...said));
  });
  if (duplicates.length > 0) return { ok: false, issues: duplicates };
  return { ok: true, document: locatedDocument(file, converted, locate) };
}

/** The offset of the bracket that opens level `limit + 1`, found without recursion. */
function findDepth(text: string, limit: number): number | undefined {
  const scanner = createScanner(text, true);
  let depth = 0;
  for (;;) {
    const token = scanner.scan();
    if (token === END_OF_FILE) return undefined;
    if (token === OPEN_BRACE || token === OPEN_BRACKET) {
      if (++depth > limit) return scanner.getTokenOffset();
    } else if (token === CLOSE_BRACE || token === CLOSE_BRACKET) depth--;
  }
}

// The parser's `SyntaxKind` is a `const enum`, which isolated modules cannot read.
const OPEN_BRACE = 1;
const CLOSE_BRACE = 2;
const OPEN_BRACKET = 3;
const CLOSE_BRACKET = 4;
const END_OF_FILE = 17;

function isBlank(text: string): boolean {
  return createScanner(text, true).scan() === END_OF_FILE;
}

/** The nodes of the parser as located ones; reports keys that an object has twice. */
function convert(
  node: Node,
  path: ConfigPath,
  report: (key: Node, path: ConfigPath, first: number) => void,
): LocatedNode {
  const { type, offset, value, children = [] } = node;
  if (type === "array") {
    return arrayNode(offset, children.map((item, at) => convert(item, [...path, at], report)));
  }
  if (type !== "object") return { value, offset };
  const entries = new Map<string, LocatedEntry>();
  for (const { children: [key, item] = [] } of children) {
    if (key === undefined || item === undefined) continue;
    const name = String(key.value);
    const here = [...path, name];
    const before = entries.get(name);
    if (before !== undefined) report(key, here, before.keyOffset);
    entries.set(name, { keyOffset: key.offset, node: convert(item, here, report) });
  }
  return objectNode(offset, entries);
}

/** Words of the file are not repeated here: an unquoted one may be somebody's token. */
function explain(error: ParseError, text: string): readonly [string, string?] {
  const found = foundAt(text, error.offset);
  const closing = found === '"}"' ? ' or "]"' : found === '"]"' ? ' or "}"' : "";
  const number = ["found a malformed number, expected digits"] as const;
  const messages: Readonly<Record<string, readonly [string, string?]>> = {
    PropertyNameExpected: [`found ${found}, expected a key in double quotes or "}"`],
    ColonExpected: [`found ${found}, expected ":" after the key`],
    // A bracket of the other kind: what is missing is the end of a list or an object.
    CommaExpected: [`found ${found}, expected ","${closing}`],
    CloseBraceExpected: [`found ${found}, expected "}"`],
    CloseBracketExpected: [`found ${found}, expected "]"`],
    EndOfFileExpected: [
      `found ${found} after the end of the configuration, expected nothing`,
      "remove what follows the last closing brace",
    ],
    UnexpectedEndOfComment: ['found a comment that does not end, expected "*/"'],
    UnexpectedEndOfString: [
      "found a string that does not end in its line, expected a closing quote",
    ],
    InvalidUnicode: ['found an invalid "\\u" escape, expected four hexadecimal digits'],
    InvalidEscapeCharacter: ["found an invalid escape in a string", 'write a backslash as "\\\\"'],
    InvalidCharacter: [
      "found a control character in a string",
      'write a tab as "\\t" and a line break as "\\n"',
    ],
    InvalidNumberFormat: number,
    UnexpectedEndOfNumber: number,
    InvalidSymbol: [
      `found ${found}, expected double quotes around keys and text (only numbers, true, ` +
      "false and null have none)",
    ],
  };
  return messages[printParseErrorCode(error.error)] ?? [`found ${found}, expected a value`];
}

function foundAt(text: string, offset: number): string {
  const character = text.slice(offset).trimStart()[0];
  if (character === undefined) return "the end of the file";
  if (/[{}[\]:,]/.test(character)) return `"${character}"`;
  if (character === '"') return "a string";
  return /[\p{L}\p{N}_$'-]/u.test(character) ? "a word without double quotes" : "a stray character";
}
