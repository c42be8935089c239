/** Tells the layout of a file by its keys, and brings it into the internal raw form. */

import { basename, dirname, resolve } from "node:path";
import { IssueCollector } from "./collector.ts";
import type { ConfigDocument } from "./document.ts";
import { type ConfigIssue, describeKind, quote } from "./issue.ts";
import { Mapping } from "./mapping.ts";
import { mapPlain } from "./plain.ts";
import { mapProxy } from "./proxy.ts";
import { isRawObject, type RawObject, type ShapeContext } from "./section.ts";
import { type ConfigTree, type FileOrigin, placesOf } from "./tree.ts";
import { mapVscode, mapVscodeSettings } from "./vscode.ts";
import { mapZed } from "./zed.ts";

/** A file in the internal raw form, or what is wrong with its layout. */
export type ShapeResult =
  | {
    readonly ok: true;
    readonly tree: ConfigTree;
    /** Of the layout alone: what is in the tree has not been checked. */
    readonly issues: readonly ConfigIssue[];
    readonly warnings: readonly ConfigIssue[];
  }
  | { readonly ok: false; readonly issues: readonly ConfigIssue[] };

/** Sections of servers; a file has one of them. */
const SECTIONS = ["mcpServers", "servers", "context_servers"] as const;

/**
 * Maps a document. `known` are the settings the root may have; others are kept in the tree to be
 * complained about, except in files where everything else is an editor's.
 */
export function shapeDocument(document: ConfigDocument, known: readonly string[]): ShapeResult {
  const collector = new IssueCollector(placesOf(document));
  const root = document.value;
  if (!isRawObject(root)) {
    const found = describeKind(root);
    collector.error([], `found ${found}, expected an object with "mcpServers"`);
    return { ok: false, issues: collector.issues };
  }
  const [first, second] = SECTIONS.filter((key) => key in root);
  if (first !== undefined && second !== undefined) {
    collector.error([second], `found both ${quote(first)} and ${quote(second)}, expected one`, {
      part: "key",
      remedy: `put all servers into "${first}", or the others into a file of their own`,
    });
    return { ok: false, issues: collector.issues };
  }
  const mapping = new Mapping();
  mapShape(root, { document, mapping, collector }, known);
  const origin = originOf(document.file, mapping);
  const tree: ConfigTree = {
    value: mapping.value(),
    names: mapping.names,
    origin: () => origin,
    place(path, part) {
      const written = mapping.written(path);
      return { file: document.file, path: written, ...document.position(written, part) };
    },
  };
  return { ok: true, tree, issues: collector.issues, warnings: collector.warnings };
}

function mapShape(root: RawObject, context: ShapeContext, known: readonly string[]): void {
  if ("context_servers" in root) return mapZed(root, context, known);
  if ("proxy" in root || ("servers" in root && "features" in root)) return mapProxy(root, context);
  if ("servers" in root) return mapVscode(root, context);
  const { mcp } = root;
  if (!("mcpServers" in root) && isRawObject(mcp) && "servers" in mcp) {
    return mapVscodeSettings(root, context);
  }
  mapPlain(root, context);
}

function originOf(file: string, { inputs }: Mapping): FileOrigin {
  const directory = dirname(resolve(file));
  const workspaceFolder = basename(directory) === ".vscode" ? dirname(directory) : directory;
  return { file, directory, workspaceFolder, inputs };
}
