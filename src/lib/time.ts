/** Time as the upstream side uses it, so that tests can turn it by hand. */
export interface Clock {
  /** Milliseconds; only differences mean anything. */
  now(): number;
  /**
   * Calls back once after `ms`; returns the function that takes it back. What is `idle` keeps no
   * process alive.
   */
  after(ms: number, callback: () => void, idle?: boolean): () => void;
}

/** The real time. */
export const systemClock: Clock = {
  now: () => performance.now(),
  after(ms, callback, idle = false) {
    const timer = setTimeout(callback, Math.min(Math.max(ms, 0), MAX_DURATION_MS));
    if (idle) timer.unref();
    return () => clearTimeout(timer);
  },
};

/**
 * Resolves after `ms`, at once and without error when `signal` aborts: a pause that a stop cuts
 * short. The caller looks at the signal.
 */
export function pause(ms: number, clock: Clock, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      cancel();
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const cancel = clock.after(ms, done);
    signal?.addEventListener("abort", done);
  });
}

/**
 * Waits for `promise`, at most `limit` milliseconds. What it resolves with, or that it did not, is
 * the caller's to find out; a rejection is passed on.
 */
export async function within(limit: number, promise: Promise<unknown>): Promise<void> {
  const { promise: over, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, limit);
  try {
    await Promise.race([promise, over]);
  } finally {
    clearTimeout(timer);
  }
}

/** Milliseconds to wait after so many failures in a row: `first`, then twice as long each time. */
export function backOff(failures: number, first: number, longest: number): number {
  return Math.min(first * 2 ** (failures - 1), longest);
}

const UNIT_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const;

/** What {@link parseDuration} accepts as text; also the pattern of the JSON schema. */
export const DURATION_PATTERN = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/;

/**
 * The longest duration in milliseconds (about 24 days 20 hours). Timers take a signed 32-bit
 * number: one millisecond more would fire at once on both runtimes.
 */
export const MAX_DURATION_MS = 2_147_483_647;

/**
 * Milliseconds of a duration: a number is milliseconds already, text has a unit (`"500ms"`,
 * `"1.5s"`, `"5m"`, `"1h"`). Whole milliseconds, rounded. Undefined for everything else: negative,
 * not finite, longer than {@link MAX_DURATION_MS}, no unit, unknown unit.
 */
export function parseDuration(value: unknown): number | undefined {
  const ms = typeof value === "string" ? textToMs(value) : value;
  if (typeof ms !== "number" || !(ms >= 0 && ms <= MAX_DURATION_MS)) return undefined;
  return Math.round(ms);
}

/** `NaN` where the text is no duration. */
function textToMs(text: string): number {
  const [, amount, unit] = DURATION_PATTERN.exec(text.trim()) ?? [];
  return Number(amount) * UNIT_MS[unit as keyof typeof UNIT_MS];
}

/**
 * The shortest text {@link parseDuration} reads back as the same milliseconds: `90000` is `"90s"`,
 * `300000` is `"5m"`, `1500` is `"1.5s"`.
 */
export function formatDuration(ms: number): string {
  for (const unit of ["h", "m", "s"] as const) {
    if (ms >= UNIT_MS[unit] && ms % UNIT_MS[unit] === 0) return `${ms / UNIT_MS[unit]}${unit}`;
  }
  return ms >= 1_000 && ms % 100 === 0 ? `${ms / 1_000}s` : `${ms}ms`;
}

/** How long one peer may keep the event loop busy before others get a turn, in ms. */
export const TURN = 8;
/** What others get then, in ms. */
const OTHERS = 4;

/** Resolves when others have had their turn. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, OTHERS));
}

/** The items one by one, with a turn for others whenever what is made of them has taken long. */
export async function* takingTurns<T>(items: Iterable<T>): AsyncGenerator<T> {
  let until = performance.now() + TURN;
  for (const item of items) {
    yield item;
    if (performance.now() < until) continue;
    await nextTurn();
    until = performance.now() + TURN;
  }
}
