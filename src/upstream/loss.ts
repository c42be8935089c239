/** What happens to a call whose connection is lost, and whether it may be sent once more. */

import { overriddenAnnotations, type ServerShape } from "../config/types.ts";
import type { JsonEdit } from "../lib/json-edit.ts";
import { isObject, type JsonObject } from "../lib/json.ts";
import { ErrorCode, RpcError } from "../protocol/errors.ts";
import type { Exchange } from "../protocol/exchange.ts";
import type { Inventory } from "../protocol/lists.ts";
import { methodRule } from "../protocol/methods.ts";
import type { PendingCall } from "./connection/correlation.ts";
import { HttpStatusError, NetworkError, serverLabel } from "./transport/failures.ts";
import type { CloseReason } from "./transport/transport.ts";

/** How far a call had come when its connection was lost. */
export interface LossFacts {
  /** The server may have got it; false only where that is certainly not so. */
  readonly sent: boolean;
  /** Its client has been asked something on its behalf. */
  readonly asked: boolean;
  /** The highest progress its client has been told, where it was told any. */
  readonly progress: number | undefined;
}

/** The server may have carried it out, and the client has noticed nothing. */
export const SENT: LossFacts = { sent: true, asked: false, progress: undefined };

/** The server has certainly not got it. */
export const NOT_SENT: LossFacts = { ...SENT, sent: false };

/** The connection of a call was lost before its answer came. `why` is a clause: `exited with …`. */
export class LostCallError extends RpcError {
  constructor(
    readonly server: string,
    readonly why: string,
    readonly facts: LossFacts = SENT,
    options?: ErrorOptions,
  ) {
    super(ErrorCode.UpstreamUnavailable, `${serverLabel(server)} ${why}`, undefined, options);
  }
}

/** What is known of a call in flight. */
type Fate = Pick<PendingCall<unknown>, "id" | "asked" | "highest">;

/** What a client's call fails with when its connection is closed. */
export function lossByClose(
  server: string,
  { id, asked, highest }: Fate,
  { message, unsent }: CloseReason,
): LostCallError {
  return new LostCallError(server, message, { sent: id !== unsent, asked, progress: highest });
}

/** What a client's call fails with when sending it has failed with `error`. */
export function lossBySend(
  server: string,
  { asked, highest }: Fate,
  error: RpcError,
): RpcError {
  const [why, sent] = error instanceof NetworkError
    ? [error.why, !neverSent(error)]
    : error instanceof LostCallError
    ? [error.why, error.facts.sent]
    : [];
  if (why === undefined || sent === undefined) return error;
  return new LostCallError(server, why, { sent, asked, progress: highest }, { cause: error });
}

/** Whether nobody was there to take what was sent. */
export function neverSent({ phase, fault }: NetworkError): boolean {
  return phase === "connect" && (fault === "refused" || fault === "dns");
}

/** Everything that decides what becomes of a call that failed. */
export interface FailedCall {
  readonly error: unknown;
  /** Somebody still waits for it: neither has its client cancelled nor the gateway stopped. */
  readonly isWanted: boolean;
  /** Whether doing it twice does no harm; asked only where that matters. */
  readonly isSafe: () => boolean;
  /** Its client has answered questions on its behalf in an earlier round. */
  readonly isContinued: boolean;
  /** It has been repeated although the server may have got it; that is done once. */
  readonly wasRepeated: boolean;
  /** How often it has been sent, or tried to be. */
  readonly attempts: number;
  /** Instances of the server. */
  readonly instances: number;
  /** Another instance is ready. */
  readonly isElsewhere: boolean;
}

/** What becomes of it. */
export type Repetition =
  /** `again` is whether this uses up the one repetition of a call that may have been carried out. */
  | { readonly kind: "repeat"; readonly again: boolean }
  | { readonly kind: "fail"; readonly error: unknown };

/** Statuses of a proxy whose server is away or full: another instance may be better off. */
const AWAY = new Set([502, 503, 504]);

/**
 * Decides it. What never reached a server may always go to another one; what may have been carried
 * out is repeated once, if that does no harm and its client has not been asked anything.
 */
export function judgeFailure(call: FailedCall): Repetition {
  const { error, isWanted, isSafe, attempts, instances } = call;
  const fail = (error: unknown): Repetition => ({ kind: "fail", error });
  if (!isWanted) return fail(error);
  if (error instanceof HttpStatusError && AWAY.has(error.status)) {
    const may = call.isElsewhere && !call.wasRepeated && !call.isContinued && isSafe();
    return may ? { kind: "repeat", again: true } : fail(error);
  }
  if (!(error instanceof LostCallError)) return fail(error);
  const { facts } = error;
  if (!facts.sent && !call.isContinued) {
    return attempts <= instances ? { kind: "repeat", again: false } : fail(error);
  }
  if (facts.asked || call.isContinued) {
    return fail(annotated(error, "its client has been asked something on its behalf"));
  }
  if (!isSafe()) return fail(annotated(error, "it may have been carried out"));
  return call.wasRepeated ? fail(error) : { kind: "repeat", again: true };
}

function annotated({ server, why, facts }: LostCallError, because: string): LostCallError {
  const note = `the call was not repeated, because ${because}: send it again`;
  return new LostCallError(server, `${why}; ${note}`, facts);
}

/** What is known of the server that got the request. */
export interface RepeatFacts {
  /** As the upstream gives it. */
  readonly inventory: Inventory;
  /** What the configuration says of its tools. */
  readonly shape: ServerShape | undefined;
}

/**
 * Whether a request may be sent a second time although nobody knows what became of the first:
 * reading does no harm, and neither does a tool that says so itself (server/tools, annotations), or
 * of which the configuration says so, which has the last word.
 */
export function isRepeatable(
  { request, client }: Exchange,
  edits: readonly JsonEdit[],
  { inventory, shape }: RepeatFacts,
): boolean {
  if (methodRule(request.method, client.era)?.safe === true) return true;
  if (request.method !== "tools/call") return false;
  const edited = edits.findLast(({ path }) =>
    path.length === 2 && path[0] === "params" && path[1] === "name"
  )?.value;
  const name = edited === undefined ? request.params?.name : JSON.parse(edited);
  const item = inventory.lists.tools.items.find(({ key }) => key === name);
  if (item === undefined) return false;
  const { annotations } = JSON.parse(item.raw) as JsonObject;
  return mayRepeat(
    isObject(annotations) ? annotations : {},
    overriddenAnnotations(shape?.tools?.overrides ?? [], item.key),
  );
}

function mayRepeat(own: JsonObject, overridden: JsonObject): boolean {
  if ((overridden.readOnlyHint ?? own.readOnlyHint) === true) return true;
  if (overridden.idempotentHint !== undefined) return overridden.idempotentHint === true;
  // The hint means something of tools that write only: beside "reads only" the server has not
  // said it of what the configuration knows to write.
  return own.readOnlyHint !== true && own.idempotentHint === true;
}
