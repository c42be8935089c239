import type { Session } from "./session.ts";

/** Clients that never say goodbye must not fill the memory: beyond this the idlest goes. */
export const MAX_SESSIONS = 10_000;

/** What a {@link SessionStore} is told by its owner. */
export interface SessionStoreOptions {
  /** A session unheard of for so long, without stream or call, is closed. Milliseconds. */
  readonly idleTimeout: () => number;
  /** Told of each session that was closed for its silence. */
  readonly onReaped: (session: Session) => void;
}

/** All legacy sessions, by id. Owns the reaper timer; `close()` ends both. */
export class SessionStore {
  readonly #sessions = new Map<string, Session>();
  readonly #labels = new Map<string, Session>();
  readonly #options: SessionStoreOptions;
  #reaper: ReturnType<typeof setTimeout> | undefined;

  constructor(options: SessionStoreOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#sessions.size;
  }

  get(id: string): Session | undefined {
    return this.#sessions.get(id);
  }

  /** An open session by the name it has towards upstreams and in the log. */
  labelled(label: string): Session | undefined {
    return this.#labels.get(label);
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

  remove(session: Session): void {
    this.#sessions.delete(session.id);
    this.#labels.delete(session.label);
    if (this.#sessions.size === 0) this.#stop();
  }

  /** Closes what has been silent for too long as of `now`, in milliseconds since the epoch. */
  reap(now: number): void {
    const limit = this.#options.idleTimeout();
    for (const session of [...this.#sessions.values()]) {
      if (session.idleFor(now) < limit) continue;
      this.#options.onReaped(session);
      session.close("idle for too long");
    }
  }

  close(reason: string): void {
    this.#stop();
    for (const session of [...this.#sessions.values()]) session.close(reason);
  }

  #closeIdlest(): void {
    const now = Date.now();
    let idlest: Session | undefined;
    for (const session of this.#sessions.values()) {
      if (idlest === undefined || session.idleFor(now) > idlest.idleFor(now)) idlest = session;
    }
    if (idlest === undefined) return;
    this.#options.onReaped(idlest);
    idlest.close("too many sessions");
  }

  #schedule(): void {
    if (this.#reaper !== undefined) return;
    const every = Math.max(1_000, Math.min(60_000, this.#options.idleTimeout() / 4));
    this.#reaper = setTimeout(() => {
      this.#reaper = undefined;
      this.reap(Date.now());
      if (this.#sessions.size > 0) this.#schedule();
    }, every);
  }

  #stop(): void {
    clearTimeout(this.#reaper);
    this.#reaper = undefined;
  }
}
