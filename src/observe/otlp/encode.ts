/** What OTLP has in JSON: the members and their order are those of the protocol's own messages. */

import type { Redactor } from "../../lib/secrets.ts";
import { cut } from "../../lib/text.ts";
import { VERSION } from "../../lib/version.ts";
import { errorTypeOf, type ObservedCall } from "../call.ts";
import type { RequestSpan, TracedCall } from "./trace.ts";

/** Values of attributes by their names; what is undefined is left out. */
export type AttributeValues = Readonly<Record<string, string | number | boolean | undefined>>;

/** A call that has ended, and its trace. */
export interface TracedEnd {
  readonly call: ObservedCall;
  readonly trace: TracedCall;
  /** As the client has it. */
  readonly requestId: string;
  readonly protocolVersion: string;
}

/** Characters of one value. */
const MOST_OF_VALUE = 1_000;
/** Of a name that may be anybody's invention, and stands in that of a span. */
const MOST_OF_NAME = 200;
const SCOPE = JSON.stringify({ name: "mcproxy", version: VERSION });
/** As the protocol numbers them. */
const [SERVER, CLIENT] = [2, 3];
const FAILED = 2;
/** It is known whether the parent is of another process; and it is. */
const [KNOWS_PARENT, REMOTE_PARENT] = [0x100, 0x200];

/** Attributes as a list of keys and values. */
export function attributesOf(attributes: AttributeValues, redact: Redactor["text"] = String) {
  return Object.entries(attributes).flatMap(([key, value]) =>
    value === undefined ? [] : [{ key, value: valueOf(value, redact) }]
  );
}

function valueOf(value: string | number | boolean, redact: Redactor["text"]) {
  if (typeof value === "string") return { stringValue: redact(cut(value, MOST_OF_VALUE)) };
  if (typeof value === "boolean") return { boolValue: value };
  return Number.isInteger(value) ? { intValue: value } : { doubleValue: value };
}

/** Nanoseconds since the epoch, for a time in milliseconds. */
export function nanos(ms: number): string {
  const whole = Math.floor(ms);
  return `${whole}${String(Math.floor((ms - whole) * 1e6)).padStart(6, "0")}`;
}

/** The body of a request with these things, JSON each. */
export function otlpBody(
  signal: "Spans" | "Logs" | "Metrics",
  member: string,
  from: AttributeValues,
  things: readonly string[],
): string {
  const resource = { attributes: attributesOf(from), droppedAttributesCount: 0 };
  const head = `{"resource":${JSON.stringify(resource)},"scope${signal}":[{"scope":${SCOPE},`;
  return `{"resource${signal}":[${head}"${member}":[${things.join()}]}]}]}`;
}

/** How a server is reached, in the words of the conventions; undefined for one that is gone. */
export type TransportOf = (server: string) => string | undefined;

/** The spans of a call: its own, and those of the requests that were made on its behalf. */
export function spansOf(end: TracedEnd, transportOf: TransportOf, redact: Redactor["text"]) {
  const { call, trace: { traceId, parent, started, requests, ...trace } } = end;
  const timeOf = (stamp: number) => nanos(call.at + stamp - started);
  const flags = Number(trace.flags) | KNOWS_PARENT;
  const span = (
    own: { spanId: string; parentSpanId: string | undefined; kind: number; flags: number },
    name: string,
    [from, to]: readonly [number, number],
    attributes: AttributeValues,
  ) => ({
    ...{ traceId, spanId: own.spanId, parentSpanId: own.parentSpanId, traceState: parent?.state },
    ...{ name: redact(name), kind: own.kind },
    ...{ startTimeUnixNano: timeOf(from), endTimeUnixNano: timeOf(to) },
    ...{ attributes: attributesOf(attributes, redact), droppedAttributesCount: 0 },
    ...{ events: [], droppedEventsCount: 0 },
    status: { code: attributes["error.type"] === undefined ? 0 : FAILED },
    ...{ links: [], droppedLinksCount: 0, flags: own.flags },
  });
  const until = started + call.ms;
  const requestSpan = (request: RequestSpan) => {
    const { spanId, parentId: parentSpanId, started: from, end, question } = request;
    const own = { spanId, parentSpanId, kind: CLIENT, flags };
    const name = question ?? nameOf(call.method, call.ownName);
    return span(own, name, [from, end || Math.max(from, until)], {
      ...requestAttributes(call, request),
      ...(question === undefined
        ? { "network.transport": transportOf(request.server) }
        : { "mcproxy.client.name": call.client || undefined }),
    });
  };
  const own = { spanId: trace.spanId, parentSpanId: parent?.spanId, kind: SERVER };
  return [
    span(
      { ...own, flags: parent === undefined ? flags : flags | REMOTE_PARENT },
      nameOf(call.method, call.name),
      [started, until],
      callAttributes(end),
    ),
    ...requests.map(requestSpan),
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
    "rpc.response.status_code": call.code === undefined ? undefined : String(call.code),
    "mcproxy.server.name": call.server || undefined,
    "mcproxy.client.name": call.client || undefined,
    "mcproxy.endpoint": call.endpoint,
    "mcproxy.via": call.via,
    "mcproxy.cached": call.cached,
    "mcproxy.queue_ms": call.queueMs || undefined,
  };
}

function requestAttributes(
  { method, ownName, outcome }: ObservedCall,
  { id, server, question, error }: RequestSpan,
): AttributeValues {
  // Who is cancelled hears that it is not available any more.
  const isCancelled = outcome === "cancelled" && error === "unavailable";
  return {
    ...(question === undefined ? about(method, ownName) : about(question, undefined)),
    "jsonrpc.request.id": String(id),
    "error.type": isCancelled ? outcome : error,
    "rpc.response.status_code": /^-?\d+$/.test(error ?? "") ? error : undefined,
    "mcproxy.server.name": server,
  };
}
