import type { ServerConfig } from "../../config/config.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Pulse } from "../pulse.ts";
import type { UpstreamLog } from "../transport/log.ts";
import { assessHealth, type HealthReport, isSilence, judgeMiss, patienceFor } from "./health.ts";

/** What a {@link HealthMonitor} is made of. */
export interface HealthMonitorOptions {
  readonly clock: Clock;
  readonly log: UpstreamLog;
  readonly pulse: Pulse;
  /** As configured now. */
  readonly limits: () => Pick<ServerConfig, "healthInterval" | "healthThreshold">;
  /** Requests the server is at work on, in number. */
  readonly atWork: () => number;
  /** Asks the server something cheap, for at most so many ms; rejects where there is no answer. */
  readonly probe: (timeout: number) => Promise<unknown>;
  /** It counts as lost; `why` is a clause that follows the server's name. Called once. */
  readonly onLost: (why: string) => void;
}

/**
 * Probes one connection where its silence is ambiguous, and only there: while it says anything, it
 * costs a timer in each interval. Begins with its construction; owned by the connection.
 */
export class HealthMonitor {
  readonly #options: HealthMonitorOptions;
  #cancel: (() => void) | undefined;
  #probing = false;
  #stopped = false;
  #misses = 0;
  /** Those of the misses that had no excuse. */
  #counted = 0;
  /** What {@link Pulse.heardAt} was at the last miss. */
  #silentSince = NaN;

  constructor(options: HealthMonitorOptions) {
    this.#options = options;
    this.arm();
  }

  /** What is known at this moment. */
  get report(): HealthReport {
    const { clock, pulse } = this.#options;
    return assessHealth({
      misses: pulse.heardAt === this.#silentSince ? this.#misses : 0,
      silentFor: clock.now() - pulse.heardAt,
      timeoutsInRow: pulse.timeoutsInRow,
    });
  }

  /** Takes on changed limits; what was missed so far stays. */
  arm(): void {
    if (this.#probing) return;
    const { clock, limits, pulse } = this.#options;
    this.#wait(pulse.heardAt + limits().healthInterval - clock.now());
  }

  /** Ends it; a probe under way is of no consequence any more. */
  stop(): void {
    this.#stopped = true;
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #wait(ms: number): void {
    this.#cancel?.();
    this.#cancel = undefined;
    const { clock, limits } = this.#options;
    if (this.#stopped || limits().healthInterval <= 0) return;
    this.#cancel = clock.after(Math.max(0, ms), () => void this.#look());
  }

  async #look(): Promise<void> {
    this.#cancel = undefined;
    const { clock, limits, pulse, probe } = this.#options;
    const interval = limits().healthInterval;
    const began = clock.now();
    const silentSince = pulse.heardAt;
    if (silentSince !== this.#silentSince) this.#alive();
    if (began - silentSince < interval) return this.arm();
    this.#probing = true;
    let silent = false;
    try {
      await probe(patienceFor(interval));
    } catch (error) {
      silent = isSilence(error);
    }
    this.#probing = false;
    if (this.#stopped) return;
    // An answer that is no message counts as heard, too; whatever else came meanwhile does anyway.
    if (!silent && pulse.heardAt === silentSince) pulse.heard(clock.now());
    if (pulse.heardAt !== silentSince) {
      this.#alive();
      return this.arm();
    }
    this.#missed(silentSince, began);
  }

  #alive(): void {
    if (this.#misses > 0) this.#options.log.info("Answers again");
    this.#misses = this.#counted = 0;
  }

  #missed(silentSince: number, began: number): void {
    const { clock, log, pulse, limits, atWork, onLost } = this.#options;
    const { healthInterval, healthThreshold } = limits();
    this.#silentSince = silentSince;
    this.#misses++;
    const patience = patienceFor(healthInterval);
    const verdict = judgeMiss({
      atWork: atWork(),
      timeoutsUnheard: pulse.timeoutsUnheard,
      counted: this.#counted,
      threshold: healthThreshold,
    });
    if (verdict === "lost") {
      this.stop();
      const count = this.#counted + 1;
      const probes = count === 1 ? "a health probe" : `${count} health probes`;
      return onLost(`did not answer ${probes} within ${(count * patience) / 1_000} s`);
    }
    if (this.#misses === 1) log.warn(`Degraded: ${this.report.detail}`);
    this.#counted = verdict === "busy" ? 0 : this.#counted + 1;
    // One that is busy is not asked more often than one that is idle.
    this.#wait(began + (verdict === "busy" ? healthInterval : patience) - clock.now());
  }
}
