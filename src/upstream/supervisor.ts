import type { ServerConfig } from "../config/types.ts";
import type { CancelSignal } from "../lib/cancel.ts";
import { messageOf } from "../lib/text.ts";
import { backOff, type Clock, pause } from "../lib/time.ts";
import { ErrorCode, RpcError } from "../protocol/errors.ts";
import {
  INITIAL_STATE,
  reasonOf,
  type StateReason,
  transition,
  type UpstreamEvent,
  type UpstreamState,
} from "./state.ts";
import { type LoginError, serverLabel, unavailable, wantsLogin } from "./transport/failures.ts";
import type { UpstreamLog } from "./transport/transport.ts";

/** How long a call to a server in back-off waits for the attempt it started, in ms. */
const RETRY_WAIT = 10_000;
/** A call starts an attempt ahead of time only this long after the last one failed, in ms. */
const RETRY_SPACING = 1_000;
/** The same where the server refuses our credentials: asking again seldom helps. */
const REFUSED_SPACING = 10_000;
/** Sessions in a row, none of which lasts, for which a call need not wait. */
const SESSIONS_IN_A_ROW = 10;
/** Back-off of a server that refuses our credentials begins with the longest pause. */
const REFUSED_FAILURES = 9;

/** What a {@link Supervisor} is made of. */
export interface SupervisorOptions {
  readonly server: string;
  readonly log: UpstreamLog;
  readonly clock: Clock;
  /** In [0, 1), for the jitter. */
  readonly random: () => number;
  /** Asked before every attempt but those that are first or wake it; no bound when absent. */
  readonly attempts: AttemptBudget | undefined;
  /** How long an attempt may take, in ms, as configured now. */
  readonly startupTimeout: () => number;
  /**
   * One attempt. Calls {@link Supervisor.opened} when it has come to something, and leaves nothing
   * open when it rejects; `signal` ends it, and its reason is why.
   */
  readonly open: (signal: AbortSignal, limit: number) => Promise<void>;
  /** The phase has changed. */
  readonly onChange: () => void;
}

/**
 * Keeps one thing alive for as long as it is wanted: begins attempts, counts failures, waits
 * between them, and never gives up. Knows nothing of what is opened.
 */
export class Supervisor {
  /** The first attempt has finished, up or down, or was put off. Never rejects. */
  readonly settled: Promise<void>;
  readonly #settled = Promise.withResolvers<void>();
  #state: UpstreamState = INITIAL_STATE;
  #reason: StateReason | undefined;
  #since = Date.now();
  #lastError: RpcError | undefined;
  #lastErrorAt: number | undefined;
  #retryAt: number | undefined;
  #readyAt = 0;
  #failedAt = -Infinity;
  #abort: AbortController | undefined;
  /** The attempt under way, to its end; the last one when there is none. */
  #attempt: Promise<void> = Promise.resolve();
  /** What a call waits for: the end of the attempt under way, or of that which is about to begin. */
  #turn: PromiseWithResolvers<void> | undefined;
  #cancelRetry: (() => void) | undefined;

  constructor(private readonly options: SupervisorOptions) {
    this.settled = this.#settled.promise;
  }

  /** Where it is in its life. */
  get state(): UpstreamState {
    return this.#state;
  }

  /** Why it is there; undefined while it is ready, and before it was wanted. */
  get reason(): StateReason | undefined {
    return this.#reason;
  }

  /**
   * Times in ms since the epoch: since when it is there, the last failure (also while it runs again),
   * and, in back-off, when the next attempt is due.
   */
  get history() {
    return {
      since: this.#since,
      lastError: this.#lastError,
      lastErrorAt: this.#lastErrorAt,
      retryAt: this.#retryAt,
    };
  }

  /** Begins; does nothing when it has begun, or cannot. */
  start(): void {
    if (this.#move({ type: "start" }, "starting")) this.#connect();
  }

  /** It is not wanted before somebody asks for it. */
  postpone(): void {
    if (this.#state.phase !== "idle") return;
    this.#reason = "lazy";
    this.#settled.resolve();
  }

  /** It never begins. */
  refuse(error: RpcError, reason: StateReason): void {
    this.#noteError(error);
    this.#state = transition(this.#state, { type: "close" });
    this.#reason = reason;
    this.#settled.resolve();
  }

  /** The attempt under way has come to something. */
  opened(): void {
    this.#readyAt = this.options.clock.now();
    this.#move({ type: "opened" }, undefined);
  }

  /** What was opened has gone away by itself; with reason `login`, until `granted`. */
  lost(error: RpcError, reason: StateReason, granted?: Promise<void>): void {
    const { clock, log } = this.options;
    this.#noteError(error);
    const stable = clock.now() - this.#readyAt >= STABLE_AFTER;
    if (granted !== undefined) return this.#awaitLogin({ type: "lost", stable }, granted);
    if (this.#backOff({ type: "lost", stable }, reason) === undefined) return;
    // The first attempt after a stable run needs no call to make it; and a server that has only
    // forgotten the session is there, unless it does nothing but forget.
    const most = reason === "session-expired" ? SESSIONS_IN_A_ROW : 1;
    if (this.#state.failures > most) this.#failedAt = clock.now();
    log.warn(`Lost: ${error.message}`);
  }

  /** What was opened is closed because nobody uses it; the next {@link attempt} opens it again. */
  rest(): void {
    this.#move({ type: "rest" }, "unused");
  }

  /**
   * Waits for the attempt under way, or begins one, for a bounded time. What has come of it is to
   * be looked at; `signal` ends the wait.
   */
  async attempt(signal: CancelSignal): Promise<void> {
    const { clock, startupTimeout } = this.options;
    if (this.#state.phase === "idle") this.start();
    const spacing = this.#reason === "unauthorized" ? REFUSED_SPACING : RETRY_SPACING;
    const mayTry = this.#reason !== "login" && clock.now() - this.#failedAt >= spacing;
    if (mayTry) this.#retry();
    if (this.#turn === undefined || signal.aborted) return;
    // A first start has its own deadline; later nobody should wait that long for a dead server.
    const bound = this.#state.failures > 0
      ? Math.min(RETRY_WAIT, startupTimeout())
      : startupTimeout();
    const over = new AbortController();
    const stop = () => over.abort();
    signal.addEventListener("abort", stop);
    const late = pause(bound, clock, over.signal).then(stop);
    try {
      // Where one ends with a login, another may begin at once by the next.
      for (let turn = this.#turn; turn !== undefined && !over.signal.aborted; turn = this.#turn) {
        await Promise.race([turn.promise, late]);
      }
    } finally {
      signal.removeEventListener("abort", stop);
      over.abort();
    }
  }

  /** What a call is told that it cannot serve. */
  unavailable(): RpcError {
    const error = this.#lastError;
    if (error === undefined) return unavailable(this.options.server, `is ${this.#state.phase}`);
    return wantsLogin(error) ? error : new RpcError(ErrorCode.UpstreamUnavailable, error.message);
  }

  /** Ends it for good; resolves when no attempt is under way any more. Never rejects. */
  async close(): Promise<void> {
    this.#cancelRetry?.();
    this.#cancelRetry = undefined;
    this.#move({ type: "close" }, "stopped");
    this.#abort?.abort(unavailable(this.options.server, "is being stopped"));
    await this.#attempt;
    this.#turn?.resolve();
    this.#turn = undefined;
    this.#settled.resolve();
  }

  #move(event: UpstreamEvent, reason: StateReason | undefined): boolean {
    const next = transition(this.#state, event);
    if (next === this.#state) return false;
    const moved = next.phase !== this.#state.phase;
    this.#state = next;
    this.#reason = reason;
    if (next.phase !== "backoff") this.#retryAt = undefined;
    if (moved) {
      this.#since = Date.now();
      this.options.onChange();
    }
    return true;
  }

  /** Milliseconds to the next attempt; undefined when the event means nothing any more. */
  #backOff(event: UpstreamEvent, reason: StateReason, atLeast = 0): number | undefined {
    const { random } = this.options;
    const next = transition(this.#state, event);
    if (next === this.#state) return undefined;
    const delay = nextDelay(Math.max(next.failures, atLeast), random());
    this.#schedule(delay, () => this.#retry());
    this.#move(event, reason);
    return delay;
  }

  #schedule(delay: number, callback: () => void): void {
    this.#cancelRetry?.();
    this.#retryAt = Date.now() + delay;
    this.#cancelRetry = this.options.clock.after(delay, callback);
  }

  /** Makes an attempt, as soon as there is one left to be made. */
  #retry(): void {
    // With a turn there is an attempt already, or it has been claimed.
    if (this.#state.phase !== "backoff" || this.#turn !== undefined) return;
    const { attempts, clock } = this.options;
    const wait = attempts?.claim(clock.now()) ?? 0;
    const go = () => {
      if (this.#move({ type: "retry" }, this.#reason)) this.#connect();
    };
    if (wait === 0) return go();
    this.#turn = Promise.withResolvers<void>();
    this.#schedule(wait, go);
  }

  #connect(): void {
    this.#cancelRetry?.();
    this.#cancelRetry = undefined;
    const turn = this.#turn ??= Promise.withResolvers<void>();
    const abort = this.#abort = new AbortController();
    this.#attempt = this.#run(turn, abort);
  }

  async #run(turn: PromiseWithResolvers<void>, abort: AbortController): Promise<void> {
    const { clock, server, startupTimeout, open } = this.options;
    // What is killed in the middle of a download begins it anew.
    const limit = startupTimeout() * (this.#reason === "timeout" ? 2 : 1);
    const stopClock = clock.after(limit, () => {
      const why = `was not ready within ${limit / 1_000} s; see "startupTimeout"`;
      abort.abort(new RpcError(ErrorCode.UpstreamTimeout, `${serverLabel(server)} ${why}`));
    });
    try {
      await open(abort.signal, limit);
    } catch (error) {
      this.#failed(error);
    } finally {
      stopClock();
      this.#turn = undefined;
      turn.resolve();
      this.#settled.resolve();
    }
  }

  #failed(error: unknown): void {
    const { server, clock, log } = this.options;
    const known = error instanceof RpcError ? error : unavailable(server, messageOf(error));
    const repeated = this.#lastError?.message === known.message && this.#state.failures > 2;
    this.#failedAt = clock.now();
    if (this.#state.phase === "closed") return;
    this.#noteError(known);
    const reason = reasonOf(error);
    const { granted } = error as Partial<LoginError>;
    if (granted !== undefined) return this.#awaitLogin({ type: "failed" }, granted);
    const least = reason === "unauthorized" ? REFUSED_FAILURES : 0;
    const delay = this.#backOff({ type: "failed" }, reason, least);
    if (delay === undefined) return;
    log[repeated ? "debug" : "warn"](`Cannot connect: ${known.message}`, {
      reason,
      retryInMs: delay,
      failures: this.#state.failures,
    });
  }

  /** It is not tried before somebody has logged in. */
  #awaitLogin(event: UpstreamEvent, granted: Promise<void>): void {
    if (!this.#move(event, "login")) return;
    this.options.log.warn(this.#lastError!.message);
    void granted.then(() => this.#reason === "login" && this.#retry());
  }

  #noteError(error: RpcError): void {
    this.#lastError = error;
    this.#lastErrorAt = Date.now();
  }
}

/** A connection that lived this long, in ms, ends the series of failures before it. */
export const STABLE_AFTER = 10_000;

/** Longest pause between two attempts, in ms, before jitter. */
export const MAX_BACKOFF = 60_000;

const FIRST_PAUSE = 500;
const JITTER = 0.2;

/**
 * Milliseconds before retry number `attempt` (1 is the first after a failure): at once, then
 * 0.5 s doubling to {@link MAX_BACKOFF}, each ±20 % so that servers lost together do not come back
 * together. `random` is in [0, 1). It never gives up.
 */
export function nextDelay(attempt: number, random: number): number {
  if (attempt <= 1) return 0;
  const pause = backOff(attempt - 1, FIRST_PAUSE, MAX_BACKOFF);
  return Math.round(pause * (1 - JITTER + 2 * JITTER * random));
}

/** One for the whole gateway: a hundred dying servers must not fork a hundred processes a second. */
export interface AttemptBudget {
  /**
   * Claims the next attempt; returns in how many milliseconds it is due, 0 for at once. Claims are
   * served in their order; one that is not used is lost. `now` is in milliseconds of one clock.
   */
  claim(now: number): number;
}

/**
 * A budget of `perSecond` attempts, and of `burst` at once after a quiet time. The defaults let the
 * loss of a server or of a whole host heal without a wait, and keep a storm under what two cores
 * start without being kept from serving.
 * @throws {RangeError} unless both are at least 1
 */
export function createAttemptBudget(
  { perSecond = 10, burst = 20 }: { readonly perSecond?: number; readonly burst?: number } = {},
): AttemptBudget {
  if (!(perSecond >= 1) || !(burst >= 1)) {
    throw new RangeError(
      `Cannot limit attempts to "${perSecond}/s, burst ${burst}": expected at least 1 of each`,
    );
  }
  const spacing = 1_000 / perSecond;
  /** When the attempt claimed last would be due, had there been no burst. */
  let due = -Infinity;
  return {
    claim(now) {
      due = Math.max(due, now - burst * spacing) + spacing;
      return Math.max(0, Math.ceil(due - now));
    },
  };
}

/** How long a lazy server that says nothing else stays after its last use, in ms. */
export const LAZY_IDLE_TIMEOUT = 300_000;

/** Milliseconds without use after which a server is stopped; undefined for never. */
export function idleTimeoutOf(
  { idleTimeout, lazy }: Pick<ServerConfig, "idleTimeout" | "lazy">,
): number | undefined {
  return idleTimeout ?? (lazy ? LAZY_IDLE_TIMEOUT : undefined);
}

/** What an {@link IdleTimer} is made of. */
export interface IdleTimerOptions {
  readonly clock: Clock;
  /** Milliseconds without use, as configured now; undefined for never. */
  readonly timeout: () => number | undefined;
  /** Whether it is in use at this moment; asked when the time would be over. */
  readonly inUse: () => boolean;
  /** It has not been used for that long; the timer has stopped. */
  readonly onIdle: () => void;
}

/**
 * Notices that something has not been used for a while. A use costs it one assignment; the timer
 * runs on meanwhile and looks when it ends.
 */
export class IdleTimer {
  #usedAt: number;
  #cancel: (() => void) | undefined;

  constructor(private readonly options: IdleTimerOptions) {
    this.#usedAt = options.clock.now();
  }

  /** It is used at this moment. */
  touch(): void {
    this.#usedAt = this.options.clock.now();
  }

  /** Begins, or takes on a changed timeout. */
  arm(): void {
    this.stop();
    const { clock, timeout } = this.options;
    const ms = timeout();
    if (ms === undefined) return;
    this.#cancel = clock.after(Math.max(0, this.#usedAt + ms - clock.now()), () => this.#look());
  }

  /** Ends; {@link IdleTimer.arm} begins anew. */
  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #look(): void {
    this.#cancel = undefined;
    const { clock, timeout, inUse, onIdle } = this.options;
    const ms = timeout();
    if (ms === undefined) return;
    if (inUse()) this.touch();
    if (clock.now() - this.#usedAt >= ms) onIdle();
    else this.arm();
  }
}
