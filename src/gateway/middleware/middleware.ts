/**
 * What stands between a client's request and its upstream: the next transformation of arguments or
 * results is one function of the type {@link Middleware}, in a file of its own in `middleware/`, and
 * a line in `middleware/chains.ts`. `docs/middleware.md` shows one from beginning to end.
 */

import { type JsonEdit, rawAt } from "../../lib/json-edit.ts";
import { argumentEdits, type ArgumentRules } from "../../protocol/arguments.ts";
import { type Exchange, holderOf } from "../../protocol/exchange.ts";
import type { ListItem } from "../../protocol/lists.ts";
import type { ResponseMessage } from "../../protocol/message.ts";

/**
 * A request on its way to an upstream, in the upstream's own terms. Immutable: who changes
 * something passes on a copy.
 */
export interface Call {
  /** The client's request as it came; what is different for the upstream is in `edits`. */
  readonly exchange: Exchange;
  /** Config key of the server it goes to. */
  readonly server: string;
  /** What is called, by the upstream's own name: a tool's name, a resource's URI. */
  readonly name: string;
  /** What is changed in the text of the request before it is sent. A later one counts. */
  readonly edits: readonly JsonEdit[];
  /**
   * Whose the answer is, see {@link holderOf}: what one was told, another must not be. Undefined
   * where the client cannot be recognised.
   */
  readonly holder: string | undefined;
}

/** Answers a call; the last one in a row sends it to the upstream. */
export type Next = (call: Call) => Promise<ResponseMessage>;

/**
 * One transformation. It may change the call it hands to `next`, the response it gets, answer
 * itself, or call `next` again. Responses are edited as text (`lib/json-edit.ts`), so that what is
 * not understood stays as it is; `raw`, `result` and `error` must agree afterwards, and `id` must be
 * that of the request. It is used for many calls at a time and keeps nothing of one.
 * @throws {RpcError} what the client is to be told instead of a result
 */
export type Middleware = (call: Call, next: Next) => Promise<ResponseMessage>;

/** The middlewares one after the other, the first one outermost, and `send` behind them all. */
export function compose(middlewares: readonly Middleware[], send: Next): Next {
  return middlewares.reduceRight<Next>(
    (next, middleware) => (call) => middleware(call, next),
    send,
  );
}

/** An exchange as a {@link Call}. */
export function callOf(
  exchange: Exchange,
  server: string,
  name: string,
  edits: readonly JsonEdit[],
): Call {
  return { exchange, server, name, edits, holder: holderOf(exchange.client) };
}

/**
 * Gives a tool the arguments that the rules want: defaults for what the client left out, fixed
 * values, nothing for what is hidden. The client's request stays as it is.
 */
export function withArguments(rules: ArgumentRules): Middleware {
  return (call, next) => {
    const path = ["params", "arguments"];
    const edits = argumentEdits(rawAt(call.exchange.request.raw, path), rules);
    if (edits.length === 0) return next(call);
    const placed = edits.map((edit) => ({ ...edit, path: [...path, ...edit.path] }));
    return next({ ...call, edits: [...call.edits, ...placed] });
  };
}

/** Whether a tool with this entry in the list declares an output schema. */
export function declaresOutput({ raw }: ListItem): boolean {
  return raw.includes('"outputSchema"') && rawAt(raw, ["outputSchema"]) !== undefined;
}
