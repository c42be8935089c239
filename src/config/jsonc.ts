/** JSON with comments and trailing commas (as VS Code reads it) to a {@link ConfigDocument}. */

import { type ConfigDocument, type DocumentResult, lineIndex, type Position } from "./document.ts";
import { type ConfigIssue, type ConfigPath, formatPath, quote } from "./issue.ts";
import { SyntaxFault } from "./json-tokens.ts";
import { type JsonNode, type JsonTree, readJson } from "./json-tree.ts";

/** Deeper nesting means a broken or hostile file. */
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
  let tree: JsonTree;
  try {
    tree = readJson(text, { maxDepth: MAX_DEPTH, maxDuplicates: MAX_DUPLICATES });
  } catch (error) {
    if (!(error instanceof SyntaxFault)) throw error;
    return { ok: false, issues: [syntaxIssue(error, file, locate)] };
  }
  const { root, duplicates } = tree;
  if (root === undefined) {
    const empty = new SyntaxFault(
      0,
      'found nothing, expected an object with "mcpServers"',
      'write at least { "mcpServers": {} }',
    );
    return { ok: false, issues: [syntaxIssue(empty, file, locate)] };
  }
  if (duplicates.length > 0) {
    const issues = duplicates.map(({ path, offset, firstOffset }): ConfigIssue => ({
      file,
      ...locate(offset),
      path: formatPath(path),
      message: `found key ${quote(String(path.at(-1)))} a second time, first in line ${
        locate(firstOffset).line
      }`,
      remedy: "remove or rename one of them",
    }));
    return { ok: false, issues };
  }
  return { ok: true, document: new JsoncDocument(file, root, locate) };
}

function syntaxIssue(
  { offset, message, remedy }: SyntaxFault,
  file: string,
  locate: (offset: number) => Position,
): ConfigIssue {
  return {
    file,
    ...locate(offset),
    path: "",
    message,
    ...(remedy === undefined ? {} : { remedy }),
  };
}

class JsoncDocument implements ConfigDocument {
  readonly file: string;
  readonly value: unknown;
  readonly #root: JsonNode;
  readonly #locate: (offset: number) => Position;

  constructor(file: string, root: JsonNode, locate: (offset: number) => Position) {
    this.file = file;
    this.value = root.value;
    this.#root = root;
    this.#locate = locate;
  }

  position(path: ConfigPath, part: "key" | "value" = "value"): Position {
    let node = this.#root;
    let found = 0;
    for (const step of path) {
      const child = childOf(node, step);
      if (child === undefined) break;
      node = child;
      found++;
    }
    return this.#locate(part === "key" && found === path.length ? node.keyOffset : node.offset);
  }

  keys(path: ConfigPath): readonly string[] {
    let node: JsonNode | undefined = this.#root;
    for (const step of path) node = node && childOf(node, step);
    return [...node?.members?.keys() ?? []];
  }
}

function childOf({ members, items }: JsonNode, step: string | number): JsonNode | undefined {
  return members?.get(String(step)) ?? items?.[Number(step)];
}
