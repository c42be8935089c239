/** A call as whoever looks at it is told of it: in the API, on the command line, in the history. */

/** What may become of a call. */
export const OBSERVED_OUTCOMES = [
  "ok",
  /** The tool says so itself (`isError`). */
  "tool_error",
  /** An error of the protocol, from the server. */
  "error",
  /** By the gateway: invalid, unknown, forbidden, beyond a limit. */
  "refused",
  "unavailable",
  "timeout",
  "cancelled",
  /** The server asks something first. */
  "input_required",
] as const;

/** One of {@link OBSERVED_OUTCOMES}. */
export type ObservedOutcome = (typeof OBSERVED_OUTCOMES)[number];

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
