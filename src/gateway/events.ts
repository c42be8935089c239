/**
 * What happens in a gateway, as facts, for whoever wants to know: the log, the ranking by use, the
 * service manager, a screen. Nobody who listens can hold up or break what he is told of.
 */

import type { Snapshot } from "../gating/gate.ts";
import { TokenBucket } from "../lib/rate-limit.ts";
import { isObject, type JsonObject } from "../lib/json.ts";
import { cut, snippet } from "../lib/text.ts";
import { getLogger } from "../log/mod.ts";
import { ErrorCode, type RpcError } from "../protocol/errors.ts";
import type { CallNotes, CallTrace, Client, Exchange, Principal } from "../protocol/exchange.ts";
import type { RequestMessage, ResponseMessage } from "../protocol/message.ts";
import { ListReply, type Reply, replyText } from "../registry/answers.ts";
import { conflictText, noticeText } from "../registry/build.ts";
import type { Route } from "../registry/types.ts";
import type { Phase } from "../upstream/state.ts";
import type { CallOutcome } from "./outcome.ts";

/** How a legacy client is connected, for status and logs. */
export type SessionKind = "http" | "sse" | "stdio";

/** What the codes of errors mean that are thrown on the way; whatever has another is a refusal. */
const THROWN: ReadonlyMap<number, CallOutcome> = new Map([
  [ErrorCode.UpstreamUnavailable, "unavailable"],
  [ErrorCode.UpstreamTimeout, "timeout"],
  [ErrorCode.UpstreamProtocol, "error"],
  [ErrorCode.InternalError, "error"],
]);

/** What a {@link CallRecord} is made of. */
interface Recorded extends Pick<Exchange, "rid" | "client" | "request" | "server" | "signal"> {
  readonly number: number;
}

/**
 * A call, from its arrival to its end. Filled in on its way; complete when it is told, and not to be
 * kept: it holds the request and its answer.
 */
export class CallRecord implements CallNotes {
  readonly kind = "call";
  /** The request as it came; one through `execute_tool` goes on as another. */
  readonly received: RequestMessage;
  /** The key of its endpoint. */
  readonly endpoint: string;
  /** Who was asked last; empty where it was nobody. */
  server = "";
  /** Where it went, of a tool of several servers. */
  tool: Route | undefined = undefined;
  /** Where it was to go, of a tool or prompt. */
  route: Route | undefined = undefined;
  /** What it is about, as the server itself calls it. */
  ownName: string | undefined = undefined;
  /** The meta tool by which another tool was called. */
  via: string | undefined = undefined;
  outcome: CallOutcome = "ok";
  /** The server has begun a task: its answer is not the last word. */
  isUnfinished = false;
  /** Of an error. */
  code: number | undefined = undefined;
  /** What the client was told of an error; of a tool's own it is a part of its result. */
  error: string | undefined = undefined;
  /** The log has told of it already. */
  isLogged = false;
  /** Undefined where it was cancelled. */
  reply: Reply | undefined = undefined;
  /** On the clock of `performance.now()`. */
  readonly started: number = performance.now();
  /** Milliseconds; of these {@link CallRecord.queueMs} and {@link CallRecord.serverMs} are parts. */
  duration = 0;
  queueMs = 0;
  serverMs = 0;
  sent = 0;
  answered = 0;
  attempts = 0;
  cached = false;
  trace: CallTrace | undefined = undefined;

  constructor(private readonly exchange: Recorded, endpoint: string) {
    this.received = exchange.request;
    this.endpoint = endpoint;
  }

  get rid(): string {
    return this.exchange.rid;
  }

  /** What its `rid` is written from. */
  get number(): number {
    return this.exchange.number;
  }

  get traceId(): string | undefined {
    return this.trace?.traceId;
  }

  get client(): Client {
    return this.exchange.client;
  }

  /** What was carried out: {@link CallRecord.received}, but through `execute_tool`. */
  get request(): RequestMessage {
    return this.exchange.request;
  }

  get method(): string {
    return this.received.method;
  }

  /** What was asked for as the client has said it; it may hold secrets. */
  get params(): JsonObject | undefined {
    return this.request.params;
  }

  /** The name or URI that was asked for, as the client knows it; of a meta tool that of its tool. */
  get name(): string | undefined {
    return nameIn(this.params);
  }

  /** Length of the text that came, and of the one that went back: that is at hand, bytes are not. */
  get bytesIn(): number {
    return this.received.raw.length;
  }

  get bytesOut(): number {
    const { reply } = this;
    if (typeof reply === "string") return reply.length;
    return reply === undefined || reply instanceof ListReply ? 0 : replyText(reply).length;
  }

  /** Notes what a server's answer says. */
  answeredBy({ result, error }: ResponseMessage, tool: Route | undefined): void {
    this.tool = tool;
    if (result === undefined) {
      this.outcome = "error";
      this.code = typeof error?.code === "number" ? error.code : undefined;
      this.error = typeof error?.message === "string" ? error.message : undefined;
    } else if (result.isError === true) {
      this.outcome = "tool_error";
      this.error = firstText(result);
    } else if (result.resultType === "input_required") this.outcome = "input_required";
    else this.isUnfinished = (result.resultType ?? "complete") !== "complete";
  }

  /** Notes that it has failed on the way, and what the client is told. */
  failed({ code, message }: Pick<RpcError, "code" | "message">, outcome = THROWN.get(code)): void {
    this.outcome = outcome ?? "refused";
    this.code = code;
    this.error = message;
  }

  /** Notes what is known at the end. */
  ended(reply: Reply | undefined): void {
    const { exchange: { server, signal }, sent, answered } = this;
    const now = performance.now();
    this.server = server;
    this.reply = reply;
    if (signal.aborted) this.outcome = "cancelled";
    this.duration = now - this.started;
    if (sent + answered === 0) return;
    // What was sent in an earlier round is with the server from the start of this one.
    const ms = (answered || now) - (sent || this.started);
    this.serverMs = Math.max(0, Math.min(ms, this.duration - this.queueMs));
  }
}

/** A request that is about the connection, and no call: it has been answered by the gateway itself. */
export interface ServedFact {
  readonly kind: "served";
  readonly method: string;
  /** Milliseconds it took. */
  readonly duration: number;
}

/** A request that the gateway answers with an error of its own, or that broke inside. */
export interface FailureFact {
  readonly kind: "failure";
  /** Undefined where it was turned away before it reached a session, or has none. */
  readonly rid: string | undefined;
  /** The label of the client, or what it calls itself in `User-Agent`. */
  readonly client: string | undefined;
  /** Who is behind it, where that is known. */
  readonly principal?: Principal | undefined;
  /** Of one that was turned away, that of HTTP and the path. */
  readonly method: string;
  /** What the client is told; secrets are masked. */
  readonly told: Pick<RpcError, "code" | "message">;
  /** What was thrown where nobody should throw it; not for the eyes of clients. */
  readonly cause: unknown;
  /** Where it is a call that is told of when it has ended. */
  readonly record?: CallRecord | undefined;
}

/**
 * Another state of the server that is in force under a name (a reload that puts another one in its
 * place, or none, included), or the end of its first attempt.
 */
export interface ServerFact {
  readonly kind: "server";
  readonly server: string;
  readonly phase: Phase;
}

/** There is another snapshot. */
export interface ListsFact {
  readonly kind: "lists";
  readonly before: Snapshot;
  readonly after: Snapshot;
}

/** A legacy client has said who it is, or goes on as who it was; or it went for a reason. */
export interface ClientFact {
  readonly kind: "client";
  readonly client:
    & Pick<Client, "label" | "info" | "principal" | "address">
    & Partial<Pick<Client, "protocolVersion">>;
  readonly transport: SessionKind;
  /** The key of its endpoint. */
  readonly endpoint: string;
  /** Undefined while it is there. */
  readonly left: string | undefined;
}

/** Another configuration is in force, or was refused for a reason. */
export interface ConfigFact {
  readonly kind: "config";
  readonly file: string;
  /** Secrets are masked. */
  readonly refused: string | undefined;
}

/**
 * A definition of a server's is not as it was approved, and is held back or waits only; or it was
 * approved.
 */
export interface PinFact {
  readonly kind: "pin";
  readonly server: string;
  /** `tool NAME`, `prompt NAME` or `instructions`. */
  readonly item: string;
  readonly what: "held" | "waiting" | "approved";
}

/**
 * A call came beyond a limit, and was not carried out. Its {@link CallRecord} is told as that of any
 * refused call; who tells of this fact tells of that no more.
 */
export interface LimitedFact extends Pick<CallRecord, "rid" | "method" | "name"> {
  readonly kind: "limited";
  readonly client: Pick<Client, "label" | "principal" | "address">;
  readonly endpoint: string;
  /** Whose rate it was; empty where it was a limit of the principal's. */
  readonly server: string;
  /** What the client is told. */
  readonly told: string;
}

/** Somebody has shown who he is, and is not given what he asks for. */
export interface DeniedFact {
  readonly kind: "denied";
  readonly principal: Principal;
  readonly address?: string | undefined;
  readonly path: string;
  /** That of HTTP: 403, or 404 for what is hidden. */
  readonly status: number;
}

/** A wrong credential was shown. */
export interface AuthFailedFact {
  readonly kind: "authFailed";
  readonly address: string | undefined;
  readonly why: string;
}

/** What became of a login to a server. */
export interface GrantFact {
  readonly kind: "grant";
  readonly server: string;
  /** Whose it is, by id; empty for the gateway's own. */
  readonly principal: string;
  readonly what: "received" | "refreshed" | "dead" | "removed";
  /** Who has brought it or taken it away, and from where. */
  readonly who?: string | undefined;
  readonly address?: string | undefined;
}

/** An alert fires, or does no more. */
export interface AlertFact extends Readonly<Record<"rule" | "subject", string>> {
  readonly kind: "alert";
  readonly isFiring: boolean;
}

/** All there is to be told of; {@link CallRecord} alone may hold secrets. */
export type Fact =
  | CallRecord
  | ServedFact
  | FailureFact
  | ServerFact
  | ListsFact
  | ClientFact
  | ConfigFact
  | PinFact
  | LimitedFact
  | DeniedFact
  | AuthFailedFact
  | GrantFact
  | AlertFact;

type Kind = Fact["kind"];
type Of<K extends Kind> = Extract<Fact, { readonly kind: K }>;
type Listener = (fact: Fact) => unknown;

const log = getLogger("mcproxy", "gateway");

/** Tells facts to those who listen for their kind. */
export class Facts {
  readonly #listeners = new Map<Kind, Set<Listener>>();
  readonly #failed = new WeakSet<Listener>();

  /** Calls `listener` with every fact of a kind, until the returned function is called. */
  on<K extends Kind>(kind: K, listener: (fact: Of<K>) => void): () => void {
    const listeners = this.#listeners.getOrInsertComputed(kind, () => new Set());
    const own: Listener = (fact) => listener(fact as Of<K>);
    listeners.add(own);
    return () => void listeners.delete(own);
  }

  /** To be asked before a fact is made: nobody may want it. */
  hasListeners(kind: Kind): boolean {
    return (this.#listeners.get(kind)?.size ?? 0) > 0;
  }

  /** Tells of an answer of the gateway's own, when it is there. */
  served<T>({ method }: RequestMessage, answer: T): T {
    const since = performance.now();
    const tell = () => this.emit({ kind: "served", method, duration: performance.now() - since });
    if (answer instanceof Promise) void answer.then(tell, tell);
    else tell();
    return answer;
  }

  /** Never throws, and waits for nobody. */
  emit(fact: Fact): void {
    for (const listener of this.#listeners.get(fact.kind) ?? []) {
      const complain = (error: unknown) => {
        if (this.#failed.has(listener)) return;
        this.#failed.add(listener);
        log.error("Who was told of a {kind} failed: {error}", { kind: fact.kind, error });
      };
      try {
        const done = listener(fact);
        if (done instanceof Promise) done.catch(complain);
      } catch (error) {
        complain(error);
      }
    }
  }
}

function firstText({ content }: JsonObject): string | undefined {
  const text = Array.isArray(content) && isObject(content[0]) ? content[0].text : undefined;
  return typeof text === "string" ? text : undefined;
}

/** Whether there is a {@link LimitedFact} of a call. */
export function isLimited({ outcome, code }: Pick<CallRecord, "outcome" | "code">): boolean {
  return outcome === "refused" && code === ErrorCode.LimitReached;
}

/** The name or URI that is asked for. */
export function nameIn({ name, uri }: JsonObject = {}): string | undefined {
  const asked = name ?? uri;
  return typeof asked === "string" ? asked : undefined;
}

/** Why clients that never said goodbye are sent away. */
export const SILENT = { idle: "idle for too long", crowded: "too many sessions" } as const;

/** The gateway's own lines in the log; clients that come and go by the thousand do not fill it. */
export function logFacts(events: Facts, now = () => performance.now()): void {
  const comings = new TokenBucket({ ratePerSecond: 5, burst: 100, now: now() });
  const refusals = new TokenBucket({ ratePerSecond: 0.1, burst: 5, now: now() });
  const limits = new TokenBucket({ ratePerSecond: 0.1, burst: 5, now: now() });
  const tell = (bucket: TokenBucket, text: string, facts: object) => {
    const verdict = bucket.take(now());
    if (verdict.allowed) log.info(text, { ...facts, suppressed: verdict.suppressed || undefined });
  };
  events.on("lists", ({ before, after }) => {
    // Each is told once, when it comes up.
    for (const text of news(before.conflicts, after.conflicts, conflictText)) {
      log.warn("{conflict}", { conflict: text });
    }
    for (const text of news(before.notices, after.notices, noticeText)) {
      log.warn("{notice}", { notice: text });
    }
  });
  events.on("client", ({ client: { label, info, principal }, transport, endpoint, left }) => {
    const words = [info.name, info.version].filter((word) => typeof word === "string");
    const name = JSON.stringify(snippet(words.join(" "), 80));
    const path = `/${endpoint}/${transport === "sse" ? "sse" : "mcp"}`.replace("/*", "");
    const text = left === undefined ? "came" : "went: {left}";
    const facts = { client: label, name, left, transport, path, who: principal?.who };
    tell(comings, `Client {client} {name} ${text}`, facts);
  });
  events.on("limited", ({ rid, client: { label: client, principal }, method, told: error }) => {
    const facts = { rid, client, who: principal?.who, method, error };
    tell(limits, "{method} was refused: {error}", facts);
  });
  events.on("failure", ({ rid, client, principal, method, told, cause, record }) => {
    // Who looks at calls has a line for each that failed.
    if (record !== undefined && cause === undefined) return;
    // What a client or a server has sent stands in both, at any length.
    const error = cut(told.message, 1_000);
    const facts = { rid, client, who: principal?.who, method: cut(method, 100), error };
    if (rid === undefined) tell(refusals, "{method} was refused: {error}", facts);
    else if (cause === undefined) {
      log.info("{method} failed: {error}", { ...facts, code: told.code });
    } else log.error("{method} failed inside the gateway: {cause}", { ...facts, cause });
  });
}

function news<T>(
  before: readonly T[],
  after: readonly T[],
  textOf: (finding: T) => string,
): readonly string[] {
  if (before === after || after.length === 0) return [];
  const known = new Set(before.map(textOf));
  return after.map(textOf).filter((text) => !known.has(text));
}
