import { type CancelSignal, CancelSource } from "../lib/cancel.ts";
import { editJson, rawAt } from "../lib/json-edit.ts";
import { isObject, type JsonObject } from "../lib/json.ts";
import { ErrorCode, RpcError } from "../protocol/errors.ts";
import type { Client, Exchange } from "../protocol/exchange.ts";
import { lackingCapability, missingCapability } from "../protocol/inputs.ts";
import {
  parseMessage,
  type RequestMessage,
  type ResponseMessage,
  resultResponse,
} from "../protocol/message.ts";
import { nextRid } from "./clients/exchange.ts";

/** Starts the upstream call of an exchange. */
export type Forward = (exchange: Exchange) => Promise<ResponseMessage>;

/** What a parked call is told by `Parking`. */
export interface ParkedCallOptions {
  readonly id: string;
  /** Milliseconds a client may take for one round. */
  readonly maxAge: number;
  /** Counts characters that are held; throws an {@link RpcError} when it is too much. */
  readonly reserve: (characters: number) => void;
  /** Nobody can come back for the call any more; it held so many characters. Once. */
  readonly onForgotten: (held: number) => void;
}

interface Question {
  readonly method: string;
  readonly paramsText: string | undefined;
  readonly settle: (outcome: ResponseMessage | RpcError) => void;
}

const NO_TOKEN = { path: ["_meta", "progressToken"], value: undefined };

/** Several questions asked in one breath become one round. Milliseconds. */
const GATHER = 5;

/**
 * One upstream call that outlives the client's single requests: towards the upstream it is the one
 * exchange, towards the client each request is a visit that sees what has happened since.
 */
export class ParkedCall implements Exchange {
  readonly rid = nextRid();
  server: string;
  readonly client: Client;
  readonly request: RequestMessage;
  readonly #cancel = new CancelSource();
  readonly #questions = new Map<string, Question>();
  readonly #held: string[] = [];
  #visitor: Exchange | undefined;
  #outcome: Promise<ResponseMessage> | undefined;
  readonly #refused = Promise.withResolvers<never>();
  #asked = Promise.withResolvers<void>();
  #reserved = 0;
  #asks = 0;
  #round = 0;
  #expires = 0;
  #parked = false;
  #ended = false;
  #forgotten = false;
  #expiry: ReturnType<typeof setTimeout> | undefined;

  constructor(first: Exchange, private readonly options: ParkedCallOptions) {
    this.client = first.client;
    this.request = first.request;
    this.server = first.server;
  }

  /**
   * What the client's state has to say to be good: how often it has been asked, for a state is good
   * for its own round only; when that ends without an answer, milliseconds since the epoch.
   */
  get claims() {
    return { call: this.options.id, round: this.#round, expires: this.#expires };
  }

  /** Whether it waits for its client. */
  get isParked(): boolean {
    return this.#parked;
  }

  get signal(): CancelSignal {
    return this.#cancel;
  }

  /** Starts the upstream call. Its outcome is kept for a client that is still to come back. */
  run(forward: Forward): void {
    this.#outcome = forward(this).finally(() => {
      this.#ended = true;
      this.#refuseQuestions("the call has ended");
    });
    // Whoever visits looks at it; while nobody does, a failure is not unhandled.
    this.#outcome.catch(() => {});
    this.#refused.promise.catch(() => {});
  }

  notify(raw: string): void {
    if (this.#visitor !== undefined) {
      this.#tell(this.#visitor, raw);
      return;
    }
    if (this.#ended) return;
    try {
      this.#keep(raw.length);
      this.#held.push(raw);
    } catch {
      // What was not asked for is the first thing to go when there is too much.
    }
  }

  ask(
    method: string,
    paramsText: string | undefined,
    signal?: CancelSignal,
  ): Promise<ResponseMessage> {
    const params = paramsText === undefined ? undefined : JSON.parse(paramsText) as JsonObject;
    const lacking = lackingCapability(this.client.capabilities, method, params);
    if (lacking !== undefined) {
      // The server was told on a shared connection that somebody can answer; this client cannot,
      // and is owed the era's own error instead of what the server would make of the refusal.
      const refusal = missingCapability(lacking);
      this.#refused.reject(refusal);
      this.cancel(refusal.message);
      return Promise.reject(refusal);
    }
    const { promise, resolve, reject } = Promise.withResolvers<ResponseMessage>();
    try {
      this.#keep(paramsText?.length ?? 0);
    } catch (error) {
      return Promise.reject(error);
    }
    const key = `ask-${++this.#asks}`;
    const withdraw = () => this.#questions.get(key)?.settle(unanswered("it was withdrawn"));
    signal?.addEventListener("abort", withdraw);
    this.#questions.set(key, {
      method,
      // A progress token belongs to a request of the server's own, which this is not any more.
      paramsText: paramsText === undefined ? undefined : editJson(paramsText, [NO_TOKEN]),
      settle: (outcome) => {
        signal?.removeEventListener("abort", withdraw);
        this.#questions.delete(key);
        if (outcome instanceof RpcError) reject(outcome);
        else resolve(outcome);
      },
    });
    this.#asked.resolve();
    return promise;
  }

  /** Lets one request of the client see what comes next: the outcome; `undefined` for questions. */
  async visit(exchange: Exchange): Promise<ResponseMessage | undefined> {
    clearTimeout(this.#expiry);
    this.#parked = false;
    this.#visitor = exchange;
    for (const raw of this.#held.splice(0)) this.#tell(exchange, raw);
    const gone = () => this.cancel("the client closed the stream");
    exchange.signal.addEventListener("abort", gone);
    if (exchange.signal.aborted) gone();
    try {
      const outcome = this.#outcome!;
      const next = await Promise.race([this.#refused.promise, outcome, this.#nextInput()]);
      if (next === undefined && !this.#ended) {
        this.#park();
        return undefined;
      }
      const last = await outcome;
      this.#forget();
      return last;
    } catch (error) {
      this.#forget();
      throw error;
    } finally {
      exchange.signal.removeEventListener("abort", gone);
      this.#visitor = undefined;
    }
  }

  /** The text of `inputRequests`: everything that waits for the client. */
  questionsText(): string {
    const entries = [...this.#questions].map(([key, { method, paramsText }]) => {
      const params = paramsText === undefined ? "" : `,"params":${paramsText}`;
      return `${JSON.stringify(key)}:{"method":${JSON.stringify(method)}${params}}`;
    });
    return `{${entries.join(",")}}`;
  }

  /** Gives the upstream the answers a retry carries. A question without one is asked again. */
  answer(retry: RequestMessage): void {
    const responses = retry.params?.inputResponses;
    this.#asked = Promise.withResolvers<void>();
    for (const [key, question] of [...this.#questions]) {
      const response = isObject(responses) ? responses[key] : undefined;
      if (!isObject(response)) continue;
      const text = rawAt(retry.raw, ["params", "inputResponses", key])!;
      question.settle(parseMessage(resultResponse("0", text)) as ResponseMessage);
    }
    if (this.#questions.size > 0) this.#asked.resolve();
  }

  /** Gives the call up, here and upstream. */
  cancel(reason: string): void {
    if (!this.#ended) this.#cancel.cancel(new Error(reason));
    this.#refuseQuestions(reason);
    if (this.#parked) this.#forget();
  }

  /** Resolves a moment after something has been asked, and only if it is still open then. */
  async #nextInput(): Promise<undefined> {
    for (;;) {
      await this.#asked.promise;
      await new Promise((resolve) => setTimeout(resolve, GATHER));
      if (this.#questions.size > 0 || this.#ended) return undefined;
      this.#asked = Promise.withResolvers<void>();
    }
  }

  #park(): void {
    this.#parked = true;
    this.#round++;
    const { maxAge } = this.options;
    this.#expires = Date.now() + maxAge;
    this.#expiry = setTimeout(() => this.cancel("the client did not answer in time"), maxAge);
  }

  #refuseQuestions(why: string): void {
    for (const { settle } of [...this.#questions.values()]) settle(unanswered(why));
  }

  #forget(): void {
    clearTimeout(this.#expiry);
    this.#parked = false;
    if (this.#forgotten) return;
    this.#forgotten = true;
    this.options.onForgotten(this.#reserved);
  }

  /** Each round's request may have another progress token, or none. */
  #tell(visitor: Exchange, raw: string): void {
    if (visitor.request === this.request || !raw.includes('"notifications/progress"')) {
      visitor.notify(raw);
      return;
    }
    const token = rawAt(visitor.request.raw, ["params", "_meta", "progressToken"]);
    if (token === undefined) return;
    visitor.notify(editJson(raw, [{ path: ["params", "progressToken"], value: token }]));
  }

  #keep(characters: number): void {
    this.options.reserve(characters);
    this.#reserved += characters;
  }
}

function unanswered(why: string): RpcError {
  return new RpcError(ErrorCode.InternalError, `Not answered: ${why}`);
}
