/**
 * The file that use is kept in: its seal, then JSON.
 *
 *     mcproxy-use 1 <SHA-256 of what follows>
 *     [["github", "create_issue", 3.25, 1795210496000], …]
 */

import type { Json } from "../lib/json.ts";
import { type Seal, seal, unseal } from "../lib/sealed-file.ts";
import { addUse, flat, type Uses } from "./use.ts";

/** Raised when the meaning of a file changes. */
export const USE_FORMAT_VERSION = 1;

/** What a file holds, or why it is not used, as the end of a sentence. */
export type DecodedUses =
  | { readonly ok: true; readonly uses: Uses }
  | { readonly ok: false; readonly reason: string };

const SEAL: Seal = { magic: "mcproxy-use", content: "counts", version: USE_FORMAT_VERSION };

/** The bytes of a file with these. */
export async function encodeUses(uses: Uses): Promise<Uint8Array<ArrayBuffer>> {
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
export async function decodeUses(
  file: Uint8Array<ArrayBuffer>,
  now: number,
): Promise<DecodedUses> {
  const unsealed = await unseal(SEAL, file);
  if (!unsealed.ok) return unsealed;
  const entries = parsed(unsealed.body);
  if (!Array.isArray(entries)) return NONSENSE;
  const uses: Uses = new Map();
  for (const entry of entries) {
    const [server, tool, count, at] = Array.isArray(entry) ? entry : [];
    if (typeof server !== "string" || typeof tool !== "string") return NONSENSE;
    if (!isAmount(count) || count > MOST_CALLS || !isAmount(at)) return NONSENSE;
    addUse(uses, server, tool, { count, at: Math.min(at, now) });
  }
  return { ok: true, uses };
}

/** Nobody calls that often; sums of greater numbers would end in infinity, and scores in none. */
const MOST_CALLS = 1e12;

const NONSENSE: DecodedUses = { ok: false, reason: "found content that is no counts" };

function isAmount(value: Json | undefined): value is number {
  return typeof value === "number" && Number.isFinite(value) && value >= 0;
}

function parsed(bytes: Uint8Array): Json | undefined {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return undefined;
  }
}
