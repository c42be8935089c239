/** Whether an upstream that is connected also works. */

import { formatDuration } from "../../lib/duration.ts";
import { ErrorCode, RpcError } from "../../protocol/errors.ts";
import { HttpStatusError } from "../transport/failures.ts";

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
