/** Sessions that go on in another gateway with the same state, and what does not. */

import { runtime } from "#runtime";
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Server } from "../../src/app/server.ts";
import { parseConfig } from "../../src/config/load.ts";
import { AGGREGATE } from "../../src/gating/endpoint.ts";
import { MAX_SUBSCRIPTIONS } from "../../src/gateway/clients/subscriptions.ts";
import { callText, listKeys } from "../behaviour/helpers.ts";
import { Scope } from "../behaviour/scope.ts";
import { type HttpAnswer, HttpClient, send } from "../support/clients/http.ts";
import {
  errorOf,
  isNotification,
  notificationText,
  requestText,
  resultOf,
} from "../support/clients/message.ts";
import { SseClient } from "../support/clients/old-sse.ts";
import { Control } from "../support/fakes/interactive.ts";

const PING = requestText(1, "ping");
const CHANGED = ["tools", "prompts", "resources"].map((kind) =>
  `notifications/${kind}/list_changed`
);

/** What stays where the gateway is started again: its state, and a server to remote control. */
class Household {
  private constructor(
    private readonly scope: Scope,
    readonly control: Control,
    private readonly stateDirectory: string,
  ) {}

  static async open(scope: Scope): Promise<Household> {
    const directory = await mkdtemp(join(tmpdir(), "mcproxy-lasting-"));
    scope.defer(() => rm(directory, { recursive: true, force: true }));
    const control = await Control.start();
    scope.defer(() => control.close());
    return new Household(scope, control, directory);
  }

  async start(settings: object = {}): Promise<Server> {
    const mcpServers = { u: this.control.stdio({ name: "u" }) };
    const text = JSON.stringify({ prefix: "never", port: 0, ...settings, mcpServers });
    const parsed = parseConfig(text, { file: "lasting", env: {} });
    assert.ok(parsed.ok, parsed.ok ? "" : JSON.stringify(parsed.issues));
    const { config } = parsed;
    const { stateDirectory } = this;
    const server = await Server.start({ config, runtime, listen: true, stateDirectory });
    this.scope.defer(() => server.stop());
    await server.gateway.settled();
    return server;
  }
}

function check(name: string, run: (house: Household, scope: Scope) => Promise<void>): void {
  test(name, async () => {
    await using scope = new Scope();
    await run(await Household.open(scope), scope);
  });
}

/** The same client, at another address. */
function moved({ session }: HttpClient, { url }: Server, path = "/mcp"): HttpClient {
  const client = new HttpClient(new URL(path, url).href);
  client.session = session;
  return client;
}

function heard({ messages }: HttpAnswer, method: string): number {
  return messages.items.filter(isNotification(method)).length;
}

check(
  "a session goes on after a restart: calls, log level, subscriptions",
  async (house, scope) => {
    const first = await house.start();
    const client = await HttpClient.connect(first.url!, { capabilities: { elicitation: {} } });
    assert.match(client.session!, /^v1\.[\w-]{200,650}$/);
    for (const uri of ["note://a", "note://b"]) {
      resultOf(await client.request("resources/subscribe", { uri }));
    }
    resultOf(await client.request("resources/unsubscribe", { uri: "note://b" }));
    resultOf(await client.request("logging/setLevel", { level: "error" }));
    await first.stop();

    const from = house.control.events.items.length;
    const second = await house.start();
    const again = moved(client, second);
    const stream = scope.use(await again.listen());
    for (const method of CHANGED) await stream.messages.waitFor(isNotification(method));
    assert.equal(JSON.parse(await callText(again, "echo", { tag: "x" })).tag, "x");
    const session = [...second.gateway.sessions][0]!;
    assert.deepEqual(session.client!.info, { name: "raw-http", version: "1" });
    assert.deepEqual(session.client!.capabilities, { elicitation: {} });
    assert.equal(session.client!.logLevel, "error");
    // The server is told anew, and nothing of what was taken back.
    const told = (method: string) => ({ message }: { message?: { method?: string } }) =>
      message?.method === method;
    const { message } = await house.control.events.waitFor(told("resources/subscribe"), { from });
    assert.equal(message!.params.uri, "note://a");
    await house.control.events.waitFor(told("logging/setLevel"), { from });
    house.control.tell({ touch: "note://b" });
    house.control.tell({ touch: "note://a" });
    const updated = await stream.messages.waitFor(
      isNotification("notifications/resources/updated"),
    );
    assert.equal(updated.json.params.uri, "note://a");
    for (const method of CHANGED) assert.equal(heard(stream, method), 1, method);
  },
);

check("requests that come at once take up one session", async (house, scope) => {
  const first = await house.start();
  const client = await HttpClient.connect(first.url!);
  await first.stop();
  const second = await house.start();
  const again = moved(client, second);
  const streams = scope.use(await again.listen());
  const answers = await Promise.all(Array.from({ length: 20 }, () => again.post(PING)));
  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
  assert.equal(second.gateway.sessions.size, 1);
  assert.equal(streams.messages.ended, false);
});

check("a session that was ended stays so, whoever ended it and where", async (house) => {
  const first = await house.start();
  const [ended, later, other] = await Promise.all(
    [1, 2, 3].map(() => HttpClient.connect(first.url!)),
  ) as [HttpClient, HttpClient, HttpClient];
  assert.equal((await ended.delete()).status, 204);
  await first.stop();
  const second = await house.start();
  assert.equal((await moved(ended, second).post(PING)).status, 404);
  assert.equal((await moved(ended, second).listen()).status, 404);
  assert.equal((await moved(ended, second).delete()).status, 204);
  // One that is in nobody's memory is ended as well.
  assert.equal((await moved(later, second).delete()).status, 204);
  assert.equal((await moved(later, second).post(PING)).status, 404);
  await second.stop();
  const third = await house.start();
  assert.equal((await moved(ended, third).post(PING)).status, 404);
  assert.equal((await moved(later, third).post(PING)).status, 404);
  assert.equal((await moved(other, third).post(PING)).status, 200);
});

check("forged, foreign, truncated and old ids are 404", async (house, scope) => {
  const first = await house.start();
  const client = await HttpClient.connect(first.url!);
  const id = client.session!;
  await first.stop();
  const second = await house.start();
  const foreign = await (await Household.open(scope)).start();
  const { session: others } = await HttpClient.connect(foreign.url!);
  const changed = id.slice(0, 40) + (id[40] === "A" ? "B" : "A") + id.slice(41);
  const ids = ["v1.", "v1.AAAA", "nonsense", crypto.randomUUID(), id.slice(0, -1), `${id}A`];
  for (const odd of [...ids, `${id}=`, changed, others!, `v1.${"A".repeat(5_000)}`]) {
    const forger = moved(client, second);
    forger.session = odd;
    const answers = [await forger.post(PING), await forger.listen(), await forger.delete()];
    assert.deepEqual(answers.map(({ status }) => status), [404, 404, 404], odd.slice(0, 60));
  }
  // It is an id of one endpoint.
  for (const path of ["/servers/u/mcp", "/gated/mcp"]) {
    assert.equal((await moved(client, second, path).post(PING)).status, 404, path);
    assert.equal((await moved(client, second, path).delete()).status, 404, path);
  }
  assert.equal(second.gateway.sessions.size, 0);
  assert.equal((await moved(client, second).post(PING)).status, 200);
  await second.stop();
  const strict = await house.start({ sessionMaxAge: 0 });
  assert.equal((await moved(client, strict).post(PING)).status, 404);
});

check("the reaper takes a session out of memory, and its id goes on", async (house) => {
  const { gateway, url } = await house.start();
  const client = await HttpClient.connect(url!);
  gateway.sessions.reap(Date.now() + 24 * 3_600_000);
  assert.equal(gateway.sessions.size, 0);
  assert.ok((await listKeys(client, "tools")).includes("echo"));
  assert.equal(gateway.sessions.size, 1);
  assert.equal((await client.delete()).status, 204);
  assert.equal((await client.post(PING)).status, 404);
});

check("a session that the reaper took is to servers who it was", async (house) => {
  const first = await house.start();
  const client = await HttpClient.connect(first.url!);
  const { label } = [...first.gateway.sessions][0]!;
  first.gateway.tasks.set("u", "job", { session: label });
  first.gateway.sessions.reap(Date.now() + 24 * 3_600_000);
  assert.equal((await client.post(PING)).status, 200);
  assert.equal([...first.gateway.sessions][0]!.label, label);
  // Who else is called so since then has nothing to do with it.
  await first.stop();
  const second = await house.start();
  assert.equal((await moved(client, second).post(PING)).status, 200);
  assert.notEqual([...second.gateway.sessions][0]!.label, label);
});

check("a session that has filled up meanwhile goes on without what it had", async (house) => {
  const first = await house.start();
  const client = await HttpClient.connect(first.url!);
  resultOf(await client.request("resources/subscribe", { uri: "note://a" }));
  await first.stop();
  const { gateway, url } = await house.start();
  const { subscriptions, events } = gateway;
  const find = subscriptions.find;
  subscriptions.find = () => undefined;
  const again = new HttpClient(url!);
  again.session = client.session;
  assert.equal((await again.post(PING)).status, 200);
  const [session] = [...gateway.sessions];
  const routes = Array.from({ length: MAX_SUBSCRIPTIONS }, (_, index) => {
    const uri = `note://${index}`;
    return { ...find.call(subscriptions, AGGREGATE, "note://a")!, uri, exposed: uri };
  });
  await subscriptions.addAll(routes, session!);
  subscriptions.find = find;
  events.emit({ kind: "lists", views: [] } as never);
  assert.equal((await again.post(PING)).status, 200);
  assert.equal(subscriptions.subscribers("u", "note://a").length, 0);
});

for (const message of ["ping", "tools/call", "notifications/initialized"]) {
  test(`a session of HTTP+SSE that has ended takes no ${message} that was on its way`, async () => {
    await using scope = new Scope();
    const { gateway, url } = await (await Household.open(scope)).start();
    const client = await SseClient.connect(new URL("/sse", url).href);
    const gone = new Promise<void>((resolve) =>
      gateway.events.on("client", ({ left }) => left !== undefined && resolve())
    );
    const body = requestText(7, message, { name: "echo", arguments: { tag: "x" } });
    const headers = { "content-type": "application/json", "content-length": body.length };
    const half = request(client.endpoint, { method: "POST", headers });
    const answered = once(half, "response");
    half.write(body.slice(0, 20));
    // Later than this on the same listener, so the first half is there by now.
    assert.equal((await client.post(PING)).status, 202);
    client.close();
    await gone;
    half.end(body.slice(20));
    const [response] = await answered;
    assert.equal(response.resume().statusCode, 404);
  });
}

check("what a session has provisioned stays provisioned", async (house) => {
  const gating = { mode: "on", requireProvisioning: true };
  const first = await house.start({ gating });
  const client = await HttpClient.connect(first.url!);
  await callText(client, "provision_tools", { tool_ids: ["echo"] });
  await first.stop();
  const again = moved(client, await house.start({ gating }));
  assert.match(await callText(again, "list_provisioned_tools"), /^echo: /);
});

check(
  "an id that would be too long is a random one, and a refused client has none",
  async (house) => {
    const { url, gateway } = await house.start();
    const hello = (params: object) =>
      new HttpClient(url!).post(requestText(1, "initialize", { capabilities: {}, ...params }));
    const clientInfo = { name: "x".repeat(5_000), version: "1" };
    const { headers } = await hello({ protocolVersion: "2025-11-25", clientInfo });
    assert.match(headers.get("mcp-session-id")!, /^[0-9a-f-]{36}$/);
    assert.equal(gateway.sessions.size, 1);
    for (const params of [{}, { protocolVersion: 7 }, { protocolVersion: null }]) {
      assert.equal((await hello(params)).headers.get("mcp-session-id"), null);
    }
    assert.equal(gateway.sessions.size, 1);
  },
);

check("a stream of a call that a restart has cut off ends with an error", async (house, scope) => {
  const first = await house.start();
  const client = await HttpClient.connect(first.url!);
  for (const id of ["a ~ call", 7]) {
    const params = { name: "ask_later", arguments: { tag: "t", key: "never" } };
    // Its first word opens the stream, and gives the client an id to come back with.
    const meta = { _meta: { progressToken: 1 } };
    const lost = scope.use(await client.start("tools/call", { ...params, ...meta }, id));
    const event = await lost.stream!.events.waitFor(({ id }) => id !== undefined);
    const own = scope.use(await client.listen({ "last-event-id": event.id! }));
    assert.equal(own.status, 200);
    first.gateway.sessions.close("dropped from memory");
    const answer = await client.listen({ "last-event-id": event.id! });
    await answer.messages.waitForEnd();
    const [error] = answer.messages.items;
    assert.equal(error!.json.id, id);
    assert.deepEqual(errorOf(error!).data, { outcome: "unknown" });
    assert.match(errorOf(error!).message, /may have been carried out/);
  }
  // No other stream is taken for it, though they count alike.
  const stream = scope.use(await client.listen({ "last-event-id": "0-1" }));
  assert.equal(stream.status, 200);
});

check(
  "a client of HTTP+SSE that opens its stream again goes on without initialize",
  async (house, scope) => {
    const { url } = await house.start();
    const client = scope.use(await SseClient.open(new URL("/sse", url).href));
    const { tools } = resultOf(await client.request("tools/list")).json;
    assert.ok(tools.length > 0);
    assert.equal(JSON.parse(await callText(client, "echo", { tag: "y" })).tag, "y");
    // One that does say who it is, though late, is that.
    const hello = await client.request("initialize", {
      protocolVersion: "2024-11-05",
      capabilities: {},
      clientInfo: { name: "late", version: "1" },
    });
    assert.equal(resultOf(hello).json.protocolVersion, "2024-11-05");
    await client.post(notificationText("notifications/initialized"));
    assert.match(errorOf(await client.request("initialize", {})).message, /initialized already/);
    // Over Streamable HTTP nobody is guessed at.
    const answer = await send(url!, {
      method: "POST",
      body: requestText(1, "tools/list"),
      headers: { "content-type": "application/json", accept: "*/*" },
    });
    assert.equal(answer.status, 400);
  },
);
