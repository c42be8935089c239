/** More than any gateway has open at one time; the oldest is forgotten first. */
const MAX_OWNERS = 10_000;

/**
 * Which session something long-lived belongs to that an upstream names later without saying whose
 * it is: an elicitation in a browser, a task. Bounded, oldest forgotten first.
 */
export class Owners {
  readonly #owners = new Map<string, string>();

  /** Remembers that `id` of `server` belongs to `session`. */
  set(server: string, id: string, session: string): void {
    const key = JSON.stringify([server, id]);
    this.#owners.delete(key);
    this.#owners.set(key, session);
    if (this.#owners.size <= MAX_OWNERS) return;
    const { value: oldest } = this.#owners.keys().next();
    this.#owners.delete(oldest!);
  }

  /** The session, where it is known. */
  get(server: string, id: string): string | undefined {
    return this.#owners.get(JSON.stringify([server, id]));
  }
}
