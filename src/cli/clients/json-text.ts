/**
 * Changes single properties in the text of a JSON file with comments. Everything else, comments and
 * layout included, stays as it was, byte for byte. Pure.
 */

import { createScanner, type Node, parseTree } from "jsonc-parser";
import type { Json } from "../../lib/json.ts";

/** A part of a text to be replaced; offsets count UTF-16 units of the old text. */
export interface Edit {
  readonly offset: number;
  readonly length: number;
  readonly content: string;
}

/** `SyntaxKind` of jsonc-parser is a const enum, which only its own compiler may inline. */
const COMMA_TOKEN = 5;
const LINE_COMMENT = 12;
const BLOCK_COMMENT = 13;
const TRIVIA = 15;

/** The text with the edits made; they do not overlap. */
export function applyEdits(text: string, edits: readonly Edit[]): string {
  let result = text;
  for (const { offset, length, content } of edits.toSorted((a, b) => b.offset - a.offset)) {
    result = result.slice(0, offset) + content + result.slice(offset + length);
  }
  return result;
}

/**
 * The edits that set the value at `path`, with the objects on the way to it where they are missing;
 * without a value, those that take out what is there. The text is valid, or blank.
 * @throws {Error} where something on the way is no object
 */
export function putProperty(
  text: string,
  path: readonly string[],
  value: Json | undefined,
): readonly Edit[] {
  if (value === undefined) return removeProperty(text, path);
  const root = readTree(text);
  if (root === undefined) {
    const content = `${JSON.stringify(nest(path, value), null, 2)}\n`;
    return [{ offset: 0, length: text.length, content }];
  }
  let node = root;
  for (const [depth, key] of path.entries()) {
    if (node.type !== "object") throw notAnObject(path.slice(0, depth));
    const found = childOf(node, key);
    if (found === undefined) return insert(text, node, key, nest(path.slice(depth + 1), value));
    node = found;
  }
  const content = render(value, styleOf(text, node).indent, text);
  return [{ offset: node.offset, length: node.length, content }];
}

/** The edits that take the property at `path` out; none where it is not there. */
export function removeProperty(text: string, path: readonly string[]): readonly Edit[] {
  let node = readTree(text);
  for (const key of path) node = node?.type === "object" ? childOf(node, key) : undefined;
  const property = node?.parent;
  const siblings = property?.parent?.children;
  if (property === undefined || siblings === undefined) return [];
  const before = siblings[siblings.indexOf(property) - 1];
  const end = endOf(property);
  const comma = commaAfter(text, end);
  const edits: Edit[] = [];
  if (comma === undefined && before !== undefined) {
    const orphan = commaAfter(text, endOf(before));
    if (orphan !== undefined) edits.push({ offset: orphan, length: 1, content: "" });
  }
  const stop = comma === undefined ? end : comma + 1;
  // A comment between the value and its comma is not ours to remove.
  const isClean = text.slice(end, stop).replace(",", "").trim() === "";
  const start = lineStart(text, property.offset, stop);
  if (isClean) edits.push({ offset: start, length: stop - start, content: "" });
  else {
    edits.push({ offset: start, length: end - start, content: "" });
    edits.push({ offset: stop - 1, length: 1, content: "" });
  }
  return edits;
}

function readTree(text: string): Node | undefined {
  return text.trim() === "" ? undefined : parseTree(text, [], { allowTrailingComma: true });
}

function childOf(node: Node, key: string): Node | undefined {
  return node.children?.find(({ children }) => children?.[0]?.value === key)?.children?.[1];
}

function nest(path: readonly string[], value: Json): Json {
  return path.reduceRight<Json>((inner, key) => ({ [key]: inner }), value);
}

function endOf({ offset, length }: Node): number {
  return offset + length;
}

function insert(text: string, object: Node, key: string, value: Json): readonly Edit[] {
  const { indent, unit, eol } = styleOf(text, object);
  const last = object.children?.at(-1);
  const close = endOf(object) - 1;
  if (last === undefined) {
    const inner = text.slice(object.offset + 1, close);
    const line = `${eol}${indent}${unit}${property(key, value, indent + unit, text)}`;
    if (inner.trim() === "") {
      return [{
        offset: object.offset + 1,
        length: inner.length,
        content: `${line}${eol}${indent}`,
      }];
    }
    const offset = object.offset + 1 + inner.trimEnd().length;
    // Behind a line comment that ends at the bracket's line, the bracket needs a line of its own.
    const needsLine = !/[\r\n]/.test(text.slice(offset, close));
    return [{ offset, length: 0, content: needsLine ? `${line}${eol}${indent}` : line }];
  }
  const comma = commaAfter(text, endOf(last));
  const first = object.children![0]!;
  if (!/[\r\n]/.test(text.slice(object.offset, first.offset))) {
    const content = `${JSON.stringify(key)}: ${JSON.stringify(value)}`;
    return [
      comma === undefined
        ? { offset: endOf(last), length: 0, content: `, ${content}` }
        : { offset: comma + 1, length: 0, content: ` ${content},` },
    ];
  }
  const own = /(?:^|[\r\n])([ \t]*)$/.exec(text.slice(0, last.offset))?.[1] ?? indent + unit;
  const line = `${eol}${own}${property(key, value, own, text)}`;
  if (comma === undefined) {
    const offset = endOfLine(text, endOf(last));
    const edit = { offset, length: 0, content: line };
    return offset === endOf(last)
      ? [{ ...edit, content: `,${line}` }]
      : [{ offset: endOf(last), length: 0, content: "," }, edit];
  }
  return [{ offset: endOfLine(text, comma + 1), length: 0, content: `${line},` }];
}

function property(key: string, value: Json, indent: string, text: string): string {
  return `${JSON.stringify(key)}: ${render(value, indent, text)}`;
}

function render(value: Json, indent: string, text: string): string {
  const { unit, eol } = layoutOf(text);
  return JSON.stringify(value, null, unit).replaceAll("\n", `${eol}${indent}`);
}

function styleOf(text: string, node: Node) {
  const before = text.slice(0, node.offset);
  const line = before.slice(Math.max(before.lastIndexOf("\n"), before.lastIndexOf("\r")) + 1);
  return { indent: /^[ \t]*/.exec(line)![0], ...layoutOf(text) };
}

/** How the file as a whole is indented, and how its lines end. */
function layoutOf(text: string): { readonly unit: string; readonly eol: string } {
  const unit = /^([ \t]+)["}\]{[]/m.exec(text)?.[1] ?? "  ";
  const eol = /\r\n|\n|\r/.exec(text)?.[0] ?? "\n";
  return { unit: unit.startsWith("\t") ? "\t" : unit.slice(0, 8), eol };
}

/** The comma that follows a value, if one does, with comments between or not. */
function commaAfter(text: string, offset: number): number | undefined {
  const scanner = createScanner(text);
  scanner.setPosition(offset);
  let token = scanner.scan();
  while (token >= LINE_COMMENT && token <= TRIVIA) token = scanner.scan();
  return token === COMMA_TOKEN ? scanner.getTokenOffset() : undefined;
}

/** Behind the comments that belong to what stands before them on the line. */
function endOfLine(text: string, offset: number): number {
  const scanner = createScanner(text);
  scanner.setPosition(offset);
  let end = offset;
  for (let token = scanner.scan();; token = scanner.scan()) {
    const stop = scanner.getTokenOffset() + scanner.getTokenLength();
    const part = text.slice(scanner.getTokenOffset(), stop);
    if (token < LINE_COMMENT || token > TRIVIA || /[\r\n]/.test(part)) return end;
    if (token === LINE_COMMENT || token === BLOCK_COMMENT) end = stop;
  }
}

/** Where the removal of what ends at `stop` begins: with its line break where lines are its own. */
function lineStart(text: string, offset: number, stop: number): number {
  const [blank = ""] = /(?:\r\n|\n|\r)?[ \t]*$/.exec(text.slice(0, offset)) ?? [];
  const isAlone = /^[ \t]*(?:[\r\n]|$)/.test(text.slice(stop)) && /[\r\n]/.test(blank);
  return isAlone ? offset - blank.length : offset;
}

function notAnObject(path: readonly string[]): Error {
  return new Error(`Cannot add to ${JSON.stringify(path.join("."))}: it is no object`);
}
