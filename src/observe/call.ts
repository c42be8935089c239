/** A call as whoever looks at it is told of it: in the API, on the command line, in the history. */

import { CALL_OUTCOMES, type CallOutcome } from "../gateway/outcome.ts";

export { CALL_OUTCOMES as OBSERVED_OUTCOMES };

/** What became of a call. */
export type ObservedOutcome = CallOutcome;

/** One call that has ended; public, member for member. Holds neither arguments nor results. */
export interface ObservedCall {
  /** Its correlation id, as in the log; unique in one process. */
  readonly id: string;
  /** When it was received, ms since the epoch. */
  readonly at: number;
  readonly method: string;
  /** Who was asked last; empty where it was nobody. */
  readonly server: string;
  /** The name or URI as clients know it. */
  readonly name?: string | undefined;
  /** As the server itself calls it. */
  readonly ownName?: string | undefined;
  /** What the client calls itself, with its version. */
  readonly client: string;
  /** The label of its session; never the id, which is a secret. */
  readonly session?: string | undefined;
  /** The key of its endpoint. */
  readonly endpoint: string;
  readonly outcome: ObservedOutcome;
  /** Of an error. */
  readonly code?: number | undefined;
  /** From its arrival to its end; the three below are parts of it. */
  readonly ms: number;
  /** Waiting for others to end. */
  readonly queueMs: number;
  readonly serverMs: number;
  readonly gatewayMs: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** `execute_tool`, where it was called through that. */
  readonly via?: string | undefined;
  /** Answered from the cache of results. */
  readonly cached?: boolean | undefined;
  /** How often it was sent to a server. */
  readonly attempts: number;
  readonly traceId?: string | undefined;
  /** The id of the call that made it. */
  readonly parent?: string | undefined;
  /** Who is behind it, where that is known. */
  readonly who?: string | undefined;
}

/** What of a call is counted. */
export type CountedCall = Pick<
  ObservedCall,
  "at" | "method" | "server" | "name" | "client" | "outcome" | "ms" | "bytesOut"
>;

/**
 * What a metric calls the way it went wrong: the tool's word for it, the code of a server's error,
 * else the outcome. Undefined where nothing did.
 */
export function errorTypeOf(
  { outcome, code }: Pick<ObservedCall, "outcome" | "code">,
): string | undefined {
  if (outcome === "ok" || outcome === "input_required") return undefined;
  return outcome === "error" && code !== undefined ? String(code) : outcome;
}

/** Whether it counts among the failed ones. Who cancels a call has not been failed. */
export function hasFailed({ outcome }: Pick<ObservedCall, "outcome">): boolean {
  return outcome !== "ok" && outcome !== "input_required" && outcome !== "cancelled";
}
