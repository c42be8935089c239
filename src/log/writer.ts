import type { Entry } from "./entry.ts";

/** Where entries end up. One write is under way at a time; see `pump.ts`. */
export interface Writer {
  /**
   * Hands over entries in order and resolves with how many of them the destination took, at least
   * one. Rejects when it took none; the same entries may then be offered again. May stay pending
   * for as long as the destination is not ready.
   */
  write(entries: readonly Entry[]): Promise<number>;
  /** Lets go of sockets and processes. Never rejects. */
  close(): Promise<void>;
}
