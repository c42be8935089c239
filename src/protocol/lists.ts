/**
 * The four lists an upstream may offer, and how each is asked for. One table, so that neither the
 * inventory nor the registry repeats itself four times.
 */

import { Buffer } from "node:buffer";
import { type Json, type JsonObject, parsedText, shortHash } from "../lib/json.ts";
import type { Era } from "./eras.ts";

/** The kinds of things a server lists. */
export type ListKind = "tools" | "prompts" | "resources" | "templates";

/** How one kind is listed on the wire. */
export interface ListRule {
  readonly kind: ListKind;
  /** The list request. */
  readonly method: string;
  /** The array's member in the result. */
  readonly field: string;
  /** The member of an item that identifies it. */
  readonly key: "name" | "uri" | "uriTemplate";
  /** The server capability that must be declared; 11 of 19 real servers answer -32601 without. */
  readonly capability: "tools" | "prompts" | "resources";
  /** The notification that says this list changed. */
  readonly changed: string;
}

/** All kinds, in the order they are asked for. */
export const LIST_RULES: readonly ListRule[] = ([
  ["tools", "tools", "tools/list", "tools", "name"],
  ["prompts", "prompts", "prompts/list", "prompts", "name"],
  ["resources", "resources", "resources/list", "resources", "uri"],
  ["templates", "resources", "resources/templates/list", "resourceTemplates", "uriTemplate"],
] as const).map(([kind, capability, method, field, key]) => {
  const changed = `notifications/${capability}/list_changed`;
  return { kind, capability, method, field, key, changed };
});

/** The rule of one kind. */
export function listRule(kind: ListKind): ListRule {
  return LIST_RULES.find((rule) => rule.kind === kind)!;
}

/** One listed tool, prompt, resource or template. */
export interface ListItem {
  /** Its name, URI or URI template, as the upstream wrote it, or as the configuration renames it. */
  readonly key: string;
  /** Its JSON text, as the upstream wrote it, less what the configuration changes. */
  readonly raw: string;
  /** What the upstream calls it, where {@link ListItem.key} is another name. */
  readonly origin?: string;
}

/** One complete list: all pages, in the upstream's order. */
export interface List {
  readonly items: readonly ListItem[];
  /** Modern era: how long the upstream says it stays true, ms (SEP-2549). */
  readonly ttlMs?: number;
  /** Modern era: `private` must not cross authorization contexts (SEP-2549). */
  readonly cacheScope?: "public" | "private";
}

/** Everything one upstream offers, as of its last complete refresh. Immutable. */
export interface Inventory {
  /** JSON texts, as the upstream wrote them. */
  readonly capabilities: string;
  readonly serverInfo: string;
  /** The era the lists were read in; absent: what is listed is taken as fit for either. */
  readonly era?: Era;
  readonly instructions: string | undefined;
  readonly lists: Readonly<Record<ListKind, List>>;
}

/** The inventory of a server that has not answered yet. */
export const EMPTY_INVENTORY: Inventory = {
  capabilities: "{}",
  serverInfo: "{}",
  instructions: undefined,
  lists: {
    tools: { items: [] },
    prompts: { items: [] },
    resources: { items: [] },
    templates: { items: [] },
  },
};

// Cursors of our own (server/utilities/pagination): opaque to clients, kept by nobody. They are
// tagged against damage and against cursors of others, not signed: what a client could make itself
// gives it nothing that it may not list anyway.

const TAG_LENGTH = 8;

/** A cursor that {@link openCursor} turns into this value again; of `[A-Za-z0-9_-]`, never empty. */
export function sealCursor(value: Json): string {
  return sealed(JSON.stringify(value));
}

/** The cursor of a request; null and an empty text say as much as none. */
export function cursorOf({ params }: { readonly params?: JsonObject | undefined }): unknown {
  const cursor = params?.cursor;
  return cursor === null || cursor === "" ? undefined : cursor;
}

/** What is in a cursor of ours, `undefined` for anything else (to be answered with -32602). */
export function openCursor(cursor: unknown): Json | undefined {
  if (typeof cursor !== "string") return undefined;
  const text = Buffer.from(cursor.slice(TAG_LENGTH), "base64url").toString("utf8");
  if (sealed(text) !== cursor) return undefined;
  return parsedText(text);
}

function sealed(text: string): string {
  return shortHash(text, TAG_LENGTH) + Buffer.from(text, "utf8").toString("base64url");
}
