import { ExitCode, type Io, say } from "../app/io.ts";
import { editJson, rawAt, withoutLineBreaks } from "../lib/json-edit.ts";
import { isObject, type JsonObject } from "../lib/json.ts";
import { LineDecoder } from "../lib/lines.ts";
import { backOff, pause, systemClock, within } from "../lib/time.ts";
import {
  encodeHeaderValue,
  Header,
  isModern,
  MetaKey,
  nameOf,
  NO_HEADERS,
} from "../protocol/eras.ts";
import { ErrorCode, RpcError } from "../protocol/errors.ts";
import { LIST_RULES } from "../protocol/lists.ts";
import {
  errorResponse,
  idKey,
  idTextOf,
  InvalidMessage,
  type Message,
  metaOf,
  notification,
  parseMessages,
  type RequestMessage,
  type ResponseMessage,
} from "../protocol/message.ts";
import { methodRule } from "../protocol/methods.ts";
import { NetworkError } from "../upstream/transport/failures.ts";
import { HttpClient, mediaType } from "../upstream/transport/http-client.ts";
import type { Invocation } from "./command.ts";
import { gatewayUrls } from "./urls.ts";

/**
 * `mcproxy bridge [URL]`: stdin and stdout on one side, a running gateway on the other. Stdout
 * carries the protocol and nothing else. Ends with stdin, with stdout, or by a signal.
 */
export async function run({ args: [url], options }: Invocation, io: Io): Promise<number> {
  const urls = gatewayUrls(url, io.env);
  const ended = Promise.withResolvers<number>();
  const end = () => ended.resolve(ExitCode.Ok);
  const link = new BridgeLink({
    url: urls.mcp,
    label: urls.label,
    write: (line) => void io.stdout.write(`${line}\n`).catch(end),
    tell: (text) => {
      void say(io.stderr, `${options.json === true ? JSON.stringify({ message: text }) : text}\n`);
    },
  });
  const off = [io.runtime.onSignal("SIGINT", end), io.runtime.onSignal("SIGTERM", end)];
  readLines(io.stdin, link).then(end, (error: unknown) => {
    void say(io.stderr, `Cannot read stdin: ${String(error)}\n`);
    ended.resolve(ExitCode.Failed);
  });
  try {
    return await ended.promise;
  } finally {
    await link.close();
    // A signal that comes now finds the default again.
    for (const remove of off) remove();
  }
}

async function readLines(input: AsyncIterable<Uint8Array>, link: BridgeLink): Promise<void> {
  const decoder = new LineDecoder({
    onLine: (line) => link.receive(line),
    onOverlong: () => link.tooLong(),
  });
  for await (const chunk of input) decoder.push(chunk);
  decoder.end();
}

/** What a {@link BridgeLink} stands between. */
export interface BridgeLinkOptions {
  /** The gateway's endpoint. */
  readonly url: string;
  /** The same for people, without credentials. */
  readonly label: string;
  /** Takes each message for the client: one line of JSON without its end. */
  readonly write: (line: string) => void;
  /** Takes what a person who reads stderr should know. */
  readonly tell: (text: string) => void;
}

/** How long a gateway that was there before is waited for when it is gone, milliseconds. */
const RESTART_PATIENCE = 5_000;
const RETRY_PAUSE = 100;
/** Between two attempts to open the event stream: doubles up to the second one. */
const STREAM_PAUSE = 250;
const MAX_STREAM_PAUSE = 5_000;
/** How long a bridge whose client has gone waits for what was asked last, and for its goodbye. */
const END_PATIENCE = 2_000;
const DELETE_TIMEOUT = 1_000;

const EVENT_STREAM = "text/event-stream";
/** Reasons that mean no byte of the request has been read by anybody. */
const UNREACHED = /(connection refused|unknown host|host unreachable|connection timed out)$/;

type HeaderFields = Readonly<Record<string, string>>;

/** A legacy session at the gateway. */
interface RemoteSession {
  /** What its messages carry. */
  readonly headers: HeaderFields;
  readonly capabilities: JsonObject;
  /** Aborted when another has taken its place. */
  readonly over: AbortController;
}

/** Why a text got no answer. */
interface Failure {
  /**
   * `refused`: with an answer that is none. `forgotten`: the session is unknown, so that nothing has
   * been carried out; nor has it where the gateway was `unreached`. `broken`: it may have been.
   */
  readonly kind: "refused" | "forgotten" | "unreached" | "broken";
  readonly why: string;
}

/** How a text is sent, where not as the session has it. */
interface Sending {
  readonly headers?: HeaderFields;
  readonly signal?: AbortSignal;
  /** Takes the messages of the answer. */
  readonly write?: (line: string) => void;
}

/**
 * A client that speaks over lines on one side, a gateway's Streamable HTTP on the other. Texts go
 * through as they are. A gateway that is restarted is found again: the session is opened anew with
 * what the client said first, and what the old one certainly has not carried out is repeated. The
 * upstream's own transport is not used: it gives a session up as a whole, with all that is in flight.
 */
export class BridgeLink {
  readonly #options: BridgeLinkOptions;
  readonly #http: HttpClient;
  readonly #closing = new AbortController();
  readonly #pending = new Set<Promise<void>>();
  /** Modern requests in flight: to cancel one is to hang up (2026-07-28 transports). */
  readonly #modern = new Map<string, { method: string; abort: AbortController }>();
  #handshake: Promise<void> = Promise.resolve();
  #initialize: RequestMessage | undefined;
  #initialized: string | undefined;
  #session: RemoteSession | undefined;
  #renewing: Promise<string | undefined> | undefined;
  /** Whether the gateway has ever answered: only then is it worth waiting for. */
  #met = false;

  constructor(options: BridgeLinkOptions) {
    const { url } = this.#options = options;
    this.#http = new HttpClient("gateway", { kind: "http", url, transport: "http", headers: {} });
  }

  /** Takes one line of the client. What comes of it goes to `write`. */
  receive(line: string): void {
    if (line.trim() === "" || this.#closing.signal.aborted) return;
    try {
      const { batch, messages } = parseMessages(line);
      const [first] = messages;
      const requests = messages.filter((one) => "kind" in one && one.kind === "request");
      if (batch) this.#track(this.#legacy(line, requests));
      else if (first instanceof InvalidMessage) throw first;
      else if (first !== undefined) this.#message(first);
    } catch (error) {
      if (!(error instanceof InvalidMessage)) throw error;
      this.#options.write(errorResponse(error.idText, error));
    }
  }

  /** A line of the client was too long to be read. */
  tooLong(): void {
    const error = new RpcError(ErrorCode.InvalidRequest, "Invalid request: the line is too long");
    this.#options.write(errorResponse("null", error));
  }

  /** Waits a moment for what is under way, then ends the session. Never rejects. */
  async close(): Promise<void> {
    for (const { method, abort } of this.#modern.values()) {
      // It never ends by itself.
      if (method === "subscriptions/listen") abort.abort();
    }
    await within(END_PATIENCE, Promise.allSettled(this.#pending));
    this.#closing.abort();
    const headers = this.#session?.headers ?? {};
    if (headers[Header.SessionId] === undefined) return;
    const signal = AbortSignal.timeout(DELETE_TIMEOUT);
    const what = "the end of the session";
    // It ends by itself when nobody uses it.
    await this.#http.send({ method: "DELETE", headers, signal, what })
      .then((response) => response.body?.cancel()).catch(() => {});
  }

  #message(message: Message): void {
    if (message.kind === "request") {
      if (message.method === "initialize") this.#track(this.#handshake = this.#open(message));
      else if (isModern(message, NO_HEADERS)) this.#track(this.#modernRequest(message));
      else this.#track(this.#legacy(message.raw, [message]));
      return;
    }
    if (message.kind === "notification" && message.method === "notifications/cancelled") {
      const id = message.params?.requestId;
      const known = typeof id === "string" || typeof id === "number";
      const request = known ? this.#modern.get(idKey(id)) : undefined;
      if (request !== undefined) return request.abort.abort();
    }
    const sent = this.#legacy(message.raw, []);
    if (message.kind !== "notification" || message.method !== "notifications/initialized") {
      return this.#track(sent);
    }
    this.#initialized = message.raw;
    this.#track(sent.then(() => {
      if (this.#session !== undefined) void this.#listen(this.#session);
    }));
  }

  #track(work: Promise<void>): void {
    const guarded = work.catch((error: unknown) => {
      if (!this.#closing.signal.aborted) this.#options.tell(`Bridge failed: ${String(error)}`);
    }).finally(() => this.#pending.delete(guarded));
    this.#pending.add(guarded);
  }

  /** The client's own `initialize`. */
  async #open(message: RequestMessage): Promise<void> {
    this.#initialize = message;
    this.#session?.over.abort();
    this.#session = undefined;
    await this.#send(message.raw, [message], { headers: {} });
  }

  async #legacy(raw: string, requests: readonly RequestMessage[]): Promise<void> {
    await this.#handshake;
    await this.#send(raw, requests);
  }

  async #modernRequest(message: RequestMessage): Promise<void> {
    const { method, params } = message;
    const key = idKey(message.id);
    const abort = new AbortController();
    this.#modern.set(key, { method, abort });
    const name = nameOf(method, params);
    const headers = {
      [Header.ProtocolVersion]: String(metaOf(params)[MetaKey.ProtocolVersion]),
      [Header.Method]: encodeHeaderValue(method),
      ...(name === undefined ? {} : { [Header.Name]: encodeHeaderValue(name) }),
    };
    const signal = AbortSignal.any([this.#closing.signal, abort.signal]);
    try {
      await this.#send(message.raw, [message], { headers, signal });
    } catch (error) {
      if (!abort.signal.aborted) throw error;
    } finally {
      this.#modern.delete(key);
    }
  }

  /** Sends a text and answers the requests in it that get no answer. Rejects when aborted. */
  async #send(raw: string, requests: readonly RequestMessage[], how: Sending = {}): Promise<void> {
    const failure = await this.#exchange(raw, requests, how);
    if (failure === undefined) return;
    const message = failureText(failure, this.#options.label);
    if (requests.length === 0) this.#options.tell(message);
    const error = new RpcError(ErrorCode.UpstreamUnavailable, message);
    for (const one of requests) this.#options.write(errorResponse(idTextOf(one), error));
  }

  /** Sends a text until it has been taken, or must not be sent again. Rejects when aborted. */
  async #exchange(
    raw: string,
    requests: readonly RequestMessage[],
    { headers, signal = this.#closing.signal, write = this.#options.write }: Sending,
  ): Promise<Failure | undefined> {
    const waiting = new Map(requests.map((one) => [idKey(one.id), one]));
    let goneSince: number | undefined;
    for (let renewals = 0;;) {
      const session = this.#session;
      const own = headers ?? session?.headers ?? {};
      const failure = await this.#post(raw, waiting, { headers: own, signal, write });
      if (failure === undefined || failure.kind === "refused") {
        this.#met = true;
        return failure;
      }
      if (failure.kind === "forgotten") {
        const why = renewals++ < 2 ? await this.#renew(session) : failure.why;
        if (why === undefined) continue;
        return { kind: "unreached", why: `the session is lost: ${why}` };
      }
      goneSince ??= systemClock.now();
      const isPatient = systemClock.now() - goneSince < RESTART_PATIENCE;
      const mayRepeat = failure.kind === "unreached" || requests.every(isSafe);
      if (!this.#met || !isPatient || !mayRepeat) return failure;
      await pause(RETRY_PAUSE, systemClock, signal);
      signal.throwIfAborted();
    }
  }

  /**
   * Sends a text once and hands on what comes back. `waiting` has the requests in it that want an
   * answer; those that get one are taken out. Rejects when aborted.
   */
  async #post(
    raw: string,
    waiting: Map<string, RequestMessage>,
    { headers, signal, write }: Required<Sending>,
  ): Promise<Failure | undefined> {
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
        what: "a message",
      });
      const { status } = response;
      const take = (text: string): void => {
        for (const answer of responsesIn(text)) {
          if (answer.id === null) continue;
          const key = idKey(answer.id);
          if (waiting.get(key)?.method === "initialize") this.#began(answer, response.headers);
          waiting.delete(key);
        }
        write(withoutLineBreaks(text));
      };
      if (status === 404 && headers[Header.SessionId] !== undefined) {
        await response.body?.cancel();
        return { kind: "forgotten", why: "it forgets every session" };
      }
      if (response.ok && mediaType(response) === EVENT_STREAM) await this.#events(response, take);
      else {
        const text = await this.#http.text(response, "a message");
        if (!response.ok) {
          const error = errorFor(waiting, text);
          if (error === undefined) return { kind: "refused", why: `it answered HTTP ${status}` };
          write(withoutLineBreaks(error));
          return undefined;
        }
        if (text.trim() !== "") take(text);
      }
      return waiting.size === 0 ? undefined : { kind: "broken", why: "ended its answer too early" };
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof NetworkError)) throw error;
      const isUnreached = error.phase === "connect" && UNREACHED.test(error.why);
      // `connection refused` out of `could not be reached for a message: connection refused`.
      const why = error.why.slice(error.why.lastIndexOf(": ") + 1).trim();
      return { kind: isUnreached ? "unreached" : "broken", why };
    }
  }

  #events(response: Response, onText: (text: string) => void): Promise<void> {
    return this.#http.events(response, "a message", {
      onEvent: ({ event, data }) => {
        if (data !== "" && (event === undefined || event === "message")) onText(data);
      },
    });
  }

  /** The answer to `initialize` says what has been agreed. */
  #began({ result }: ResponseMessage, headers: Headers): void {
    if (result === undefined) return;
    const { protocolVersion, capabilities } = result;
    const id = headers.get(Header.SessionId);
    this.#session = {
      headers: {
        [Header.ProtocolVersion]: String(protocolVersion),
        ...(id === null ? {} : { [Header.SessionId]: id }),
      },
      capabilities: isObject(capabilities) ? capabilities : {},
      over: new AbortController(),
    };
  }

  /** Opens the session anew, once for all who find it gone. Returns why it could not be. */
  #renew(lost: RemoteSession | undefined): Promise<string | undefined> {
    if (this.#session !== lost) return Promise.resolve(undefined);
    return this.#renewing ??= this.#reopen().finally(() => this.#renewing = undefined);
  }

  async #reopen(): Promise<string | undefined> {
    const message = this.#initialize;
    if (message === undefined) return "the client has not initialized one";
    this.#session?.over.abort();
    let error: unknown;
    const write = (text: string) => void ({ error } = JSON.parse(text) as JsonObject);
    const failure = await this.#exchange(message.raw, [message], { headers: {}, write });
    if (failure !== undefined) return failure.why;
    if (isObject(error)) return String(error.message);
    this.#options.tell("The gateway was restarted; the session has been opened again");
    const session = this.#session;
    if (this.#initialized === undefined || session === undefined) return undefined;
    const { headers } = session;
    const how = { headers, signal: this.#closing.signal, write: this.#options.write };
    // Once: a session that is lost again is found out by the next message, not from in here.
    await this.#post(this.#initialized, new Map(), how);
    void this.#listen(session);
    this.#announceChanges(session);
    return undefined;
  }

  /** What the client knows is of the time before: it is to ask again. */
  #announceChanges({ capabilities }: RemoteSession): void {
    const changed = LIST_RULES.filter(({ capability }) => {
      const declared = capabilities[capability];
      return isObject(declared) && declared.listChanged === true;
    });
    for (const method of new Set(changed.map((rule) => rule.changed))) {
      this.#options.write(notification(method));
    }
  }

  /** Keeps the stream for messages outside any request open while the session lasts. */
  async #listen(session: RemoteSession): Promise<void> {
    const signal = AbortSignal.any([this.#closing.signal, session.over.signal]);
    for (let failures = 0; !signal.aborted;) {
      try {
        const headers = { accept: EVENT_STREAM, ...session.headers };
        const what = "the event stream";
        const response = await this.#http.send({ method: "GET", headers, signal, what });
        if (response.ok) {
          await this.#events(response, (text) => {
            failures = 0;
            this.#options.write(withoutLineBreaks(text));
          });
        } else {
          await response.body?.cancel();
          if (response.status === 404 && session.headers[Header.SessionId] !== undefined) {
            await this.#renew(session);
            return;
          }
          // 405: a server need not have this stream.
          if (response.status < 500) return;
        }
      } catch {
        // Down, or broken off: tried again below.
      }
      const wait = backOff(++failures, STREAM_PAUSE, MAX_STREAM_PAUSE);
      await pause(wait, systemClock, signal);
    }
  }
}

function isSafe({ method }: RequestMessage): boolean {
  const rule = methodRule(method, "legacy") ?? methodRule(method, "modern");
  return rule?.safe === true || method === "initialize";
}

function responsesIn(text: string): readonly ResponseMessage[] {
  try {
    return parseMessages(text).messages.filter((one) => "kind" in one && one.kind === "response");
  } catch {
    return [];
  }
}

/** The gateway's own error under the id of the one request; it may not know whose it is. */
function errorFor(waiting: ReadonlyMap<string, RequestMessage>, text: string): string | undefined {
  const [request, ...others] = waiting.values();
  if (request === undefined || others.length > 0) return undefined;
  try {
    const { jsonrpc, error } = JSON.parse(text) as JsonObject;
    if (jsonrpc !== "2.0" || !isObject(error)) return undefined;
    const own = idTextOf(request);
    return rawAt(text, ["id"]) === own ? text : editJson(text, [{ path: ["id"], value: own }]);
  } catch {
    return undefined;
  }
}

/** What the client is told about a request that got no answer. */
function failureText({ kind, why }: Failure, label: string): string {
  const gateway = `the gateway at "${label}"`;
  switch (kind) {
    case "unreached":
      return `Cannot reach ${gateway}: ${why}; start it with "mcproxy serve"`;
    case "broken":
      return `Cannot tell what became of the request: ${gateway} went away before it answered ` +
        `(${why}); it may or may not have been carried out`;
    default:
      return `Cannot use ${gateway}: ${why}; expected mcproxy there`;
  }
}
