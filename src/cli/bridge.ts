import { ExitCode, type Io, say } from "../app/io.ts";
import { plainTarget } from "../config/types.ts";
import { withoutLineBreaks } from "../lib/json-edit.ts";
import { canonicalJson, isObject, type JsonObject, valueAt } from "../lib/json.ts";
import { LineDecoder } from "../lib/lines.ts";
import { backOff, type Clock, pause, systemClock, within } from "../lib/time.ts";
import { Header, isModern, MetaKey } from "../protocol/eras.ts";
import { ErrorCode, invalidRequest, RpcError } from "../protocol/errors.ts";
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
import {
  errorBody,
  EVENT_STREAM,
  HttpClient,
  mediaType,
  messageIn,
  POST_HEADERS,
  repeatInHeaders,
} from "../upstream/transport/http-client.ts";
import { receive } from "../upstream/transport/transport.ts";
import type { Invocation } from "./command.ts";
import { type Credential, credentialFor } from "./credential.ts";
import { namedGateway } from "./urls.ts";

/**
 * `mcproxy bridge [URL]`: stdin and stdout on one side, a running gateway on the other. Stdout
 * carries the protocol and nothing else. Ends with stdin, with stdout, or by a signal.
 */
export async function run({ args: [url], options }: Invocation, io: Io): Promise<number> {
  const urls = await namedGateway(url, io);
  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  const link = new BridgeLink({
    url: urls.mcp,
    label: urls.label,
    credential: credentialFor(urls.mcp, io),
    write: (line) => void io.stdout.write(`${line}\n`).catch(end),
    tell: (text) => {
      void say(io.stderr, `${options.json === true ? JSON.stringify({ message: text }) : text}\n`);
    },
  });
  const off = [io.runtime.onSignal("SIGINT", end), io.runtime.onSignal("SIGTERM", end)];
  try {
    await Promise.race([readLines(io.stdin, link), ended]);
    return ExitCode.Ok;
  } catch (error) {
    void say(io.stderr, `Cannot read stdin: ${String(error)}\n`);
    return ExitCode.Failed;
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
  /** What each request is let in by. */
  readonly credential?: Credential;
  /** @default {@link systemClock} */
  readonly clock?: Clock;
}

/** How long a gateway that was there before is waited for when it is gone, milliseconds. */
const RESTART_PATIENCE = 5_000;
/**
 * How long one is waited for that is not there yet: at a login both start at the same time. Clients
 * take an error for final, and give 30 s and more.
 */
const START_PATIENCE = 15_000;
const RETRY_PAUSE = 100;
/** Between two attempts to open the event stream: doubles up to the second one. */
const STREAM_PAUSE = 250;
const MAX_STREAM_PAUSE = 5_000;
/** How long a bridge whose client has gone waits for what was asked last. */
const END_PATIENCE = 2_000;

/** Reasons that mean no byte of the request has been read by anybody. */
const UNREACHED = /(connection refused|unknown host|host unreachable|connection timed out)$/;

type HeaderFields = Readonly<Record<string, string>>;

/** A legacy session at the gateway. */
interface RemoteSession {
  /** What its messages carry. */
  readonly headers: HeaderFields;
  readonly capabilities: unknown;
  /** Aborted when another has taken its place. */
  readonly over: AbortController;
}

/** What the gateway is asked: to take a text, or without one for its event stream. */
interface Sending {
  readonly raw?: string;
  readonly requests: readonly RequestMessage[];
  /** What it carries, where that is not what the session has. */
  readonly headers?: HeaderFields;
  /** Aborted when nobody wants the answer any more; else only the end of the bridge does that. */
  readonly signal?: AbortSignal;
  /** Takes the messages of the answer, where they are not for the client. */
  readonly write?: (line: string) => void;
}

/** Why a text got no answer. */
interface Failure {
  /**
   * `refused`: with an answer that is none. `forgotten`: the session is unknown, so that nothing has
   * been carried out; nor has it where the gateway was `unreached`. `broken`: it may have been.
   */
  readonly kind: "refused" | "forgotten" | "unreached" | "broken";
  readonly why: string;
  /** What helps, where that is known. */
  readonly remedy?: string;
  /** Where it refused with one. */
  readonly status?: number;
}

/**
 * A client that speaks over lines on one side, a gateway's Streamable HTTP on the other. Texts go
 * through as they are. A gateway that is restarted is found again: the session is opened anew with
 * what the client said first, and what the old one certainly has not carried out is repeated. The
 * upstream's own transport is not used: it gives a session up as a whole, with all that is in flight.
 */
export class BridgeLink {
  readonly #http: HttpClient;
  readonly #closing = new AbortController();
  readonly #pending = new Set<Promise<void>>();
  /** Modern requests in flight: to cancel one is to hang up (2026-07-28 transports). */
  readonly #modern = new Map<string, AbortController>();
  /** Of each text under way the requests that still want an answer. */
  readonly #waiting = new Set<Map<string, RequestMessage>>();
  #handshake: Promise<void> = Promise.resolve();
  #initialize: RequestMessage | undefined;
  #initialized: string | undefined;
  #session: RemoteSession | undefined;
  #renewing: Promise<string | undefined> | undefined;
  /** Whether the gateway has ever answered. */
  #met = false;
  /** What requests are let in by, as long as they are. */
  #credential: HeaderFields | undefined;

  readonly #clock: Clock;

  constructor(private readonly options: BridgeLinkOptions) {
    const { url, clock = systemClock } = options;
    this.#clock = clock;
    this.#http = new HttpClient({ server: "gateway", target: plainTarget(url) });
  }

  /** Takes one line of the client. What comes of it goes to `write`. */
  receive(line: string): void {
    if (line.trim() === "" || this.#closing.signal.aborted) return;
    try {
      const { batch, messages } = parseMessages(line);
      const requests = messages.filter((one) => "kind" in one && one.kind === "request");
      if (batch) this.#track(this.#send({ raw: line, requests }));
      else this.#message(messages[0] as Message);
    } catch (error) {
      if (!(error instanceof InvalidMessage)) throw error;
      this.options.write(errorResponse(error.idText, error));
    }
  }

  /** A line of the client was too long to be read. */
  tooLong(): void {
    this.options.write(errorResponse("null", invalidRequest("the line is too long")));
  }

  /** Waits a moment for what is under way, then ends the session. Never rejects. */
  async close(): Promise<void> {
    await within(END_PATIENCE, Promise.all(this.#pending));
    this.#closing.abort();
    const headers = { ...this.#session?.headers, ...this.#credential };
    if (headers[Header.SessionId] === undefined) return;
    // It ends by itself when nobody uses it.
    await this.#http.endSession(headers).catch(() => {});
  }

  /**
   * Sends a request with the credential. One that is not taken is read anew: a gateway that was
   * restarted has another local key, and one that has just begun to listen is about to write it.
   */
  async #admitted(request: Parameters<HttpClient["send"]>[0]): Promise<Response> {
    const { credential } = this.options;
    if (credential === undefined) return await this.#http.send(request);
    for (let attempt = 0;; attempt++) {
      const shown = this.#credential ??= await credential.headers();
      const headers = { ...request.headers, ...shown };
      const response = await this.#http.send({ ...request, headers });
      if (response.status !== 401 || attempt > 2) return response;
      const other = await credential.headers();
      const isSame = canonicalJson(other) === canonicalJson(shown);
      if (isSame && (this.#met || Object.keys(shown).length > 0)) return response;
      await response.body?.cancel();
      this.#credential = other;
      if (isSame) await pause(RETRY_PAUSE, this.#clock, request.signal);
    }
  }

  #message(message: Message): void {
    const { raw } = message;
    if (message.kind === "request") {
      if (message.method === "initialize") this.#track(this.#handshake = this.#open(message));
      else if (isModern(message)) this.#modernRequest(message);
      else this.#track(this.#send({ raw, requests: [message] }));
      return;
    }
    const notice = message.kind === "notification" ? message : undefined;
    if (notice?.method === "notifications/cancelled") {
      const key = idKey(notice.params?.requestId);
      const request = this.#modern.get(key);
      if (request !== undefined) return request.abort();
      for (const waiting of this.#waiting) waiting.delete(key);
    }
    const sent = this.#send({ raw, requests: [] });
    if (notice?.method !== "notifications/initialized") return this.#track(sent);
    this.#initialized = raw;
    this.#track(sent.then(() => this.#track(this.#listen(), true)));
  }

  /** Lets `work` go on by itself. The end waits for it a moment, unless it is `endless`. */
  #track(work: Promise<void>, endless = false): void {
    const guarded = work
      .catch((error: unknown) => this.options.tell(`Bridge failed: ${String(error)}`))
      .finally(() => this.#pending.delete(guarded));
    if (!endless) this.#pending.add(guarded);
  }

  /** The client's own `initialize`. */
  #open(message: RequestMessage): Promise<void> {
    this.#initialize = message;
    this.#session?.over.abort();
    this.#session = undefined;
    return this.#send({ raw: message.raw, requests: [message], headers: {} });
  }

  #modernRequest(message: RequestMessage): void {
    const { raw, method, params } = message;
    const key = idKey(message.id);
    const abort = new AbortController();
    this.#modern.set(key, abort);
    const version = String(metaOf(params)[MetaKey.ProtocolVersion]);
    const headers = { [Header.ProtocolVersion]: version };
    repeatInHeaders(headers, method, params);
    const signal = AbortSignal.any([this.#closing.signal, abort.signal]);
    const sent = this.#send({ raw, requests: [message], headers, signal })
      .finally(() => this.#modern.delete(key));
    this.#track(sent, method === "subscriptions/listen");
  }

  /**
   * Sends a text and answers the requests in it that get no answer. What needs the session waits
   * for it.
   */
  async #send(sending: Sending): Promise<void> {
    if (sending.headers === undefined) await this.#handshake;
    const { requests, signal = this.#closing.signal } = sending;
    const waiting = waitingOf(requests);
    this.#waiting.add(waiting);
    const failure = await this.#exchange(sending, waiting)
      .finally(() => this.#waiting.delete(waiting));
    if (failure === undefined || signal.aborted) return;
    const message = failureText(failure, this.options.label);
    if (requests.length === 0) this.options.tell(message);
    const error = new RpcError(ErrorCode.UpstreamUnavailable, message);
    for (const one of waiting.values()) this.options.write(errorResponse(idTextOf(one), error));
  }

  /** Sends a text until it has been taken, is no longer wanted, or must not be sent again. */
  async #exchange(
    sending: Sending,
    waiting = waitingOf(sending.requests),
  ): Promise<Failure | undefined> {
    const { requests, headers, signal = this.#closing.signal } = sending;
    let goneSince: number | undefined;
    for (let renewals = 0;;) {
      const session = this.#session;
      const failure = await this.#once(sending, headers ?? session?.headers ?? {}, waiting);
      // Whoever has cancelled a request does not want it sent again.
      if (signal.aborted || (requests.length > 0 && waiting.size === 0)) return failure;
      if (failure === undefined || failure.kind === "refused") {
        this.#met = true;
        return failure;
      }
      if (failure.kind === "forgotten") {
        const why = renewals++ < 2 ? await this.#renew(session) : failure.why;
        if (why === undefined) continue;
        return { kind: "unreached", why: `the session is lost: ${why}` };
      }
      const now = this.#clock.now();
      goneSince ??= now;
      const isPatient = now - goneSince < (this.#met ? RESTART_PATIENCE : START_PATIENCE);
      const mayRepeat = failure.kind === "unreached" || requests.every(isSafe);
      if (!isPatient || !mayRepeat) return failure;
      if (!this.#met && goneSince === now) {
        this.options.tell(`Waiting for the gateway at "${this.options.label}": ${failure.why}`);
      }
      await pause(RETRY_PAUSE, this.#clock, signal);
    }
  }

  /**
   * Asks once and hands on what comes back. `waiting` has the requests that want an answer; those
   * that get one are taken out.
   */
  async #once(
    { raw, signal = this.#closing.signal, write = this.options.write }: Sending,
    headers: HeaderFields,
    waiting = new Map<string, RequestMessage>(),
  ): Promise<Failure | undefined> {
    const request = raw === undefined
      ? { method: "GET", headers: { accept: EVENT_STREAM, ...headers } } as const
      : { method: "POST", headers: { ...POST_HEADERS, ...headers }, body: raw } as const;
    const what = "a message";
    try {
      const response = await this.#admitted({ ...request, signal, what });
      const { ok, status } = response;
      // Nothing of it has been carried out: a gateway that is about to stop takes nothing on.
      if (status === 503) {
        await response.body?.cancel();
        return { kind: "unreached", why: "it is stopping" };
      }
      if (status === 404 && headers[Header.SessionId] !== undefined) {
        await response.body?.cancel();
        return { kind: "forgotten", why: "it forgets every session" };
      }
      const onMessage = (message: Message): void => {
        if (message.kind !== "response" || message.id === null) return;
        const key = idKey(message.id);
        if (waiting.get(key)?.method === "initialize") this.#began(message, response.headers);
        waiting.delete(key);
      };
      const take = (text: string | undefined): void => {
        if (text === undefined || text.trim() === "") return;
        receive(text, { onMessage, onInvalid: () => {} }, undefined);
        write(withoutLineBreaks(text));
      };
      if (ok && (raw === undefined || mediaType(response) === EVENT_STREAM)) {
        await this.#http.events(response, what, { onEvent: (event) => take(messageIn(event)) });
      } else {
        const body = await this.#http.text(response, what);
        const refusal = this.options.credential?.refusal(status, body);
        if (refusal !== undefined) return { kind: "refused", ...refusal, status };
        // The gateway may not know whose error it is.
        const [only, another] = waiting.values();
        const error = only && !another ? errorBody(body, idTextOf(only)) : undefined;
        if (!ok && error === undefined) {
          return { kind: "refused", why: `it answered HTTP ${status}`, status };
        }
        take(ok ? body : error);
      }
      return waiting.size === 0 ? undefined : { kind: "broken", why: "ended its answer too early" };
    } catch (error) {
      if (signal.aborted) return { kind: "broken", why: "nobody waits for it" };
      if (!(error instanceof RpcError)) throw error;
      if (!(error instanceof NetworkError)) return { kind: "refused", why: error.message };
      const isUnreached = error.phase === "connect" && UNREACHED.test(error.why);
      // `connection refused` out of `could not be reached for a message: connection refused`.
      const why = error.why.slice(error.why.lastIndexOf(": ") + 1).trim();
      return { kind: isUnreached ? "unreached" : "broken", why };
    }
  }

  /** The answer to `initialize` says what has been agreed. */
  #began({ result }: ResponseMessage, headers: Headers): void {
    if (result === undefined) return;
    const own: Record<string, string> = {
      [Header.ProtocolVersion]: String(result.protocolVersion),
    };
    const id = headers.get(Header.SessionId);
    if (id !== null) own[Header.SessionId] = id;
    const { capabilities } = result;
    this.#session = { headers: own, capabilities, over: new AbortController() };
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
    const { raw } = message;
    const failure = await this.#exchange({ raw, requests: [message], headers: {}, write });
    if (failure !== undefined) return failure.why;
    if (isObject(error)) return String(error.message);
    this.options.tell("The gateway was restarted; the session has been opened again");
    const session = this.#session;
    if (this.#initialized === undefined || session === undefined) return undefined;
    // Once: a session that is lost again is found out by the next message, not from in here.
    await this.#once({ raw: this.#initialized, requests: [] }, session.headers);
    this.#track(this.#listen(), true);
    // What the client knows is of the time before: it is to ask again.
    const changed = LIST_RULES.filter(({ capability }) =>
      valueAt(session.capabilities, [capability, "listChanged"]) === true
    );
    for (const method of new Set(changed.map((rule) => rule.changed))) {
      this.options.write(notification(method));
    }
    return undefined;
  }

  /** Keeps the stream for messages outside any request open while the session lasts. */
  async #listen(session = this.#session): Promise<void> {
    if (session === undefined) return;
    const signal = AbortSignal.any([this.#closing.signal, session.over.signal]);
    let failures = 0;
    const write = (line: string) => {
      failures = 0;
      this.options.write(line);
    };
    while (!signal.aborted) {
      const failure = await this.#once({ requests: [], signal, write }, session.headers);
      if (failure?.kind === "forgotten") return void await this.#renew(session);
      // 405: a server need not have this stream.
      if (failure?.status !== undefined && failure.status < 500) return;
      await pause(backOff(++failures, STREAM_PAUSE, MAX_STREAM_PAUSE), systemClock, signal);
    }
  }
}

function waitingOf(requests: readonly RequestMessage[]): Map<string, RequestMessage> {
  return new Map(requests.map((one) => [idKey(one.id), one]));
}

function isSafe({ method }: RequestMessage): boolean {
  const rule = methodRule(method, "legacy") ?? methodRule(method, "modern");
  return rule?.safe === true || method === "initialize";
}

/** What the client is told about a request that got no answer. */
function failureText(failure: Failure, label: string): string {
  const { kind, why, remedy = "expected mcproxy there" } = failure;
  const gateway = `the gateway at "${label}"`;
  switch (kind) {
    case "unreached":
      return `Cannot reach ${gateway}: ${why}; start it with "mcproxy serve"`;
    case "broken":
      return `Cannot tell what became of the request: ${gateway} went away before it answered ` +
        `(${why}); it may or may not have been carried out`;
    default:
      return `Cannot use ${gateway}: ${why}; ${remedy}`;
  }
}
