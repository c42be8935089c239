import type { ServerConfig } from "../config/types.ts";
import type { CancelSignal } from "../lib/cancel.ts";
import { plural } from "../lib/text.ts";
import type { Clock } from "../lib/time.ts";
import { ErrorCode, RpcError } from "../protocol/errors.ts";
import { serverLabel, unavailable } from "./transport/failures.ts";

/** The settings an {@link CallAdmission} goes by. */
export type AdmissionLimits = Pick<ServerConfig, "maxConcurrency" | "maxQueue" | "timeout">;

/**
 * How many calls a server gets at a time: the next ones wait, first come, first served, and beyond
 * the queue they are refused. One for all its instances. Owned by the upstream, like its calls.
 */
export class CallAdmission {
  #most: number;
  #inside = 0;
  /** Told that they are inside, or why they will never be. */
  readonly #waiting = new Set<(refusal?: RpcError) => void>();
  #closed = false;

  constructor(
    private readonly server: string,
    private limits: AdmissionLimits,
    private readonly clock: Clock,
  ) {
    this.#most = limits.maxConcurrency ?? Infinity;
  }

  /** Calls that wait. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Whether nobody is inside, or waits. */
  get isEmpty(): boolean {
    return this.#inside === 0 && this.#waiting.size === 0;
  }

  /** Whether there is a bound at all. */
  get isBounded(): boolean {
    return this.#most < Infinity;
  }

  /** Takes on other limits: higher ones let in who waits, lower ones turn out nobody. */
  reconfigure(limits: AdmissionLimits): void {
    this.limits = limits;
    this.#most = limits.maxConcurrency ?? Infinity;
    this.#letIn();
  }

  /** Enters where there is room and nobody waits; to be followed by {@link CallAdmission.leave}. */
  tryEnter(): boolean {
    if (this.#inside >= this.#most || this.#waiting.size > 0) return false;
    this.#inside++;
    return true;
  }

  /**
   * Waits for room; resolves inside.
   * @throws {RpcError} (rejects) UpstreamBusy at once when the queue is full, UpstreamTimeout after
   * the time a call may take, UpstreamUnavailable when `signal` aborts or on {@link CallAdmission.close}
   */
  enter(signal: CancelSignal): Promise<void> {
    const refusal = this.#refusal(signal);
    if (refusal !== undefined) return Promise.reject(refusal);
    return new Promise((resolve, reject) => {
      const settle = (refused?: RpcError) => {
        this.#waiting.delete(settle);
        stopClock();
        signal.removeEventListener("abort", cancel);
        if (refused === undefined) resolve();
        else reject(refused);
      };
      const cancel = () => settle(this.#noLongerAsked());
      const { timeout } = this.limits;
      const stopClock = this.clock.after(timeout, () => settle(this.#late(timeout)));
      signal.addEventListener("abort", cancel);
      this.#waiting.add(settle);
    });
  }

  /** One that was inside is done. */
  leave(): void {
    this.#inside--;
    this.#letIn();
  }

  /** Refuses everybody from now on, and those who wait. */
  close(): void {
    this.#closed = true;
    for (const settle of [...this.#waiting]) settle(unavailable(this.server, "was stopped"));
  }

  #letIn(): void {
    for (const settle of this.#waiting) {
      if (this.#inside >= this.#most) return;
      this.#inside++;
      settle();
    }
  }

  #refusal(signal: CancelSignal): RpcError | undefined {
    if (this.#closed) return unavailable(this.server, "was stopped");
    if (signal.aborted) return this.#noLongerAsked();
    if (this.#waiting.size < this.limits.maxQueue) return undefined;
    return new RpcError(
      ErrorCode.UpstreamBusy,
      `${serverLabel(this.server)} is busy: ${this.#load}; try again later, or raise ` +
        '"maxConcurrency" or "maxQueue"',
    );
  }

  #noLongerAsked(): RpcError {
    return unavailable(this.server, "is no longer asked");
  }

  #late(ms: number): RpcError {
    return new RpcError(
      ErrorCode.UpstreamTimeout,
      `${serverLabel(this.server)} had no room for the call within ${ms / 1_000} s: ${this.#load}`,
    );
  }

  get #load(): string {
    return `${plural(this.#inside, "call")} in progress and ${this.#waiting.size} waiting`;
  }
}
