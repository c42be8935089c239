/** The life of an upstream as a pure function. */

import { ErrorCode, RpcError } from "../protocol/errors.ts";
import { SpawnError } from "../runtime/types.ts";
import {
  ConnectionLostError,
  HttpStatusError,
  LoginError,
  NetworkError,
} from "./transport/failures.ts";
import type { CloseReason } from "./transport/transport.ts";

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
  const [from = state.phase, phase] = MOVES[event.type];
  if (state.phase === "closed" || state.phase !== from) return state;
  let { failures, restarts } = state;
  if (event.type === "opened" && state.wasReady && failures > 0) restarts++;
  if (event.type === "failed" || event.type === "lost") failures++;
  if (event.type === "lost" && event.stable) failures = 1;
  if (event.type === "rest") failures = 0;
  return { phase, failures, restarts, wasReady: state.wasReady || phase === "ready" };
}

/** From which phase an event leads, and to which; from all of them where none is said. */
const MOVES: Readonly<
  Record<UpstreamEvent["type"], readonly [from: Phase | undefined, to: Phase]>
> = {
  start: ["idle", "connecting"],
  opened: ["connecting", "ready"],
  failed: ["connecting", "backoff"],
  lost: ["ready", "backoff"],
  retry: ["backoff", "connecting"],
  rest: ["ready", "idle"],
  close: [undefined, "closed"],
};

/**
 * The state of a server by those of its instances, at least one: the best phase there is, and the
 * restarts of all. Of a single instance it is the very same object.
 */
export function combinedState(states: readonly UpstreamState[]): UpstreamState {
  const phase = bestPhase(states.map((state) => state.phase));
  const best = states.find((state) => state.phase === phase)!;
  if (states.length === 1) return best;
  return {
    ...best,
    restarts: states.reduce((sum, { restarts }) => sum + restarts, 0),
    wasReady: states.some(({ wasReady }) => wasReady),
  };
}

/** The phase of all instances together: that of the best of them. */
export function bestPhase(phases: readonly Phase[]): Phase {
  return OVERALL.find((phase) => phases.includes(phase)) ?? "closed";
}

/** Another order than that of the choice: one that rests does not hide that another one is lost. */
const OVERALL: readonly Phase[] = ["ready", "connecting", "backoff", "idle", "closed"];

/**
 * Every reason why an upstream is where it is (pinned by a test), in one word for programs, each
 * with what it says; `lastError` tells it to people.
 */
export const STATE_REASONS = {
  starting: "it is being connected, and nothing has failed since it was last wanted",
  lazy: "it waits for its first use; its lists are known",
  unused: "it was stopped because nobody used it",
  configuration: "its entry in the configuration cannot be used",
  disabled: "its entry in the configuration is switched off",
  stopped: "the gateway has stopped it",
  spawn: "its process could not be started",
  exited: "its process has ended",
  refused: "nothing listens where it should be",
  dns: "the name of its host is unknown",
  tls: "no encrypted connection could be made: certificate or handshake",
  network: "the network failed in another way",
  closed: "its connection or its event stream was closed",
  unauthorized: "it answered HTTP 401 or 403",
  login: "it wants a login, and waits for it",
  "http-status": "it answered with another HTTP status that is no answer",
  protocol: "what it said is no MCP, or no version of it that is known here",
  timeout: "it was not ready in time",
  unresponsive: "it was connected, and did not answer health probes, or said only junk",
  "session-expired": "it has forgotten the session",
  failed: "something else, which the error tells",
} as const;

/** One word for why an upstream is not ready. */
export type StateReason = keyof typeof STATE_REASONS;

/** The reason behind what an attempt to connect was ended by. */
export function reasonOf(error: unknown): StateReason {
  if (error instanceof ConnectionLostError) return reasonOfClose(error.reason);
  if (error instanceof NetworkError) return error.fault;
  if (error instanceof LoginError) return error.granted === undefined ? "unauthorized" : "login";
  if (error instanceof HttpStatusError) {
    return error.status === 401 || error.status === 403 ? "unauthorized" : "http-status";
  }
  if (!(error instanceof RpcError)) return "failed";
  if (error.cause instanceof SpawnError) return "spawn";
  // What speaks neither of two transports is told by how it answered the first.
  if (error.cause instanceof HttpStatusError) return reasonOf(error.cause);
  if (error.code === ErrorCode.UpstreamTimeout) return "timeout";
  return error.code === ErrorCode.UpstreamProtocol ? "protocol" : "failed";
}

/** The reason behind the end of a connection. */
export function reasonOfClose({ code, fault }: CloseReason): StateReason {
  if (code === "disconnected") return fault ?? "closed";
  return code === "closed" ? "stopped" : code;
}
