import { SILENT } from "../events.ts";
import type { Session } from "./session.ts";

/** Clients that never say goodbye must not fill the memory: beyond this the idlest goes. */
export const MAX_SESSIONS = 10_000;

/** All legacy sessions, by id. Owns the reaper timer; `close()` ends both. */
export class SessionStore {
  readonly #sessions = new Map<string, Session>();
  readonly #labels = new Map<string, Session>();
  #reaper: ReturnType<typeof setTimeout> | undefined;

  /** @param idleTimeout a session unheard of for so long, without stream or call, is closed */
  constructor(private readonly idleTimeout: () => number) {}

  get size(): number {
    return this.#sessions.size;
  }

  get(id: string): Session | undefined {
    return this.#sessions.get(id);
  }

  /** An open session by the name it has towards upstreams and in the log, where there is one. */
  labelled(label: string | undefined): Session | undefined {
    return label === undefined ? undefined : this.#labels.get(label);
  }

  [Symbol.iterator](): Iterator<Session> {
    return this.#sessions.values();
  }

  add(session: Session): void {
    if (this.#sessions.size >= MAX_SESSIONS) this.#closeIdlest();
    this.#sessions.set(session.id, session);
    this.#labels.set(session.label, session);
    this.#schedule();
  }

  /** Gives a session another id; the one it had is nobody's. */
  rename(session: Session, id: string): void {
    this.#sessions.delete(session.id);
    session.id = id;
    this.#sessions.set(id, session);
  }

  remove(session: Session): void {
    this.#sessions.delete(session.id);
    this.#labels.delete(session.label);
    if (this.#sessions.size > 0) return;
    clearTimeout(this.#reaper);
    this.#reaper = undefined;
  }

  /** Closes what has been silent for too long as of `now`, in milliseconds since the epoch. */
  reap(now: number): void {
    const limit = this.idleTimeout();
    for (const session of [...this]) {
      if (session.idleFor(now) >= limit) session.close(SILENT.idle);
    }
  }

  close(reason: string): void {
    for (const session of [...this]) session.close(reason);
  }

  #closeIdlest(): void {
    const now = Date.now();
    [...this].reduce((one, other) => other.idleFor(now) > one.idleFor(now) ? other : one)
      .close(SILENT.crowded);
  }

  #schedule(): void {
    if (this.#reaper !== undefined) return;
    const every = Math.max(1_000, Math.min(60_000, this.idleTimeout() / 4));
    this.#reaper = setTimeout(() => {
      this.#reaper = undefined;
      this.reap(Date.now());
      if (this.#sessions.size > 0) this.#schedule();
    }, every);
  }
}
