import { changeMethods, type Endpoint, gone, type ListListener } from "../../gating/endpoint.ts";
import { anyCancelled, type CancelSignal } from "../../lib/cancel.ts";
import { editJson } from "../../lib/json-edit.ts";
import { isObject, type Json, type JsonObject } from "../../lib/json.ts";
import { MetaKey, negotiateVersion, resourceNotFound, SSE_VERSION } from "../../protocol/eras.ts";
import { invalidParams, invalidRequest, toRpcError } from "../../protocol/errors.ts";
import type { Client, Principal } from "../../protocol/exchange.ts";
import { cannotAnswer } from "../../protocol/inputs.ts";
import { LIST_RULES, type ListKind } from "../../protocol/lists.ts";
import {
  errorResponse,
  idTextOf,
  type Message,
  notification,
  type NotificationMessage,
  request,
  type RequestId,
  type RequestMessage,
  type ResponseMessage,
  resultResponse,
} from "../../protocol/message.ts";
import {
  isLoggingLevel,
  LOGGING_LEVELS,
  methodRule,
  STATEFUL_METHODS,
} from "../../protocol/methods.ts";
import { exposedQuestion, restoredAnswer } from "../../protocol/tasks.ts";
import { initializeResult, type Reply } from "../../registry/answers.ts";
import type { Facts, SessionKind } from "../events.ts";
import type { Members } from "../members/members.ts";
import type { Snapshots } from "../snapshots.ts";
import { exposedNotification, mayHear, type Owners } from "../tasks.ts";
import { ActiveExchange, type ExchangeOwner, type Outlet, unanswered } from "./exchange.ts";
import type { Note } from "./journal.ts";
import type { LogLevels, ResourceSubscriber, Subscriptions } from "./subscriptions.ts";

/** The gateway's parts that a session works with. */
export interface SessionParts {
  /**
   * Answers a request and ends its exchange; `undefined` when it was cancelled and nothing may be
   * sent. Never throws nor rejects.
   */
  handle(exchange: ActiveExchange, endpoint: Endpoint): Answering;
  readonly snapshots: Pick<Snapshots, "view" | "whenListable">;
  readonly members: Pick<Members, "behind">;
  readonly levels: Pick<LogLevels, "changed">;
  readonly subscriptions: Pick<Subscriptions, "find" | "add" | "remove">;
  readonly events: Pick<Facts, "emit" | "served">;
  /** Elicitations that go on in a browser after the call that caused them. */
  readonly elicitations: Owners;
}

/** What a request is answered with, now or later; `undefined`: nothing is to be sent. */
export type Answering = Reply | undefined | Promise<Reply | undefined>;

/** What the session has to know of its client. */
export type KnownClient = Pick<Client, "protocolVersion" | "capabilities" | "info" | "logLevel">;

/** As little as there can be: who says nothing of itself cannot be asked anything. */
const UNKNOWN_CLIENT: KnownClient = {
  protocolVersion: SSE_VERSION,
  capabilities: {},
  info: {},
  logLevel: undefined,
};

/** What waits for a stream of a client that has none at the moment, beyond changed lists. */
const MAX_QUEUED = 64;

let count = 0;

/**
 * One legacy client from `initialize` to its end, behind whichever front it came. The front owns
 * the streams and hands messages in; the session owns what is in flight and what is not sent yet.
 */
export class Session implements ListListener, ResourceSubscriber, ExchangeOwner {
  /** Unguessable; whoever knows it is the client. Never logged. Changed by the store alone. */
  id: string = crypto.randomUUID();
  readonly era = "legacy";
  /** Told of what is to be known when the session is taken up again. */
  note: (note: Note, value: string | readonly string[]) => void = () => {};
  /** Where its client was last, where there is an audit. */
  #address: string | undefined;
  /** Whether it goes on where another one, of before, was left off. */
  isResumed = false;
  #client: Client | undefined;
  /** The client has not said who it is, and gone on all the same. */
  #isImplied = false;
  #ready = false;
  readonly #closed = new AbortController();
  /** Aborted when the session ends; its streams end with it. */
  readonly closed: AbortSignal = this.#closed.signal;
  #lastSeen = Date.now();
  #stream: { readonly outlet: Outlet; readonly replaced: () => void } | undefined;
  readonly #inflight = new Map<Json | undefined, ActiveExchange>();
  readonly #asks = new Asks();
  readonly #queued: string[] = [];
  /** Lists that have changed since the client last read them and was last told. */
  readonly #unsent = new Set<ListKind>();

  constructor(
    readonly kind: SessionKind,
    readonly endpoint: Endpoint,
    private readonly parts: SessionParts,
    private readonly onClosed: (session: Session, reason: string) => void,
    /** Names the session in logs and status, and to servers. */
    readonly label: string = `c${++count}`,
    /** Whose it is; others do not find it. Undefined where nobody has to say who he is. */
    readonly principal?: Principal,
    address?: string,
  ) {
    this.#address = address;
  }

  /** The client behind it, `undefined` before `initialize`. */
  get client(): Client | undefined {
    return this.#client;
  }

  /** Whether this principal has it, at this endpoint: for anybody else it does not exist. */
  isOf(principal: Principal | undefined, { key }: Endpoint): boolean {
    return this.principal?.id === principal?.id && this.endpoint.key === key;
  }

  /** Its client has come from here. */
  cameFrom(address: string | undefined): void {
    if (address === this.#address) return;
    this.#address = address;
    if (this.#client !== undefined) this.#client = { ...this.#client, address };
  }

  /** Goes on with a client that was initialized before; it may have missed that lists changed. */
  resume(known: KnownClient): void {
    const { label, principal } = this;
    this.#client = {
      ...{ label, era: "legacy", session: label, principal, address: this.#address },
      ...known,
    };
    this.isResumed = this.#ready = true;
    this.tell();
    this.listsChanged(LIST_RULES.map(({ kind }) => kind));
  }

  /** Tells that its client is known now, or has `left`. */
  tell(left?: string): void {
    const { client, kind: transport, endpoint: { key: endpoint }, parts } = this;
    if (client === undefined) return;
    parts.events.emit({ kind: "client", client, transport, endpoint, left });
  }

  /** Milliseconds since the client was last heard; 0 while it holds a stream or awaits an answer. */
  idleFor(now: number): number {
    return this.#stream !== undefined || this.#inflight.size > 0 ? 0 : now - this.#lastSeen;
  }

  /**
   * Takes one message of the client. What belongs to it goes to `outlet`, except the response to a
   * request, which is returned (`undefined`: nothing is to be sent). Never throws nor rejects.
   */
  receive(message: Message, outlet: Outlet): Answering {
    this.#lastSeen = Date.now();
    if (message.kind === "request") return this.#request(message, outlet);
    if (message.kind === "notification") this.#notified(message);
    // A response that nothing waits for is late or invented; either way it concerns nobody.
    else this.#asks.answer(message);
    return undefined;
  }

  /**
   * Sets where unsolicited messages go and sends what waited. A stream that was there before is
   * told by its `replaced`.
   */
  attach(stream: Outlet, replaced: () => void): void {
    this.#stream?.replaced();
    this.#stream = { outlet: stream, replaced };
    this.#lastSeen = Date.now();
    this.#flush();
  }

  /** Takes `stream` away, unless another has taken its place meanwhile. */
  detach(stream: Outlet): void {
    if (this.#stream?.outlet !== stream) return;
    this.#stream = undefined;
    this.#lastSeen = Date.now();
  }

  listsChanged(kinds: readonly ListKind[]): void {
    for (const kind of kinds) this.#unsent.add(kind);
    this.#flush();
  }

  hear(server: string, message: NotificationMessage): void {
    const view = this.parts.snapshots.view(this.endpoint);
    if (view === undefined || !mayHear(message, server, view)) return;
    this.send(exposedNotification(message, server, view));
  }

  /** Sends what no request asked for; it waits, within bounds, for a stream and for the client. */
  send(raw: string): void {
    this.#queued.push(raw);
    if (this.#queued.length > MAX_QUEUED) this.#queued.shift();
    this.#flush();
  }

  /** Cancels a request in flight, if it is one; `reason` goes to the log. */
  cancel(id: Json | undefined, reason: string): void {
    this.#inflight.get(id)?.cancel(reason);
  }

  /** Ends the session: what is in flight is cancelled, and it is forgotten. Idempotent. */
  close(reason: string): void {
    if (this.closed.aborted) return;
    this.#closed.abort();
    this.#stream = undefined;
    for (const exchange of this.#inflight.values()) exchange.cancel(reason);
    this.#asks.close();
    this.onClosed(this, reason);
  }

  #flush(): void {
    if (this.#stream === undefined || !this.#ready) return;
    for (const method of changeMethods(this.#unsent)) {
      this.#stream.outlet.send(notification(method));
    }
    this.#unsent.clear();
    for (const raw of this.#queued.splice(0)) this.#stream.outlet.send(raw);
  }

  #request(message: RequestMessage, outlet: Outlet): Answering {
    const { events } = this.parts;
    if (message.method === "ping") {
      return events.served(message, resultResponse(idTextOf(message), "{}"));
    }
    if (message.method === "initialize") return events.served(message, this.#initialize(message));
    if (this.#client === undefined) {
      if (this.kind !== "sse") {
        return refusal(message, 'the session is not initialized; send "initialize" first');
      }
      // Clients of that time open a lost stream again and go on as if the session were the same.
      this.#isImplied = true;
      this.resume(UNKNOWN_CLIENT);
    }
    if (this.#inflight.has(message.id)) {
      return refusal(message, `id ${idTextOf(message)} is already in flight in this session`);
    }
    if (STATEFUL_METHODS.has(message.method)) {
      return events.served(message, this.#stateful(message));
    }
    const exchange = new ActiveExchange(this.#client!, message, outlet, this);
    this.#inflight.set(message.id, exchange);
    return this.parts.handle(exchange, this.endpoint);
  }

  ended({ request: { id, method } }: ActiveExchange): void {
    this.#inflight.delete(id);
    this.#lastSeen = Date.now();
    if (this.#unsent.size === 0) return;
    // What the client has just read needs no announcement any more.
    const handling = methodRule(method, "legacy")?.handling;
    if (handling?.by === "list") this.#unsent.delete(handling.rule.kind);
  }

  /** Answers what changes the session itself; such requests reach no upstream as they are. */
  async #stateful(message: RequestMessage): Promise<Reply> {
    const { method, params } = message;
    try {
      if (method === "logging/setLevel") {
        if (!isLoggingLevel(params?.level)) {
          throw invalidParams(`"level" must be one of ${LOGGING_LEVELS.join(", ")}`);
        }
        this.#client = { ...this.#client!, logLevel: params.level };
        this.note("level", params.level);
        await this.parts.levels.changed(this);
      } else {
        const uri = params?.uri;
        if (typeof uri !== "string") throw invalidParams('"uri" must be a string');
        const { subscriptions } = this.parts;
        const found = subscriptions.find(this.endpoint, uri);
        const change = method === "resources/unsubscribe" ? "remove" : "add";
        if (found === undefined && change === "add") {
          const why = `Resource not found, or its server has no subscriptions: "${uri}"`;
          throw resourceNotFound(uri, why, "legacy");
        }
        const told = found && subscriptions[change](found, this);
        // What was refused is not written down; what was not, in the order it was asked for.
        this.note(change === "add" ? "subscribe" : "unsubscribe", uri);
        await told;
      }
      return resultResponse(idTextOf(message), "{}");
    } catch (error) {
      return errorResponse(idTextOf(message), toRpcError(error));
    }
  }

  /** A question that belongs to a task names it as this client knows it, and so does the answer. */
  async ask(
    exchange: ActiveExchange,
    method: string,
    params: string | undefined,
    takenBack: CancelSignal = exchange.signal,
  ): Promise<ResponseMessage> {
    const { server, signal } = exchange;
    if (method === "elicitation/create" && params !== undefined) {
      // One in a browser is completed by a notification that says no more than its id.
      const { elicitationId: id } = JSON.parse(params) as JsonObject;
      if (typeof id === "string") this.parts.elicitations.set(server, id, exchange.client);
    }
    const ofTask = this.endpoint.server === undefined && params?.includes(MetaKey.RelatedTask);
    const told = ofTask ? exposedQuestion(params!, server) : params;
    const off = anyCancelled(signal, takenBack);
    try {
      const answer = await this.#asks.ask(exchange, exchange.outlet, method, told, off.signal);
      return ofTask ? restoredAnswer(answer, server) : answer;
    } finally {
      off.detach();
    }
  }

  async #initialize(message: RequestMessage): Promise<Reply> {
    const { protocolVersion, capabilities, clientInfo } = message.params ?? {};
    if (this.#client !== undefined && !this.#isImplied) {
      return refusal(message, "the session is initialized already");
    }
    if (typeof protocolVersion !== "string") {
      return errorResponse(idTextOf(message), invalidParams("protocolVersion must be a string"));
    }
    const version = negotiateVersion(protocolVersion);
    this.#isImplied = false;
    this.#client = {
      label: this.label,
      era: "legacy",
      protocolVersion: version,
      capabilities: isObject(capabilities) ? capabilities : {},
      info: isObject(clientInfo) ? clientInfo : {},
      session: this.label,
      principal: this.principal,
      address: this.#address,
      logLevel: undefined,
    };
    const { snapshots } = this.parts;
    // What it says of capabilities and instructions holds for the whole session.
    await snapshots.whenListable(this.endpoint);
    const view = snapshots.view(this.endpoint);
    if (view === undefined) {
      this.#client = undefined;
      return errorResponse(idTextOf(message), gone(this.endpoint));
    }
    if (!this.closed.aborted) this.tell();
    return resultResponse(idTextOf(message), initializeResult(view, version));
  }

  #notified(message: NotificationMessage): void {
    if (message.method === "notifications/initialized") {
      this.#ready = this.#client !== undefined;
      this.#flush();
    } else if (message.method === "notifications/roots/list_changed") {
      for (const { upstream } of this.parts.members.behind(this.endpoint)) {
        upstream.notifyClientRoots(this.label);
      }
    } else if (message.method === "notifications/cancelled") {
      this.cancel(message.params?.requestId, "cancelled by the client");
    }
  }
}

function refusal(message: RequestMessage, why: string): string {
  return errorResponse(idTextOf(message), invalidRequest(why));
}

/** How long a person may take to answer, milliseconds. */
export const ASK_TIMEOUT = 10 * 60_000;

/**
 * The requests the gateway has put to one legacy client on behalf of its upstreams. Ids are the
 * gateway's own, so that two upstreams that count alike never meet.
 */
export class Asks {
  readonly #pending = new Map<RequestId, PromiseWithResolvers<ResponseMessage>>();
  #count = 0;

  /** How many wait for the client. */
  get size(): number {
    return this.#pending.size;
  }

  /**
   * Puts a request to the client on `outlet` and waits for the answer.
   * @throws {RpcError} when the client cannot be asked this, does not answer in time, or `signal`
   * aborts; the client is told that the request is off
   */
  async ask(
    exchange: ActiveExchange,
    outlet: Outlet,
    method: string,
    paramsText: string | undefined,
    signal: CancelSignal,
  ): Promise<ResponseMessage> {
    const params = paramsText === undefined ? undefined : JSON.parse(paramsText) as JsonObject;
    const refusal = cannotAnswer(exchange, method, params);
    if (refusal !== undefined) throw refusal;
    const id = ++this.#count;
    const answer = Promise.withResolvers<ResponseMessage>();
    const giveUp = (reason: string) => {
      if (!this.#pending.delete(id)) return;
      const off = JSON.stringify({ requestId: id, reason });
      outlet.send(notification("notifications/cancelled", off));
      answer.reject(unanswered(reason));
    };
    const timer = setTimeout(giveUp, ASK_TIMEOUT, "the client took too long");
    const onAbort = () => giveUp("the call was cancelled");
    signal.addEventListener("abort", onAbort);
    this.#pending.set(id, answer);
    const text = request(String(id), method, paramsText);
    const traced = exchange.record?.trace?.asked(id, method, params);
    outlet.send(traced === undefined ? text : editJson(text, traced.edits(false)));
    if (signal.aborted) onAbort();
    try {
      const told = await answer.promise;
      traced?.ended(told, performance.now());
      return told;
    } catch (error) {
      traced?.ended(toRpcError(error), performance.now());
      throw error;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
    }
  }

  /** Hands over a response of the client; false when nothing waits for it. */
  answer(response: ResponseMessage): boolean {
    const { id } = response;
    const asked = id === null ? undefined : this.#pending.get(id);
    asked?.resolve(response);
    return asked !== undefined && this.#pending.delete(id!);
  }

  /** The client is gone: nothing will be answered any more. */
  close(): void {
    for (const { reject } of this.#pending.values()) reject(unanswered("the client has gone"));
    this.#pending.clear();
  }
}
