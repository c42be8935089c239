/** JSON with comments and trailing commas (as VS Code reads it) to a {@link ConfigDocument}. */

import {
  createScanner,
  getNodeValue,
  type Node,
  type ParseError,
  parseTree,
  printParseErrorCode,
} from "jsonc-parser";
import { type ConfigDocument, type DocumentResult, lineIndex, type Position } from "./document.ts";
import { type ConfigIssue, type ConfigPath, formatPath, quote } from "./issue.ts";

/** Deeper nesting means a broken or hostile file; the parser recurses, so it must not see it. */
const MAX_DEPTH = 64;

/** More duplicates than this help nobody. */
const MAX_DUPLICATES = 20;

/**
 * Parses the text of a file named `file`. Never throws: a syntax error, nesting beyond 64 levels,
 * an empty file and duplicate keys are issues. A byte order mark is skipped.
 */
export function parseJsonc(input: string, file: string): DocumentResult {
  const text = input.startsWith("\uFEFF") ? input.slice(1) : input;
  const locate = lineIndex(text);
  const fail = (offset: number, message: string, remedy?: string): DocumentResult => ({
    ok: false,
    issues: [{
      file,
      ...locate(offset),
      path: "",
      message,
      ...(remedy === undefined ? {} : { remedy }),
    }],
  });

  const tooDeep = findDepth(text, MAX_DEPTH);
  if (tooDeep !== undefined) {
    return fail(tooDeep, `found more than ${MAX_DEPTH} nested levels, expected fewer`);
  }
  const errors: ParseError[] = [];
  const root = parseTree(text, errors, { allowTrailingComma: true });
  if (root === undefined && isBlank(text)) {
    return fail(0, 'found nothing, expected an object with "mcpServers"', EMPTY_REMEDY);
  }
  const first = errors[0];
  if (first !== undefined) {
    const { message, remedy } = explain(first, text);
    return fail(first.offset, message, remedy);
  }
  if (root === undefined) return fail(0, 'found no value, expected an object with "mcpServers"');
  const duplicates = findDuplicates(root, file, locate);
  if (duplicates.length > 0) return { ok: false, issues: duplicates };
  return { ok: true, document: new JsoncDocument(file, root, locate) };
}

const EMPTY_REMEDY = 'write at least { "mcpServers": {} }';

class JsoncDocument implements ConfigDocument {
  readonly file: string;
  readonly value: unknown;
  readonly #root: Node;
  readonly #locate: (offset: number) => Position;
  /** Properties of the objects that were asked for: a search of each would be linear in its size. */
  readonly #properties = new WeakMap<Node, ReadonlyMap<string, Node>>();

  constructor(file: string, root: Node, locate: (offset: number) => Position) {
    this.file = file;
    this.value = getNodeValue(root);
    this.#root = root;
    this.#locate = locate;
  }

  position(path: ConfigPath, part: "key" | "value" = "value"): Position {
    let node = this.#root;
    let found = 0;
    for (const step of path) {
      const child = this.#child(node, step);
      if (child === undefined) break;
      node = child;
      found++;
    }
    const property = node.parent?.type === "property" ? node.parent : node;
    return this.#locate((part === "key" && found === path.length ? property : node).offset);
  }

  keys(path: ConfigPath): readonly string[] {
    let node: Node | undefined = this.#root;
    for (const step of path) node = node && this.#child(node, step);
    return node?.type === "object" ? [...this.#propertiesOf(node).keys()] : [];
  }

  #child(node: Node, step: string | number): Node | undefined {
    if (node.type === "object") return this.#propertiesOf(node).get(String(step));
    return node.type === "array" ? node.children?.[Number(step)] : undefined;
  }

  #propertiesOf(node: Node): ReadonlyMap<string, Node> {
    let properties = this.#properties.get(node);
    if (properties === undefined) {
      const entries: [string, Node][] = [];
      for (const { children: [key, value] = [] } of node.children ?? []) {
        if (key !== undefined && value !== undefined) entries.push([String(key.value), value]);
      }
      properties = new Map(entries);
      this.#properties.set(node, properties);
    }
    return properties;
  }
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

function findDuplicates(
  root: Node,
  file: string,
  locate: (offset: number) => Position,
): ConfigIssue[] {
  const issues: ConfigIssue[] = [];
  const visit = (node: Node, path: ConfigPath): void => {
    const seen = new Map<string, number>();
    node.children?.forEach((child, index) => {
      if (issues.length >= MAX_DUPLICATES) return;
      if (node.type === "array") return visit(child, [...path, index]);
      const [keyNode, valueNode] = child.children ?? [];
      if (keyNode === undefined) return;
      const key = String(keyNode.value);
      const here = [...path, key];
      const before = seen.get(key);
      if (before === undefined) seen.set(key, keyNode.offset);
      else {
        issues.push({
          file,
          ...locate(keyNode.offset),
          path: formatPath(here),
          message: `found key ${quote(key)} a second time, first in line ${locate(before).line}`,
          remedy: "remove or rename one of them",
        });
      }
      if (valueNode !== undefined) visit(valueNode, here);
    });
  };
  visit(root, []);
  return issues;
}

/** Words of the file are not repeated here: an unquoted one may be somebody's token. */
function explain(error: ParseError, text: string): { message: string; remedy?: string } {
  const found = foundAt(text, error.offset);
  switch (printParseErrorCode(error.error)) {
    case "PropertyNameExpected":
      return { message: `found ${found}, expected a key in double quotes or "}"` };
    case "ColonExpected":
      return { message: `found ${found}, expected ":" after the key` };
    case "CommaExpected":
      // A bracket of the other kind: what is missing is the end of a list or an object.
      if (found === '"}"') return { message: 'found "}", expected "," or "]"' };
      if (found === '"]"') return { message: 'found "]", expected "," or "}"' };
      return { message: `found ${found}, expected ","` };
    case "CloseBraceExpected":
      return { message: `found ${found}, expected "}"` };
    case "CloseBracketExpected":
      return { message: `found ${found}, expected "]"` };
    case "EndOfFileExpected":
      return {
        message: `found ${found} after the end of the configuration, expected nothing`,
        remedy: "remove what follows the last closing brace",
      };
    case "UnexpectedEndOfComment":
      return { message: 'found a comment that does not end, expected "*/"' };
    case "UnexpectedEndOfString":
      return { message: "found a string that does not end in its line, expected a closing quote" };
    case "InvalidUnicode":
      return { message: 'found an invalid "\\u" escape, expected four hexadecimal digits' };
    case "InvalidEscapeCharacter":
      return {
        message: "found an invalid escape in a string",
        remedy: 'write a backslash as "\\\\"',
      };
    case "InvalidCharacter":
      return {
        message: "found a control character in a string",
        remedy: 'write a tab as "\\t" and a line break as "\\n"',
      };
    case "InvalidNumberFormat":
    case "UnexpectedEndOfNumber":
      return { message: "found a malformed number, expected digits" };
    case "InvalidSymbol":
      return {
        message:
          `found ${found}, expected double quotes around keys and text (only numbers, true, ` +
          "false and null have none)",
      };
    default:
      return { message: `found ${found}, expected a value` };
  }
}

function foundAt(text: string, offset: number): string {
  const character = text.slice(offset).trimStart()[0];
  if (character === undefined) return "the end of the file";
  if (/[{}[\]:,]/.test(character)) return `"${character}"`;
  if (character === '"') return "a string";
  return /[\p{L}\p{N}_$'-]/u.test(character) ? "a word without double quotes" : "a stray character";
}
