/** The group a child process leads, from its start to the end of its last member. */

import process from "node:process";
import { clearInterval, setInterval } from "node:timers";
import { codeOf } from "../../lib/text.ts";
import type { ProcessSignal } from "../types.ts";
import { guard } from "./guard.ts";

/** Milliseconds between looks at a group that outlives its leader. */
const LOOK = 1_000;

/**
 * Signals a process group for as long as its number is surely its own. Under guard until then, so
 * that it does not outlive this process either.
 */
export class ProcessGroup {
  #isGone = false;
  #hasLeader = true;
  #watch: ReturnType<typeof setInterval> | undefined;

  /** `leader` is the process id of a child started as leader of its own group. */
  constructor(private readonly leader: number) {
    guard.add(leader);
  }

  /** Signals every member. Does nothing once the group is gone; never throws. */
  signal(signal: "SIGTERM" | "SIGKILL"): void {
    // With the leader collected and the rest bound to die nothing of the group needs its number.
    if (this.#send(signal) && signal === "SIGKILL" && !this.#hasLeader) this.#forget();
  }

  /** The leader has ended and was collected; what is left of the group keeps the number taken. */
  leaderEnded(): void {
    this.#hasLeader = false;
    if (!this.look()) return;
    this.#watch = setInterval(() => this.look(), LOOK);
    this.#watch.unref();
  }

  /** Whether anybody is left. A number found free is never signalled again. */
  look(): boolean {
    return this.#send(0);
  }

  #send(signal: "SIGTERM" | "SIGKILL" | 0): boolean {
    if (this.#isGone) return false;
    try {
      process.kill(-this.leader, signal);
    } catch (error) {
      if (codeOf(error) === "ESRCH") this.#forget();
    }
    return !this.#isGone;
  }

  #forget(): void {
    this.#isGone = true;
    clearInterval(this.#watch);
    guard.remove(this.leader);
  }
}

/**
 * {@link Runtime.onSignal}. While a handler is registered the signal does not end the process; with
 * the last one removed the system's default is back.
 */
export function onSignal(signal: ProcessSignal, handler: () => void): () => void {
  // A listener of its own, so that the same handler may be registered twice and removed once.
  const listener = (): void => handler();
  process.on(signal, listener);
  return () => void process.off(signal, listener);
}
