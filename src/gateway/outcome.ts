/** What may become of a call, in one word. */
export const CALL_OUTCOMES = [
  "ok",
  /** The tool says so itself (`isError`). */
  "tool_error",
  /** An error of the protocol, from the server; or the gateway is broken. */
  "error",
  /** By the gateway: invalid, unknown, forbidden, beyond a limit. */
  "refused",
  "unavailable",
  "timeout",
  "cancelled",
  /** The server asks something first. */
  "input_required",
] as const;

/** One of {@link CALL_OUTCOMES}. */
export type CallOutcome = (typeof CALL_OUTCOMES)[number];
