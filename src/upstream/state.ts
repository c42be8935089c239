/** The life of an upstream as a pure function. */

/** Where an upstream is in its life. `closed` is final. */
export type Phase = "idle" | "connecting" | "ready" | "backoff" | "closed";

/** Everything that can happen to one. */
export type UpstreamEvent =
  /** It is wanted: the gateway starts, or one at rest gets a call. */
  | { readonly type: "start" }
  /** Handshake and first lists are done. */
  | { readonly type: "opened" }
  /** The attempt came to nothing. */
  | { readonly type: "failed" }
  /** A working connection went away; `stable` when it had lived long enough to forget failures. */
  | { readonly type: "lost"; readonly stable: boolean }
  /** The pause is over, or a call does not want to wait for its end. */
  | { readonly type: "retry" }
  /** Nobody has used it for a while. */
  | { readonly type: "rest" }
  /** It is not wanted any more. */
  | { readonly type: "close" };

/** The state proper; a new object for every change, the same one where nothing changed. */
export interface UpstreamState {
  readonly phase: Phase;
  /** Failures since it last ran stably; what `nextDelay()` takes. */
  readonly failures: number;
  /** How often it was connected again after a failure; not counted: after a rest. */
  readonly restarts: number;
  /** Whether it has ever been ready. */
  readonly wasReady: boolean;
}

/** How every upstream begins. */
export const INITIAL_STATE: UpstreamState = {
  phase: "idle",
  failures: 0,
  restarts: 0,
  wasReady: false,
};

/**
 * The next state. An event that means nothing in the present phase (a timer that fires after the
 * stop, a second loss) changes nothing and returns the very same object.
 *
 * ```
 * idle ──start──▶ connecting ──opened──▶ ready
 *   ▲              ▲   └─failed─▶ backoff ◀─lost─┤
 *   │              └────retry──────┘             │
 *   └──────────────────────────────rest──────────┘   any ──close──▶ closed
 * ```
 */
export function transition(state: UpstreamState, event: UpstreamEvent): UpstreamState {
  const { phase } = state;
  if (phase === "closed") return state;
  switch (event.type) {
    case "start":
      return phase === "idle" ? { ...state, phase: "connecting" } : state;
    case "opened":
      if (phase !== "connecting") return state;
      return {
        ...state,
        phase: "ready",
        restarts: state.restarts + (state.wasReady && state.failures > 0 ? 1 : 0),
        wasReady: true,
      };
    case "failed":
      return phase === "connecting"
        ? { ...state, phase: "backoff", failures: state.failures + 1 }
        : state;
    case "lost":
      return phase === "ready"
        ? { ...state, phase: "backoff", failures: event.stable ? 1 : state.failures + 1 }
        : state;
    case "retry":
      return phase === "backoff" ? { ...state, phase: "connecting" } : state;
    case "rest":
      return phase === "ready" ? { ...state, phase: "idle", failures: 0 } : state;
    case "close":
      return { ...state, phase: "closed" };
    default: {
      const never: never = event;
      return never;
    }
  }
}
