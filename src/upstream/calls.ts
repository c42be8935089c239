import type { ServerConfig } from "../config/config.ts";
import type { Clock } from "../lib/clock.ts";
import { withProgressAbove } from "../protocol/derived-exchange.ts";
import { ErrorCode, RpcError } from "../protocol/errors.ts";
import type { Exchange } from "../protocol/exchange.ts";
import type { ResponseMessage } from "../protocol/message.ts";
import { isTaskMethod } from "../protocol/tasks.ts";
import { Admission } from "./admission.ts";
import type { Line } from "./connection/line.ts";
import { judgeFailure, LostCallError } from "./loss.ts";
import type { Pool } from "./pool.ts";
import { isRepeatable } from "./repeatable.ts";
import type { Slot } from "./slot.ts";
import { Usage } from "./usage.ts";
import { type FailedSending, type LineOwner, type OtherWay, UsedLine } from "./used-line.ts";

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
