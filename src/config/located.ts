/** A {@link ConfigDocument} of values that each know where they stand; for formats beside JSON. */

import type { ConfigDocument, Position } from "./document.ts";
import type { ConfigPath } from "./issue.ts";

/** A value and where it starts. One node may be in several places, as what a YAML alias names. */
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
      let { offset } = root;
      let node: LocatedNode | undefined = root;
      path.forEach((step, index) => {
        const entry: LocatedEntry | undefined = node?.entries?.get(String(step));
        const child: LocatedNode | undefined = entry?.node ?? node?.items?.[Number(step)];
        if (child !== undefined) {
          const isLast = index === path.length - 1;
          offset = part === "key" && isLast && entry !== undefined ? entry.keyOffset : child.offset;
        }
        node = child;
      });
      return locate(offset);
    },
    keys(path: ConfigPath) {
      let node: LocatedNode | undefined = root;
      for (const step of path) {
        node = node?.entries?.get(String(step))?.node ?? node?.items?.[Number(step)];
      }
      return [...node?.entries?.keys() ?? []];
    },
  };
}
