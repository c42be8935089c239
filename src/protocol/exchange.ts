import type { CancelSignal } from "../lib/cancel.ts";
import type { JsonEdit } from "../lib/json-edit.ts";
import type { JsonObject } from "../lib/json.ts";
import type { Envelope, Era } from "./eras.ts";
import type { RpcError } from "./errors.ts";
import type { RequestMessage, ResponseMessage } from "./message.ts";

/** Who is behind a request, as the door has found out; nobody behind it knows how. */
export interface Principal {
  /**
   * The same for one person or program, whatever it shows: the name of a key, or issuer and subject
   * of a token. What belongs to somebody is bound to it.
   */
  readonly id: string;
  /** What people call it: for log lines, status and audit. */
  readonly who: string;
  /** All that `access` may know it by: a name, `key:NAME`, `group:GROUP`, `scope:SCOPE`. */
  readonly names: readonly string[];
}

/** Whoever can read this user's own files: the gateway's commands, and the client on its stdin. */
export const LOCAL: Principal = { id: "local", who: "local", names: [] };

/** What somebody was let in by. */
export interface Admission {
  readonly principal: Principal;
  /** Whether it still holds at `now` (ms since the epoch): what is open-ended asks now and then. */
  holds(now: number): boolean;
}

/** How somebody has come. */
export interface Visitor {
  /** What he was let in by; undefined where nobody has to say who he is. */
  readonly admission?: Admission | undefined;
  /** Where from, where there is an audit: finding it out costs time. */
  readonly address?: string | undefined;
}

/** Somebody who was let in. */
export type Guest = Visitor & { readonly admission: Admission };

/**
 * Who a request comes from. For a legacy client it lives as long as the session; for a modern one
 * it is read from the envelope of each request, which has come by what it was let in by.
 */
export interface Client extends Envelope, Visitor {
  /** Short, unique in this process, for logs; never the session id, which is a secret. */
  readonly label: string;
  /**
   * The legacy session it belongs to, a label like the above; undefined for a modern client, which
   * has none. What one session may see of an upstream, another must not.
   */
  readonly session: string | undefined;
  /** The stdin it came by, where nobody else's requests do; a name like the above. */
  readonly pipe?: string | undefined;
  readonly era: Era;
  /** Undefined where nobody has to say who he is. */
  readonly principal?: Principal | undefined;
  /**
   * The least severe log level it asked for: by `logging/setLevel` (legacy) or in the envelope of
   * this request (modern). Undefined where it asked for none.
   */
  readonly logLevel: string | undefined;
}

/**
 * By what it is kept that something belongs to this client: who is behind it, else its session;
 * undefined for one that cannot be recognised. No session is called like a principal.
 */
export function holderOf({ principal, session }: Pick<Client, "principal" | "session">) {
  return principal === undefined ? session : `principal ${principal.id}`;
}

/** One request that is made on behalf of a call, in the trace of that. */
export interface TracedRequest {
  /** What it carries in its parameters; `isBare` where they have no `_meta`, nor will have. */
  edits(isBare: boolean): readonly JsonEdit[];
  /** The same, for what goes by HTTP. */
  readonly headers: Readonly<Record<string, string>>;
  /** It has come to its end, by `performance.now()`. */
  ended(outcome: ResponseMessage | RpcError, at: number): void;
}

/** The trace a call belongs to, told of the requests that are made on its behalf. */
export interface CallTrace {
  readonly traceId: string;
  /** It goes to a server, under this id, by `performance.now()`. */
  sent(id: number, server: string, at: number): TracedRequest | undefined;
  /** Its client is asked something, under this id or key. */
  asked(
    id: number | string,
    method: string,
    params: JsonObject | undefined,
  ): TracedRequest | undefined;
}

/** What is noted of a request on its way, for whoever looks at calls; nobody on the way reads it. */
export interface CallNotes {
  /** How often it was sent to a server. */
  attempts: number;
  /** When it was first sent to one and when the last answer came, by `performance.now()`; 0: never. */
  sent: number;
  answered: number;
  /** Milliseconds it waited: for others to end, or for a server to start. */
  queueMs: number;
  /** It was answered from the cache of results. */
  cached: boolean;
  /** Undefined where it is not traced. */
  readonly trace?: CallTrace | undefined;
}

/** Notes how long a request waits for something. */
export function noteWait<T>(
  { record }: Pick<Exchange, "record">,
  waiting: Promise<T>,
): Promise<T> {
  if (record === undefined) return waiting;
  const since = performance.now();
  return waiting.finally(() => record.queueMs += performance.now() - since);
}

/**
 * One client request in flight. Fronts make it, one per era; the router and the upstreams use it
 * without knowing which front it came from.
 */
export interface Exchange {
  /** Correlation id: on every log line about this request. */
  readonly rid: string;
  readonly client: Client;
  readonly request: RequestMessage;
  /**
   * Aborted when the client cancels or has gone in a way that means cancel (PROTOCOL notes 1.1:
   * closing the stream cancels in the modern era only). Never aborted by a successful end.
   */
  readonly signal: CancelSignal;
  /**
   * The server it was sent to last, set by whoever sends it on; empty before. A question on its
   * behalf comes from there.
   */
  server: string;
  /** Undefined where nobody wants to know. */
  readonly record?: CallNotes | undefined;
  /**
   * Sends a notification to this client on this request's stream. `raw` is JSON text already in
   * the client's terms (its own progress token). Nothing is sent once the exchange has ended.
   */
  notify(raw: string): void;
  /**
   * Asks the client on this request's stream (legacy: sampling, elicitation, roots). The request's
   * id is the gateway's business; `paramsText` is JSON. `signal` aborts when the upstream takes the
   * question back or is gone; nobody waits for the answer then.
   * @throws {RpcError} where the client cannot be asked, or answers nothing in time
   */
  ask(
    method: string,
    paramsText: string | undefined,
    signal?: CancelSignal,
  ): Promise<ResponseMessage>;
}

/** An exchange whose request may be replaced: the call of a tool that calls tools becomes theirs. */
export interface ReplaceableExchange extends Exchange {
  /** Replaced by one with the same id and method, before anything is sent upstream. */
  request: RequestMessage;
}

/** The same exchange but for what is given: for something that is done on its behalf. */
export function derived(
  exchange: Exchange,
  changed: Partial<Pick<Exchange, "signal" | "notify" | "ask">>,
): Exchange {
  const { rid, client, request, signal } = exchange;
  return {
    rid,
    client,
    request,
    signal,
    get server() {
      return exchange.server;
    },
    set server(name) {
      exchange.server = name;
    },
    record: exchange.record,
    notify: (raw) => exchange.notify(raw),
    ask: (method, paramsText, signal) => exchange.ask(method, paramsText, signal),
    ...changed,
  };
}

/**
 * The same exchange for a second attempt: progress must increase (utilities/progress), so what is
 * not above `floor`, which its client has been told before, is left out.
 */
export function withProgressAbove(exchange: Exchange, floor: number): Exchange {
  return derived(exchange, {
    notify: (raw) => {
      if (raw.includes('"notifications/progress"')) {
        const { params } = JSON.parse(raw) as { params?: JsonObject };
        if (typeof params?.progress === "number" && params.progress <= floor) return;
      }
      exchange.notify(raw);
    },
  });
}
