import { ErrorCode } from "../../protocol/errors.ts";
import { InvalidMessage, parseMessage, parseMessages } from "../../protocol/message.ts";
import { snippet } from "./log.ts";
import type { TransportHandlers } from "./transport.ts";

/**
 * Hands one received text to the handlers, as a message, as the messages of a batch (2025-03-26
 * servers may send one) or as what is wrong with it. Never throws.
 */
export function receive(
  text: string,
  handlers: TransportHandlers,
  carriedBy: number | undefined,
): void {
  try {
    if (!/^[ \t\r\n]*\[/.test(text)) return handlers.onMessage(parseMessage(text), carriedBy);
    for (const message of parseMessages(text).messages) {
      if (message instanceof InvalidMessage) report(message, text, handlers, carriedBy);
      else handlers.onMessage(message, carriedBy);
    }
  } catch (error) {
    if (!(error instanceof InvalidMessage)) throw error;
    report(error, text, handlers, carriedBy);
  }
}

function report(
  error: InvalidMessage,
  text: string,
  handlers: TransportHandlers,
  carriedBy: number | undefined,
): void {
  const kind = error.code === ErrorCode.ParseError ? "junk" : "invalid";
  handlers.onInvalid({ kind, error, snippet: snippet(text), carriedBy });
}

/** The error for a text beyond the limit; its id cannot be known. */
export function overlong(limit: number): InvalidMessage {
  const size = `${Math.round(limit / 1024 / 1024)} MiB`;
  return new InvalidMessage(ErrorCode.InvalidRequest, `message longer than ${size}`, "null");
}
