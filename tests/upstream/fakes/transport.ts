import { parseMessage } from "../../../src/protocol/message.ts";
import type {
  SendOptions,
  Transport,
  TransportHandlers,
} from "../../../src/upstream/transport/transport.ts";

/** A transport that keeps what is sent and says what it is told to. */
export class FakeTransport implements Transport {
  readonly pid = undefined;
  readonly sent: { raw: string; options: SendOptions }[] = [];
  readonly abandoned: number[] = [];
  handlers!: TransportHandlers;

  constructor(readonly kind: Transport["kind"]) {}

  start(handlers: TransportHandlers) {
    this.handlers = handlers;
    return Promise.resolve();
  }

  send(raw: string, options: SendOptions) {
    this.sent.push({ raw, options });
    return Promise.resolve();
  }

  abandon(id: number) {
    this.abandoned.push(id);
  }

  setProtocol() {}

  close() {
    return Promise.resolve();
  }

  /** The upstream says something, on the stream of a request where that is given. */
  say(raw: string, carriedBy?: number) {
    this.handlers.onMessage(parseMessage(raw), carriedBy);
  }

  /** The upstream answers a request. */
  answer(id: number, result = "{}") {
    this.say(`{"jsonrpc":"2.0","id":${id},"result":${result}}`);
  }
}
