/**
 * One channel whose upstream does as it likes, and a model that knows what every client may get.
 * The upstream's side sees only what a real one sees: ids, tokens and arguments.
 */

import type { CancelSignal } from "../../src/lib/cancel.ts";
import assert from "node:assert/strict";
import { ErrorCode, RpcError } from "../../src/protocol/errors.ts";
import type { Exchange } from "../../src/protocol/exchange.ts";
import {
  InvalidMessage,
  parseMessage,
  type RequestMessage,
  type ResponseMessage,
} from "../../src/protocol/message.ts";
import type { Era } from "../../src/protocol/eras.ts";
import { Channel } from "../../src/upstream/connection/channel.ts";
import { AFTERWORDS } from "../../src/upstream/connection/questions.ts";
import { SHARED_IDENTITY } from "../../src/upstream/connection/line.ts";
import type { Transport } from "../../src/upstream/transport/transport.ts";
import { FakeClock } from "../upstream/fakes/clock.ts";
import { FakeTransport } from "../upstream/fakes/transport.ts";
import { LEGACY_CLIENT, MODERN_CLIENT, RecordedLog } from "../upstream/support.ts";

/** How long a call may take without a sign of life, ms. */
export const TIMEOUT = 1_000;

/** Ids and tokens as clients write them; all clients of one run use the same ones. */
export const ID_TEXTS = ["1", '"1"', "12345678901234567890", "-7", "1.5", '""', '"é"'] as const;
export const TOKEN_TEXTS = ["1", '"1"', "98765432109876543210", "0", '""', undefined] as const;

/** How servers write an answer; an `id` that is not the message's own must stay what it is. */
const SHAPES: readonly ((idText: string, body: string) => string)[] = [
  (idText, body) => `{"jsonrpc":"2.0","id":${idText},${body}}`,
  (idText, body) => `{${body},"jsonrpc":"2.0","id":${idText}}`,
  (idText, body) => `{ "id" : ${idText} , ${body},\t"jsonrpc":"2.0"}`,
  (idText, body) => `{"jsonrpc":"2.0","id":${idText},${body},"x-vendor":{"id":1}}`,
  (idText, body) => `{"jsonrpc":"2.0","\\u0069d":${idText},${body}}`,
];

/** What the upstream, the clients and time may do; `of` picks one of the calls begun so far. */
export type Step =
  | { readonly do: "begin" }
  | { readonly do: "answer" | "fail" | "progress" | "cancel" | "malform"; readonly of: number }
  | { readonly do: "say" | "ask"; readonly of: number; readonly carried: boolean }
  /** An answer, and some time later a word or a question that may be about the same call. */
  | { readonly do: "addSay" | "addAsk"; readonly of: number; readonly ms: number }
  /** The client answers, or the upstream takes back, a question that is open. */
  | { readonly do: "reply" | "withdraw"; readonly of: number }
  | { readonly do: "stray"; readonly text: string }
  | { readonly do: "tick"; readonly ms: number };

/** How a call ended, as its client sees it. */
type Outcome = { readonly raw: string } | { readonly code: number };

interface Call {
  readonly tag: string;
  readonly exchange: Exchange;
  readonly abort: () => void;
  /** The gateway's id for it, as the upstream saw it. */
  readonly id: number;
  readonly notified: string[];
  readonly outcomes: Outcome[];
  readonly settled: Promise<void>;
  /** What the model says. */
  readonly expected: { notified: string[]; outcome: Outcome | undefined };
  deadline: number;
  /** Questions its client has not answered; meanwhile its time stands still. */
  open: number;
  /** When a call that was given up cannot be running any more; until then it may still speak. */
  ghostUntil: number;
  /** When it was answered, whether somebody still waited or not; more may be said about it. */
  answeredAt: number;
}

/** A question that has reached a client. */
interface Question {
  readonly id: number;
  readonly call: Call;
  readonly answer: (text: string) => void;
}

/** What the upstream is told about its question: by whom, or that nobody was asked. */
interface Told {
  readonly id: number;
  readonly by: string | undefined;
}

/** Where a message that is about no single call should have gone: a call's tag, or nobody. */
interface Attribution {
  readonly text: string;
  readonly tag: string | undefined;
}

/** What one run is made of. */
export interface ModelOptions {
  readonly kind: Transport["kind"];
  readonly era: Era;
  /** JSON text of every client's request id. */
  readonly idText: string;
  /** JSON text of every client's progress token. */
  readonly tokenText: string | undefined;
}

/** Runs steps on the real channel and on the model beside it; {@link ChannelModel.check} compares. */
export class ChannelModel {
  readonly #transport: FakeTransport;
  readonly #clock = new FakeClock();
  readonly #channel: Channel;
  readonly #calls: Call[] = [];
  readonly #attributed: Attribution[] = [];
  readonly #expected: Attribution[] = [];
  readonly #cancelled: number[] = [];
  readonly #questions: Question[] = [];
  readonly #told: Told[] = [];
  #count = 0;

  private constructor(private readonly options: ModelOptions) {
    this.#transport = new FakeTransport(options.kind);
    const tagOf = (exchange: Exchange | undefined) =>
      this.#calls.find((call) => call.exchange === exchange)?.tag;
    this.#channel = new Channel({
      server: "x",
      transport: this.#transport,
      log: new RecordedLog(),
      clock: this.#clock,
      timeout: TIMEOUT,
      identity: SHARED_IDENTITY,
      events: {
        onNotification: ({ raw }, exchange) =>
          void this.#attributed.push({ text: raw, tag: tagOf(exchange) }),
        onGap: () => {},
        onClose: () => {},
      },
    });
    this.#channel.era = options.era;
  }

  /** A channel that is started. */
  static async start(options: ModelOptions): Promise<ChannelModel> {
    const model = new ChannelModel(options);
    await model.#channel.start(new AbortController().signal);
    return model;
  }

  /** Takes one step. */
  async take(step: Step): Promise<void> {
    if (step.do === "begin") return await this.#begin();
    if (step.do === "tick") return this.#tick(step.ms);
    if (step.do === "stray") return this.#stray(step.text);
    if (step.do === "reply" || step.do === "withdraw") return await this.#settle(step);
    if (this.#calls.length === 0) return;
    const call = this.#calls[step.of % this.#calls.length]!;
    switch (step.do) {
      case "answer":
        return this.#answer(call, `"result":{"for":${JSON.stringify(call.tag)},"n":${this.#n()}}`);
      case "fail":
        return this.#answer(call, `"error":{"code":-32077,"message":${JSON.stringify(call.tag)}}`);
      case "progress":
        return this.#progress(call);
      case "cancel":
        return this.#cancel(call);
      case "malform":
        return this.#malform(call);
      case "addSay":
      case "addAsk":
        this.#answer(call, `"result":{"for":${JSON.stringify(call.tag)}}`);
        this.#tick(step.ms);
        return step.do === "addSay" ? this.#speak(call, false) : this.#question(call, false);
      case "say":
        return this.#speak(call, step.carried);
      case "ask":
        return this.#question(call, step.carried);
    }
  }

  /** Ends every call and compares what each client got with what the model says. */
  async check(): Promise<void> {
    while (this.#questions.length > 0) await this.#settle({ do: "reply", of: 0 });
    for (const call of this.#calls) {
      this.#answer(call, `"result":{"for":${JSON.stringify(call.tag)},"end":1.0}`);
    }
    await Promise.all(this.#calls.map((call) => call.settled));
    for (const { tag, notified, outcomes, expected } of this.#calls) {
      assert.deepEqual({ tag, notified, outcomes }, {
        tag,
        notified: expected.notified,
        outcomes: [expected.outcome],
      });
    }
    assert.deepEqual(this.#attributed, this.#expected);
    assert.deepEqual(this.#answersSent(), this.#told);
    assert.deepEqual(this.#cancelsSent(), this.#cancelled);
    assert.equal(this.#channel.inFlight, 0);
    await this.#channel.close();
    assert.equal(this.#clock.armed, 0, "a timer is left");
  }

  async #begin(): Promise<void> {
    const { idText, tokenText } = this.options;
    const tag = `c${this.#calls.length}`;
    const meta = tokenText === undefined ? "" : `,"_meta":{"progressToken":${tokenText}}`;
    const raw = `{"jsonrpc":"2.0","id":${idText},"method":"tools/call","params":` +
      `{"name":"t","arguments":{"tag":"${tag}"}${meta}}}`;
    const controller = new AbortController();
    const notified: string[] = [];
    const outcomes: Outcome[] = [];
    const exchange: Exchange = {
      rid: tag,
      client: this.options.era === "legacy" ? { ...LEGACY_CLIENT, session: tag } : MODERN_CLIENT,
      request: parseMessage(raw) as RequestMessage,
      signal: controller.signal,
      server: "",
      notify: (text) => void notified.push(text),
      ask: (_method, paramsText, signal) => this.#asked(tag, paramsText, signal),
    };
    const before = this.#transport.sent.length;
    const settled = this.#channel.forward(exchange, []).then(
      (response) => void outcomes.push({ raw: response.raw }),
      (error: unknown) => {
        assert.ok(error instanceof RpcError, String(error));
        outcomes.push({ code: error.code });
      },
    );
    // A channel may take a turn before it sends; what it sends next is this call.
    while (this.#transport.sent.length === before) await Promise.resolve();
    const seen = JSON.parse(this.#transport.sent[before]!.raw);
    assert.equal(seen.params.arguments.tag, tag);
    assert.equal(typeof seen.id, "number");
    assert.equal(this.#calls.some(({ id }) => id === seen.id), false, "an id is used twice");
    assert.equal(seen.params._meta?.progressToken, tokenText === undefined ? undefined : seen.id);
    this.#calls.push({
      tag,
      exchange,
      abort: () => controller.abort(new Error("pressed stop")),
      id: seen.id,
      notified,
      outcomes,
      settled,
      expected: { notified: [], outcome: undefined },
      deadline: this.#clock.now() + TIMEOUT,
      open: 0,
      ghostUntil: -Infinity,
      answeredAt: -Infinity,
    });
  }

  /** A client is asked; the model has decided already who it must be. */
  #asked(
    tag: string,
    paramsText: string | undefined,
    signal: CancelSignal | undefined,
  ): Promise<ResponseMessage> {
    const { id } = JSON.parse(paramsText!);
    const call = this.#calls.find((call) => call.tag === tag)!;
    this.#attributed.push({ text: `question ${id}`, tag });
    return new Promise((resolve, reject) => {
      signal?.addEventListener("abort", () => reject(signal.reason));
      const answer = (text: string) => resolve(parseMessage(text) as ResponseMessage);
      this.#questions.push({ id, call, answer });
    });
  }

  /** An answer, the second one, one after a cancel or after its time: only the first counts. */
  #answer(call: Call, body: string): void {
    const shape = SHAPES[this.#n() % SHAPES.length]!;
    this.#say(shape(String(call.id), body), this.#carrier(call));
    this.#answered(call);
    call.expected.outcome ??= { raw: shape(this.options.idText, body) };
  }

  #progress(call: Call): void {
    const text = (token: string) =>
      `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":${token},` +
      `"progress":${this.#count},"message":"${call.tag}"}}`;
    this.#n();
    this.#say(text(String(call.id)), this.#carrier(call));
    if (call.expected.outcome !== undefined || this.options.tokenText === undefined) return;
    call.expected.notified.push(text(this.options.tokenText));
    if (call.open === 0) call.deadline = this.#clock.now() + TIMEOUT;
  }

  #cancel(call: Call): void {
    call.abort();
    if (call.expected.outcome !== undefined) return;
    this.#giveUp(call, ErrorCode.UpstreamUnavailable);
  }

  /** Something with the call's id that is no answer. */
  #malform(call: Call): void {
    const error = new InvalidMessage(ErrorCode.InvalidRequest, "no result", String(call.id));
    this.#transport.handlers.onInvalid({
      kind: "invalid",
      error,
      snippet: "",
      carriedBy: this.#carrier(call),
    });
    if (call.expected.outcome === undefined) this.#answered(call);
    call.expected.outcome ??= { code: ErrorCode.UpstreamProtocol };
  }

  /** Only what is known to be running can have been answered. */
  #answered(call: Call): void {
    const now = this.#clock.now();
    const isGhost = call.ghostUntil > now && !this.#isSilent;
    if (call.expected.outcome === undefined || isGhost) call.answeredAt = now;
    call.ghostUntil = -Infinity;
  }

  #giveUp(call: Call, code: number, at = this.#clock.now()): void {
    call.expected.outcome = { code };
    call.ghostUntil = at + TIMEOUT;
    this.#cancelled.push(call.id);
  }

  #speak(call: Call, carried: boolean): void {
    const head = '{"jsonrpc":"2.0","method":"notifications/message","params":';
    const text = `${head}{"n":${this.#n()}}}`;
    this.#expected.push({ text, tag: this.#owner(call, carried)?.tag });
    this.#say(text, carried ? call.id : undefined);
  }

  /** A question reaches the client it can only be for, or is refused at once. */
  #question(call: Call, carried: boolean): void {
    const id = this.#n();
    const method = '"method":"elicitation/create"';
    const text = `{"jsonrpc":"2.0","id":${id},${method},"params":{"id":${id}}}`;
    const owner = this.options.era === "legacy" ? this.#owner(call, carried) : undefined;
    if (owner === undefined) this.#told.push({ id, by: undefined });
    else {
      this.#expected.push({ text: `question ${id}`, tag: owner.tag });
      owner.open++;
      owner.deadline = Infinity;
    }
    this.#say(text, carried ? call.id : undefined);
  }

  /** The call a message is about: that of its stream, or the only one that may be running. */
  #owner(call: Call, carried: boolean): Call | undefined {
    const open = this.#calls.filter(({ expected }) => expected.outcome === undefined);
    if (carried) return open.find(({ id }) => id === call.id);
    const ghost = !this.#isSilent && this.#calls.some((one) => one.ghostUntil > this.#clock.now());
    const since = this.#clock.now() - AFTERWORDS;
    const afterwords = this.#calls.some((one) => one !== open[0] && one.answeredAt > since);
    return open.length === 1 && !ghost && !afterwords ? open[0] : undefined;
  }

  async #settle({ do: how, of }: Extract<Step, { do: "reply" | "withdraw" }>): Promise<void> {
    if (this.#questions.length === 0) return;
    const [{ id, call, answer }] = this.#questions.splice(of % this.#questions.length, 1) as [
      Question,
    ];
    if (how === "reply") {
      answer(`{"jsonrpc":"2.0","id":77,"result":{"by":"${call.tag}"}}`);
      this.#told.push({ id, by: call.tag });
    } else {
      const method = '"method":"notifications/cancelled"';
      this.#say(`{"jsonrpc":"2.0",${method},"params":{"requestId":${id}}}`, this.#carrier(call));
    }
    // The answer takes its way; then the call's time begins anew.
    await new Promise((resolve) => setImmediate(resolve));
    if (--call.open === 0) call.deadline = this.#clock.now() + TIMEOUT;
  }

  /** What belongs to nobody, whatever it looks like. */
  #stray(text: string): void {
    this.#say(text, undefined);
  }

  #tick(ms: number): void {
    this.#clock.tick(ms);
    const late = this.#calls.filter(({ expected, deadline }) =>
      expected.outcome === undefined && deadline <= this.#clock.now()
    );
    for (const call of late.toSorted((a, b) => a.deadline - b.deadline)) {
      this.#giveUp(call, ErrorCode.UpstreamTimeout, call.deadline);
    }
  }

  /** What a client gives up is closed with its stream, and nothing comes any more. */
  get #isSilent(): boolean {
    return this.options.kind === "http" && this.options.era === "modern";
  }

  #say(text: string, carriedBy: number | undefined): void {
    this.#transport.handlers.onMessage(parseMessage(text), carriedBy);
  }

  #carrier({ id }: Call): number | undefined {
    return this.options.kind === "http" ? id : undefined;
  }

  #cancelsSent(): number[] {
    if (this.options.era === "modern" && this.options.kind === "http") {
      return this.#transport.abandoned;
    }
    return this.#transport.sent.map(({ raw }) => JSON.parse(raw))
      .filter(({ method }) => method === "notifications/cancelled")
      .map(({ params }) => params.requestId);
  }

  #answersSent(): Told[] {
    return this.#transport.sent.map(({ raw }) => JSON.parse(raw))
      .filter(({ method }) => method === undefined)
      .map(({ id, result }) => ({ id, by: result?.by }));
  }

  #n(): number {
    return ++this.#count;
  }
}
