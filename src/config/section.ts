/** The section of servers, which every layout has under a name of its own. */

import { addServer } from "./client-keys.ts";
import type { IssueCollector } from "./collector.ts";
import type { ConfigDocument } from "./document.ts";
import type { ConfigPath } from "./issue.ts";
import type { Mapping } from "./mapping.ts";

/** What every shape works with. */
export interface ShapeContext {
  readonly document: ConfigDocument;
  readonly mapping: Mapping;
  readonly collector: IssueCollector;
}

/** An object of a document. */
export type RawObject = Readonly<Record<string, unknown>>;

/** Narrows to an object that is no array. */
export function isRawObject(value: unknown): value is RawObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * Adds every server of the section at `path`. `adapt` gets each entry that is an object and gives
 * what it means in our terms, or undefined to leave it out (it has said so then).
 */
export function addSection(
  section: unknown,
  path: ConfigPath,
  context: ShapeContext,
  adapt: (name: string, entry: RawObject, path: ConfigPath) => RawObject | undefined = (_, entry) =>
    entry,
): void {
  const { document, mapping } = context;
  if (!isRawObject(section)) {
    mapping.brokenSection(section, path);
    return;
  }
  mapping.openSection(path);
  for (const name of document.keys(path)) {
    const entry = section[name];
    const written = [...path, name];
    const adapted = isRawObject(entry) ? adapt(name, entry, written) : entry;
    if (adapted !== undefined) addServer(name, adapted, written, context);
  }
}
