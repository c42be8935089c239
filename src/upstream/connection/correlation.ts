/**
 * Which call an upstream's message belongs to. Every connection has one table; ids are never
 * reused on it, so that a late or repeated answer meets nobody.
 */

import type { CancelSignal } from "../../lib/cancel.ts";
import { editJson } from "../../lib/json-edit.ts";
import type { Clock } from "../../lib/time.ts";
import type { RpcError } from "../../protocol/errors.ts";
import type { Exchange } from "../../protocol/exchange.ts";
import type { RequestId, ResponseMessage } from "../../protocol/message.ts";
import { HttpStatusError, LostCallError, NetworkError } from "../transport/failures.ts";
import type { CloseReason } from "../transport/transport.ts";

/** What a caller hands in to wait for an answer. */
export interface CallOptions<T> {
  readonly method: string;
  /** The client request behind it; undefined for the gateway's own requests. */
  readonly exchange?: Exchange | undefined;
  /** The client's progress token as JSON text, where it gave one. */
  readonly tokenText?: string | undefined;
  /** Milliseconds without answer or progress; `Infinity` for none. */
  readonly timeout: number;
  /** Called exactly once, whatever happens. */
  readonly settle: (outcome: T) => void;
}

/** One call that waits for its answer. */
export interface PendingCall<T> extends CallOptions<T> {
  /** The id it has towards the upstream; also the value of its progress token there. */
  readonly id: number;
  /** Its client has been asked something on its behalf. */
  readonly asked: boolean;
  /** The highest progress its client has been told. */
  readonly highest: number | undefined;
}

interface Entry<T> extends PendingCall<T> {
  asked: boolean;
  highest: number | undefined;
  /** Infinity while {@link Correlation.hold} is in force. */
  deadline: number;
  /** How often it is held. */
  held: number;
}

/**
 * The table. Taking a call out ({@link Correlation.take}) is the only way to settle it, and works
 * once; that is what makes "exactly one outcome" hold under any order of events.
 */
export class Correlation<T> {
  readonly #calls = new Map<number, Entry<T>>();
  #nextId = 1;
  /** One timer for the whole table, at or before the earliest deadline: a call costs none. */
  #disarm: (() => void) | undefined;
  #armedFor = Infinity;

  /** `onExpire`: a call ran out of time; it is out of the table already and still to be settled. */
  constructor(
    private readonly clock: Clock,
    private readonly onExpire: (call: PendingCall<T>) => void,
  ) {}

  /** Calls that wait. */
  get size(): number {
    return this.#calls.size;
  }

  /** Enters a call and returns its id. */
  open(options: CallOptions<T>): number {
    const id = this.#nextId++;
    const deadline = this.clock.now() + options.timeout;
    this.#calls.set(id, { ...options, id, deadline, held: 0, asked: false, highest: undefined });
    if (deadline < this.#armedFor) this.#arm(deadline);
    return id;
  }

  /** Every call that waits, in the order they were opened. */
  get calls(): Iterable<PendingCall<T>> {
    return this.#calls.values();
  }

  /** The call with this id, left in the table. */
  get(id: RequestId | null | undefined): PendingCall<T> | undefined {
    return typeof id === "number" ? this.#calls.get(id) : undefined;
  }

  /** Removes and returns a call; undefined for an id that is unknown, settled or not ours. */
  take(id: RequestId | null): PendingCall<T> | undefined {
    const call = this.get(id);
    if (call !== undefined) this.#calls.delete(call.id);
    return call;
  }

  /** The only call in flight that `matches`, where there is exactly one. */
  only(matches: (call: PendingCall<T>) => boolean): PendingCall<T> | undefined {
    let found: PendingCall<T> | undefined;
    for (const call of this.#calls.values()) {
      if (!matches(call)) continue;
      if (found !== undefined) return undefined;
      found = call;
    }
    return found;
  }

  /** The call whose progress `token` is, and which has come to `value`; its time starts anew. */
  progress(token: unknown, value?: unknown): PendingCall<T> | undefined {
    const call = typeof token === "number" ? this.#calls.get(token) : undefined;
    if (call === undefined || call.tokenText === undefined) return undefined;
    if (typeof value === "number" && value > (call.highest ?? -Infinity)) call.highest = value;
    if (call.held === 0) call.deadline = this.clock.now() + call.timeout;
    return call;
  }

  /**
   * Stops the time of a call, for as long as a person thinks about what is asked on its behalf. May
   * be held several times; a call that is not there (any more) is passed over.
   */
  hold(id: number): void {
    const call = this.#calls.get(id);
    if (call === undefined) return;
    call.held++;
    call.asked = true;
    call.deadline = Infinity;
  }

  /** Takes one {@link hold} back; with the last one the call's time starts anew. */
  unhold(id: number): void {
    const call = this.#calls.get(id);
    if (call === undefined || call.held === 0 || --call.held > 0) return;
    call.deadline = this.clock.now() + call.timeout;
    if (call.deadline < this.#armedFor) this.#arm(call.deadline);
  }

  /** Settles everything that waits with what `outcome` makes of it; the table can be used on. */
  drain(outcome: (call: PendingCall<T>) => T): void {
    const calls = [...this.#calls.values()];
    this.#calls.clear();
    this.#disarm?.();
    this.#disarm = undefined;
    this.#armedFor = Infinity;
    for (const call of calls) call.settle(outcome(call));
  }

  #arm(deadline: number): void {
    this.#disarm?.();
    this.#armedFor = deadline;
    this.#disarm = this.clock.after(deadline - this.clock.now(), () => this.#expire());
  }

  #expire(): void {
    this.#disarm = undefined;
    this.#armedFor = Infinity;
    const now = this.clock.now();
    let next = Infinity;
    const expired: Entry<T>[] = [];
    for (const call of this.#calls.values()) {
      if (call.deadline <= now) expired.push(call);
      else next = Math.min(next, call.deadline);
    }
    for (const call of expired) this.#calls.delete(call.id);
    if (next < Infinity) this.#arm(next);
    for (const call of expired) this.onExpire(call);
  }
}

/** Options of the gateway's own requests. */
export interface RequestOptions {
  readonly signal?: CancelSignal | undefined;
  /** Milliseconds; `Infinity` for a stream that stays open. */
  readonly timeout: number;
  /**
   * Whether an aborted or expired request is cancelled upstream. Not before a handshake is done:
   * old servers do not expect it there. @default true
   */
  readonly cancel?: boolean;
  /** Told the id the request has towards the upstream, before it is sent. */
  readonly onId?: (id: number) => void;
}

/** What is known of a call in flight. */
type Fate = Pick<PendingCall<unknown>, "id" | "asked" | "highest">;

/** What a client's call fails with when its connection is closed. */
export function lossByClose(
  server: string,
  { id, asked, highest }: Fate,
  { message, unsent }: CloseReason,
): LostCallError {
  return new LostCallError(server, message, { sent: !unsent?.has(id), asked, progress: highest });
}

/** What a client's call fails with when sending it has failed with `error`. */
export function lossBySend(server: string, { asked, highest }: Fate, error: RpcError): RpcError {
  const isLoss = error instanceof LostCallError;
  if (!isLoss && !(error instanceof NetworkError)) return error;
  const sent = isLoss ? error.facts.sent : !error.neverSent;
  return new LostCallError(server, error.why, { sent, asked, progress: highest }, { cause: error });
}

/** Whether the upstream may be at work on a call that failed with `error` when it was sent. */
export function mayBeRunning(error: RpcError): boolean {
  if (error instanceof LostCallError) return error.facts.sent;
  return !(error instanceof HttpStatusError) || error.status >= 500;
}

const HEAD = '{"jsonrpc":"2.0","id":';
const TAIL = ',"jsonrpc":"2.0","id":';

/**
 * The text of a response with `idText` in the place of its id.
 *
 * Servers write the id first or (the TypeScript SDK) last, in two fixed spellings; those are
 * spliced, since scanning a large result for its last member costs more than all the rest. The
 * splice is taken only where no second `id` can be hidden in the text: JSON parsers keep the last
 * of two equal keys, and an answer must not reach a client under an id the upstream chose.
 */
export function restoreId(response: ResponseMessage, idText: string): string {
  const { raw, id } = response;
  const own = String(id);
  // The last member decides, so nothing before it can matter.
  const tail = `${TAIL}${own}}`;
  if (raw.endsWith(tail)) return `${raw.slice(0, -own.length - 1)}${idText}}`;
  const behind = HEAD.length + own.length;
  if (
    raw.startsWith(HEAD) && raw.startsWith(own, HEAD.length) && raw[behind] === "," &&
    raw.lastIndexOf('"id"') === HEAD.length - 5 && !raw.includes("\\u00")
  ) return `${HEAD}${idText}${raw.slice(behind)}`;
  return editJson(raw, [{ path: ["id"], value: idText }]);
}
