/** What is sent is what the official exporter would have sent, to the letter. */

import { createTraceState, ROOT_CONTEXT, trace } from "@opentelemetry/api";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { SimpleSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
import assert from "node:assert/strict";
import { test } from "node:test";
import { VERSION } from "../../../src/lib/version.ts";
import type { ObservedCall } from "../../../src/observe/call.ts";
import { nanos, spansOf, tracesBody } from "../../../src/observe/otlp/encode.ts";
import { TracedCall } from "../../../src/observe/otlp/trace.ts";
import { ErrorCode, RpcError } from "../../../src/protocol/errors.ts";
import { parseMessage, type RequestMessage } from "../../../src/protocol/message.ts";
import { readTraceContext } from "../../../src/protocol/trace-context.ts";
import { Collector, plain } from "./collector.ts";

const PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const RESOURCE = { "service.name": "mcproxy", "deployment.environment.name": "test" };
const CALL: ObservedCall = {
  id: "0001",
  at: 1_700_000_000_123.5,
  method: "tools/call",
  server: "github",
  name: "github_search",
  ownName: "search",
  client: "agent 1.0",
  session: "c1",
  endpoint: "*",
  outcome: "tool_error",
  ms: 12.25,
  queueMs: 1.5,
  serverMs: 10,
  gatewayMs: 0.75,
  bytesIn: 100,
  bytesOut: 200,
  via: "execute_tool",
  attempts: 2,
};

function traced(call: Partial<ObservedCall>, parent: string | undefined, state?: string) {
  const request = parseMessage('{"jsonrpc":"2.0","id":1,"method":"tools/call"}') as RequestMessage;
  const exchange = { server: "github", request };
  const made = new TracedCall(exchange, readTraceContext(parent, state));
  const { started } = made;
  const first = made.sent(7, started)!;
  first.ended(new RpcError(ErrorCode.UpstreamUnavailable, "gone"), started);
  const second = made.sent(8, started)!;
  const question = made.asked(3, "sampling/createMessage", {})!;
  question.ended({ kind: "response", raw: "", id: 3, result: {}, error: undefined }, started);
  second.ended(
    { kind: "response", raw: "", id: 8, result: { isError: true }, error: undefined },
    started,
  );
  // Times that are the same in every clock's floating point.
  made.requests.forEach((request, at) =>
    Object.assign(request, { started: started + at / 4, end: started + at / 2 })
  );
  return { call: { ...CALL, ...call }, trace: made, requestId: "1", protocolVersion: "2025-11-25" };
}

for (
  const [what, parent, state] of [
    ["a trace of a caller's", PARENT, "vendor=a"],
    ["a trace that begins here", undefined, undefined],
  ] as const
) {
  test(`the spans of ${what} are those of the official exporter`, async () => {
    const spans = spansOf(traced({}, parent, state), () => "pipe", String);
    const ours = tracesBody(RESOURCE, spans);
    const ids = spans.map(({ spanId }) => spanId);
    await using collector = await Collector.start();
    const exporter = new OTLPTraceExporter({ url: `${collector.url}/v1/traces` });
    const provider = new TracerProvider({
      resource: resourceFromAttributes(RESOURCE),
      spanProcessors: [new SimpleSpanProcessor({ exporter })],
      idGenerator: {
        generateSpanId: () => ids.shift()!,
        generateTraceId: () => spans[0]!.traceId,
      },
    });
    const tracer = provider.getTracer("mcproxy", VERSION);
    const time = (text: string): [number, number] => [
      Number(text.slice(0, -9)),
      Number(text.slice(-9)),
    ];
    for (const span of spans) {
      const { parentSpanId, traceId, kind } = span;
      const context = parentSpanId === undefined ? ROOT_CONTEXT : trace.setSpanContext(
        ROOT_CONTEXT,
        {
          traceId,
          spanId: parentSpanId,
          traceFlags: 1,
          isRemote: kind === 2,
          ...(state === undefined ? {} : { traceState: createTraceState(state) }),
        },
      );
      const made = tracer.startSpan(span.name, {
        kind: kind - 1,
        startTime: time(span.startTimeUnixNano),
        attributes: plain(span.attributes) as Record<string, string>,
      }, context);
      if (span.status.code !== 0) made.setStatus({ code: span.status.code });
      made.end(time(span.endTimeUnixNano));
    }
    await provider.forceFlush();
    await provider.shutdown();
    const theirs = collector.sent.items.map(({ body }) => body);
    const sent = theirs.map((body) => body.resourceSpans[0].scopeSpans[0].spans[0]);
    assert.equal(sent.length, 4);
    theirs[0].resourceSpans[0].scopeSpans[0].spans = sent;
    assert.equal(ours, JSON.stringify(theirs[0]));
  });
}

test("attributes are those of the conventions, and nothing of arguments and results", () => {
  const [own, first, second, question] = spansOf(traced({}, PARENT), () => "pipe", String)
    .map((span) => ({ ...span, attributes: plain(span.attributes) }));
  assert.equal(own!.name, "tools/call github_search");
  assert.deepEqual(own!.attributes, {
    "mcp.method.name": "tools/call",
    "gen_ai.operation.name": "execute_tool",
    "gen_ai.tool.name": "github_search",
    "jsonrpc.request.id": "1",
    "mcp.protocol.version": "2025-11-25",
    "error.type": "tool_error",
    "mcproxy.server.name": "github",
    "mcproxy.client.name": "agent 1.0",
    "mcproxy.endpoint": "*",
    "mcproxy.via": "execute_tool",
    "mcproxy.queue_ms": 1.5,
  });
  assert.deepEqual([first!.name, first!.parentSpanId], ["tools/call search", own!.spanId]);
  assert.deepEqual(first!.attributes, {
    "mcp.method.name": "tools/call",
    "gen_ai.operation.name": "execute_tool",
    "gen_ai.tool.name": "search",
    "jsonrpc.request.id": "7",
    "error.type": "unavailable",
    "mcproxy.server.name": "github",
    "network.transport": "pipe",
  });
  assert.equal(second!.attributes["error.type"], "tool_error");
  assert.deepEqual([question!.parentSpanId, question!.status.code], [second!.spanId, 0]);
  assert.deepEqual(question!.attributes, {
    "mcp.method.name": "sampling/createMessage",
    "jsonrpc.request.id": "3",
    "mcproxy.server.name": "github",
    "mcproxy.client.name": "agent 1.0",
  });
});

test("what others write is cut, masked, and makes no names of spans where there may be many", () => {
  const uri = "https://me:hunter22@example.com/secret-path";
  const redact = (text: string) => text.replaceAll("hunter22", "[redacted]");
  const read = { method: "resources/read", name: uri, ownName: uri };
  const [own] = spansOf(traced(read, undefined), () => undefined, redact);
  assert.equal(own!.name, "resources/read");
  assert.equal(plain(own!.attributes)["mcp.resource.uri"], uri.replace("hunter22", "[redacted]"));
  const long = { name: "x".repeat(1e6), ownName: "hunter22".repeat(1e5) };
  for (const span of spansOf(traced(long, undefined), () => undefined, redact)) {
    assert.ok(JSON.stringify(span).length < 3_000);
    assert.ok(!JSON.stringify(span).includes("hunter22"));
  }
});

test("what was cancelled is told as that, and what has not ended ends with its call", () => {
  const end = traced({ outcome: "cancelled" }, undefined);
  Object.assign(end.trace.requests[1]!, { end: 0, error: undefined });
  const [own, first, second] = spansOf(end, () => undefined, String);
  assert.equal(plain(own!.attributes)["error.type"], "cancelled");
  assert.equal(plain(first!.attributes)["error.type"], "cancelled");
  assert.equal(second!.endTimeUnixNano, own!.endTimeUnixNano);
});

test("nanoseconds keep what a millisecond has of them", () => {
  assert.equal(nanos(1_700_000_000_123), "1700000000123000000");
  assert.equal(nanos(1_700_000_000_123.5), "1700000000123500000");
  assert.match(nanos(1_700_000_000_123.999_999), /^17000000001(?:239|240)\d{5}$/);
});
