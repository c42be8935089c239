/** Where the lists of the last run are kept, and under which names. */

import { isAbsolute, join } from "node:path";
import type { Env, ServerConfig } from "../../config/config.ts";
import { sha256 } from "../../lib/sealed-file.ts";
import type { ListOwner } from "./list-cache-format.ts";

/** What a server's lists are kept under. Its key contains secrets and is only ever hashed. */
export type KeptServer = Pick<ServerConfig, "name" | "key">;

/** How the name of every file of lists ends. */
export const LIST_SUFFIX = ".lists";

/** How the name of a file ends that is not complete yet. */
export const TEMPORARY_SUFFIX = ".tmp";

const MAX_READABLE = 40;
const TAG_LENGTH = 16;

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

/** The name of a file: a label for people, and the first digits of a hexadecimal digest. */
export function keptName(label: string, digest: string, suffix: string): string {
  const readable = label.replace(/[^A-Za-z0-9_-]+/g, "_").slice(0, MAX_READABLE);
  return `${readable}-${digest.slice(0, TAG_LENGTH)}${suffix}`;
}

/**
 * Recognises the files of {@link keptName} with this suffix, complete or not: nothing else is ever
 * removed.
 */
export function isKept(name: string, suffix: string): boolean {
  const [, rest] = KEPT.exec(name) ?? [];
  return rest === suffix ||
    (rest?.startsWith(suffix) === true && PART.test(rest.slice(suffix.length)));
}

const KEPT = new RegExp(`^[A-Za-z0-9_-]{0,${MAX_READABLE}}-[0-9a-f]{${TAG_LENGTH}}(\\..*)$`);
const PART = new RegExp(`^\\.[0-9a-f-]{36}\\${TEMPORARY_SUFFIX}$`);
