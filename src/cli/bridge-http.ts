/** One HTTP exchange with a gateway: sends a text, hands back every message of the answer. */

import { withoutLineBreaks } from "../lib/json-edit.ts";
import { Header } from "../protocol/eras.ts";
import { idKey, InvalidMessage, parseMessages, type RequestId } from "../protocol/message.ts";
import { NetworkError } from "../upstream/transport/failures.ts";
import { HttpClient, mediaType } from "../upstream/transport/http-client.ts";

/** What one attempt came to. */
export type Outcome =
  /** Everything asked has been answered. */
  | { readonly kind: "done" }
  /** The gateway has refused, with a body of its own; `text` is what it said. */
  | { readonly kind: "refused"; readonly status: number; readonly text: string }
  /** The gateway has forgotten the session: nothing has been carried out. */
  | { readonly kind: "forgotten" }
  /** It could not be reached, so that nothing has been carried out. */
  | { readonly kind: "unreached"; readonly why: string }
  /** The connection broke: what was asked may have been carried out. */
  | { readonly kind: "broken"; readonly why: string };

/** One POST. */
export interface Post {
  readonly raw: string;
  /** The keys of the requests in it that still want their answer; answered ones are taken out. */
  readonly waiting: Set<string>;
  readonly headers: Readonly<Record<string, string>>;
  /** Whether the headers name a session. */
  readonly inSession: boolean;
  readonly signal: AbortSignal;
  /** Takes each message of the answer, on one line, with the headers it came under. */
  readonly onMessage: (raw: string, headers: Headers) => void;
}

const EVENT_STREAM = "text/event-stream";
/** Reasons that mean no byte of the request has been read by anybody. */
const UNREACHED = /(connection refused|unknown host|host unreachable|connection timed out)$/;

/** HTTP to the gateway. Stateless; the session is the caller's. */
export class BridgeHttp {
  readonly #http: HttpClient;

  constructor(url: string) {
    this.#http = new HttpClient("gateway", { kind: "http", url, transport: "http", headers: {} });
  }

  /** Sends one text. Rejects only with the signal's reason. */
  async post({ raw, waiting, headers, inSession, signal, onMessage }: Post): Promise<Outcome> {
    const what = "a message";
    try {
      const response = await this.#http.send({
        method: "POST",
        headers: {
          "content-type": "application/json",
          accept: `application/json, ${EVENT_STREAM}`,
          ...headers,
        },
        body: raw,
        signal,
        what,
      });
      if (response.status === 404 && inSession) {
        await response.body?.cancel();
        return { kind: "forgotten" };
      }
      if (!response.ok) {
        const text = await this.#http.text(response, what);
        return { kind: "refused", status: response.status, text };
      }
      const take = (text: string) => {
        for (const key of answeredBy(text)) waiting.delete(key);
        onMessage(withoutLineBreaks(text), response.headers);
      };
      if (mediaType(response) === EVENT_STREAM) await this.events(response, take);
      else {
        const text = await this.#http.text(response, what);
        if (text.trim() !== "") take(text);
      }
      return waiting.size === 0
        ? { kind: "done" }
        : { kind: "broken", why: "ended its answer too early" };
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof NetworkError)) throw error;
      const unreached = error.phase === "connect" && UNREACHED.test(error.why);
      return { kind: unreached ? "unreached" : "broken", why: reason(error) };
    }
  }

  /** Opens the stream for messages outside any request. @throws as {@link HttpClient.send} */
  open(headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<Response> {
    const what = "the event stream";
    return this.#http.send({
      method: "GET",
      headers: { accept: EVENT_STREAM, ...headers },
      signal,
      what,
    });
  }

  /** Reads an event stream to its end, each message on one line. @throws as {@link HttpClient.events} */
  events(response: Response, onText: (text: string) => void): Promise<void> {
    return this.#http.events(response, "the event stream", {
      onEvent: ({ event, data }) => {
        if (data !== "" && (event === undefined || event === "message")) {
          onText(withoutLineBreaks(data));
        }
      },
    });
  }

  /** Ends a session. Never rejects. */
  async end(sessionId: string, signal: AbortSignal): Promise<void> {
    try {
      const headers = { [Header.SessionId]: sessionId };
      const what = "the end of the session";
      const response = await this.#http.send({ method: "DELETE", headers, signal, what });
      await response.body?.cancel();
    } catch {
      // It ends by itself when nobody uses it.
    }
  }
}

/** `connection refused` out of `could not be reached for a message: connection refused`. */
function reason({ why }: NetworkError): string {
  return why.slice(why.lastIndexOf(": ") + 1).trim();
}

function answeredBy(text: string): string[] {
  try {
    return parseMessages(text).messages.flatMap((message) =>
      !(message instanceof InvalidMessage) && message.kind === "response" && message.id !== null
        ? [idKey(message.id as RequestId)]
        : []
    );
  } catch {
    return [];
  }
}

/** What the client is told about a request that got no answer. */
export function failureText(outcome: Outcome, label: string): string {
  const gateway = `the gateway at "${label}"`;
  switch (outcome.kind) {
    case "unreached":
      return `Cannot reach ${gateway}: ${outcome.why}; start it with "mcproxy serve"`;
    case "broken":
      return `Cannot tell what became of the request: ${gateway} went away before it answered ` +
        `(${outcome.why}); it may or may not have been carried out`;
    case "refused":
      return `Cannot use ${gateway}: it answered HTTP ${outcome.status}; expected mcproxy there`;
    default:
      return `Cannot use ${gateway}: ${outcome.kind}`;
  }
}
