/** The process's own stdin and stdout as one client, in whichever era it speaks. */

import { ActiveExchange, type Outlet } from "../gateway/clients/exchange.ts";
import { checkMethod, modernClient, serveModern } from "../gateway/clients/modern.ts";
import type { Answering, Session } from "../gateway/clients/session.ts";
import type { Gateway } from "../gateway/gateway.ts";
import type { Endpoint } from "../gating/endpoint.ts";
import { withoutLineBreaks } from "../lib/json-edit.ts";
import { LineDecoder } from "../lib/lines.ts";
import { within } from "../lib/time.ts";
import { isModern, readEnvelope } from "../protocol/eras.ts";
import { ErrorCode, invalidRequest, RpcError } from "../protocol/errors.ts";
import { LOCAL } from "../protocol/exchange.ts";
import {
  errorResponse,
  idKey,
  idTextOf,
  InvalidMessage,
  type Message,
  parseMessages,
  type RequestMessage,
} from "../protocol/message.ts";
import { replyText } from "../registry/answers.ts";

/** A line longer than this many bytes is refused; it is far above any real request. */
const MAX_LINE = 64 * 1024 * 1024;

/**
 * How long its first lists wait for servers, milliseconds: client and gateway start together, and
 * most clients give up after 30 s.
 */
export const STDIO_PATIENCE = 10_000;

/** What the stdio front stands on. */
export interface StdioFrontOptions {
  readonly gateway: Gateway;
  readonly endpoint: Endpoint;
  readonly input: AsyncIterable<Uint8Array>;
  /** Writes one line, its end included. */
  readonly write: (line: string) => void;
}

/** Serves the client until its input ends or the session is closed from our side. */
export async function serveStdio(options: StdioFrontOptions): Promise<void> {
  const front = new StdioFront(options);
  const reader = new LineDecoder({
    limit: MAX_LINE,
    onLine: (line) => front.line(line),
    onOverlong: () => front.tooLong(),
  });
  const patience = performance.now() + STDIO_PATIENCE;
  try {
    for await (const chunk of options.input) reader.push(chunk);
    reader.end();
    // A script that pipes its requests in closes stdin before it reads the answers; the first wait.
    const { shutdownTimeout } = options.gateway.config.settings;
    await front.drained(Math.max(shutdownTimeout, patience - performance.now()));
  } finally {
    front.close();
  }
}

class StdioFront implements Outlet {
  readonly #session: Session;
  readonly #modern = new Map<string, ActiveExchange>();
  readonly #pending = new Set<Promise<void>>();

  constructor(private readonly options: StdioFrontOptions) {
    const { gateway, endpoint } = options;
    // Who started the gateway may do everything, and is somebody where others are.
    const principal = gateway.config.settings.auth && LOCAL;
    this.#session = gateway.openSession("stdio", endpoint, undefined, principal);
    this.#session.attach(this, () => {});
  }

  send(raw: string): void {
    this.options.write(withoutLineBreaks(raw) + "\n");
  }

  line(text: string): void {
    if (text.trim() === "") return;
    try {
      for (const message of parseMessages(text).messages) {
        if (message instanceof InvalidMessage) this.#invalid(message);
        else this.#message(message);
      }
    } catch (error) {
      if (!(error instanceof InvalidMessage)) throw error;
      this.#invalid(error);
    }
  }

  tooLong(): void {
    this.#invalid(
      new InvalidMessage(ErrorCode.InvalidRequest, `A line may hold ${MAX_LINE} bytes`, "null"),
    );
  }

  /** Resolves when nothing is in flight any more, or after `limit` milliseconds. */
  async drained(limit: number): Promise<void> {
    if (this.#pending.size > 0) await within(limit, Promise.all(this.#pending));
  }

  close(): void {
    for (const exchange of this.#modern.values()) exchange.cancel("stdin has ended");
    this.#session.close("stdin has ended");
  }

  #invalid(error: InvalidMessage): void {
    this.send(errorResponse(error.idText, error));
  }

  #message(message: Message): void {
    if (message.kind === "request" && isModern(message)) {
      this.#modernRequest(message);
      return;
    }
    if (message.kind === "notification" && message.method === "notifications/cancelled") {
      this.#modern.get(idKey(message.params?.requestId))?.cancel("cancelled by the client");
    }
    this.#answer(this.#session.receive(message, this));
  }

  #modernRequest(message: RequestMessage): void {
    const key = idKey(message.id);
    try {
      if (this.#modern.has(key)) {
        throw invalidRequest(`id ${idTextOf(message)} is already in flight`);
      }
      const envelope = readEnvelope(message);
      checkMethod(message, this.options.endpoint, this.options.gateway);
      const exchange = new ActiveExchange(
        modernClient(envelope, this.#session.label, this.#session.principal),
        message,
        this,
      );
      this.#modern.set(key, exchange);
      this.#answer(serveModern(exchange, this.options.endpoint, this.options.gateway), key);
    } catch (error) {
      if (!(error instanceof RpcError)) throw error;
      this.send(errorResponse(idTextOf(message), error));
    }
  }

  #answer(answering: Answering, modern?: string): void {
    const answered = Promise.resolve(answering).then((reply) => {
      this.#pending.delete(answered);
      if (modern !== undefined) this.#modern.delete(modern);
      if (reply !== undefined) this.send(replyText(reply));
    });
    this.#pending.add(answered);
  }
}
