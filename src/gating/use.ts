/** How often tools were used lately, and what that is worth. */

import { join } from "node:path";
import type { Json } from "../lib/json.ts";
import {
  type Bytes,
  type FromFile,
  jsonIn,
  readKept,
  replaceFile,
  type Seal,
  seal,
  systemReason,
  unseal,
} from "../lib/own-file.ts";
import type { SemanticOptions } from "./meaning/semantic.ts";

/** What is known of one tool's use. */
export interface Use {
  /** Successful calls; each counts half as much every two weeks. */
  readonly count: number;
  /** When it counted that much, milliseconds since the epoch. */
  readonly at: number;
}

/** Uses by server (config key), then by the tool's own name. */
export type Uses = Map<string, Map<string, Use>>;

/** Tools that are remembered; those used least are forgotten first. */
export const MOST_TOOLS = 2_000;

/** Milliseconds after which a call counts half. */
export const HALF_LIFE = 14 * 24 * 3_600_000;

/** What use can add to a score at most, and how many calls add half of that. */
const MOST_BONUS = 0.15;
const HALF_BONUS = 5;

/** Fewer, decayed, calls are no use to speak of. */
const LEAST_TOLD = 0.5;

/** Longer names are not remembered: their owners, not their users, would fill the disk. */
const LONGEST_NAME = 256;

/** What a use counts now. A clock that was set back makes nothing count more. */
export function countAt({ count, at }: Use, now: number): number {
  return count * 2 ** (-Math.max(0, now - at) / HALF_LIFE);
}

/** What a score is multiplied by: from 1, for tools that were not used, to 1.15. */
export function factorOf(count: number): number {
  return 1 + MOST_BONUS * count / (count + HALF_BONUS);
}

/** Why a tool ranks higher, for who reads the hits; `undefined` where it hardly does. */
export function useReason(count: number): string | undefined {
  if (count < LEAST_TOLD) return undefined;
  const times = Math.max(1, Math.round(count));
  return times === 1 ? "used once lately" : `used ${times} times lately`;
}

/** Adds to what is known of a tool. */
export function addUse(uses: Uses, server: string, tool: string, { count, at }: Use): void {
  if (server.length > LONGEST_NAME || tool.length > LONGEST_NAME) return;
  const ofServer = uses.getOrInsertComputed(server, () => new Map());
  const before = ofServer.get(tool);
  const now = Math.max(at, before?.at ?? at);
  const known = before === undefined ? 0 : countAt(before, now);
  ofServer.set(tool, { count: known + countAt({ count, at }, now), at: now });
}

/** Both together; neither is changed. Only the {@link MOST_TOOLS} used most. */
export function merged(one: Uses, other: Uses, now: number, most = MOST_TOOLS): Uses {
  const all: Uses = new Map();
  for (const uses of [one, other]) {
    for (const [server, tool, use] of flat(uses)) addUse(all, server, tool, use);
  }
  const kept = flat(all);
  if (kept.length <= most) return all;
  kept.sort((a, b) => countAt(b[2], now) - countAt(a[2], now));
  const fewer: Uses = new Map();
  for (const [server, tool, use] of kept.slice(0, most)) addUse(fewer, server, tool, use);
  return fewer;
}

/** One entry a tool. */
export function flat(uses: Uses): [server: string, tool: string, use: Use][] {
  return [...uses].flatMap(([server, tools]) =>
    Array.from(tools, ([tool, use]): [string, string, Use] => [server, tool, use])
  );
}

// The file that use is kept in: its seal, then JSON.
//
//     mcproxy-use 1 <SHA-256 of what follows>
//     [["github", "create_issue", 3.25, 1795210496000], …]

/** Raised when the meaning of a file changes. */
export const USE_FORMAT_VERSION = 1;

const SEAL: Seal = { magic: "mcproxy-use", content: "counts", version: USE_FORMAT_VERSION };

/** The bytes of a file with these. */
export async function encodeUses(uses: Uses): Promise<Bytes> {
  const entries = flat(uses).map(([server, tool, { count, at }]) => [
    server,
    tool,
    Number(count.toPrecision(4)),
    at,
  ]);
  return await seal(SEAL, new TextEncoder().encode(JSON.stringify(entries)));
}

/**
 * What a file holds. Never rejects, whatever the bytes are.
 *
 * @param now milliseconds since the epoch; nothing was used later
 */
export async function decodeUses(file: Bytes, now: number): Promise<FromFile<Uses>> {
  const unsealed = await unseal(SEAL, file);
  if (!unsealed.ok) return unsealed;
  const entries = jsonIn(unsealed.value);
  if (!Array.isArray(entries)) return NONSENSE;
  const uses: Uses = new Map();
  for (const entry of entries) {
    const [server, tool, count, at] = Array.isArray(entry) ? entry : [];
    if (typeof server !== "string" || typeof tool !== "string") return NONSENSE;
    if (!isAmount(count) || count > MOST_CALLS || !isAmount(at)) return NONSENSE;
    addUse(uses, server, tool, { count, at: Math.min(at, now) });
  }
  return { ok: true, value: uses };
}

/** Nobody calls that often; sums of greater numbers would end in infinity, and scores in none. */
const MOST_CALLS = 1e12;

const NONSENSE: FromFile<Uses> = { ok: false, reason: "found content that is no counts" };

function isAmount(value: Json | undefined): value is number {
  return typeof value === "number" && Number.isFinite(value) && value >= 0;
}

/** What {@link UseMemory} stands on; without a directory, use is forgotten with the process. */
export type UseMemoryOptions = Pick<SemanticOptions, "directory" | "log" | "clock" | "wall">;

/** Milliseconds from the first call to writing: what comes in between is written with it. */
const WRITE_DELAY = 30_000;

/** So many more than are kept may come before the least used are sorted out. */
const SLACK = 200;

/**
 * How often tools were called with success in this installation. Names and counts only, in the file
 * `tools.use`; gateways that share a directory add theirs to what is there.
 */
export class UseMemory {
  readonly #path: string | undefined;
  /** What the file says, and what came since. */
  #kept: Uses = new Map();
  #fresh: Uses = new Map();
  #freshSize = 0;
  #loading: Promise<void> | undefined;
  #unschedule: (() => void) | undefined;
  #writing: Promise<void> = Promise.resolve();
  #hasComplained = false;

  constructor(private readonly options: UseMemoryOptions) {
    const { directory } = options;
    this.#path = directory === undefined ? undefined : join(directory, "tools.use");
  }

  /** Reads what is kept, once. Never rejects. */
  load(): Promise<void> {
    return this.#loading ??= this.#read().then((kept) => void (this.#kept = kept));
  }

  /** A tool was called with success. */
  add(server: string, tool: string): void {
    addUse(this.#fresh, server, tool, { count: 1, at: this.options.wall() });
    // A bound on calls is one on tools; what is over is sorted out without a disk as well.
    if (++this.#freshSize > MOST_TOOLS + SLACK) {
      this.#fresh = merged(this.#fresh, new Map(), this.options.wall());
      this.#freshSize = 0;
    }
    this.#unschedule ??= this.options.clock.after(WRITE_DELAY, () => void this.flush());
  }

  /** How often it was, decayed. */
  count(server: string, tool: string): number {
    const now = this.options.wall();
    let count = 0;
    for (const uses of [this.#kept, this.#fresh]) {
      const use = uses.get(server)?.get(tool);
      if (use !== undefined) count += countAt(use, now);
    }
    return count;
  }

  /**
   * Writes what came since the last time; resolves when it is in its place. Never rejects: what
   * cannot be written is tried again with the next call.
   */
  flush(): Promise<void> {
    if (this.#unschedule === undefined) return this.#writing;
    this.#unschedule();
    this.#unschedule = undefined;
    return this.#writing = this.#writing.then(() => this.#write());
  }

  async #write(): Promise<void> {
    if (this.#path === undefined) return;
    const { wall } = this.options;
    const [kept, fresh] = [this.#kept, this.#fresh];
    this.#kept = merged(kept, fresh, wall());
    this.#fresh = new Map();
    this.#freshSize = 0;
    try {
      // Others may have written meanwhile.
      const read = await this.#read();
      const all = merged(read.size > 0 ? read : kept, fresh, wall());
      await replaceFile(this.#path, await encodeUses(all));
      this.#kept = all;
    } catch (error) {
      this.#kept = kept;
      this.#fresh = merged(fresh, this.#fresh, wall());
      this.#complain("Cannot keep the use of tools in {file}: {reason}", systemReason(error));
    }
  }

  async #read(): Promise<Uses> {
    if (this.#path === undefined) return new Map();
    const uses = await readKept(
      this.#path,
      (file) => decodeUses(file, this.options.wall()),
      (reason) => this.#complain("Cannot use the kept use of tools in {file}: {reason}", reason),
    );
    return uses ?? new Map();
  }

  #complain(text: string, reason: string): void {
    if (this.#hasComplained) return;
    this.#hasComplained = true;
    this.options.log.warning(`${text}; counting goes on`, { file: this.#path, reason });
  }
}
