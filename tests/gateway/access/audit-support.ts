/** For the tests of the audit: a clock and a disk in the hands of the test. */

import type { AuditDisk } from "../../../src/gateway/access/audit-file.ts";
import type { Clock } from "../../../src/lib/time.ts";

/** A clock that is turned by hand. */
export class HandClock implements Clock {
  time = 0;
  readonly #timers = new Set<{ readonly at: number; readonly run: () => void }>();

  now(): number {
    return this.time;
  }

  after(ms: number, run: () => void): () => void {
    const timer = { at: this.time + ms, run };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  pass(ms: number): void {
    this.time += ms;
    for (const timer of [...this.#timers].sort((a, b) => a.at - b.at)) {
      if (timer.at > this.time || !this.#timers.delete(timer)) continue;
      timer.run();
    }
  }
}

/** A disk in memory; one with `room` is full after so many bytes more. */
export class FakeDisk implements AuditDisk {
  readonly files = new Map<string, string>();
  room = Infinity;
  appends = 0;
  hold: Promise<void> | undefined;

  async end(path: string, most: number) {
    await this.hold;
    const bytes = this.files.has(path) ? new TextEncoder().encode(this.files.get(path)) : undefined;
    return bytes && { size: bytes.length, bytes: bytes.slice(-most) };
  }

  async append(path: string, bytes: Uint8Array): Promise<number> {
    this.appends++;
    await this.hold;
    const fits = Math.min(this.room, bytes.length);
    if (fits === 0 && bytes.length + this.room > 0 && this.room < Infinity) {
      throw Object.assign(new Error("no space"), { code: "ENOSPC" });
    }
    this.room -= fits;
    const text = new TextDecoder().decode(bytes.subarray(0, fits));
    this.files.set(path, (this.files.get(path) ?? "") + text);
    return fits;
  }

  rename(from: string, to: string): Promise<void> {
    const text = this.files.get(from);
    if (text !== undefined) this.files.set(to, text);
    this.files.delete(from);
    return Promise.resolve();
  }
}

/** Where the lines are. */
export const PATH = "/audit.jsonl";
