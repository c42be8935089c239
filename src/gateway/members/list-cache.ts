import { isAbsolute, join } from "node:path";
import type { Env, ServerConfig } from "../../config/types.ts";
import { sha256 } from "../../lib/json.ts";
import {
  keptName,
  MAX_OWN_FILE,
  readKept,
  removeUnused,
  replaceFile,
  systemReason,
} from "../../lib/own-file.ts";
import { type Clock, systemClock } from "../../lib/time.ts";
import { getLogger, type Logger } from "../../log/mod.ts";
import type { Inventory } from "../../protocol/lists.ts";
import { decodeLists, encodeLists, type KeptLists, type ListOwner } from "./list-cache-format.ts";

/** Options of {@link ListCache}. */
export interface ListCacheOptions {
  /** See `cacheDirectory()`; without, nothing is kept and nothing is said. */
  readonly directory: string | undefined;
  readonly log?: Pick<Logger, "warning">;
  /** When waiting lists are written. */
  readonly clock?: Clock;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

/** Milliseconds from the first change to its writing: what comes in between is written with it. */
const WRITE_DELAY = 500;

/** Milliseconds after which the lists of a server that is configured nowhere are removed. */
const MAX_AGE = 30 * 24 * 3_600_000;

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
  readonly #log: Pick<Logger, "warning">;
  readonly #clock: Clock;
  readonly #now: () => number;
  /** Not written yet, by server and configuration. */
  readonly #waiting = new Map<string, { server: KeptServer; lists: KeptLists }>();
  /** What was last to be kept: lists that were not read anew need not be written anew. */
  readonly #latest = new Map<string, Inventory>();
  #unschedule: (() => void) | undefined;
  #writing: Promise<void> = Promise.resolve();
  #hasComplained = false;

  constructor({ directory, log, clock, now }: ListCacheOptions) {
    this.#directory = directory === undefined ? undefined : join(directory, "lists");
    this.#log = log ?? getLogger("mcproxy", "gateway");
    this.#clock = clock ?? systemClock;
    this.#now = now ?? Date.now;
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
    return await readKept(
      file,
      (bytes) => decodeLists(bytes, owner),
      (reason) =>
        this.#log.warning("Cannot use the kept lists in {file}: {reason}; starting without them", {
          file,
          reason,
        }),
    );
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
    this.#waiting.set(id, { server, lists: { inventory, savedAt: this.#now() } });
    this.#unschedule ??= this.#clock.after(WRITE_DELAY, () => void this.flush());
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
    const servers = [...configured];
    const owners = await Promise.all(servers.map(ownerOf));
    await removeUnused(this.#directory, {
      suffix: LIST_SUFFIX,
      keep: new Set(owners.map(fileName)),
      now: this.#now(),
      maxAge: MAX_AGE,
    });
  }

  /** One after the other: at a start, the servers have better use for the disk. */
  async #writeWaiting(): Promise<void> {
    for (const [id, { server, lists }] of this.#waiting) {
      try {
        await this.#write(server, lists);
      } catch (error) {
        if (this.#latest.get(id) === lists.inventory) this.#latest.delete(id);
        this.#complain(systemReason(error));
      }
      // Only now, so that a reader meanwhile finds it; unless newer ones came.
      if (this.#waiting.get(id)?.lists === lists) this.#waiting.delete(id);
    }
  }

  async #write(server: KeptServer, lists: KeptLists): Promise<void> {
    const owner = await ownerOf(server);
    const bytes = await encodeLists(owner, lists);
    if (bytes.length > MAX_OWN_FILE) throw new Error(`lists of ${bytes.length} bytes`);
    await replaceFile(join(this.#directory!, fileName(owner)), bytes);
  }

  #complain(reason: string): void {
    if (this.#hasComplained) return;
    this.#hasComplained = true;
    this.#log.warning(
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

/**
 * The directory for what may be lost: `CACHE_DIRECTORY` or `STATE_DIRECTORY` as systemd sets them
 * (of several the first), `$XDG_CACHE_HOME/mcproxy`, `~/.cache/mcproxy`. As the XDG specification
 * says, paths that are not absolute do not count; `undefined` where none is left. It need not exist.
 */
export function cacheDirectory(env: Env): string | undefined {
  const given = [env["CACHE_DIRECTORY"], env["STATE_DIRECTORY"]];
  for (const list of given) {
    const first = list?.split(":")[0];
    if (first && isAbsolute(first)) return first;
  }
  const xdg = env["XDG_CACHE_HOME"];
  if (xdg && isAbsolute(xdg)) return join(xdg, "mcproxy");
  const home = env["HOME"];
  return home && isAbsolute(home) ? join(home, ".cache", "mcproxy") : undefined;
}

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
