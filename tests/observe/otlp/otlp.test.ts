/** Where traces are sent, as configuration and environment say; and what of it changes with them. */

import { runtime } from "#runtime";
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseConfig } from "../../../src/config/load.ts";
import { loadOptions } from "../../../src/config/schema.ts";
import { AGGREGATE } from "../../../src/gating/endpoint.ts";
import { ActiveExchange } from "../../../src/gateway/clients/exchange.ts";
import { Gateway } from "../../../src/gateway/gateway.ts";
import { recentLines } from "../../../src/log/mod.ts";
import { Otlp } from "../../../src/observe/otlp/otlp.ts";
import { Recorder } from "../../../src/observe/recorder.ts";
import { parseMessage, type RequestMessage } from "../../../src/protocol/message.ts";
import { clientOf } from "../../gateway/middleware/middleware-support.ts";
import { poolTarget } from "../../upstream/pool-support.ts";
import { Collector, plain } from "./collector.ts";

await loadOptions("otel");
const { kind: _, ...server } = poolTarget();

function configOf(otel: unknown) {
  const settings = otel === undefined ? {} : { otel };
  const text = JSON.stringify({ prefix: "never", mcpServers: { s: server }, ...settings });
  const parsed = parseConfig(text, { file: "otlp.json", env: {} });
  assert.ok(parsed.ok, JSON.stringify(parsed));
  return parsed.config;
}

const gather = () => Promise.resolve([]);

async function running(
  otel: unknown,
  env: Record<string, string>,
  run: (parts: {
    readonly gateway: Gateway;
    readonly recorder: Recorder;
    readonly otlp: Otlp;
    readonly call: (name: string, params?: object) => Promise<string | undefined>;
  }) => Promise<void>,
): Promise<void> {
  const gateway = new Gateway({ config: configOf(otel), runtime });
  const recorder = new Recorder(gateway);
  const otlp = new Otlp({ gateway, recorder, metrics: () => Promise.resolve({ gather }) }, env);
  const call = async (name: string, params = {}) => {
    const message = {
      jsonrpc: "2.0",
      id: "one",
      method: "tools/call",
      params: { name, ...params },
    };
    const request = parseMessage(JSON.stringify(message)) as RequestMessage;
    const exchange = new ActiveExchange(clientOf("a"), request, { send: () => {} });
    await gateway.handle(exchange, AGGREGATE);
    return exchange.record?.traceId;
  };
  try {
    gateway.start();
    await gateway.settled();
    await run({ gateway, recorder, otlp, call });
  } finally {
    await gateway.close();
    await otlp.close();
    recorder.close();
  }
}

test("a call knows its trace, and its series an example", async () => {
  await using collector = await Collector.start();
  await running(collector.url, {}, async ({ recorder, otlp, call }) => {
    const traceId = await call("read");
    assert.match(traceId!, /^[\da-f]{32}$/);
    const [kept] = recorder.recent();
    assert.equal(kept!.traceId, traceId);
    const [, histogram] = [...recorder.series.operations][0]!;
    assert.equal(histogram.exemplar?.traceId, traceId);
    await otlp.close();
    assert.deepEqual(collector.spans.map((span) => span.traceId), [traceId, traceId]);
    assert.equal(collector.sent.items[0]!.headers.authorization, undefined);
    assert.deepEqual(otlp.dropped, { traces: 0, logs: 0, metrics: 0 });
  });
});

test("a reload begins, moves and ends it", async () => {
  await using first = await Collector.start();
  await using second = await Collector.start();
  await running(undefined, {}, async ({ gateway, otlp, call }) => {
    assert.equal(gateway.traceOf, undefined);
    assert.equal(await call("read"), undefined);
    gateway.reload(configOf(first.url));
    const one = await call("read");
    const headers = { Authorization: "Bearer of-the-file" };
    gateway.reload(configOf({ endpoint: `${second.url}/base`, headers }));
    const two = await call("read");
    gateway.reload(configOf({ endpoint: `${second.url}/base`, headers, signals: ["logs"] }));
    assert.equal(gateway.traceOf, undefined);
    assert.equal(await call("read"), undefined);
    gateway.reload(configOf(undefined));
    await otlp.close();
    const [sent] = second.sent.items.filter(({ path }) => path.includes("traces"));
    const { path, headers: got } = sent!;
    assert.deepEqual([path, got.authorization], ["/base/v1/traces", "Bearer of-the-file"]);
    assert.deepEqual(new Set(first.spans.map(({ traceId }) => traceId)), new Set([one]));
    const traces = second.sent.items.filter(({ path }) => path.includes("traces"));
    const spans = traces.flatMap(({ body }) => body.resourceSpans[0].scopeSpans[0].spans);
    // deno-lint-ignore no-explicit-any
    assert.deepEqual(new Set(spans.map(({ traceId }: any) => traceId)), new Set([two]));
  });
});

test("the end waits for what a reload has left to be sent, and for a second at most", async () => {
  await using silent = await Collector.start();
  silent.moods.push("hang");
  await running({ endpoint: silent.url, signals: ["traces"] }, {}, async (parts) => {
    const { gateway, otlp, call } = parts;
    await call("read");
    gateway.reload(configOf(undefined));
    await otlp.close();
    assert.equal(otlp.dropped.traces, 1);
    assert.equal(silent.sent.items.length, 1);
  });
});

test("the environment says where to, as whom and with what, where the configuration does not", async () => {
  await using collector = await Collector.start();
  const env = {
    OTEL_EXPORTER_OTLP_ENDPOINT: `${collector.url.replace("//", "//me:pass%20word@")}/`,
    OTEL_EXPORTER_OTLP_HEADERS: "x-tenant=a%2Cb, bad, x-other = c ,=,",
    OTEL_RESOURCE_ATTRIBUTES: "deployment.environment.name=pre%20prod,host.name=h,100%=odd",
    OTEL_SERVICE_NAME: "mine",
  };
  await running(undefined, env, async ({ otlp, call }) => {
    await call("read");
    await otlp.close();
    const { headers, body } = await collector.sent.waitFor(({ path }) => path.includes("traces"));
    assert.deepEqual([headers["x-tenant"], headers["x-other"]], ["a,b", "c"]);
    assert.equal(headers.authorization, `Basic ${btoa("me:pass word")}`);
    const { attributes } = body.resourceSpans[0].resource;
    const { "service.instance.id": instance, "service.version": version, ...rest } = plain(
      attributes,
    );
    assert.match(String(instance), /^[\da-f]{8}$/);
    assert.match(String(version), /^\d/);
    assert.deepEqual(rest, {
      "service.name": "mine",
      "deployment.environment.name": "pre prod",
      "host.name": "h",
      "100%": "odd",
    });
  });
  await running(
    undefined,
    { OTEL_EXPORTER_OTLP_ENDPOINT: "collector:4317" },
    async ({ gateway }) => {
      await Promise.resolve();
      assert.equal(gateway.traceOf, undefined);
    },
  );
});

test("no call fails or waits for a collector that is away, and what is lost is counted", async () => {
  const collector = await Collector.start();
  const { url } = collector;
  await collector[Symbol.asyncDispose]();
  await running(url, {}, async ({ recorder, otlp, call }) => {
    for (let at = 0; at < 3; at++) await call("read");
    assert.deepEqual(recorder.recent().map(({ outcome }) => outcome), ["ok", "ok", "ok"]);
    await otlp.close();
    assert.equal(otlp.dropped.traces, 3);
  });
});

test("nothing of arguments, results and secrets is in a span", async () => {
  await using collector = await Collector.start();
  const secret = "canary-7f3a9";
  await running(
    { endpoint: collector.url, headers: { "x-key": secret } },
    {},
    async ({ otlp, call }) => {
      await call("read", { arguments: { secret: "canary-argument" } });
      await call(`none_${secret}`);
      await call("write", { arguments: { text: "canary-argument" } });
      await otlp.close();
      const text = JSON.stringify(collector.sent.items.map(({ body }) => body));
      assert.ok(collector.spans.length >= 4, text);
      assert.doesNotMatch(text, /canary/);
    },
  );
});

test("lines of the log and metrics are sent as well, and what is sent of them knows the trace", async () => {
  await using collector = await Collector.start();
  await running(collector.url, {}, async ({ recorder, otlp, call }) => {
    const traceId = await call("read");
    const { id } = recorder.recent()[0]!;
    const line = { time: Date.now(), category: "gateway", message: "m", detail: [], json: null };
    recentLines.add({ ...line, level: "warning", fields: `rid=${id}` });
    recentLines.add({ ...line, level: "info", fields: "" });
    recentLines.add({ ...line, level: "warning", category: "otlp", fields: "" });
    await otlp.close();
    recentLines.add({ ...line, level: "error", fields: "" });
    const sent = (path: string) => collector.sent.items.filter((one) => one.path === path);
    const [logs, ...more] = sent("/v1/logs");
    assert.deepEqual(more, []);
    const { logRecords } = logs!.body.resourceLogs[0].scopeLogs[0];
    // deno-lint-ignore no-explicit-any
    assert.deepEqual(logRecords.map((one: any) => one.traceId), [traceId]);
    assert.deepEqual(sent("/v1/metrics").length, 1);
  });
});
