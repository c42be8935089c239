/**
 * The file a server's lists are kept in: its seal, then JSON.
 *
 *     mcproxy-lists 1 <SHA-256 of what follows, in hexadecimal>
 *     {"server": "memory", "id": "…", "savedAt": 1795210496000, "inventory": {…}}
 */

import { isObject, type Json, type JsonObject } from "../../lib/json.ts";
import { type Bytes, type FromFile, jsonIn, type Seal, seal, unseal } from "../../lib/own-file.ts";
import type { Era } from "../../protocol/eras.ts";
import { type Inventory, type List, LIST_RULES, type ListKind } from "../../protocol/lists.ts";

/** Raised when the meaning of a file changes: older and newer files are then passed over. */
export const LIST_FORMAT_VERSION = 1;

/** Whose lists these are. */
export interface ListOwner {
  /** The server's name. */
  readonly server: string;
  /** A digest of its name and of all a connection to it depends on, hexadecimal. */
  readonly id: string;
}

/** What was kept of a server. */
export interface KeptLists {
  readonly inventory: Inventory;
  /** Milliseconds since the epoch. */
  readonly savedAt: number;
}

/** The bytes of a file with these lists. */
export async function encodeLists(
  { server, id }: ListOwner,
  { inventory, savedAt }: KeptLists,
): Promise<Bytes> {
  const { capabilities, serverInfo, era, instructions, lists } = inventory;
  const stored = { capabilities, serverInfo, era, instructions, lists: storedLists(lists) };
  const content = JSON.stringify({ server, id, savedAt, inventory: stored });
  return await seal(SEAL, new TextEncoder().encode(content));
}

/** The lists in a file, if it is whole and this owner's. Never rejects, whatever the bytes are. */
export async function decodeLists(
  file: Bytes,
  owner: ListOwner,
): Promise<FromFile<KeptLists>> {
  const unsealed = await unseal(SEAL, file);
  if (!unsealed.ok) return unsealed;
  const content = jsonIn(unsealed.value);
  if (!isObject(content) || content.server !== owner.server || content.id !== owner.id) {
    return unusable("found the lists of another server");
  }
  const { savedAt } = content;
  const inventory = readInventory(content.inventory);
  if (inventory === undefined || typeof savedAt !== "number") {
    return unusable("found content that is no server's lists");
  }
  return { ok: true, value: { inventory, savedAt } };
}

const SEAL: Seal = { magic: "mcproxy-lists", content: "lists", version: LIST_FORMAT_VERSION };
const ERAS: readonly Era[] = ["legacy", "modern"];

/** Keys are not stored: they are in the texts, and what is said once cannot be contradicted. */
function storedLists(lists: Inventory["lists"]): Json {
  return Object.fromEntries(LIST_RULES.map(({ kind }): [string, Json] => {
    const { items, ttlMs, cacheScope } = lists[kind];
    return [kind, {
      items: items.map(({ raw }) => raw),
      // A server may have written 1e400, which JSON cannot say again.
      ttlMs: Number.isFinite(ttlMs) ? ttlMs : undefined,
      cacheScope,
    }];
  }));
}

function readInventory(stored: Json | undefined): Inventory | undefined {
  if (!isObject(stored) || !isObject(stored.lists)) return undefined;
  const { capabilities, serverInfo, era, instructions } = stored;
  if (!isObjectText(capabilities) || !isObjectText(serverInfo)) return undefined;
  if (instructions !== undefined && typeof instructions !== "string") return undefined;
  const known = ERAS.find((one) => one === era);
  if (known !== era) return undefined;
  const lists: Partial<Record<ListKind, List>> = {};
  for (const { kind, key } of LIST_RULES) {
    const list = readList(stored.lists[kind], key);
    if (list === undefined) return undefined;
    lists[kind] = list;
  }
  return {
    capabilities,
    serverInfo,
    ...(known === undefined ? {} : { era: known }),
    instructions,
    lists: lists as Record<ListKind, List>,
  };
}

function readList(stored: Json | undefined, key: string): List | undefined {
  if (!isObject(stored) || !Array.isArray(stored.items)) return undefined;
  const { ttlMs, cacheScope } = stored;
  if (ttlMs !== undefined && !(typeof ttlMs === "number" && ttlMs >= 0)) return undefined;
  if (cacheScope !== undefined && cacheScope !== "public" && cacheScope !== "private") {
    return undefined;
  }
  const items: List["items"][number][] = [];
  for (const raw of stored.items) {
    const name = typeof raw === "string" ? parsedObject(raw)?.[key] : undefined;
    if (typeof name !== "string") return undefined;
    items.push({ key: name, raw: raw as string });
  }
  return {
    items,
    ...(ttlMs === undefined ? {} : { ttlMs }),
    ...(cacheScope === undefined ? {} : { cacheScope }),
  };
}

function isObjectText(text: Json | undefined): text is string {
  return typeof text === "string" && parsedObject(text) !== undefined;
}

function parsedObject(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function unusable(reason: string): FromFile<never> {
  return { ok: false, reason };
}
