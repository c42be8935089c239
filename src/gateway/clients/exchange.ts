import { CancelSource } from "../../lib/cancel.ts";
import { ErrorCode, methodNotFound, RpcError } from "../../protocol/errors.ts";
import type { Client, Exchange, ReplaceableExchange } from "../../protocol/exchange.ts";
import { cannotAnswer } from "../../protocol/inputs.ts";
import type { RequestMessage, ResponseMessage } from "../../protocol/message.ts";
import type { CallRecord } from "../events.ts";

/** Where messages to a client go: a response stream, a session stream, stdout. */
export interface Outlet {
  /** Hands over one message (JSON text). Never throws and never waits; a closed outlet drops it. */
  send(raw: string): void;
  /** Of the HTTP request whose response it is. */
  readonly headers?: Pick<Headers, "get"> | undefined;
}

let count = 0;

/** A number as a short id for log lines, unique in this process. */
export function ridOf(number: number): string {
  return number.toString(36).padStart(4, "0");
}

/** For what is no exchange of a client's. */
export function nextRid(): string {
  return ridOf(++count);
}

/** Whose an exchange is: who puts a server's questions to its client, and hears of its end. */
export interface ExchangeOwner {
  /** As {@link ActiveExchange.ask}. */
  ask(exchange: ActiveExchange, ...question: Parameters<Exchange["ask"]>): Promise<ResponseMessage>;
  /** Once, when the answer is on its way. */
  ended(exchange: ActiveExchange): void;
}

/** A modern client is asked by `input_required` only, which `Parking` sees to; others by nobody. */
const NOBODY: ExchangeOwner = {
  ask: (exchange, method) =>
    Promise.reject(cannotAnswer(exchange, method, undefined) ?? methodNotFound(method)),
  ended: () => {},
};

/** The {@link ReplaceableExchange} of both eras; they differ in who aborts it and in whose it is. */
export class ActiveExchange implements ReplaceableExchange {
  /** Its correlation id as a number, which is all that most of them need. */
  readonly number: number = ++count;
  server = "";
  /** What is to be told of it when it has ended; undefined where nobody wants to know. */
  record: CallRecord | undefined;
  readonly signal = new CancelSource();
  #ended = false;

  constructor(
    readonly client: Client,
    public request: RequestMessage,
    readonly outlet: Outlet,
    private readonly owner: ExchangeOwner = NOBODY,
  ) {}

  get rid(): string {
    return ridOf(this.number);
  }

  ask(...question: Parameters<Exchange["ask"]>): Promise<ResponseMessage> {
    return this.owner.ask(this, ...question);
  }

  notify(raw: string): void {
    if (!this.#ended) this.outlet.send(raw);
  }

  /** The client does not want the answer any more; `reason` goes to the log. */
  cancel(reason: string): void {
    if (!this.#ended) this.signal.cancel(new Error(reason));
  }

  /** The answer is on its way: whatever comes later about this request is dropped. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.owner.ended(this);
  }
}

/** What a server hears whose question to a client comes to nothing. */
export function unanswered(why: string): RpcError {
  return new RpcError(ErrorCode.InternalError, `Not answered: ${why}`);
}
