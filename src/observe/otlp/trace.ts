/** The spans of a call while it is under way: as little as is told of them when it has ended. */

import type { ActiveExchange } from "../../gateway/clients/exchange.ts";
import type { JsonEdit } from "../../lib/json-edit.ts";
import type { JsonObject } from "../../lib/json.ts";
import { ErrorCode, RpcError } from "../../protocol/errors.ts";
import type { CallTrace, TracedRequest } from "../../protocol/exchange.ts";
import { metaOf, type ResponseMessage } from "../../protocol/message.ts";
import { methodRule } from "../../protocol/methods.ts";
import {
  callerTrace,
  isSampled,
  readTraceContext,
  type TraceContext,
  traceEdits,
  traceHeaders,
} from "../../protocol/trace-context.ts";

/** Requests on behalf of one call that are traced; a server may ask without end. */
const MOST_REQUESTS = 64;
const SAMPLED = "01";
/** Small, as whoever keeps an id keeps the text of which it is a part. */
const pool = new Uint8Array(512);

let digits = "";
let used = 0;

/** So many random bytes as hexadecimal digits; to ask for a few at a time costs more than a call may. */
function randomId(bytes: 8 | 16): string {
  if (used + 2 * bytes > digits.length) {
    digits = crypto.getRandomValues(pool).toHex();
    used = 0;
  }
  return digits.slice(used, used += 2 * bytes);
}

/**
 * The trace of a request that has come; undefined where it is not written: lists are no calls, and
 * whether others are is what the caller has decided, or else is true of a share of them.
 */
export function beginTrace(exchange: ActiveExchange, share: number): TracedCall | undefined {
  const { client: { era }, request: { method, params }, outlet } = exchange;
  if (method === "ping" || methodRule(method, era)?.handling.by === "list") return undefined;
  const parent = callerTrace(params, outlet.headers);
  const isWanted = parent === undefined ? Math.random() < share : isSampled(parent);
  return isWanted ? new TracedCall(exchange, parent, exchange.record?.started) : undefined;
}

/** A call that is traced, and the requests that were made on its behalf. */
export class TracedCall implements CallTrace {
  readonly traceId: string;
  readonly spanId: string = randomId(8);
  readonly flags: string;
  readonly requests: RequestSpan[] = [];
  #lastSent: RequestSpan | undefined;

  constructor(
    readonly exchange: Pick<ActiveExchange, "server" | "request">,
    readonly parent: TraceContext | undefined,
    /** On the clock of `performance.now()`, as all that follow. */
    readonly started: number = performance.now(),
  ) {
    this.traceId = parent?.traceId ?? randomId(16);
    this.flags = parent?.flags ?? SAMPLED;
  }

  sent(id: number, at: number): TracedRequest | undefined {
    const span = this.#add(new RequestSpan(this, this.spanId, id, at));
    return this.#lastSent = span ?? this.#lastSent;
  }

  asked(id: number, method: string, params: JsonObject | undefined): TracedRequest | undefined {
    const theirs = readTraceContext(metaOf(params).traceparent);
    const own = this.#lastSent?.spanId ?? this.spanId;
    const below = theirs?.traceId === this.traceId ? theirs.spanId : own;
    return this.#add(new RequestSpan(this, below, id, performance.now(), method));
  }

  #add(span: RequestSpan): RequestSpan | undefined {
    return this.requests.length < MOST_REQUESTS && this.requests.push(span) ? span : undefined;
  }
}

/** One request that was made on behalf of a call. */
export class RequestSpan implements TracedRequest {
  readonly spanId: string = randomId(8);
  readonly server: string;
  /** 0 while it is under way. */
  end = 0;
  /** As `error.type` has it. */
  error: string | undefined = undefined;
  #headers: ReturnType<typeof traceHeaders> | undefined;

  constructor(
    private readonly call: TracedCall,
    readonly parentId: string,
    /** As it is known to who answers it. */
    readonly id: number,
    readonly started: number,
    /** The method of a question to the client; a request to a server has that of its call. */
    readonly question?: string,
  ) {
    this.server = call.exchange.server;
  }

  get headers(): ReturnType<typeof traceHeaders> {
    const { traceId, flags, parent } = this.call;
    return this.#headers ??= traceHeaders({
      traceId,
      spanId: this.spanId,
      flags,
      state: parent?.state,
    });
  }

  edits(isAlone: boolean): readonly JsonEdit[] {
    const { params } = this.call.exchange.request;
    return traceEdits(this.headers, isAlone && params?._meta === undefined);
  }

  ended(outcome: ResponseMessage | RpcError, at: number): void {
    this.end = at;
    this.error = failureOf(outcome);
  }
}

function failureOf(outcome: ResponseMessage | RpcError): string | undefined {
  if (outcome instanceof RpcError) {
    if (outcome.code === ErrorCode.UpstreamTimeout) return "timeout";
    return outcome.code === ErrorCode.UpstreamUnavailable ? "unavailable" : String(outcome.code);
  }
  const { result, error } = outcome;
  if (result?.isError === true) return "tool_error";
  return result === undefined ? String(error?.code ?? "error") : undefined;
}
