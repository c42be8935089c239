/** What one session keeps for clients that lose a stream: this many events, this much text. */
export const EVENT_LOG_LIMITS = { events: 256, characters: 1024 * 1024 } as const;

interface Entry {
  readonly stream: number;
  readonly sequence: number;
  readonly raw: string;
}

/**
 * The last events of a session's streams, oldest dropped first, so that a client can ask for what
 * it missed with `Last-Event-ID` (Streamable HTTP, resumability). An id names its stream, because
 * a client resumes one stream and must not see another's messages there.
 */
export class EventLog {
  readonly #entries: Entry[] = [];
  #characters = 0;
  #sequence = 0;

  /** Keeps a message and returns its event id. */
  append(stream: number, raw: string): string {
    const entry = { stream, sequence: ++this.#sequence, raw };
    this.#entries.push(entry);
    this.#characters += raw.length;
    while (
      this.#entries.length > EVENT_LOG_LIMITS.events ||
      (this.#characters > EVENT_LOG_LIMITS.characters && this.#entries.length > 1)
    ) this.#characters -= this.#entries.shift()!.raw.length;
    return eventId(entry);
  }

  /** An id for "nothing yet": a client that resumes from it gets the stream from here on. */
  mark(stream: number): string {
    return eventId({ stream, sequence: this.#sequence });
  }

  /**
   * What followed the event with this id on its stream, or `undefined` for an id that is not ours.
   * Events that have been dropped meanwhile are missing without notice, as the protocol has none.
   */
  after(id: string): { stream: number; events: { id: string; raw: string }[] } | undefined {
    const match = /^(\d{1,15})-(\d{1,15})$/.exec(id);
    if (match === null) return undefined;
    const stream = Number(match[1]);
    const sequence = Number(match[2]);
    if (sequence > this.#sequence) return undefined;
    const events = this.#entries
      .filter((entry) => entry.stream === stream && entry.sequence > sequence)
      .map((entry) => ({ id: eventId(entry), raw: entry.raw }));
    return { stream, events };
  }
}

function eventId({ stream, sequence }: { stream: number; sequence: number }): string {
  return `${stream}-${sequence}`;
}
