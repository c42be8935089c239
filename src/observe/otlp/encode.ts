/** What OTLP has in JSON: the members and their order are those of the protocol's own messages. */

import type { OtelConfig } from "../../config/schema-observe.ts";
import type { Json } from "../../lib/json.ts";
import type { Redactor } from "../../lib/secrets.ts";
import { cut } from "../../lib/text.ts";
import { VERSION } from "../../lib/version.ts";
import { errorTypeOf, type ObservedCall } from "../call.ts";
import type { RequestSpan, TracedCall } from "./trace.ts";

/** What is sent. */
export type Signal = OtelConfig["signals"][number];

/** Values of attributes by their names; what is undefined or null is left out. */
export type AttributeValues = Readonly<Record<string, Json | undefined>>;

/** A call that has ended, and its trace. */
export interface TracedEnd {
  readonly call: ObservedCall;
  readonly trace: TracedCall;
  /** As the client has it. */
  readonly requestId: string;
  readonly protocolVersion: string;
}

/** Characters of one value; and of a name that may be anybody's invention, and stands in a span's. */
const [MOST_OF_VALUE, MOST_OF_NAME] = [1_000, 200];
const SCOPE = { name: "mcproxy", version: VERSION };
/** As the protocol numbers them. */
const [SERVER, CLIENT] = [2, 3];
const FAILED = 2;
/** It is known whether the parent is of another process; and it is. */
const [KNOWS_PARENT, REMOTE_PARENT] = [0x100, 0x200];
/** No span of ours has these. */
const NO_EVENTS = { droppedAttributesCount: 0, events: [], droppedEventsCount: 0 };
const NO_LINKS = { links: [], droppedLinksCount: 0 };

/** How a signal is called in a body, and the list of what is sent. */
const MEMBERS = {
  traces: ["Spans", "spans"],
  logs: ["Logs", "logRecords"],
  metrics: ["Metrics", "metrics"],
} as const satisfies Record<Signal, unknown>;
const END = "]}]}]}";

/** The body of a request with these things, JSON each. */
export function otlpBody(signal: Signal, from: AttributeValues, things: readonly string[]): string {
  const [kind, list] = MEMBERS[signal];
  const resource = { attributes: attributesOf(from), droppedAttributesCount: 0 };
  const scopes = [{ scope: SCOPE, [list]: [] }];
  const empty = JSON.stringify({ [`resource${kind}`]: [{ resource, [`scope${kind}`]: scopes }] });
  return empty.slice(0, -END.length) + things.join() + END;
}

/** Attributes as a list of keys and values. */
export function attributesOf(attributes: AttributeValues, redact: Redactor["text"] = String) {
  return Object.entries(attributes).flatMap(([key, value]) =>
    value === undefined || value === null ? [] : [{ key, value: valueOf(value, redact) }]
  );
}

function valueOf(value: NonNullable<Json>, redact: Redactor["text"]) {
  if (typeof value === "boolean") return { boolValue: value };
  if (typeof value === "number") {
    return Number.isInteger(value) ? { intValue: value } : { doubleValue: value };
  }
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return { stringValue: redact(cut(text, MOST_OF_VALUE)) };
}

/** Nanoseconds since the epoch, for a time in milliseconds. */
export function nanos(ms: number): string {
  const whole = Math.floor(ms);
  return `${whole}${String(Math.floor((ms - whole) * 1e6)).padStart(6, "0")}`;
}

/** How a server is reached, in the words of the conventions; undefined for one that is gone. */
export type TransportOf = (server: string) => string | undefined;

/** The spans of a call: its own, and those of the requests that were made on its behalf. */
export function spansOf(end: TracedEnd, transportOf: TransportOf, redact: Redactor["text"]) {
  const { call, trace, trace: { traceId, parent, state: traceState } } = end;
  const until = trace.started + call.ms;
  const timeOf = (stamp: number) => nanos(call.at + stamp - trace.started);
  const span = (
    { spanId, parentId, started }: TracedCall | RequestSpan,
    kind: number,
    to: number,
    name: string,
    attributes: AttributeValues,
  ) => ({
    ...{ traceId, spanId, parentSpanId: parentId, traceState, name: redact(name), kind },
    startTimeUnixNano: timeOf(started),
    endTimeUnixNano: timeOf(to),
    attributes: attributesOf(attributes, redact),
    ...NO_EVENTS,
    status: { code: attributes["error.type"] === undefined ? 0 : FAILED },
    ...NO_LINKS,
    flags: Number(trace.flags) | KNOWS_PARENT | (kind === SERVER && parent ? REMOTE_PARENT : 0),
  });
  const requestSpan = (request: RequestSpan) => {
    const name = request.question ?? nameOf(call.method, call.ownName);
    const to = request.end || Math.max(request.started, until);
    return span(request, CLIENT, to, name, requestAttributes(call, request, transportOf));
  };
  return [
    span(trace, SERVER, until, nameOf(call.method, call.name), callAttributes(end)),
    ...trace.requests.map(requestSpan),
  ];
}

/** Of tools and prompts there are only so many; URIs would be a name for each. */
function nameOf(method: string, name: string | undefined): string {
  const isNamed = name !== undefined && /^(tools\/call|prompts\/get)$/.test(method);
  return cut(isNamed ? `${method} ${name}` : method, MOST_OF_NAME);
}

function about(method: string, name: string | undefined): AttributeValues {
  const short = name && cut(name, MOST_OF_NAME);
  const isTool = method === "tools/call";
  return {
    "mcp.method.name": method,
    "gen_ai.operation.name": isTool ? "execute_tool" : undefined,
    "gen_ai.tool.name": isTool ? short : undefined,
    "gen_ai.prompt.name": method === "prompts/get" ? short : undefined,
    "mcp.resource.uri": method.startsWith("resources/") ? name : undefined,
  };
}

function callAttributes({ call, requestId, protocolVersion }: TracedEnd): AttributeValues {
  return {
    ...about(call.method, call.name),
    "jsonrpc.request.id": requestId,
    "mcp.protocol.version": protocolVersion,
    "error.type": errorTypeOf(call),
    "rpc.response.status_code": call.code?.toString(),
    "mcproxy.server.name": call.server || undefined,
    "mcproxy.client.name": call.client || undefined,
    "mcproxy.endpoint": call.endpoint,
    "mcproxy.via": call.via,
    "mcproxy.cached": call.cached,
    "mcproxy.queue_ms": call.queueMs || undefined,
  };
}

function requestAttributes(
  call: ObservedCall,
  { id, server = call.server, question, error }: RequestSpan,
  transportOf: TransportOf,
): AttributeValues {
  // Who is cancelled hears that it is not available any more.
  const isCancelled = call.outcome === "cancelled" && error === "unavailable";
  return {
    ...(question === undefined ? about(call.method, call.ownName) : about(question, undefined)),
    "jsonrpc.request.id": String(id),
    "error.type": isCancelled ? "cancelled" : error,
    "rpc.response.status_code": /^-?\d+$/.test(error ?? "") ? error : undefined,
    "mcproxy.server.name": server,
    "network.transport": question === undefined ? transportOf(server) : undefined,
    "mcproxy.client.name": question && (call.client || undefined),
  };
}
