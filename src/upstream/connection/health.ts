/** Whether an upstream that is connected also works. */

import type { ServerConfig } from "../../config/types.ts";
import { formatDuration } from "../../lib/time.ts";
import { ErrorCode, RpcError } from "../../protocol/errors.ts";
import { HttpStatusError } from "../transport/failures.ts";
import type { Channel } from "./channel.ts";

/**
 * `ok`: it has answered. `degraded`: it is connected, and does not answer all it should.
 * `unknown`: it is not connected.
 */
export type Health = "ok" | "degraded" | "unknown";

/** What is known about the health of a connection. */
export interface HealthReport {
  readonly health: Health;
  /** A clause that follows the server's name, where it is not ok. */
  readonly detail: string | undefined;
}

/** Calls in a row without an answer that make a server degraded. */
const TIMEOUTS = 2;
/** Longest wait for the answer to a probe, in ms. */
const MAX_PATIENCE = 10_000;

/** What a {@link HealthReport} is made from. */
export interface HealthSigns {
  /** Probes in a row that were not answered, with nothing else heard meanwhile. */
  readonly misses: number;
  /** Milliseconds since anything was heard. */
  readonly silentFor: number;
  /** Calls in a row that ran out of time. */
  readonly timeoutsInRow: number;
}

/** The health of a connection that is open. */
export function assessHealth({ misses, silentFor, timeoutsInRow }: HealthSigns): HealthReport {
  if (misses > 0) {
    const probes = misses === 1 ? "a health probe" : `${misses} health probes`;
    const silence = formatDuration(Math.round(silentFor / 1_000) * 1_000);
    return {
      health: "degraded",
      detail: `has not answered ${probes} and been silent for ${silence}`,
    };
  }
  if (timeoutsInRow >= TIMEOUTS) {
    return { health: "degraded", detail: `let its last ${timeoutsInRow} calls run out of time` };
  }
  return { health: "ok", detail: undefined };
}

/** How long a probe waits for its answer, in ms; `interval` is the configured one. */
export function patienceFor(interval: number): number {
  return Math.min(interval, MAX_PATIENCE);
}

/** What is known when a probe was not answered. */
export interface Miss {
  /** Requests the server is at work on, in number. */
  readonly atWork: number;
  /** Calls that ran out of time since anything was heard. */
  readonly timeoutsUnheard: number;
  /** Probes in a row before this one that had no answer and no excuse. */
  readonly counted: number;
  /** {@link ServerConfig.healthThreshold} */
  readonly threshold: number;
}

/**
 * What a probe without an answer means. A server of a single thread that computes for a minute is
 * silent too, so work in progress is an excuse (`busy`), until a call has run out of time in the
 * same silence. Without one it counts (`missed`), and at the threshold the connection is `lost`.
 */
export function judgeMiss({ atWork, timeoutsUnheard, counted, threshold }: Miss) {
  if (atWork > 0 && timeoutsUnheard === 0) return "busy" as const;
  return counted + 1 >= threshold ? "lost" as const : "missed" as const;
}

/**
 * Whether a probe that failed with this says that the server does not work: no answer at all, or a
 * proxy that answers for it. Every other answer is life, a refusal included.
 */
export function isSilence(error: unknown): boolean {
  if (error instanceof HttpStatusError) return error.status >= 500;
  return !(error instanceof RpcError) || error.code !== ErrorCode.UpstreamProtocol;
}

/**
 * Probes one connection where its silence is ambiguous, and only there: while it says anything, it
 * costs a timer in each interval. Begins with its construction; owned by the connection.
 */
export class HealthMonitor {
  #cancel: (() => void) | undefined;
  #probing = false;
  #stopped = false;
  #misses = 0;
  /** Those of the misses that had no excuse. */
  #counted = 0;
  /** What {@link Channel.heardAt} was at the last miss. */
  #silentSince = NaN;

  /** `limits` are those configured now. */
  constructor(
    private readonly channel: Channel,
    private readonly limits: () => Pick<ServerConfig, "healthInterval" | "healthThreshold">,
  ) {
    this.arm();
  }

  /** What is known at this moment. */
  get report(): HealthReport {
    const { clock, heardAt, timeoutsInRow } = this.channel;
    return assessHealth({
      misses: heardAt === this.#silentSince ? this.#misses : 0,
      silentFor: clock.now() - heardAt,
      timeoutsInRow,
    });
  }

  /** Takes on changed limits; what was missed so far stays. */
  arm(): void {
    if (this.#probing) return;
    const { clock, heardAt } = this.channel;
    this.#wait(heardAt + this.limits().healthInterval - clock.now());
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
    if (this.#stopped || this.limits().healthInterval <= 0) return;
    this.#cancel = this.channel.clock.after(Math.max(0, ms), () => void this.#look());
  }

  async #look(): Promise<void> {
    this.#cancel = undefined;
    const { channel } = this;
    const { clock, heardAt: silentSince } = channel;
    const interval = this.limits().healthInterval;
    const began = clock.now();
    if (silentSince !== this.#silentSince) this.#alive();
    if (began - silentSince < interval) return this.arm();
    this.#probing = true;
    let silent = false;
    try {
      const method = channel.era === "modern" ? "server/discover" : "ping";
      await channel.request(method, undefined, { timeout: patienceFor(interval) });
    } catch (error) {
      silent = isSilence(error);
    }
    this.#probing = false;
    if (this.#stopped) return;
    // An answer that is no message counts as heard, too; whatever else came meanwhile does anyway.
    if (!silent && channel.heardAt === silentSince) channel.heard();
    if (channel.heardAt !== silentSince) {
      this.#alive();
      return this.arm();
    }
    this.#missed(silentSince, began);
  }

  #alive(): void {
    if (this.#misses > 0) this.channel.log.info("Answers again");
    this.#misses = this.#counted = 0;
  }

  #missed(silentSince: number, began: number): void {
    const { clock, log, atWork, timeoutsUnheard } = this.channel;
    const { healthInterval, healthThreshold } = this.limits();
    this.#silentSince = silentSince;
    this.#misses++;
    const patience = patienceFor(healthInterval);
    const verdict = judgeMiss({
      atWork,
      timeoutsUnheard,
      counted: this.#counted,
      threshold: healthThreshold,
    });
    if (verdict === "lost") {
      this.stop();
      const count = this.#counted + 1;
      const probes = count === 1 ? "a health probe" : `${count} health probes`;
      const message = `did not answer ${probes} within ${(count * patience) / 1_000} s`;
      return void this.channel.giveUp({ code: "unresponsive", message });
    }
    if (this.#misses === 1) log.warn(`Degraded: ${this.report.detail}`);
    this.#counted = verdict === "busy" ? 0 : this.#counted + 1;
    // One that is busy is not asked more often than one that is idle.
    this.#wait(began + (verdict === "busy" ? healthInterval : patience) - clock.now());
  }
}
