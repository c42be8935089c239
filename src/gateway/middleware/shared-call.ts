import { CancelSource } from "../../lib/cancel.ts";
import { ErrorCode, RpcError } from "../../protocol/errors.ts";
import { derived, type Exchange } from "../../protocol/exchange.ts";
import type { ResponseMessage } from "../../protocol/message.ts";

/** What became of a shared call for those who wait for it. */
export type SharedOutcome =
  /** The upstream's answer to the first of them; may be given to all. */
  | { readonly kind: "answer"; readonly response: ResponseMessage }
  /** The answer is only for the first: each other has to ask for itself. */
  | { readonly kind: "private" }
  /** It failed because the first has gone: another has to start anew. */
  | { readonly kind: "orphaned" };

/** What a {@link SharedCall} is made of. */
export interface SharedCallOptions {
  readonly leader: Exchange;
  /** Calls the upstream. */
  readonly send: (exchange: Exchange) => Promise<ResponseMessage>;
  /** Whether others may be given this response. */
  readonly isShareable: (response: ResponseMessage) => boolean;
  /** It has an outcome, or is private from now on; nobody may join any more. */
  readonly onClosed: () => void;
}

/**
 * One call to an upstream that several clients wait for. It is made in the name of the first, the
 * leader: progress is the leader's, and so is every question. A question makes the call private,
 * for an answer is about the one who was asked. When the leader cancels, the call goes on as long
 * as anybody waits; the upstream hears of it only when nobody does.
 */
export class SharedCall {
  /** Whether the leader was asked something, so that the answer is the leader's alone. */
  wasAsked = false;
  readonly #cancel = new CancelSource();
  readonly #closed = Promise.withResolvers<SharedOutcome>();
  #waiting = 0;
  #isLed = true;
  #isOver = false;

  constructor(private readonly options: SharedCallOptions) {
    this.#closed.promise.catch(() => {});
  }

  /** Calls the upstream and resolves with its answer to the leader. To be called once. */
  async lead(): Promise<ResponseMessage> {
    const { leader, send } = this.options;
    this.#waiting++;
    // What is thrown at once is a rejection, too: those who come after must hear of it.
    const answer = (async () => await send(this.#exchange()))();
    void answer.then((response) => this.#settled(response), (error) => this.#failed(error));
    try {
      return await untilCancelled(leader, answer);
    } finally {
      this.#isLed = !leader.signal.aborted;
      this.#left();
    }
  }

  /** Waits for the outcome as one of the others. Rejects when `exchange` is cancelled. */
  async follow(exchange: Exchange): Promise<SharedOutcome> {
    this.#waiting++;
    try {
      return await untilCancelled(exchange, this.#closed.promise);
    } finally {
      this.#left();
    }
  }

  #exchange(): Exchange {
    const { leader } = this.options;
    return derived(leader, {
      signal: this.#cancel,
      ask: (method, paramsText, signal) => {
        this.wasAsked = true;
        this.#close({ kind: "private" });
        if (leader.signal.aborted) {
          throw new RpcError(ErrorCode.InternalError, "The client has cancelled the call");
        }
        return leader.ask(method, paramsText, signal);
      },
    });
  }

  #settled(response: ResponseMessage): void {
    this.#isOver = true;
    const isShared = !this.wasAsked && this.options.isShareable(response);
    this.#close(isShared ? { kind: "answer", response } : { kind: "private" });
  }

  #failed(error: unknown): void {
    this.#isOver = true;
    if (!this.#isLed) return this.#close({ kind: "orphaned" });
    this.options.onClosed();
    this.#closed.reject(error);
  }

  #close(outcome: SharedOutcome): void {
    this.options.onClosed();
    this.#closed.resolve(outcome);
  }

  #left(): void {
    if (--this.#waiting > 0 || this.#isOver) return;
    // Nobody may join what is being cancelled.
    this.options.onClosed();
    this.#cancel.cancel(new Error("nobody waits for it any more"));
  }
}

/** The promise, or the exchange's own cancellation where that is first. */
async function untilCancelled<Value>(exchange: Exchange, promise: Promise<Value>): Promise<Value> {
  const { signal } = exchange;
  signal.throwIfAborted();
  const { promise: cancelled, reject } = Promise.withResolvers<never>();
  const cancel = () => reject(signal.reason);
  signal.addEventListener("abort", cancel);
  try {
    return await Promise.race([promise, cancelled]);
  } finally {
    signal.removeEventListener("abort", cancel);
  }
}
