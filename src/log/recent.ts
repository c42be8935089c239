/** The last lines of the log, for whoever looks at them in the gateway itself. */

import { cut } from "../lib/text.ts";
import type { Entry } from "./entry.ts";

/** A line of the log, as redacted as that is; where that is JSON, its fields are all of it. */
export interface LogLine extends Pick<Entry, "level" | "category" | "message" | "fields"> {
  readonly id: number;
  /** Ms since the epoch. */
  readonly at: number;
}

/** Lines, characters of all of them, and of a message or the fields of one. */
const [MOST, MOST_CHARACTERS, LONGEST] = [1_000, 200_000, 1_000];

/** Keeps the last lines. */
export class RecentLines {
  readonly #listeners = new Set<(line: LogLine, entry: Entry) => void>();
  #lines: LogLine[] = [];
  #characters = 0;
  #count = 0;

  /** The latest first. */
  lines(): readonly LogLine[] {
    return this.#lines.toReversed();
  }

  /** Calls `listener`, which must not throw, with every line, until what it returns is called. */
  onLine(listener: (line: LogLine, entry: Entry) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  add(entry: Entry): void {
    const { time: at, level, category, message, fields, json } = entry;
    const line: LogLine = {
      id: ++this.#count,
      at,
      level,
      category,
      message: cut(message, LONGEST),
      fields: cut(json ?? fields, LONGEST),
    };
    this.#lines.push(line);
    this.#characters += size(line);
    while (this.#lines.length > MOST || this.#characters > MOST_CHARACTERS) {
      this.#characters -= size(this.#lines.shift()!);
    }
    for (const listener of this.#listeners) listener(line, entry);
  }
}

/** Those of this process, which has one log. */
export const recentLines: RecentLines = new RecentLines();

function size({ message, fields }: LogLine): number {
  return message.length + fields.length;
}
