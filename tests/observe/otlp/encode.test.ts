/** What is sent is what the official exporter would have sent, to the letter. */

import { createTraceState, ROOT_CONTEXT, trace } from "@opentelemetry/api";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { OTLPLogExporter } from "@opentelemetry/exporter-logs-otlp-http";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { LoggerProvider, SimpleLogRecordProcessor } from "@opentelemetry/sdk-logs";
import { SimpleSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
import assert from "node:assert/strict";
import { test } from "node:test";
import { VERSION } from "../../../src/lib/version.ts";
import type { ObservedCall } from "../../../src/observe/call.ts";
import { nanos, otlpBody, spansOf } from "../../../src/observe/otlp/encode.ts";
import { isSent, logRecord } from "../../../src/observe/otlp/logs.ts";
import { metricTexts } from "../../../src/observe/otlp/metrics-body.ts";
import { Histogram } from "../../../src/observe/series.ts";
import { TracedCall } from "../../../src/observe/otlp/trace.ts";
import { ErrorCode, RpcError } from "../../../src/protocol/errors.ts";
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
  const made = new TracedCall(readTraceContext(parent, state));
  const { started } = made;
  const first = made.sent(7, "github", started)!;
  first.ended(new RpcError(ErrorCode.UpstreamUnavailable, "gone"), started);
  const second = made.sent(8, "github", started)!;
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
    const texts = spans.map((span) => JSON.stringify(span));
    const ours = otlpBody("traces", RESOURCE, texts);
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

const LINE = {
  time: 1_700_000_000_123,
  level: "error",
  category: "gateway",
  message: "tools/call failed inside the gateway",
  fields: 'rid=r7 client=c1 who="two words" ms=12',
  detail: ["TypeError: it broke", "    at f (file.ts:1:2)"],
  json: null,
} as const;

test("the lines of the log are those of the official exporter", async () => {
  await using collector = await Collector.start();
  const exporter = new OTLPLogExporter({ url: `${collector.url}/v1/logs` });
  const provider = new LoggerProvider({
    resource: resourceFromAttributes(RESOURCE),
    processors: [new SimpleLogRecordProcessor({ exporter })],
  });
  const ours = logRecord(LINE, () => undefined);
  const time: [number, number] = [1_700_000_000, 123_000_000];
  provider.getLogger("mcproxy", VERSION).emit({
    timestamp: time,
    observedTimestamp: time,
    severityNumber: 17,
    severityText: "ERROR",
    body: LINE.message,
    attributes: {
      "mcproxy.category": "gateway",
      rid: "r7",
      client: "c1",
      who: "two words",
      ms: "12",
      "exception.type": "TypeError",
      "exception.message": "it broke",
      "exception.stacktrace": LINE.detail.join("\n"),
    },
  });
  await provider.forceFlush();
  await provider.shutdown();
  const [theirs] = collector.sent.items.map(({ body }) => body);
  assert.equal(otlpBody("logs", RESOURCE, [JSON.stringify(ours)]), JSON.stringify(theirs));
});

test("a line knows the trace of its call, and where the log is JSON it says the same", () => {
  const error = { name: "TypeError", message: "it broke", stack: LINE.detail.join("\n") };
  const json = JSON.stringify({ ts: "", level: "error", logger: "l", msg: "m", rid: "r7", error });
  const record = logRecord({ ...LINE, fields: "", detail: [], json }, (rid) => `trace of ${rid}`);
  assert.deepEqual([record.traceId, record.flags], ["trace of r7", 1]);
  assert.deepEqual(plain(record.attributes), {
    "mcproxy.category": "gateway",
    rid: "r7",
    "exception.type": "TypeError",
    "exception.message": "it broke",
    "exception.stacktrace": error.stack,
  });
  const warned = { ...LINE, level: "warning", detail: [], fields: "error=ENOENT" } as const;
  const warning = logRecord(warned, () => undefined);
  assert.deepEqual([warning.severityNumber, warning.severityText], [13, "WARN"]);
  assert.equal(plain(warning.attributes)["exception.message"], "ENOENT");
  assert.deepEqual([isSent(LINE), isSent({ ...LINE, level: "info" })], [true, false]);
  assert.equal(isSent({ ...LINE, category: "otlp" }), false);
});

test("metrics are sums, gauges and histograms since the start", async () => {
  const histogram = new Histogram();
  histogram.observe(3);
  histogram.observe(700_000);
  histogram.exemplar = { traceId: "0af7651916cd43dd8448eb211c80319c", value: 0.003, at: 1_000 };
  const head = { help: "What it is.", unit: undefined } as const;
  const texts = await Array.fromAsync(
    metricTexts([
      { ...head, name: "a.count", kind: "counter", points: [[{ x: "1", y: undefined }, 5]] },
      { ...head, name: "a.gauge", kind: "gauge", points: [[{}, 0.5]] },
      { ...head, name: "a.time", kind: "histogram", unit: "s", points: [[{ m: "z" }, histogram]] },
      { ...head, name: "none", kind: "gauge", points: [] },
    ]),
  );
  const body = JSON.parse(otlpBody("metrics", RESOURCE, texts));
  const { metrics } = body.resourceMetrics[0].scopeMetrics[0];
  // deno-lint-ignore no-explicit-any
  assert.deepEqual(metrics.map(({ name }: any) => name), ["a.count", "a.gauge", "a.time"]);
  const [count, gauge, time] = metrics;
  assert.deepEqual([count.sum.aggregationTemporality, count.sum.isMonotonic], [2, true]);
  const [point] = count.sum.dataPoints;
  assert.deepEqual(point.attributes, [{ key: "x", value: { stringValue: "1" } }]);
  assert.equal(point.asDouble, 5);
  assert.ok(BigInt(point.startTimeUnixNano) < BigInt(point.timeUnixNano));
  assert.deepEqual(gauge.gauge.dataPoints[0].asDouble, 0.5);
  const [spread] = time.histogram.dataPoints;
  assert.equal(time.unit, "s");
  assert.deepEqual([spread.count, spread.sum], [2, 700.003]);
  assert.equal(spread.bucketCounts.length, spread.explicitBounds.length + 1);
  assert.deepEqual([spread.bucketCounts[2], spread.bucketCounts.at(-1)], [1, 1]);
  assert.equal(spread.exemplars[0].traceId, histogram.exemplar.traceId);
});
