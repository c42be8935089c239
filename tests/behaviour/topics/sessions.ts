import assert from "node:assert/strict";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HttpClient, send } from "../../support/clients/http.ts";
import {
  isNotification,
  isResponseTo,
  notificationText,
  requestText,
  resultOf,
} from "../../support/clients/message.ts";
import { SseClient } from "../../support/clients/old-sse.ts";
import { eventually } from "../../support/inbox.ts";
import { callText, listKeys } from "../helpers.ts";
import type { Suite } from "../suite.ts";
import { stdioUpstream } from "../world.ts";

const PING = requestText(1, "ping");

/** Sessions of the legacy era, over Streamable HTTP and HTTP+SSE. */
export function sessions({ verifies }: Suite): void {
  verifies("session.missing", async ({ world }) => {
    const { gateway } = await world();
    const client = new HttpClient(gateway.url);
    for (const answer of [await client.post(PING), await client.delete()]) {
      assert.equal(answer.status, 400);
      assert.equal(typeof JSON.parse(answer.text).error.message, "string");
    }
    // Clients that try for a stream before they initialize take this in silence.
    const early = await client.listen();
    assert.equal(early.status, 405);
    assert.equal(early.headers.get("allow"), "POST");
  });

  verifies("session.unknown", async ({ world }) => {
    const { gateway } = await world();
    const client = new HttpClient(gateway.url);
    client.session = "no-such-session";
    for (const answer of [await client.post(PING), await client.listen(), await client.delete()]) {
      assert.equal(answer.status, 404);
      assert.equal(typeof JSON.parse(answer.text).error.message, "string");
    }
  });

  verifies("session.foreign", async ({ world }) => {
    const { gateway } = await world();
    const aggregated = await HttpClient.connect(gateway.url);
    const single = new HttpClient(gateway.serverUrl("alpha"));
    single.session = aggregated.session;
    assert.equal((await single.post(PING)).status, 404);
    assert.equal((await aggregated.post(PING)).status, 200);
  });

  verifies("session.delete", async ({ world }) => {
    const { gateway } = await world();
    const client = await HttpClient.connect(gateway.url);
    const other = await HttpClient.connect(gateway.url);
    const stream = await client.listen();
    const { status } = await client.delete();
    assert.ok(status === 200 || status === 204, `DELETE gave ${status}`);
    await stream.messages.waitForEnd();
    assert.equal((await client.post(PING)).status, 404);
    assert.equal((await client.delete()).status, 204, "what is gone stays gone");
    assert.equal((await client.post(PING)).status, 404);
    assert.equal((await other.post(PING)).status, 200);
  });

  verifies("session.lasting", async ({ start, scope }) => {
    const directory = await mkdtemp(join(tmpdir(), "mcproxy-sessions-"));
    scope.defer(() => rm(directory, { recursive: true, force: true }));
    const config = { mcpServers: { one: stdioUpstream({ name: "one", tools: ["echo"] }) } };
    const env = { CACHE_DIRECTORY: join(directory, "cache"), STATE_DIRECTORY: directory };
    const first = await start(config, { env });
    const [client, ended] = [
      await HttpClient.connect(first.url),
      await HttpClient.connect(first.url),
    ];
    assert.equal((await ended.delete()).status, 204);
    // By SIGKILL, where it is a process.
    await first.kill();
    const second = await start(config, { env });
    const [again, gone] = [new HttpClient(second.url), new HttpClient(second.url)];
    [again.session, gone.session] = [client.session, ended.session];
    const stream = scope.use(await again.listen());
    assert.equal(await callText(again, "one_echo", { a: 1 }), '{"a":1}');
    await stream.messages.waitFor(isNotification("notifications/tools/list_changed"));
    assert.equal((await gone.post(PING)).status, 404);
    for (const file of ["session.key", "sessions.jsonl"]) {
      assert.equal((await stat(join(directory, file))).mode & 0o777, 0o600, file);
    }
  });

  verifies("session.secret", async ({ world }) => {
    const { gateway } = await world();
    const ids = new Set<string>();
    for (let i = 0; i < 5; i++) {
      const { session } = await HttpClient.connect(gateway.url);
      assert.match(session!, /^[\x21-\x7e]{22,}$/);
      ids.add(session!);
    }
    assert.equal(ids.size, 5);
    for (const line of gateway.logs.items) {
      for (const id of ids) assert.ok(!line.includes(id), line);
    }
  });

  verifies("session.batch", async ({ world }) => {
    const { gateway } = await world();
    const client = await HttpClient.connect(gateway.url, { version: "2025-03-26" });
    const body = [
      requestText("a", "ping"),
      notificationText("notifications/roots/list_changed"),
      requestText("b", "tools/call", { name: "alpha_echo", arguments: { x: 1 } }),
      '{"jsonrpc":"2.0","id":"c","method":7}',
    ];
    const answer = await client.post(`[${body.join(",")}]`);
    const json: { id: string; error?: unknown }[] = answer.messages.items[0]!.json;
    assert.deepEqual(json.map(({ id }) => id).toSorted(), ["a", "b", "c"]);
    assert.deepEqual(json.filter(({ error }) => error !== undefined).map(({ id }) => id), ["c"]);
    assert.equal((await client.post("[]")).status, 400);
    const silent = await client.post(`[${notificationText("notifications/roots/list_changed")}]`);
    assert.deepEqual([silent.status, silent.text], [202, ""]);
  });

  verifies("session.no-batch", async ({ world }) => {
    const { gateway } = await world();
    for (const version of ["2024-11-05", "2025-06-18", "2025-11-25"]) {
      const client = await HttpClient.connect(gateway.url, { version });
      const answer = await client.post(`[${PING}]`);
      assert.equal(answer.status, 400, version);
      assert.equal(JSON.parse(answer.text).error.code, -32600, version);
    }
  });

  verifies("session.accepted", async ({ world }) => {
    const { gateway } = await world();
    const client = await HttpClient.connect(gateway.url);
    const bodies = [
      notificationText("notifications/roots/list_changed"),
      notificationText("notifications/unheard-of"),
      '{"jsonrpc":"2.0","id":"never-asked","result":{}}',
    ];
    for (const body of bodies) {
      const { status, text } = await client.post(body);
      assert.deepEqual([status, text], [202, ""], body);
    }
  });

  verifies("session.json", async ({ world }) => {
    const { gateway } = await world();
    const client = await HttpClient.connect(gateway.url);
    const plain = await client.start("tools/call", { name: "alpha_echo", arguments: {} }, 1);
    assert.match(plain.headers.get("content-type")!, /^application\/json/);
    const params = { name: "alpha_progress", arguments: { n: 1 }, _meta: { progressToken: 1 } };
    const streamed = await client.start("tools/call", params, 2);
    assert.match(streamed.headers.get("content-type")!, /^text\/event-stream/);
    await streamed.messages.waitFor(isResponseTo(2));
    // The stream of a request ends with its response.
    await streamed.messages.waitForEnd();
  });

  verifies("session.negotiate", async ({ world }) => {
    const { gateway } = await world();
    for (const version of ["1999-01-01", "2099-12-31", ""]) {
      const client = new HttpClient(gateway.url);
      const params = {
        protocolVersion: version,
        capabilities: {},
        clientInfo: { name: "x", version: "1" },
      };
      const answer = await client.request("initialize", params);
      assert.equal(resultOf(answer).json.protocolVersion, "2025-11-25");
    }
  });

  verifies("session.ping", async ({ world }) => {
    const { gateway } = await world();
    const client = await HttpClient.connect(gateway.url);
    assert.equal(resultOf(await client.request("ping")).text, "{}");
  });

  verifies("session.capabilities", async ({ world }) => {
    const { gateway } = await world();
    const { initialized } = await HttpClient.connect(gateway.url);
    const { capabilities, serverInfo, instructions } = resultOf(initialized!).json;
    for (const kind of ["tools", "prompts", "resources"]) {
      assert.equal(capabilities[kind].listChanged, true, kind);
    }
    assert.equal(serverInfo.name, "mcproxy");
    assert.match(instructions, /alpha/);
    assert.match(instructions, /Ask alpha first/);
    const single = await HttpClient.connect(gateway.serverUrl("alpha"));
    const own = resultOf(single.initialized!).json;
    assert.equal(own.serverInfo.name, "alpha-itself");
    assert.equal(own.instructions, "Ask alpha first");
  });

  verifies("session.buffering", async ({ world, scope }) => {
    const { gateway } = await world();
    const client = await HttpClient.connect(gateway.url);
    const stream = scope.use(await client.listen());
    const sse = scope.use(await send(`${gateway.base}/sse`, { headers: {} }));
    for (const { headers } of [stream, sse]) {
      assert.equal(headers.get("x-accel-buffering"), "no");
      assert.match(headers.get("cache-control")!, /no-cache|no-store/);
    }
  });

  verifies("session.sse-unknown", async ({ world, scope }) => {
    const { gateway } = await world();
    const client = scope.use(await SseClient.connect(`${gateway.base}/sse`));
    const wrong = new URL(client.endpoint);
    for (const key of [...wrong.searchParams.keys()]) wrong.searchParams.set(key, "no-such");
    const headers = { "content-type": "application/json" };
    const unknown = await send(wrong.href, { method: "POST", body: PING, headers });
    assert.equal(unknown.status, 404);
    const missing = await send(`${gateway.base}/messages`, { method: "POST", body: PING, headers });
    assert.equal(missing.status, 400);
    assert.equal(await callText(client, "alpha_echo", { a: 1 }), '{"a":1}');
    client.close();
    const gone = async () => (await client.post(PING)).status;
    // Whoever hangs up is forgotten; the gateway notices when the connection closes.
    await eventually(gone, (status) => status === 404, "a forgotten session");
    assert.ok((await listKeys(await HttpClient.connect(gateway.url), "tools")).length > 0);
  });
}
