/**
 * A parsed configuration file that remembers where everything stood. Each file format gives one of
 * these; nothing above knows which format it was.
 */

import { type ConfigIssue, type ConfigPath, quote } from "./issue.ts";

/** A place in a file, both from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** The content of a file, and the way back to it. */
export interface ConfigDocument {
  readonly file: string;
  /** Plain data; objects have no prototype, so that any key is just a key. */
  readonly value: unknown;
  /**
   * Where the value (or, with `"key"`, its key) at `path` starts; for a path that is not there, the
   * nearest of its ancestors.
   */
  position(path: ConfigPath, part?: "key" | "value"): Position;
  /**
   * The keys of the object at `path` in the order of the file, which the value itself does not keep
   * for keys like "7"; empty where there is no object.
   */
  keys(path: ConfigPath): readonly string[];
}

/** An object of a document, its content unchecked. */
export type RawObject = Readonly<Record<string, unknown>>;

/** Either a document, or why there is none. */
export type DocumentResult =
  | { readonly ok: true; readonly document: ConfigDocument }
  | { readonly ok: false; readonly issues: readonly ConfigIssue[] };

/** A function from an offset in `text` to its line and column; `\n`, `\r\n` and `\r` end lines. */
export function lineIndex(text: string): (offset: number) => Position {
  const starts = [0];
  for (const match of text.matchAll(/\r\n|\n|\r/g)) starts.push(match.index + match[0].length);
  return (offset) => {
    let low = 0;
    let high = starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((starts[middle] ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    return { line: low + 1, column: offset - (starts[low] ?? 0) + 1 };
  };
}

/** Deeper nesting means a broken or hostile file. */
export const MAX_DEPTH = 64;

/** What every parser says of a file that goes deeper. */
export const TOO_DEEP: string = `found more than ${MAX_DEPTH} nested levels, expected fewer`;

/** What every parser says of an empty file. */
export const NOTHING_FOUND = 'found nothing, expected an object with "mcpServers"';

/** What every parser says of a key that an object has twice; `line` is that of the first. */
export function saidTwice(key: string, line: number): readonly [message: string, remedy: string] {
  return [
    `found key ${quote(key)} a second time, first in line ${line}`,
    "remove or rename one of them",
  ];
}

/**
 * A value and where it starts: what every parser makes of its format. One node may be in several
 * places, as what a YAML alias names.
 */
export interface LocatedNode {
  readonly value: unknown;
  readonly offset: number;
  /** Of an object, in the order of the file. */
  readonly entries?: ReadonlyMap<string, LocatedEntry>;
  /** Of an array. */
  readonly items?: readonly LocatedNode[];
}

/** A value of an object, and where its key starts. */
export interface LocatedEntry {
  readonly keyOffset: number;
  readonly node: LocatedNode;
}

/** The node of an object. */
export function objectNode(
  offset: number,
  entries: ReadonlyMap<string, LocatedEntry>,
): LocatedNode {
  const value = fromEntries(Array.from(entries, ([key, { node }]) => [key, node.value]));
  return { value, offset, entries };
}

/** The node of an array. */
export function arrayNode(offset: number, items: readonly LocatedNode[]): LocatedNode {
  return { value: items.map(({ value }) => value), offset, items };
}

/** An object without a prototype, so that any key is just a key. */
export function fromEntries(
  entries: Iterable<readonly [string, unknown]>,
): Record<string, unknown> {
  const object: Record<string, unknown> = Object.create(null);
  for (const [key, value] of entries) {
    // A plain assignment to "__proto__" works on objects without a prototype, too.
    object[key] = value;
  }
  return object;
}

/** The document of a tree of nodes; `locate` turns their offsets into lines and columns. */
export function locatedDocument(
  file: string,
  root: LocatedNode,
  locate: (offset: number) => Position,
): ConfigDocument {
  return {
    file,
    value: root.value,
    position(path, part = "value") {
      let node = root;
      let { offset } = root;
      for (const [index, step] of path.entries()) {
        const entry = node.entries?.get(String(step));
        const child = entry?.node ?? node.items?.[Number(step)];
        if (child === undefined) break;
        node = child;
        const isLast = index === path.length - 1;
        offset = part === "key" && isLast && entry !== undefined ? entry.keyOffset : child.offset;
      }
      return locate(offset);
    },
    keys(path) {
      let node: LocatedNode | undefined = root;
      for (const step of path) {
        node = node?.entries?.get(String(step))?.node ?? node?.items?.[Number(step)];
      }
      return [...node?.entries?.keys() ?? []];
    },
  };
}

/** Where something stands in the words of its own file. */
export interface Place extends Position {
  readonly file: string;
  /** As written there: `servers.gh.serverUrl` for what is `mcpServers.gh.url` here. */
  readonly path: ConfigPath;
}

/** Answers where things are. */
export interface Places {
  /** As {@link ConfigDocument.position}: of what is not there, the nearest of its ancestors. */
  place(path: ConfigPath, part?: "key" | "value"): Place;
}

/** What variables in a file mean that depend on the file. */
export interface FileOrigin {
  /** As the caller named it. */
  readonly file: string;
  /** Where relative `${file:…}` paths start, absolute. */
  readonly directory: string;
  /** What `${workspaceFolder}` is: the directory, or the one above for `.vscode/mcp.json`. */
  readonly workspaceFolder: string;
  /** The `inputs` it declares, by id. */
  readonly inputs: ReadonlyMap<string, Input>;
}

/** One of the `inputs` of VS Code. */
export interface Input {
  /** What VS Code proposes to the person it asks. */
  readonly default?: string;
}

/**
 * The internal raw form: one object with `mcpServers` and the settings beside it, unchecked and not
 * expanded, whatever files and layouts it came from, with the way back to each of them.
 */
export interface ConfigTree extends Places {
  readonly value: RawObject;
  /** The servers in the order of the files. */
  readonly names: readonly string[];
  /** The file that what stands at `path` is from. */
  origin(path: ConfigPath): FileOrigin;
}

/** The places of a document that is not mapped to anything. */
export function placesOf(document: ConfigDocument): Places {
  return {
    place: (path, part) => ({ file: document.file, path, ...document.position(path, part) }),
  };
}
