/**
 * Which gateways a request has come through, so that one that leads back to its own is recognised:
 * each gateway names itself and those that ask it. Without that two of them, each in the other,
 * list each other's tools over and over.
 */

/** The HTTP header that carries it. */
export const TRAIL_HEADER = "mcproxy-trail";

/** Longest memory of who asks, in ms, and in number. */
const MEMORY = 120_000;
const MOST = 20;

/** One for the process. */
export class Trail {
  readonly #own = crypto.randomUUID().slice(0, 13);
  /** Who has asked, the latest last, and until when that counts. */
  readonly #askers = new Map<string, number>();

  /** What requests of this gateway carry. `now` in ms, here and below. */
  header(now: number): string {
    for (const [id, until] of this.#askers) if (until <= now) this.#askers.delete(id);
    return [this.#own, ...this.#askers.keys()].join(" ");
  }

  /** A request came with this header; false when it has come from here. */
  admits(header: string | null, now: number): boolean {
    if (header === null) return true;
    const ids = header.split(" ", MOST + 1);
    if (ids.includes(this.#own)) return false;
    for (const id of ids) {
      this.#askers.delete(id);
      if (/^[0-9a-f-]{13}$/.test(id)) this.#askers.set(id, now + MEMORY);
    }
    for (const id of this.#askers.keys()) {
      if (this.#askers.size <= MOST) break;
      this.#askers.delete(id);
    }
    return true;
  }
}

/** That of this process. */
export const TRAIL = new Trail();
