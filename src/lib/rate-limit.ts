/** How fast a {@link TokenBucket} lets things pass. */
export interface TokenBucketOptions {
  /** Tokens that flow in each second. */
  readonly ratePerSecond: number;
  /** Tokens the bucket holds when full: what may pass at once after a quiet time. */
  readonly burst: number;
  /** Now, in milliseconds of any clock; every later call uses the same clock. */
  readonly now: number;
}

/**
 * The answer to one request to pass. `suppressed` counts what was refused since the last thing that
 * passed, so the caller can say "suppressed M lines" once, in the right place.
 */
export type TokenVerdict =
  | { readonly allowed: true; readonly suppressed: number }
  | { readonly allowed: false };

/**
 * A token bucket without a clock or timers of its own: time comes in with every call, so the same
 * calls give the same answers. A clock that jumps back adds nothing and takes nothing away.
 */
export class TokenBucket {
  #tokens: number;
  #updated: number;
  #suppressed = 0;

  /** Starts full. Throws a RangeError unless rate and burst are positive, burst at least 1. */
  constructor(private readonly options: TokenBucketOptions) {
    if (!(options.ratePerSecond > 0) || !(options.burst >= 1)) {
      throw new RangeError(
        `Cannot limit to "${options.ratePerSecond}/s, burst ${options.burst}": ` +
          `expected a positive rate and a burst of at least 1`,
      );
    }
    this.#tokens = options.burst;
    this.#updated = options.now;
  }

  /** Asks for one thing to pass at `now` (milliseconds), where at least `least` could. */
  take(now: number, least = 1): TokenVerdict {
    const { ratePerSecond, burst } = this.options;
    const elapsed = Math.max(0, now - this.#updated);
    this.#updated = now;
    this.#tokens = Math.min(burst, this.#tokens + elapsed * ratePerSecond / 1000);
    if (this.#tokens < least) {
      this.#suppressed++;
      return { allowed: false };
    }
    this.#tokens -= 1;
    return { allowed: true, suppressed: this.takeSuppressed() };
  }

  /** Milliseconds from the last question until something may pass. */
  get wait(): number {
    return Math.max(0, (1 - this.#tokens) * 1000 / this.options.ratePerSecond);
  }

  /** What was refused since the last thing that passed, counted once: for the end of a stream. */
  takeSuppressed(): number {
    const suppressed = this.#suppressed;
    this.#suppressed = 0;
    return suppressed;
  }
}
