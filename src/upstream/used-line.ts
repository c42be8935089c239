import type { JsonEdit } from "../lib/json-edit.ts";
import type { Exchange } from "../protocol/exchange.ts";
import type { ResponseMessage } from "../protocol/message.ts";
import type { Era } from "../protocol/versions.ts";
import type { Taken } from "./chooser.ts";
import type { Line } from "./connection/line.ts";
import type { Slot } from "./slot.ts";

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
