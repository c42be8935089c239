import type { ServerConfig } from "../config/types.ts";
import type { JsonEdit } from "../lib/json-edit.ts";
import type { Clock } from "../lib/time.ts";
import type { Era } from "../protocol/eras.ts";
import { ErrorCode, RpcError } from "../protocol/errors.ts";
import { type Exchange, withProgressAbove } from "../protocol/exchange.ts";
import type { ResponseMessage } from "../protocol/message.ts";
import { isTaskMethod } from "../protocol/tasks.ts";
import { Admission } from "./admission.ts";
import type { Taken } from "./choose.ts";
import type { Line } from "./connection/line.ts";
import type { Slot } from "./instance.ts";
import { isRepeatable, judgeFailure, LostCallError } from "./loss.ts";
import type { Pool } from "./pool.ts";

/**
 * The calls of one upstream, from being let in to their end: counts them, and sends one whose
 * connection is lost once more where that is right. Owned by its upstream.
 */
export class Calls implements LineOwner {
  readonly usage = new Usage();
  readonly #pool: Pool;
  readonly #admission: Admission;
  #shape: ServerConfig["shape"];
  #closed = false;

  constructor(config: ServerConfig, pool: Pool, clock: Clock) {
    this.#shape = config.shape;
    this.#pool = pool;
    this.#admission = new Admission(config.name, config, clock);
  }

  /** Calls that wait for others to end. */
  get waiting(): number {
    return this.#admission.waiting;
  }

  /** Takes on other limits, and another shape. */
  reconfigure(config: ServerConfig): void {
    this.#shape = config.shape;
    this.#admission.reconfigure(config);
  }

  /** {@link Upstream.lineFor} */
  lineFor(exchange: Exchange): Line | Promise<Line> {
    this.usage.begin();
    const admitted = this.#needsRoom(exchange);
    return !admitted || this.#admission.tryEnter()
      ? this.#take(exchange, admitted)
      : this.#wait(exchange);
  }

  /** Nothing is repeated and nobody waits any more. */
  close(): void {
    this.#closed = true;
    this.#admission.close();
  }

  answered(slot: Slot, exchange: Exchange, response: ResponseMessage): void {
    slot.answered(response.error !== undefined);
    if (this.#pool.only === undefined) this.#pool.stickiness.learn(exchange, response, slot);
  }

  unanswered(slot: Slot, { signal }: Exchange, error: unknown): void {
    const atFault = error instanceof RpcError && !signal.aborted &&
      (error.code === ErrorCode.UpstreamUnavailable || error.code === ErrorCode.UpstreamTimeout);
    slot.unanswered(atFault);
  }

  isRepetition(failed: FailedSending): boolean {
    const { exchange, edits, error, isContinued, sentTo, wasRepeated } = failed;
    const { inventory } = sentTo.at(-1)!.instance;
    const verdict = judgeFailure({
      error,
      isWanted: !this.#closed && !exchange.signal.aborted,
      isSafe: () => isRepeatable(exchange, edits, { inventory, shape: this.#shape }),
      isContinued: isContinued || exchange.request.params?.inputResponses !== undefined,
      wasRepeated,
      attempts: sentTo.length,
      instances: this.#pool.slots.length,
      isElsewhere: this.#pool.isElsewhere(new Set(sentTo)),
    });
    if (verdict.kind === "fail") throw verdict.error;
    return verdict.again;
  }

  async otherWay({ exchange, error, era, sentTo }: FailedSending): Promise<OtherWay> {
    const { line, slot } = await this.#pool.take(exchange, new Set(sentTo));
    if (line.era !== era || this.#closed) {
      line.release();
      slot.leave();
      throw error;
    }
    const told = error instanceof LostCallError ? error.facts.progress : undefined;
    return {
      line,
      slot,
      exchange: told === undefined ? exchange : withProgressAbove(exchange, told),
    };
  }

  ended(failed: boolean, admitted: boolean): void {
    this.usage.end(failed);
    if (admitted) this.#admission.leave();
  }

  /** What is about a task must not wait for the very calls it may end: its own has been let in. */
  #needsRoom({ client, request }: Exchange): boolean {
    return !this.#admission.isBounded || !isTaskMethod(request.method, client.era);
  }

  async #wait(exchange: Exchange): Promise<Line> {
    try {
      await this.#admission.enter(exchange.signal);
    } catch (error) {
      this.usage.end(true);
      throw error;
    }
    return await this.#take(exchange, true);
  }

  #take(exchange: Exchange, admitted: boolean): Line | Promise<Line> {
    const { only } = this.#pool;
    if (only === undefined) {
      return this.#pool.take(exchange).then(
        ({ line, slot }) => new UsedLine(this, line, slot, admitted),
        (error) => this.#refused(error, admitted),
      );
    }
    only.enter();
    const refused = (error: unknown) => {
      only.leave();
      return this.#refused(error, admitted);
    };
    try {
      const line = only.instance.lineFor(exchange);
      return line instanceof Promise
        ? line.then((ready) => new UsedLine(this, ready, only, admitted), refused)
        : new UsedLine(this, line, only, admitted);
    } catch (error) {
      return refused(error);
    }
  }

  #refused(error: unknown, admitted: boolean): never {
    this.ended(true, admitted);
    throw error;
  }
}

/** Counts the calls of an upstream, and knows when the last of them has ended. Plain state. */
export class Usage {
  #calls = 0;
  #failed = 0;
  #inUse = 0;
  readonly #idle: (() => void)[] = [];

  /** Calls since the start, those in flight included. */
  get calls(): number {
    return this.#calls;
  }

  /** Calls that ended with an error, the server's own or the gateway's. */
  get failed(): number {
    return this.#failed;
  }

  /** Calls that have begun and not ended; a parked one counts. */
  get inUse(): number {
    return this.#inUse;
  }

  /** A call begins. */
  begin(): void {
    this.#calls++;
    this.#inUse++;
  }

  /** A call has ended. */
  end(failed: boolean): void {
    if (failed) this.#failed++;
    if (--this.#inUse === 0) { for (const resolve of this.#idle.splice(0)) resolve(); }
  }

  /** Resolves when nothing is in use. */
  whenIdle(): Promise<void> {
    if (this.#inUse === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }
}

/** One request on a line that failed, and what was done about it so far. */
export interface FailedSending {
  readonly exchange: Exchange;
  readonly edits: readonly JsonEdit[];
  readonly error: unknown;
  /** What was spoken to the server. */
  readonly era: Era;
  /** It is not the first request of its line. */
  readonly isContinued: boolean;
  /** The instances it was sent to, the latest last. */
  readonly sentTo: readonly Slot[];
  /** It has used up the one repetition of a call that may have been carried out. */
  readonly wasRepeated: boolean;
}

/** Another way for a request that failed. */
export interface OtherWay extends Taken {
  /** The exchange as it is to be sent there. */
  readonly exchange: Exchange;
}

/** Whoever gives out lines. */
export interface LineOwner {
  /** The server has answered, be it with an error. */
  answered(slot: Slot, exchange: Exchange, response: ResponseMessage): void;
  /** It has not. */
  unanswered(slot: Slot, exchange: Exchange, error: unknown): void;
  /**
   * Whether sending it once more uses up {@link FailedSending.wasRepeated}.
   * @throws what the client is to be told, where it is not to be sent once more
   */
  isRepetition(failed: FailedSending): boolean;
  /**
   * Finds another way; the old one has been given back.
   * @throws what the client is to be told, where there is none
   */
  otherWay(failed: FailedSending): Promise<OtherWay>;
  /** The line has been given back. */
  ended(failed: boolean, admitted: boolean): void;
}

/**
 * A line whose use is counted, from when it is given out to its release, and which finds another
 * way for a request whose connection is lost. Each request has one outcome.
 */
export class UsedLine implements Line {
  readonly #owner: LineOwner;
  readonly #admitted: boolean;
  readonly #era: Era;
  #line: Line;
  #slot: Slot;
  /** The line and the place at the instance are ours to give back. */
  #held = true;
  #requests = 0;
  #failed = false;
  #released = false;

  /** `admitted` is passed on to {@link LineOwner.ended}. */
  constructor(owner: LineOwner, line: Line, slot: Slot, admitted: boolean) {
    this.#owner = owner;
    this.#line = line;
    this.#era = line.era;
    this.#slot = slot;
    this.#admitted = admitted;
  }

  get era(): Era {
    return this.#era;
  }

  async forward(exchange: Exchange, edits: readonly JsonEdit[]): Promise<ResponseMessage> {
    this.#failed = true;
    const isContinued = this.#requests++ > 0;
    let sending = exchange;
    let sentTo: Slot[] | undefined;
    let wasRepeated = false;
    for (;;) {
      try {
        const response = await this.#line.forward(sending, edits);
        this.#failed = response.error !== undefined;
        this.#owner.answered(this.#slot, exchange, response);
        return response;
      } catch (error) {
        this.#owner.unanswered(this.#slot, exchange, error);
        (sentTo ??= []).push(this.#slot);
        const failed: FailedSending = {
          // As it was sent: what it must not be told again, a third attempt must not tell it either.
          exchange: sending,
          edits,
          error,
          era: this.#era,
          isContinued,
          sentTo,
          wasRepeated,
        };
        if (this.#owner.isRepetition(failed)) wasRepeated = true;
        this.#giveBack();
        const way = await this.#owner.otherWay(failed);
        this.#line = way.line;
        this.#slot = way.slot;
        this.#held = true;
        if (this.#released) {
          this.#giveBack();
          throw error;
        }
        sending = way.exchange;
      }
    }
  }

  release(): void {
    if (this.#released) return;
    this.#released = true;
    this.#giveBack();
    this.#owner.ended(this.#failed, this.#admitted);
  }

  #giveBack(): void {
    if (!this.#held) return;
    this.#held = false;
    this.#line.release();
    this.#slot.leave();
  }
}
