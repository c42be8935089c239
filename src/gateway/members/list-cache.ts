import { join } from "node:path";
import type { ServerConfig } from "../../config/types.ts";
import { editJson, type JsonEdit } from "../../lib/json-edit.ts";
import { isObject, type Json, parsedObject, sha256 } from "../../lib/json.ts";
import {
  type Bytes,
  type FromFile,
  jsonIn,
  keptName,
  MAX_OWN_FILE,
  readKept,
  removeUnused,
  replaceFile,
  type Seal,
  seal,
  systemReason,
  unseal,
} from "../../lib/own-file.ts";
import { type Clock, nextTurn, systemClock, takingTurns } from "../../lib/time.ts";
import { getLogger, type Logger } from "../../log/mod.ts";
import { type Inventory, type List, LIST_RULES, type ListKind } from "../../protocol/lists.ts";

/** What a {@link ListCache} stands on beside the disk. */
export interface ListCacheParts {
  readonly log: Pick<Logger, "warning">;
  /** When waiting lists are written. */
  readonly clock: Clock;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** Milliseconds from the first change to its writing: what comes in between is written with it. */
const WRITE_DELAY = 500;

/**
 * The last good lists of each server, on disk, so that a restart can show them before the servers
 * have answered. One file a server and effective configuration, in the folder `lists`.
 *
 * A cache: it may be lost, damaged, or be shared by several gateways at any time, and none of this
 * is an error. Lists are what servers say and may quote their secrets; ours are not in them. So the
 * files are for this user alone (0600, in a folder made with 0700).
 */
export class ListCache {
  readonly #directory: string | undefined;
  /** Not written yet, by server and configuration. */
  readonly #waiting = new Map<string, { server: KeptServer; lists: KeptLists }>();
  /** What was last to be kept: lists that were not read anew need not be written anew. */
  readonly #latest = new Map<string, Inventory>();
  #unschedule: (() => void) | undefined;
  #writing: Promise<void> = Promise.resolve();
  #hasComplained = false;

  /** @param directory see `cacheDirectory()`; without, nothing is kept and nothing is said */
  constructor(
    directory: string | undefined,
    private readonly parts: ListCacheParts = {
      log: getLogger("mcproxy", "gateway"),
      clock: systemClock,
      now: Date.now,
    },
  ) {
    this.#directory = directory && join(directory, "lists");
  }

  /**
   * What is kept of this server as it is configured now, or `undefined`. A file that cannot be used
   * is named in one log line, and replaced by the next {@link ListCache.set}. Never rejects.
   */
  async get(server: KeptServer): Promise<KeptLists | undefined> {
    if (this.#directory === undefined) return undefined;
    const waiting = this.#waiting.get(identity(server));
    if (waiting !== undefined) return waiting.lists;
    const owner = await ownerOf(server);
    const file = join(this.#directory, fileName(owner));
    const message = "Cannot use the kept lists in {file}: {reason}; starting without them";
    const warn = (reason: string) => this.parts.log.warning(message, { file, reason });
    return await readKept(file, (bytes) => decodeLists(bytes, owner), warn);
  }

  /**
   * Keeps these lists, within half a second. The first call for a server writes even what
   * {@link ListCache.get} gave, which shows that it is in use; after that, the same object is
   * written once. Never throws: where the disk does not play along, one line says so.
   */
  set(server: KeptServer, inventory: Inventory): void {
    if (this.#directory === undefined) return;
    const id = identity(server);
    if (this.#latest.get(id) === inventory) return;
    this.#latest.set(id, inventory);
    this.#waiting.set(id, { server, lists: { inventory, savedAt: this.parts.now() } });
    this.#unschedule ??= this.parts.clock.after(WRITE_DELAY, () => void this.flush());
  }

  /**
   * This server is configured no more, or otherwise: its lists need no memory. Their file stays, and
   * what is waiting is written.
   */
  forget(server: KeptServer): void {
    this.#latest.delete(identity(server));
  }

  /** Writes what is waiting now; resolves when all of it is in its place. Never rejects. */
  flush(): Promise<void> {
    this.#unschedule?.();
    this.#unschedule = undefined;
    return this.#writing = this.#writing.then(() => this.#writeWaiting());
  }

  /**
   * Removes the lists that nobody wrote for 30 days and that are not these servers'. Younger ones
   * stay, configured here or not: another gateway may share the directory. Never rejects.
   */
  async prune(configured: Iterable<KeptServer>): Promise<void> {
    if (this.#directory === undefined) return;
    const owners = await Promise.all([...configured].map(ownerOf));
    await removeUnused(this.#directory, {
      suffix: LIST_SUFFIX,
      keep: new Set(owners.map(fileName)),
      now: this.parts.now(),
    });
  }

  /** One after the other: at a start, the servers have better use for the disk. */
  async #writeWaiting(): Promise<void> {
    for (const [id, { server, lists }] of this.#waiting) {
      try {
        const owner = await ownerOf(server);
        const bytes = await encodeLists(owner, lists);
        if (bytes.length > MAX_OWN_FILE) throw new Error(`lists of ${bytes.length} bytes`);
        await replaceFile(join(this.#directory!, fileName(owner)), bytes);
      } catch (error) {
        if (this.#latest.get(id) === lists.inventory) this.#latest.delete(id);
        this.#complain(systemReason(error));
      }
      // Only now, so that a reader meanwhile finds it; unless newer ones came.
      if (this.#waiting.get(id)?.lists === lists) this.#waiting.delete(id);
    }
  }

  #complain(reason: string): void {
    if (this.#hasComplained) return;
    this.#hasComplained = true;
    this.parts.log.warning(
      "Cannot keep lists in {directory}: {reason}; the next start will wait for the servers",
      { directory: this.#directory, reason },
    );
  }
}

/** Names a server and its configuration; contains secrets. */
function identity({ name, key }: KeptServer): string {
  return JSON.stringify([name, key]);
}

/** What a server's lists are kept under. Its key contains secrets and is only ever hashed. */
export type KeptServer = Pick<ServerConfig, "name" | "key">;

/** How the name of every file of lists ends. */
export const LIST_SUFFIX = ".lists";

/** Whose lists a file may hold. Configurations that differ in what is connected to differ here. */
export async function ownerOf({ name, key }: KeptServer): Promise<ListOwner> {
  return { server: name, id: await sha256(new TextEncoder().encode(JSON.stringify([name, key]))) };
}

/**
 * The file of an owner: the server's name for people, and a tag, so that neither names that look
 * alike on disk nor two configurations with a server of the same name share one.
 */
export function fileName({ server, id }: ListOwner): string {
  return keptName(server, id, LIST_SUFFIX);
}

// The file a server's lists are kept in: its seal, then JSON.
//
//     mcproxy-lists 1 <SHA-256 of what follows, in hexadecimal>
//     {"server": "memory", "id": "…", "savedAt": 1795210496000, "inventory": {…}}

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

/**
 * The bytes of a file with these lists; in turns. Keys are not stored: they are in the texts, and what
 * is said once cannot be contradicted.
 */
export async function encodeLists(owner: ListOwner, kept: KeptLists): Promise<Bytes> {
  const lists: Record<string, Json> = {};
  const edits: JsonEdit[] = [];
  for (const { kind } of LIST_RULES) {
    const { items, ttlMs, cacheScope, isUnread } = kept.inventory.lists[kind];
    const texts: string[] = [];
    for await (const { raw } of takingTurns(items)) texts.push(JSON.stringify(raw));
    edits.push({ path: ["inventory", "lists", kind, "items"], value: `[${texts}]` });
    // A server may have written 1e400, which JSON cannot say again.
    lists[kind] = { ttlMs: Number.isFinite(ttlMs) ? ttlMs : undefined, cacheScope, isUnread };
  }
  const inventory = { ...kept.inventory, mended: undefined, lists };
  await nextTurn();
  const content = editJson(JSON.stringify({ ...owner, savedAt: kept.savedAt, inventory }), edits);
  await nextTurn();
  return await seal(SEAL, new TextEncoder().encode(content));
}

/** The lists in a file, if it is whole and this owner's. Never rejects, whatever the bytes are. */
export async function decodeLists(file: Bytes, owner: ListOwner): Promise<FromFile<KeptLists>> {
  const unsealed = await unseal(SEAL, file);
  if (!unsealed.ok) return unsealed;
  const content = jsonIn(unsealed.value);
  if (!isObject(content) || content.server !== owner.server || content.id !== owner.id) {
    return { ok: false, reason: "found the lists of another server" };
  }
  const { savedAt } = content;
  const inventory = readInventory(content.inventory);
  if (inventory === undefined || typeof savedAt !== "number") {
    return { ok: false, reason: "found content that is no server's lists" };
  }
  return { ok: true, value: { inventory, savedAt } };
}

const SEAL: Seal = { magic: "mcproxy-lists", content: "lists", version: LIST_FORMAT_VERSION };

function readInventory(stored: Json | undefined): Inventory | undefined {
  if (!isObject(stored) || !isObject(stored.lists)) return undefined;
  const { capabilities, serverInfo, era, instructions } = stored;
  if (!isObjectText(capabilities) || !isObjectText(serverInfo)) return undefined;
  if (instructions !== undefined && typeof instructions !== "string") return undefined;
  if (era !== undefined && era !== "legacy" && era !== "modern") return undefined;
  const lists: Partial<Record<ListKind, List>> = {};
  for (const { kind, key } of LIST_RULES) {
    const list = readList(stored.lists[kind], key);
    if (list === undefined) return undefined;
    lists[kind] = list;
  }
  return {
    capabilities,
    serverInfo,
    ...(era === undefined ? {} : { era }),
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
    ...(stored.isUnread === true ? { isUnread: true } : {}),
  };
}

function isObjectText(text: Json | undefined): text is string {
  return typeof text === "string" && parsedObject(text) !== undefined;
}
