/** The spans of a call while it is under way: as little as is told of them when it has ended. */

import type { ActiveExchange } from "../../gateway/clients/exchange.ts";
import type { JsonObject } from "../../lib/json.ts";
import { ErrorCode, RpcError } from "../../protocol/errors.ts";
import type { CallTrace, TracedRequest } from "../../protocol/exchange.ts";
import { metaOf, type ResponseMessage } from "../../protocol/message.ts";
import { methodRule } from "../../protocol/methods.ts";
import { callerTrace, readTraceContext, TraceContext } from "../../protocol/trace-context.ts";

/** Requests on behalf of one call that are traced; a server may ask without end. */
const MOST_REQUESTS = 64;
const NONE: readonly RequestSpan[] = [];
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
  const { client: { era }, request: { method, params }, outlet, record } = exchange;
  if (method === "ping" || methodRule(method, era)?.handling.by === "list") return undefined;
  const parent = callerTrace(params, outlet.headers);
  const isWanted = parent === undefined ? Math.random() < share : parent.isSampled;
  return isWanted ? new TracedCall(parent, record?.started) : undefined;
}

/**
 * A call that is traced, and the requests that were made on its behalf. It may wait for long until
 * it is sent, and has nothing in it of what was said.
 */
export class TracedCall extends TraceContext implements CallTrace {
  requests: readonly RequestSpan[] = NONE;

  constructor(
    readonly parent: TraceContext | undefined,
    /** On the clock of `performance.now()`, as all that follow. */
    readonly started: number = performance.now(),
  ) {
    super(parent?.traceId ?? randomId(16), randomId(8), parent?.flags ?? "01", parent?.state);
  }

  get parentId(): string | undefined {
    return this.parent?.spanId;
  }

  sent(id: number, server: string, at: number): TracedRequest | undefined {
    return this.#add(new RequestSpan(this, this.spanId, id, at, server));
  }

  asked(
    id: number | string,
    method: string,
    params: JsonObject | undefined,
  ): TracedRequest | undefined {
    const last = this.requests.findLast(({ question }) => question === undefined);
    const theirs = readTraceContext(metaOf(params).traceparent);
    const below = theirs?.traceId === this.traceId ? theirs : last ?? this;
    const question = new RequestSpan(
      this,
      below.spanId,
      id,
      performance.now(),
      last?.server,
      method,
    );
    return this.#add(question);
  }

  #add(span: RequestSpan): RequestSpan | undefined {
    if (this.requests.length === MOST_REQUESTS) return undefined;
    // Made anew: most calls have one, and an array that grows gets room for 17.
    this.requests = [...this.requests, span];
    return span;
  }
}

/** One request that was made on behalf of a call. */
export class RequestSpan extends TraceContext implements TracedRequest {
  /** 0 while it is under way. */
  end = 0;
  /** As `error.type` has it. */
  error: string | undefined = undefined;

  constructor(
    { traceId, flags, state }: TraceContext,
    readonly parentId: string,
    /** As it is known to who answers it. */
    readonly id: number | string,
    readonly started: number,
    /** Undefined where it is that of the call. */
    readonly server?: string,
    /** The method of a question to the client; a request to a server has that of its call. */
    readonly question?: string,
  ) {
    super(traceId, randomId(8), flags, state);
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
