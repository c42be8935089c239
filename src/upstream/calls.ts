/**
 * The calls of one upstream, from being let in to their end: who may enter, who gets which
 * instance, and what is sent once more when its connection is lost.
 */

import { overriddenAnnotations, type ServerConfig } from "../config/types.ts";
import type { JsonEdit } from "../lib/json-edit.ts";
import { isObject, type JsonObject } from "../lib/json.ts";
import type { Clock } from "../lib/time.ts";
import type { Era } from "../protocol/eras.ts";
import { ErrorCode, RpcError } from "../protocol/errors.ts";
import { type Exchange, noteWait, withProgressAbove } from "../protocol/exchange.ts";
import { calledName } from "../protocol/inputs.ts";
import type { ResponseMessage } from "../protocol/message.ts";
import { methodRule } from "../protocol/methods.ts";
import { isTaskMethod } from "../protocol/tasks.ts";
import { CallAdmission } from "./admission.ts";
import { type Chooser, giveBack, type Slot, type Taken } from "./choose.ts";
import type { Line, OnceLine } from "./connection/line.ts";
import type { UpstreamEvents } from "./opener.ts";
import { HttpStatusError, LostCallError, wantsLogin } from "./transport/failures.ts";

/** The calls of one upstream. Owned by it. */
export class Calls {
  /** Calls since the start, those in flight included. */
  total = 0;
  /** Those that ended with an error, the server's own or the gateway's. */
  failed = 0;
  readonly #admission: CallAdmission;
  readonly #idle: (() => void)[] = [];
  #config: ServerConfig;
  /** Calls that have begun and not ended; a parked one counts. */
  #inUse = 0;
  #closed = false;

  constructor(
    config: ServerConfig,
    /** Who gets which instance. */
    readonly chooser: Chooser,
    clock: Clock,
    private readonly recheck?: UpstreamEvents["recheck"],
  ) {
    this.#config = config;
    this.#admission = new CallAdmission(config.name, config, clock);
  }

  /** Calls that wait for others to end. */
  get waiting(): number {
    return this.#admission.waiting;
  }

  /** Takes on other limits, another shape, and whether something may be held back. */
  reconfigure(config: ServerConfig): void {
    this.#config = config;
    this.#admission.reconfigure(config);
  }

  /** A line for an exchange, as soon as there is room for it. */
  lineFor(exchange: Exchange): UsedLine | Promise<UsedLine> {
    this.total++;
    this.#inUse++;
    const admitted = this.#needsRoom(exchange);
    const line = !admitted || this.#admission.tryEnter()
      ? this.#take(exchange, admitted)
      : this.#wait(exchange);
    return line instanceof Promise ? noteWait(exchange, line) : line;
  }

  /** Resolves when no call is in flight any more, a parked or waiting one included. */
  whenIdle(): Promise<void> {
    if (this.#inUse === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  /** Nothing is repeated and nobody waits any more. */
  close(): void {
    this.#closed = true;
    this.#admission.close();
  }

  /** A line has been given back, or there was none. */
  ended(failed: boolean, admitted: boolean): void {
    if (failed) this.failed++;
    if (--this.#inUse === 0) { for (const resolve of this.#idle.splice(0)) resolve(); }
    if (admitted) this.#admission.leave();
  }

  /**
   * Whether sending a request once more uses up the one repetition of a call that may have been
   * carried out.
   * @throws what the client is to be told, where it is not to be sent once more
   */
  isRepetition({ exchange, edits, error, isContinued, sentTo, wasRepeated }: Failed): boolean {
    const verdict = judgeFailure({
      error,
      isWanted: !this.#closed && !exchange.signal.aborted,
      isSafe: () => isRepeatable(exchange, edits, sentTo.at(-1)!, this.#config.shape),
      isContinued: isContinued || exchange.request.params?.inputResponses !== undefined,
      wasRepeated,
      attempts: sentTo.length,
      instances: this.chooser.slots.length,
      isElsewhere: this.chooser.isElsewhere(new Set(sentTo)),
    });
    if (verdict.kind === "fail") throw verdict.error;
    return verdict.again;
  }

  /**
   * Finds another line, of the same era, for a request that failed; the old one has been given back.
   * @throws what the client is to be told, where there is none
   */
  async otherWay({ exchange, error, sentTo }: Failed, era: Era): Promise<Taken> {
    const way = await this.chooser.take(exchange, new Set(sentTo));
    if (way.line.era === era && !this.#closed) return { ...way, line: this.#checked(way.line) };
    giveBack(way);
    throw error;
  }

  /** What is about a task must not wait for the very calls it may end: its own has been let in. */
  #needsRoom({ client, request }: Exchange): boolean {
    return !this.#admission.isBounded || !isTaskMethod(request.method, client.era);
  }

  async #wait(exchange: Exchange): Promise<UsedLine> {
    try {
      await this.#admission.enter(exchange.signal);
    } catch (error) {
      return this.#refused(error, false);
    }
    return await this.#take(exchange, true);
  }

  /** Not async: where there is one instance and it is connected, nothing is waited for. */
  #take(exchange: Exchange, admitted: boolean): UsedLine | Promise<UsedLine> {
    const { only } = this.chooser;
    if (only === undefined) {
      return this.chooser.take(exchange).then(
        ({ line, slot }) => new UsedLine(this, this.#checked(line), slot, admitted),
        (error) => this.#refused(error, admitted),
      );
    }
    only.inUse++;
    try {
      const line = only.instance.lineFor(exchange);
      if (!(line instanceof Promise)) {
        return new UsedLine(this, this.#checked(line), only, admitted);
      }
      return line.then(
        (ready) => new UsedLine(this, this.#checked(ready), only, admitted),
        (error) => this.#refused(error, admitted, only),
      );
    } catch (error) {
      return this.#refused(error, admitted, only);
    }
  }

  /** What is offered by now may be another than what the call was let in for. */
  #checked(line: Line): Line {
    const { recheck } = this;
    if (recheck === undefined || this.#config.pin !== "block") return line;
    const forward: Line["forward"] = async (exchange, edits) => {
      await recheck(exchange.request.method, calledName(exchange.request, edits));
      return await line.forward(exchange, edits);
    };
    return { era: line.era, forward, release: () => line.release() };
  }

  /** `slot` is the one it has taken a place at. */
  #refused(error: unknown, admitted: boolean, slot?: Slot): never {
    if (slot !== undefined) slot.inUse--;
    this.ended(true, admitted);
    throw error;
  }
}

/** One request on a line that failed, and what was done about it so far. */
interface Failed {
  /** As it was sent: what it must not be told again, a third attempt must not tell it either. */
  readonly exchange: Exchange;
  readonly edits: readonly JsonEdit[];
  readonly error: unknown;
  /** It is not the first request of its line. */
  readonly isContinued: boolean;
  /** The instances it was sent to, the latest last. */
  readonly sentTo: readonly Slot[];
  /** It has used up the one repetition of a call that may have been carried out. */
  readonly wasRepeated: boolean;
}

/**
 * A line whose use is counted, from when it is given out to its release, and which finds another
 * way for a request whose connection is lost. Each request has one outcome.
 */
class UsedLine implements OnceLine {
  readonly era: Era;
  /** The line and the place at the instance are ours to give back. */
  #held = true;
  #requests = 0;
  /** Its only request gives it back. */
  #isOnce = false;
  #failed = false;
  #released = false;

  /** `admitted` is passed on to {@link Calls.ended}. */
  constructor(
    private readonly calls: Calls,
    private line: Line,
    private slot: Slot,
    private readonly admitted: boolean,
  ) {
    this.era = line.era;
  }

  forward(exchange: Exchange, edits: readonly JsonEdit[]): Promise<ResponseMessage> {
    const isContinued = this.#requests++ > 0;
    this.#failed = true;
    return this.line.forward(exchange, edits).then(
      (response) => this.#answered(exchange, response),
      (error) => {
        const first = { isContinued, sentTo: [this.slot], wasRepeated: false };
        return this.#otherwise({ exchange, edits, error, ...first });
      },
    );
  }

  forwardOnce(exchange: Exchange, edits: readonly JsonEdit[]): Promise<ResponseMessage> {
    this.#isOnce = true;
    return this.forward(exchange, edits);
  }

  #answered(exchange: Exchange, response: ResponseMessage): ResponseMessage {
    this.#failed = response.error !== undefined;
    this.slot.answered(this.#failed);
    const { only, stickiness } = this.calls.chooser;
    if (only === undefined) stickiness.learn(exchange, response, this.slot);
    if (this.#isOnce) this.release();
    return response;
  }

  async #otherwise(failed: Failed): Promise<ResponseMessage> {
    const { exchange, edits, error, sentTo } = failed;
    this.slot.unanswered(isAtFault(error) && !exchange.signal.aborted);
    try {
      const wasRepeated = this.calls.isRepetition(failed) || failed.wasRepeated;
      this.#giveBack();
      const way = await this.calls.otherWay(failed, this.era);
      this.line = way.line;
      this.slot = way.slot;
      this.#held = true;
      if (this.#released) {
        this.#giveBack();
        throw error;
      }
      const told = error instanceof LostCallError ? error.facts.progress : undefined;
      const sending = told === undefined ? exchange : withProgressAbove(exchange, told);
      try {
        return this.#answered(exchange, await this.line.forward(sending, edits));
      } catch (error) {
        const again = { exchange: sending, error, sentTo: [...sentTo, this.slot], wasRepeated };
        return await this.#otherwise({ ...failed, ...again });
      }
    } finally {
      if (this.#isOnce) this.release();
    }
  }

  release(): void {
    if (this.#released) return;
    this.#released = true;
    this.#giveBack();
    this.calls.ended(this.#failed, this.admitted);
  }

  #giveBack(): void {
    if (!this.#held) return;
    this.#held = false;
    this.line.release();
    this.slot.inUse--;
  }
}

/** Whether it says that the instance did not answer as it should have. */
function isAtFault(error: unknown): boolean {
  return error instanceof RpcError && !wantsLogin(error) &&
    (error.code === ErrorCode.UpstreamUnavailable || error.code === ErrorCode.UpstreamTimeout);
}

/** Everything that decides what becomes of a call that failed. */
export interface FailedCall {
  readonly error: unknown;
  /** Somebody still waits for it: neither has its client cancelled nor the gateway stopped. */
  readonly isWanted: boolean;
  /** Whether doing it twice does no harm; asked only where that matters. */
  readonly isSafe: () => boolean;
  /** Its client has answered questions on its behalf in an earlier round. */
  readonly isContinued: boolean;
  /** It has been repeated although the server may have got it; that is done once. */
  readonly wasRepeated: boolean;
  /** How often it has been sent, or tried to be. */
  readonly attempts: number;
  /** Instances of the server. */
  readonly instances: number;
  /** Another instance is ready. */
  readonly isElsewhere: boolean;
}

/** What becomes of it. */
export type Repetition =
  /** `again` is whether this uses up the one repetition of a call that may have been carried out. */
  | { readonly kind: "repeat"; readonly again: boolean }
  | { readonly kind: "fail"; readonly error: unknown };

/** Statuses of a proxy whose server is away or full: another instance may be better off. */
const AWAY = new Set([502, 503, 504]);

/**
 * Decides it. What never reached a server may always go to another one; what may have been carried
 * out is repeated once, if that does no harm and its client has not been asked anything.
 */
export function judgeFailure(call: FailedCall): Repetition {
  const { error, isWanted, isSafe, attempts, instances } = call;
  const fail = (error: unknown): Repetition => ({ kind: "fail", error });
  if (!isWanted) return fail(error);
  if (error instanceof HttpStatusError && AWAY.has(error.status)) {
    const may = call.isElsewhere && !call.wasRepeated && !call.isContinued && isSafe();
    return may ? { kind: "repeat", again: true } : fail(error);
  }
  if (!(error instanceof LostCallError)) return fail(error);
  const { facts } = error;
  if (!facts.sent && !call.isContinued) {
    return attempts <= instances ? { kind: "repeat", again: false } : fail(error);
  }
  if (facts.asked || call.isContinued) {
    return fail(annotated(error, "its client has been asked something on its behalf"));
  }
  if (!isSafe()) return fail(annotated(error, "it may have been carried out"));
  return call.wasRepeated ? fail(error) : { kind: "repeat", again: true };
}

function annotated({ server, why, facts }: LostCallError, because: string): LostCallError {
  const note = `the call was not repeated, because ${because}: send it again`;
  return new LostCallError(server, `${why}; ${note}`, facts);
}

/**
 * Whether a request may be sent a second time although nobody knows what became of the first:
 * reading does no harm, and neither does a tool that says so itself (server/tools, annotations), or
 * of which the configuration says so, which has the last word.
 */
function isRepeatable(
  { request, client }: Exchange,
  edits: readonly JsonEdit[],
  { instance }: Slot,
  shape: ServerConfig["shape"],
): boolean {
  if (methodRule(request.method, client.era)?.safe === true) return true;
  if (request.method !== "tools/call") return false;
  const name = calledName(request, edits);
  const item = instance.inventory.lists.tools.items.find(({ key }) => key === name);
  if (item === undefined) return false;
  const { annotations } = JSON.parse(item.raw) as JsonObject;
  return mayRepeat(
    isObject(annotations) ? annotations : {},
    overriddenAnnotations(shape?.tools?.overrides ?? [], item.key),
  );
}

function mayRepeat(own: JsonObject, overridden: JsonObject): boolean {
  if ((overridden.readOnlyHint ?? own.readOnlyHint) === true) return true;
  if (overridden.idempotentHint !== undefined) return overridden.idempotentHint === true;
  // The hint means something of tools that write only: beside "reads only" the server has not
  // said it of what the configuration knows to write.
  return own.readOnlyHint !== true && own.idempotentHint === true;
}
