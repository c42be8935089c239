/** W3C Trace Context as MCP carries it: in `_meta` of what is asked, and in headers where it has any. */

import type { JsonEdit } from "../lib/json-edit.ts";
import type { JsonObject } from "../lib/json.ts";
import { metaOf } from "./message.ts";

const META: readonly string[] = ["params", "_meta"];
const PARENT: readonly string[] = [...META, "traceparent"];
const STATE: readonly string[] = [...META, "tracestate"];

/** A place in a trace. */
export class TraceContext {
  constructor(
    readonly traceId: string,
    readonly spanId: string,
    /** Two hexadecimal digits; nothing but what is known of today. */
    readonly flags: string,
    /** What systems on the way have added of their own. */
    readonly state: string | undefined,
  ) {}

  /** Whether it is written down by who has made it. */
  get isSampled(): boolean {
    return (Number(this.flags) & 1) === 1;
  }

  /** What a request has in its headers that is made there. */
  get headers(): { readonly traceparent: string; readonly tracestate?: string } {
    const traceparent = `00-${this.traceId}-${this.spanId}-${this.flags}`;
    return this.state === undefined ? { traceparent } : { traceparent, tracestate: this.state };
  }

  /**
   * The same in its parameters, in the place of what its caller has said there; `isBare` where there
   * is no `_meta`, nor will be.
   */
  edits(isBare: boolean): readonly JsonEdit[] {
    const { traceparent, tracestate } = this.headers;
    const parent = `"${traceparent}"`;
    const state = tracestate && JSON.stringify(tracestate);
    // One edit of a member that is not there takes half as long as two deeper ones.
    if (isBare && state === undefined) return [{ path: META, value: `{"traceparent":${parent}}` }];
    return [{ path: PARENT, value: parent }, { path: STATE, value: state }];
  }
}

/** Its last two members are read by what comes after them, should there be newer versions. */
const FORM =
  /^(?!ff)([\da-f]{2})-(?!0{32})([\da-f]{32})-(?!0{16})([\da-f]{16})-([\da-f]{2})(-.*)?$/;
/** Receivers have to take so many characters of each. */
const MOST_OF_PARENT = 256;
const SENDABLE = /^[\x20-\x7e]{1,512}$/;

/** Undefined for what is none. */
export function readTraceContext(parent: unknown, state?: unknown): TraceContext | undefined {
  if (typeof parent !== "string" || parent.length > MOST_OF_PARENT) return undefined;
  const [, version, traceId, spanId, flags, more] = FORM.exec(parent) ?? [];
  if (traceId === undefined || (version === "00" && more !== undefined)) return undefined;
  const known = `0${parseInt(flags!, 16) & 3}`;
  const isSendable = typeof state === "string" && SENDABLE.test(state);
  return new TraceContext(traceId, spanId!, known, isSendable ? state : undefined);
}

/** What a request says of its caller's trace, in its parameters or else in its headers. */
export function callerTrace(
  params: JsonObject | undefined,
  headers: Pick<Headers, "get"> | undefined,
): TraceContext | undefined {
  const { traceparent, tracestate } = metaOf(params);
  return readTraceContext(traceparent, tracestate) ??
    readTraceContext(headers?.get("traceparent"), headers?.get("tracestate"));
}
