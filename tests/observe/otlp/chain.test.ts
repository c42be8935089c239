/** From the caller over the gateway to the server, and back to the client: one trace. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { HttpClient } from "../../support/clients/http.ts";
import { HttpPeer } from "../../support/clients/legacy-peers.ts";
import { ModernClient } from "../../support/clients/modern.ts";
import { startHttpFake } from "../../support/fakes/http-server.ts";
import { Control } from "../../support/fakes/interactive.ts";
import { startGateway } from "../../support/gateway.ts";
import { Collector, type SentSpan } from "./collector.ts";

const ERAS = ["legacy", "modern"] as const;
const TRACE = "0af7651916cd43dd8448eb211c80319c";
const SPAN = "b7ad6b7169203331";
const [SERVER, CLIENT] = [2, 3];

/** A gateway with servers of both eras, on HTTP and, where asked for, on stdio. */
async function inWorld(
  { otel, pipes = [], ...options }: {
    readonly otel?: unknown;
    readonly pipes?: typeof ERAS | [];
    /** Further options of all that are on stdio; and further servers. */
    readonly pipe?: object;
    readonly servers?: Readonly<Record<string, unknown>>;
  },
  run: (world: {
    readonly control: Control;
    readonly web: Readonly<Record<string, Awaited<ReturnType<typeof startHttpFake>>>>;
    readonly url: string;
    readonly stop: () => Promise<void>;
  }) => Promise<void>,
): Promise<void> {
  const control = await Control.start();
  const web = {
    web_legacy: await startHttpFake({ era: "legacy", readOnly: ["echo"] }),
    web_modern: await startHttpFake({ era: "modern" }),
  };
  const mcpServers = {
    web_legacy: { url: web.web_legacy.url },
    web_modern: { url: web.web_modern.url },
    ...Object.fromEntries(pipes.map((era) => {
      const name = `pipe_${era}`;
      return [name, control.stdio({ name, era }, options.pipe)];
    })),
    ...options.servers,
  };
  const config = { mcpServers, ...(otel === undefined ? {} : { otel }) };
  const gateway = await startGateway({ mode: "memory", config });
  try {
    await gateway.ready();
    await run({ control, web, url: gateway.url, stop: () => gateway.stop() });
  } finally {
    await gateway.kill();
    await Promise.all([control.close(), ...Object.values(web).map((fake) => fake.close())]);
  }
}

/** The parameters of a call, under an id by which its server knows it. */
function callOf(name: string, tag: string, meta?: object) {
  return { name, arguments: { tag }, ...(meta === undefined ? {} : { _meta: meta }) };
}

async function call(url: string, era: "legacy" | "modern", params: ReturnType<typeof callOf>) {
  const client = era === "legacy" ? await HttpClient.connect(url) : new ModernClient(url);
  if (client instanceof HttpClient) return await client.request("tools/call", params);
  const { _meta: meta = {}, ...rest } = params;
  const answer = await client.start("tools/call", rest, { meta: meta as Record<string, unknown> });
  await answer.messages.waitForEnd();
  return answer.messages.items.at(-1)!;
}

const of = (spans: readonly SentSpan[], kind: number, server: string) =>
  spans.filter((span) => span.kind === kind && span.attributes["mcproxy.server.name"] === server);

for (const era of ERAS) {
  test(`a ${era} client, the gateway and servers of both eras make one chain`, async () => {
    await using collector = await Collector.start();
    await inWorld({ otel: collector.url, pipes: ERAS }, async ({ control, web, url, stop }) => {
      const servers = ["web_legacy", "web_modern", "pipe_legacy", "pipe_modern"];
      const traceparent = `00-${TRACE}-${SPAN}-01`;
      const meta = { traceparent, tracestate: "vendor=a", baggage: "who=me", "x.y/z": 1 };
      for (const server of servers) {
        const { json } = await call(url, era, callOf(`${server}_echo`, server, meta));
        assert.equal(json.error, undefined);
      }
      await stop();
      for (const server of servers) {
        const [own, ...others] = of(collector.spans, SERVER, server);
        const [below, ...repeated] = of(collector.spans, CLIENT, server);
        assert.deepEqual([others, repeated], [[], []]);
        assert.deepEqual([own!.traceId, own!.parentSpanId], [TRACE, SPAN]);
        assert.deepEqual([below!.traceId, below!.parentSpanId], [TRACE, own!.spanId]);
        assert.deepEqual([own!.traceState, below!.traceState], ["vendor=a", "vendor=a"]);
        assert.equal(own!.name, `tools/call ${server}_echo`);
        assert.equal(below!.name, "tools/call echo");
        assert.equal(below!.attributes["gen_ai.tool.name"], "echo");
        const transport = server.startsWith("web") ? "tcp" : "pipe";
        assert.equal(below!.attributes["network.transport"], transport);
        assert.ok(own!.from <= below!.from && below!.to <= own!.to, "one within the other");
        const arrived = web[server]?.requests.items.find(({ method }) => method === "tools/call");
        const seen = arrived === undefined
          ? control.received("tools/call").find(({ params }) => params.arguments.tag === server)!
            .params._meta
          : JSON.parse(arrived.body).params._meta;
        const expected = `00-${TRACE}-${below!.spanId}-01`;
        assert.equal(seen.traceparent, expected);
        const passed = [seen.tracestate, seen.baggage, seen["x.y/z"]];
        assert.deepEqual(passed, ["vendor=a", "who=me", 1]);
        if (arrived === undefined) continue;
        const { headers } = arrived;
        assert.deepEqual([headers["traceparent"], headers["tracestate"]], [expected, "vendor=a"]);
        assert.equal(headers["baggage"], undefined);
      }
    });
  });

  test(`what a ${era} client does not want to be traced, and all without otel, stays as it is`, async () => {
    await using collector = await Collector.start();
    const meta = { tracestate: " odd ", traceparent: `00-${TRACE}-${SPAN}-00`, baggage: "b=1" };
    const bodies: string[][] = [];
    const sample = { endpoint: collector.url, sample: 0, signals: ["traces"] };
    for (const otel of [undefined, collector.url, sample]) {
      await inWorld({ otel }, async ({ web, url }) => {
        for (const server of ["web_legacy", "web_modern"]) {
          await call(url, era, callOf(`${server}_echo`, "t", meta));
          if (otel !== collector.url) await call(url, era, callOf(`${server}_echo`, "u"));
          else await call(url, era, callOf(`${server}_echo`, "u", meta));
        }
        const calls = Object.values(web).flatMap(({ requests }) =>
          requests.items.filter(({ method }) => method === "tools/call")
        );
        assert.equal(calls.length, 4);
        assert.ok(calls.every(({ headers }) => headers["traceparent"] === undefined));
        bodies.push(calls.map(({ body }) => body));
      });
    }
    const [off, unsampled, none] = bodies;
    assert.deepEqual(none, off);
    assert.deepEqual([unsampled![0], unsampled![2]], [off![0], off![2]]);
    assert.deepEqual(collector.spans, []);
  });
}

test("a header is as good, and what begins at the gateway is a trace of its own", async () => {
  await using collector = await Collector.start();
  await inWorld({ otel: collector.url }, async ({ web, url, stop }) => {
    const header = { traceparent: `00-${TRACE}-${SPAN}-01`, tracestate: "h=1" };
    const params = callOf("web_legacy_echo", "t");
    const legacy = await HttpClient.connect(url);
    const body = { jsonrpc: "2.0", id: 5, method: "tools/call", params };
    await (await legacy.post(JSON.stringify(body), header)).messages.waitForEnd();
    const modern = new ModernClient(url);
    await (await modern.start("tools/call", params, { headers: header })).messages.waitForEnd();
    await modern.request("tools/call", params);
    await modern.request("tools/call", callOf("nobody_has_this", "t"));
    await stop();
    const [one, two, three, four] = collector.spans.filter(({ kind }) => kind === SERVER);
    for (const span of [one!, two!]) {
      assert.deepEqual([span.traceId, span.parentSpanId], [TRACE, SPAN]);
      assert.equal(span.traceState, "h=1");
    }
    assert.deepEqual([three!.parentSpanId, four!.parentSpanId], [undefined, undefined]);
    assert.notEqual(three!.traceId, four!.traceId);
    assert.match(three!.traceId, /^[\da-f]{32}$/);
    assert.deepEqual(one!.attributes, {
      "mcp.method.name": "tools/call",
      "gen_ai.operation.name": "execute_tool",
      "gen_ai.tool.name": "web_legacy_echo",
      "jsonrpc.request.id": "5",
      "mcp.protocol.version": "2025-11-25",
      "mcproxy.server.name": "web_legacy",
      "mcproxy.client.name": "raw-http 1",
      "mcproxy.endpoint": "*",
    });
    assert.equal(four!.attributes["error.type"], "refused");
    assert.equal(four!.status.code, 2);
    assert.equal(three!.status.code, 0);
    const arrived = web["web_legacy"]!.requests.items.filter(({ method }) =>
      method === "tools/call"
    );
    assert.equal(new Set(arrived.map(({ headers }) => headers["traceparent"])).size, 3);
    const { body: { resourceSpans } } = collector.sent.items.find(({ body }) =>
      body.resourceSpans
    )!;
    const [{ resource }] = resourceSpans;
    // deno-lint-ignore no-explicit-any
    const names = resource.attributes.map(({ key }: any) => key);
    assert.deepEqual(names, ["service.name", "service.version", "service.instance.id"]);
  });
});

test("what a server asks a client lies below what it was asked", async () => {
  await using collector = await Collector.start();
  await inWorld({ otel: collector.url, pipes: ERAS }, async ({ url, stop }) => {
    const asked: string[] = [];
    const peer = await HttpPeer.connect(url, {
      label: "anna",
      respond: ({ params }) => {
        asked.push(params._meta?.traceparent);
        return { action: "accept", content: { answer: "yes" } };
      },
    });
    await peer.call("pipe_legacy_elicit");
    await peer.call("pipe_modern_elicit", {}, { id: 2 });
    await peer.close();
    await stop();
    const { spans } = collector;
    assert.equal(asked.length, 2);
    for (const [index, server] of ["pipe_legacy", "pipe_modern"].entries()) {
      const ours = of(spans, CLIENT, server);
      const question = ours.find(({ name }) => name === "elicitation/create")!;
      const sent = ours.filter(({ name }) => name === "tools/call elicit");
      // A modern server is asked again, with the answer.
      assert.equal(sent.length, server === "pipe_legacy" ? 1 : 2);
      assert.equal(question.parentSpanId, sent[0]!.spanId);
      assert.equal(asked[index], `00-${question.traceId}-${question.spanId}-01`);
      assert.equal(question.attributes["mcproxy.client.name"], "anna 1");
      assert.ok(sent[0]!.from <= question.from && question.from <= question.to);
    }
  });
});

test("what a modern client is asked by an answer lies below the same", async () => {
  await using collector = await Collector.start();
  await inWorld({ otel: collector.url, pipes: ERAS }, async ({ url, stop }) => {
    const client = new ModernClient(url);
    const elicitation = { "io.modelcontextprotocol/clientCapabilities": { elicitation: {} } };
    const ask = async (more: object) => {
      const params = { name: "pipe_legacy_elicit", arguments: {}, ...more };
      const { messages } = await client.start("tools/call", params, { meta: elicitation });
      await messages.waitForEnd();
      return messages.items.at(-1)!.json.result;
    };
    const { inputRequests, requestState } = await ask({});
    const [[key, asked]] = Object.entries<{ readonly params: unknown }>(inputRequests) as [
      // deno-lint-ignore no-explicit-any
      [string, { readonly params: any }],
    ];
    const inputResponses = { [key]: { action: "accept", content: { answer: "yes" } } };
    const { isError } = await ask({ inputResponses, requestState });
    assert.ok(!isError);
    await stop();
    const { spans } = collector;
    const [first, second, ...others] = of(spans, SERVER, "pipe_legacy");
    assert.deepEqual(others, []);
    const [sent, question, ...more] = of(spans, CLIENT, "pipe_legacy");
    assert.deepEqual(more, []);
    assert.deepEqual([sent!.name, question!.name], ["tools/call elicit", "elicitation/create"]);
    assert.deepEqual([sent!.parentSpanId, question!.parentSpanId], [first!.spanId, sent!.spanId]);
    const { traceparent } = asked.params._meta;
    assert.equal(traceparent, `00-${first!.traceId}-${question!.spanId}-01`);
    assert.equal(question!.attributes["jsonrpc.request.id"], key);
    // It is over with the answer that it is a part of.
    assert.ok(sent!.from <= question!.from && question!.to === first!.to);
    assert.equal(second!.attributes["error.type"], undefined);
  });
});

test("nothing that is sent has a secret in it, nor what calls say", async () => {
  await using collector = await Collector.start();
  const canary = (where: string) => `canary-${where}-7f3a9c51`;
  const key = { Authorization: `Bearer ${canary("collector")}` };
  const userinfo = `me:${canary("userinfo")}`;
  const servers = {
    gone: { url: `http://${userinfo}@127.0.0.1:1/mcp?token=${canary("query")}` },
    broken: { command: "bash", args: ["-c", 'echo "$KEY" >&2'], env: { KEY: canary("env") } },
  };
  const pipe = { env: { KEY: canary("env") } };
  const otel = { endpoint: collector.url, headers: key };
  await inWorld({ otel, servers, pipe, pipes: ERAS }, async ({ url, stop }) => {
    for (const era of ERAS) {
      for (const server of ["web_legacy", "pipe_modern", `none_${canary("env")}`]) {
        await call(url, era, callOf(`${server}_echo`, canary("argument")));
      }
    }
    const reader = await HttpClient.connect(url);
    await reader.request("resources/read", {
      uri: `x://me:${canary("uri")}@h/?key=${canary("uri")}`,
    });
    await reader.request(canary("env"), {});
    await stop();
    const sent = collector.sent.items;
    const texts = sent.map(({ path, body }) => `${path} ${JSON.stringify(body)}`);
    for (const signal of ["traces", "logs", "metrics"]) {
      assert.ok(texts.some((text) => text.startsWith(`/v1/${signal}`)), `no ${signal}`);
    }
    assert.ok(texts.some((text) => text.startsWith("/v1/logs") && text.includes("gone")));
    assert.ok(texts.some((text) => /"exemplars":\[\{[^}]*"traceId":"[\da-f]{32}"\}\]/.test(text)));
    for (const text of texts) assert.doesNotMatch(text, /canary-/);
    assert.ok(sent.every(({ headers }) => headers.authorization === key.Authorization));
  });
});

test("a call that is sent once more is a second request of the same trace", async () => {
  await using collector = await Collector.start();
  await inWorld({ otel: collector.url }, async ({ web, url, stop }) => {
    const fake = web["web_legacy"]!;
    let calls = 0;
    fake.fault = (method) =>
      method === "tools/call" && ++calls === 1 ? { cut: "inside" } : undefined;
    const { json } = await call(url, "legacy", callOf("web_legacy_echo", "t"));
    assert.equal(json.error, undefined);
    await stop();
    const [own] = of(collector.spans, SERVER, "web_legacy");
    const sent = of(collector.spans, CLIENT, "web_legacy");
    assert.deepEqual(sent.map(({ parentSpanId }) => parentSpanId), [own!.spanId, own!.spanId]);
    const errors = sent.map(({ attributes }) => attributes["error.type"]);
    assert.deepEqual(errors, ["unavailable", undefined]);
    assert.equal(own!.attributes["error.type"], undefined);
    const seen = fake.requests.items.filter(({ method }) => method === "tools/call")
      .map(({ headers }) => headers["traceparent"]);
    assert.deepEqual(seen, sent.map(({ traceId, spanId }) => `00-${traceId}-${spanId}-01`));
  });
});
