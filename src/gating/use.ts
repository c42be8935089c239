/** How often tools were used lately, and what that is worth. */

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
  let ofServer = uses.get(server);
  if (ofServer === undefined) uses.set(server, ofServer = new Map());
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
