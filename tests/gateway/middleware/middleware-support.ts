/** What the tests of middlewares have in common: calls, and an upstream that is played by hand. */

import { ActiveExchange } from "../../../src/gateway/clients/exchange.ts";
import { type Call, callOf } from "../../../src/gateway/middleware/middleware.ts";
import type { JsonObject } from "../../../src/lib/json.ts";
import type { Client, Exchange } from "../../../src/protocol/exchange.ts";
import {
  idTextOf,
  parseMessage,
  type RequestMessage,
  type ResponseMessage,
  resultResponse,
} from "../../../src/protocol/message.ts";

/** A client of a session, or without one a modern client. */
export function clientOf(session?: string, rest: Partial<Client> = {}): Client {
  return {
    label: session ?? "m",
    session,
    era: session === undefined ? "modern" : "legacy",
    protocolVersion: session === undefined ? "2026-07-28" : "2025-11-25",
    capabilities: {},
    info: {},
    logLevel: undefined,
    ...rest,
  };
}

/** What a test may say of a call. */
export interface CallOptions {
  readonly id?: number | string;
  readonly tool?: string;
  readonly method?: string;
  readonly session?: string | undefined;
  readonly client?: Partial<Client>;
  /** JSON of the parameters; by default those of a call with `{"q":1}`. */
  readonly params?: string;
  readonly ask?: Exchange["ask"];
}

/** A call, what was sent to its client, and the way to cancel it. */
export interface TestCall extends Call {
  readonly exchange: ActiveExchange;
  readonly sent: readonly string[];
}

/** A call to the server `s`. */
export function callTo(options: CallOptions = {}): TestCall {
  const { id = 1, tool = "t", method = "tools/call", session, ask } = options;
  const params = options.params ?? `{"name":"${tool}","arguments":{"q":1}}`;
  const request = parseMessage(
    `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"method":"${method}","params":${params}}`,
  ) as RequestMessage;
  const sent: string[] = [];
  const outlet = { send: (raw: string) => sent.push(raw) };
  const owner = ask &&
    {
      ask: (_: ActiveExchange, ...question: Parameters<typeof ask>) => ask(...question),
      ended: () => {},
    };
  const exchange = new ActiveExchange(clientOf(session, options.client), request, outlet, owner);
  return { ...callOf(exchange, "s", tool, []), exchange, sent };
}

/** The response to a call with this result (JSON). */
export function answered({ exchange }: Call, resultText: string): ResponseMessage {
  return parseMessage(resultResponse(idTextOf(exchange.request), resultText)) as ResponseMessage;
}

/** A result with one text, as JSON. */
export function textResult(text: string, rest: JsonObject = {}): string {
  return JSON.stringify({ content: [{ type: "text", text }], ...rest });
}

/** One call that has reached the upstream. */
export interface Received {
  readonly call: Call;
  answer(resultText: string): void;
  fail(error: Error): void;
}

/** An upstream that answers when the test says so; a cancelled call is rejected. */
export class HandUpstream {
  readonly received: Received[] = [];
  #arrived: (() => void)[] = [];

  /** To be used as the end of a chain. */
  readonly next = (call: Call): Promise<ResponseMessage> => {
    const { promise, resolve, reject } = Promise.withResolvers<ResponseMessage>();
    const { signal } = call.exchange;
    signal.addEventListener("abort", () => reject(signal.reason));
    this.received.push({
      call,
      answer: (resultText) => resolve(answered(call, resultText)),
      fail: reject,
    });
    for (const arrived of this.#arrived.splice(0)) arrived();
    return promise;
  };

  /** The call with this number, from 0, as soon as it is there. */
  async at(index: number): Promise<Received> {
    while (this.received.length <= index) {
      await new Promise<void>((resolve) => this.#arrived.push(resolve));
    }
    return this.received[index]!;
  }
}
