import { Inbox } from "../inbox.ts";
import { type Received, received, requestText } from "./message.ts";

/** A message with where it came in: `request 1` for the response to that request, or `stream`. */
export interface Heard extends Received {
  readonly via: string;
}

/** A question of a server to this client. */
export interface Question {
  readonly method: string;
  // deno-lint-ignore no-explicit-any
  readonly params: any;
}

/** What a client says to a question: a result, or `undefined` to leave it unanswered. */
export type Responder = (question: Question) => unknown;

/** What a {@link Peer} is told to be. */
export interface PeerOptions {
  /** Its name; it appears in whatever it answers. */
  readonly label: string;
  readonly capabilities?: Record<string, unknown>;
  /** @default {@link namedAnswer} */
  readonly respond?: Responder;
}

/** What a peer declares unless told otherwise: everything. */
export const ALL_CAPABILITIES = {
  sampling: {},
  elicitation: { form: {}, url: {} },
  roots: { listChanged: true },
};

/** An answer that says whose it is. */
export function namedAnswer(label: string): Responder {
  return ({ method, params }) => {
    switch (method) {
      case "elicitation/create":
        return params.mode === "url"
          ? { action: "accept" }
          : { action: "accept", content: { answer: `${label} to ${params.message}` } };
      case "sampling/createMessage":
        return {
          role: "assistant",
          content: { type: "text", text: `${label} to ${params.messages[0].content.text}` },
          model: "none",
        };
      case "roots/list":
        return { roots: [{ uri: `file:///${label}` }] };
    }
  };
}

/** How one request is sent. */
export interface CallOptions {
  readonly id?: string | number;
  readonly token?: string | number;
  /** Least level of log lines, for clients that say it with each request. */
  readonly logLevel?: string;
}

/**
 * A client that talks and is talked to, over any transport: it hears everything, answers what it
 * is asked, and at its end everything that was ever said to it is known.
 */
export abstract class Peer {
  /** Everything the server said, the handshake excepted. */
  readonly heard: Inbox<Heard>;
  readonly label: string;
  readonly capabilities: Record<string, unknown>;
  /** May be replaced while it runs. */
  respond: Responder;

  constructor({ label, capabilities = ALL_CAPABILITIES, respond }: PeerOptions) {
    this.label = label;
    this.capabilities = capabilities;
    this.respond = respond ?? namedAnswer(label);
    this.heard = new Inbox(label);
  }

  /** Sends a request; resolves with the response that ends it. */
  abstract request(method: string, params: object, options?: CallOptions): Promise<Heard>;

  /** Takes a request back in the way of this transport. */
  abstract cancel(id: string | number): Promise<void>;

  /** Says goodbye; resolves when nothing more can come. */
  abstract close(): Promise<void>;

  /** Calls a tool with this peer's name as `tag`. */
  call(name: string, args: object = {}, options: CallOptions = {}): Promise<Heard> {
    const { token } = options;
    const meta = token === undefined ? {} : { _meta: { progressToken: token } };
    const params = { name, arguments: { tag: this.label, ...args }, ...meta };
    return this.request("tools/call", params, options);
  }

  /** Closes, and returns everything that was heard in words, see {@link inWords}. */
  async finish(): Promise<string[]> {
    await this.close();
    return this.heard.items.map(inWords);
  }
}

/** A peer of the legacy era: responses and requests of the server come as messages. */
export abstract class LegacyPeer extends Peer {
  /** Sends any text. */
  abstract say(text: string): Promise<void>;

  async request(
    method: string,
    params: object,
    { id = 1 }: CallOptions = {},
  ): Promise<Heard> {
    const from = this.heard.items.length;
    await this.say(requestText(id, method, params));
    return await this.heard.waitFor(
      ({ json }) => json?.id === id && json.method === undefined,
      { from },
    );
  }

  async notify(method: string, params: object = {}): Promise<void> {
    await this.say(JSON.stringify({ jsonrpc: "2.0", method, params }));
  }

  async cancel(id: string | number): Promise<void> {
    await this.notify("notifications/cancelled", { requestId: id, reason: "pressed stop" });
  }

  /** Takes one text of the server and answers it where it is a question. */
  protected take(text: string, via: string): void {
    const message = { ...received(text), via };
    this.heard.push(message);
    const { json } = message;
    if (json?.method === undefined || json.id === undefined) return;
    void Promise.resolve(this.respond({ method: json.method, params: json.params })).then(
      (result) => {
        if (result !== undefined) {
          void this.say(JSON.stringify({ jsonrpc: "2.0", id: json.id, result }));
        }
      },
    );
  }

  /** The parameters of `initialize`. */
  protected introduction(version: string): object {
    return {
      protocolVersion: version,
      capabilities: this.capabilities,
      clientInfo: { name: this.label, version: "1" },
    };
  }
}

/** A message in few words, without what differs from run to run (the ids of questions). */
export function inWords({ text, json }: Received): string {
  if (json === undefined) return `no JSON: ${text}`;
  const { id, method, params, result, error } = json;
  switch (method) {
    case undefined:
      break;
    case "notifications/progress": {
      const { progressToken, progress, total, message } = params;
      return `progress ${JSON.stringify(progressToken)}: ${progress}/${total} ${message}`;
    }
    case "notifications/message":
      return `log ${params.level}: ${params.data}`;
    case "notifications/resources/updated":
      return `updated ${params.uri}`;
    case "notifications/elicitation/complete":
      return `complete ${params.elicitationId}`;
    case "notifications/cancelled":
      return "takes a question back";
    default:
      return id === undefined ? method : questionInWords(json);
  }
  if (error !== undefined) return `error ${JSON.stringify(id)}: ${error.code} ${error.message}`;
  if (result.resultType === "input_required") {
    const asked = Object.values(result.inputRequests).map((one) =>
      questionInWords(one as Question)
    );
    return `input ${JSON.stringify(id)}: ${asked.join(", ")}`;
  }
  return `answer ${JSON.stringify(id)}: ${result.content?.[0]?.text ?? JSON.stringify(result)}`;
}

function questionInWords({ method, params }: Question): string {
  const about = params?.message ?? params?.messages?.[0]?.content.text ?? "";
  return `asks ${method} ${about}`.trim();
}
