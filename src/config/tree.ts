/**
 * The internal raw form: one object with `mcpServers` and the settings beside it, unchecked and not
 * expanded, whatever files and layouts it came from, with the way back to each of them.
 */

import type { ConfigDocument, Position } from "./document.ts";
import type { ConfigPath } from "./issue.ts";

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

/** See the top of the file. */
export interface ConfigTree extends Places {
  readonly value: Readonly<Record<string, unknown>>;
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
