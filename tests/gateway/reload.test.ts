import { runtime } from "#runtime";
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Config } from "../../src/config/types.ts";
import { parseConfig } from "../../src/config/load.ts";
import { profileEndpoint, serverEndpoint } from "../../src/gating/endpoint.ts";
import { ActiveExchange } from "../../src/gateway/clients/exchange.ts";
import { modernClient, serveModern } from "../../src/gateway/clients/modern.ts";
import { Gateway } from "../../src/gateway/gateway.ts";
import { type KeptServer, ListCache } from "../../src/gateway/members/list-cache.ts";
import {
  type NotificationMessage,
  parseMessage,
  type RequestMessage,
} from "../../src/protocol/message.ts";
import { replyText } from "../../src/registry/answers.ts";
import { eventually, Inbox } from "../support/inbox.ts";
import { poolTarget } from "../upstream/pool-support.ts";

/** A server that tells its process. */
const { kind: _, ...SERVER } = poolTarget();

const FIRST = "s3cr3t-of-the-first";

function configOf(content: object): Config {
  const text = JSON.stringify({ prefix: "never", ...content });
  const parsed = parseConfig(text, { file: "reload.json", env: {} });
  assert.ok(parsed.ok, JSON.stringify(parsed));
  return parsed.config;
}

/** A server whose environment holds a secret. */
function withToken(token: string): object {
  return { mcpServers: { a: { ...SERVER, env: { TOKEN: token } } } };
}

async function running(
  content: object,
  run: (gateway: Gateway) => Promise<void>,
  cache?: ListCache,
): Promise<void> {
  const gateway = new Gateway({ config: configOf(content), runtime, cache });
  try {
    gateway.start();
    await gateway.settled();
    await run(gateway);
  } finally {
    await gateway.close();
  }
}

/** A client of an endpoint, with all it is sent. */
async function client(gateway: Gateway, endpoint = profileEndpoint("p")) {
  const session = gateway.openSession("http", endpoint);
  const inbox = new Inbox<string>("the session");
  const sink = { send: (raw: string) => inbox.push(raw) };
  const say = (method: string, params: object, id?: number) =>
    session.receive(
      parseMessage(JSON.stringify({ jsonrpc: "2.0", id, method, params })),
      sink,
    );
  const introduction = { capabilities: {}, clientInfo: { name: "t", version: "1" } };
  await say("initialize", { protocolVersion: "2025-11-25", ...introduction }, 1);
  await say("notifications/initialized", {});
  return { session, inbox, say };
}

test("Gateway ends what a session has of a server that a reload took from its profile", async () => {
  const mcpServers = { a: { ...SERVER, sharing: "session" } };
  await running({ mcpServers, profiles: { p: { servers: ["a"] } } }, async (gateway) => {
    const { session, say } = await client(gateway);
    await say("tools/call", { name: "read", arguments: {} }, 2);
    const connections = () => gateway.members.upstream("a")!.status().connections;
    assert.equal(connections(), 2);
    gateway.reload(configOf({ mcpServers }));
    assert.equal(connections(), 2, "it is the client's for as long as it is there");
    session.close("done");
    await eventually(connections, (count) => count === 1, "the end of its own");
  });
});

test("Gateway shows nothing of the others to clients of a server that a reload took away", async () => {
  const mcpServers = { a: SERVER, b: SERVER };
  await running({ mcpServers }, async (gateway) => {
    const endpoint = serverEndpoint("a");
    const { session, inbox } = await client(gateway, endpoint);
    const late = gateway.openSession("http", endpoint);
    session.attach({ send: (raw) => inbox.push(raw) }, () => {});
    gateway.reload(configOf({ mcpServers: { b: SERVER } }));
    const tasks = '{"jsonrpc":"2.0","method":"notifications/tasks","params":{"taskId":"1"}}';
    session.hear("a", parseMessage(tasks) as NotificationMessage);
    session.send("the next");
    assert.deepEqual(inbox.items, ["the next"]);
    const gone = /"code":-32010,"message":"Server \\"a\\" is not configured any more"/;
    const sink = { send: () => {} };
    const asked = (method: string, params: object) =>
      parseMessage(JSON.stringify({ jsonrpc: "2.0", id: 1, method, params })) as RequestMessage;
    const params = { protocolVersion: "2025-11-25", capabilities: {} };
    assert.match(replyText((await late.receive(asked("initialize", params), sink))!), gone);
    assert.equal(late.client, undefined, "as after any initialize that failed");
    const envelope = { protocolVersion: "2026-07-28", capabilities: {}, info: {} };
    const request = asked("server/discover", {});
    const discovers = new ActiveExchange(
      modernClient({ ...envelope, logLevel: undefined }),
      request,
      sink,
    );
    assert.match(replyText((await serveModern(discovers, endpoint, gateway))!), gone);
  });
});

test("Gateway hides the secrets of a server until that is gone, whatever is reloaded since", async () => {
  const profiles = { p: { servers: ["a"] } };
  await running({ ...withToken(FIRST), profiles }, async (gateway) => {
    const { session, inbox, say } = await client(gateway);
    const token = { progressToken: "t" };
    void say("tools/call", { name: "hold-write", arguments: {}, _meta: token }, 2);
    await inbox.waitFor((raw) => raw.includes("notifications/progress"));
    const hidden = () => !gateway.redact(`found ${FIRST}`).includes(FIRST);
    gateway.reload(configOf({ ...withToken("s3cr3t-of-the-second"), profiles }));
    // The first one serves until the second one has come, and then finishes its call.
    gateway.reload(configOf({ ...withToken("s3cr3t-of-the-second"), profiles, pageSize: 10 }));
    assert.ok(hidden(), "while it serves");
    await eventually(() => gateway.members.leaving, ({ length }) => length === 1, "the swap");
    for (const pageSize of [20, 30]) {
      gateway.reload(configOf({ ...withToken("s3cr3t-of-the-second"), profiles, pageSize }));
      assert.ok(hidden(), "while it drains");
    }
    session.close("done");
    await eventually(
      () => gateway.members.isSteady,
      (steady) => steady,
      "the end of the first one",
    );
    gateway.reload(configOf({ ...withToken("s3cr3t-of-the-second"), profiles }));
    gateway.reload(configOf({ ...withToken("s3cr3t-of-the-second"), profiles, pageSize: 40 }));
    assert.ok(!hidden(), "what is gone is forgotten");
  });
});

test("Gateway forgets the lists of what a reload has replaced or removed", async () => {
  const forgotten: KeptServer[] = [];
  const cache = new class extends ListCache {
    override forget(server: KeptServer): void {
      forgotten.push(server);
      super.forget(server);
    }
  }(undefined);
  await running(withToken(FIRST), async (gateway) => {
    const first = gateway.members.get("a")!.config;
    gateway.reload(configOf(withToken("s3cr3t-of-the-second")));
    await eventually(() => forgotten.length, (count) => count === 1, "the end of the first");
    const second = gateway.members.get("a")!.config;
    gateway.reload(configOf({ mcpServers: {} }));
    await eventually(() => forgotten.length, (count) => count === 2, "the end of the second");
    assert.deepEqual(forgotten.map(({ key }) => key), [first.key, second.key]);
    assert.notEqual(first.key, second.key);
  }, cache);
});

test("Gateway keeps the lists of a server whose successor cannot start, as of one that is lost", async () => {
  await running({ mcpServers: { a: SERVER } }, async (gateway) => {
    const names = () => gateway.snapshots.registry.aggregate.names("tool");
    const before = names();
    assert.ok(before.length > 0);
    const broken = { command: "/nonexistent/server", startupTimeout: 1_000 };
    gateway.reload(configOf({ mcpServers: { a: broken } }));
    const state = () => gateway.members.get("a")!.upstream.state.phase;
    await eventually(state, (phase) => phase === "backoff", "the successor in force");
    gateway.snapshots.flush();
    assert.deepEqual(names(), before);
    assert.equal(gateway.members.get("a")!.entry.stale, true);
    // One that is switched off by a missing variable is not away, but gone.
    gateway.reload(configOf({ mcpServers: { a: { ...SERVER, env: { T: "${NOT_SET}" } } } }));
    await eventually(state, (phase) => phase === "closed", "the one that cannot be started");
    gateway.snapshots.flush();
    assert.deepEqual(names(), []);
  });
});
