/** When a watch of the configuration looks, and what it does with what it found; pure. */

/** Times of a {@link ConfigWatch}, in milliseconds. */
export interface WatchTiming {
  /** From the last event to the look: an editor's write is several events. */
  readonly settle: number;
  /** From the first event to the look at most, where the events do not stop. */
  readonly limit: number;
  /** How long incomplete content may stay before it is taken for meant. */
  readonly patience: number;
  /** Between two looks without an event: some network mounts and bind mounts give none. */
  readonly poll: number;
}

/** From the write to the caller in some 20 ms, of the 200 ms that a client may wait for it. */
export const DEFAULT_TIMING: WatchTiming = {
  settle: 15,
  limit: 100,
  patience: 250,
  poll: 30_000,
};

/** The first and the last event that no look has followed yet, in milliseconds. */
export interface Events {
  readonly first: number;
  readonly last: number;
}

/**
 * The events that a look which begins now leaves for the next one: Bun keeps an event to itself
 * that comes within some 3 ms after another of the same file, so each wants a look that begins
 * `settle` after it.
 */
export function unsettled(
  events: Events | undefined,
  now: number,
  { settle }: WatchTiming,
): Events | undefined {
  if (events === undefined || events.last + settle <= now) return undefined;
  return { first: now, last: events.last };
}

/** What a look waits for; all times in milliseconds of the same clock. */
export interface Waiting {
  /** The end of the look before. */
  readonly lookedAt: number;
  readonly events: Events | undefined;
  /** When incomplete content has stayed long enough. */
  readonly patienceEnds: number | undefined;
  /** When there is another reason to look. */
  readonly again: number | undefined;
}

/** When to look next. */
export function nextLook(waiting: Waiting, { settle, limit, poll }: WatchTiming): number {
  const { lookedAt, events, patienceEnds = Infinity, again = Infinity } = waiting;
  const settled = events === undefined
    ? Infinity
    : Math.min(events.last + settle, Math.max(events.first, lookedAt) + limit);
  return Math.min(lookedAt + poll, settled, patienceEnds, again);
}

/** What a look found. */
export interface Judgement {
  /** Somebody wants the caller called in any case. */
  readonly forced: boolean;
  /** The same as what the caller has dealt with. */
  readonly known: boolean;
  /** The same as what the caller has called incomplete. */
  readonly doubted: boolean;
  /** It has been there for longer than the patience with it. */
  readonly patienceOver: boolean;
}

/**
 * What follows from it: nothing, waiting for what is incomplete to become complete, or a call,
 * which may be the `final` one for this content.
 */
export function judge(finding: Judgement): "nothing" | "wait" | "call" | "final" {
  if (finding.forced) return "final";
  if (finding.known) return "nothing";
  if (!finding.doubted) return "call";
  return finding.patienceOver ? "final" : "wait";
}
