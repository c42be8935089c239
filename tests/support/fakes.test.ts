import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { HttpClient } from "./clients/http.ts";
import { errorOf, isNotification, resultOf, textOf } from "./clients/message.ts";
import { ModernClient } from "./clients/modern.ts";
import { SseClient } from "./clients/old-sse.ts";
import { StdioClient } from "./clients/stdio.ts";
import { startHttpFake } from "./fakes/http-server.ts";
import { itemText } from "./fakes/items.mjs";
import type { FakeSpec } from "./fakes/spec.ts";
import { ODD_RESULT } from "./fakes/tools.mjs";
import { fakeCommand } from "./fakes/stdio.ts";
import { waitUntilGone } from "./process.ts";

async function stdio(spec: FakeSpec): Promise<StdioClient> {
  const { command, args } = fakeCommand(spec);
  const client = await StdioClient.spawn(command, args);
  return client;
}

test("stdio fake lists in pages and answers with the exact texts", async () => {
  const fake = await stdio({ tools: ["echo", "odd", "progress_chunk"], pageSize: 2 });
  await fake.initialize("2024-11-05");
  assert.equal(resultOf(fake.initialized!).json.protocolVersion, "2024-11-05");
  const first = resultOf(await fake.request("tools/list"));
  assert.ok(first.text.includes(itemText("tools", "echo")));
  const cursor = first.json.nextCursor;
  const second = resultOf(await fake.request("tools/list", { cursor }));
  assert.deepEqual(second.json.tools.map((tool: { name: string }) => tool.name), [
    "progress_chunk",
  ]);
  assert.equal(second.json.nextCursor, undefined);
  assert.equal(resultOf(await fake.request("tools/call", { name: "odd" })).text, ODD_RESULT);
  const from = fake.messages.items.length;
  await fake.request("tools/call", { name: "progress_chunk", _meta: { progressToken: 7 } });
  const note = fake.messages.items[from];
  assert.equal(note?.json.params.progressToken, 7);
  assert.equal(errorOf(await fake.request("no/such")).code, -32601);
  assert.equal(errorOf(await fake.request("tools/call", { name: "x" })).code, -32602);
  assert.deepEqual(await fake.close(), { code: 0, signal: null });
});

test("stdio fake keeps a call until it is released and tells what was cancelled", async () => {
  const fake = await stdio({});
  await fake.initialize();
  const waiting = fake.request("tools/call", { name: "wait", arguments: { key: "a" } }, { id: 50 });
  await fake.request("tools/call", { name: "release", arguments: { key: "a" } });
  assert.equal(textOf(await waiting), "released a");
  fake.request("tools/call", { name: "late", arguments: { key: "b" } }, { id: 51 }).catch(() => {});
  fake.send('{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":51}}');
  const seen = await fake.request("tools/call", { name: "cancellations", arguments: { key: "b" } });
  assert.deepEqual(JSON.parse(textOf(seen)), [{ key: "b" }]);
  const from = fake.messages.items.length;
  await fake.request("tools/call", { name: "change", arguments: { kind: "prompts", add: "p" } });
  const changed = isNotification("notifications/prompts/list_changed");
  await fake.messages.waitFor(changed, { from });
  const asked = fake.request("tools/call", { name: "ask", arguments: { method: "roots/list" } });
  const question = await fake.messages.waitFor(({ json }) => json?.method === "roots/list");
  fake.send(`{"jsonrpc":"2.0","id":${question.json.id},"result":{"roots":[]}}`);
  assert.deepEqual(JSON.parse(textOf(await asked)).result, { roots: [] });
  await fake.close();
});

test("stdio fake crashes, hangs, babbles and stays as told", async () => {
  const directory = await mkdtemp(join(tmpdir(), "fake-"));
  const startsFile = join(directory, "starts");
  const crashed = await stdio({ startsFile, faults: { crashOnStart: 9 } });
  assert.equal((await crashed.process.exited).code, 9);
  assert.match(await crashed.process.stderr.waitFor(() => true), /cannot start/);
  const probed = await stdio({ startsFile, faults: { crashOnProbe: true } });
  probed.send('{"jsonrpc":"2.0","id":1,"method":"server/discover"}');
  assert.equal((await probed.process.exited).code, 6);
  assert.equal((await readFile(startsFile, "utf8")).split("\n").length, 3);
  await rm(directory, { recursive: true });

  const half = await stdio({ faults: { junk: 2, grandchild: true } });
  const grandchild = Number(/\d+/.exec(await half.process.stderr.waitFor(() => true))?.[0]);
  await half.initialize();
  assert.equal(half.messages.items.filter(({ json }) => json === undefined).length, 4);
  half.request("tools/call", { name: "crash_mid" }).catch(() => {});
  assert.equal((await half.process.exited).code, 8);
  assert.match(half.messages.items.at(-1)!.text, /^\{"jsonrpc":"2\.0","id"/);
  await half.process.kill();
  await waitUntilGone(grandchild);

  const stubborn = await stdio({ faults: { ignoreEof: true, ignoreSigterm: true } });
  await stubborn.initialize();
  stubborn.process.endInput();
  stubborn.process.signal("SIGTERM");
  await stubborn.process.kill();
  assert.equal((await stubborn.process.exited).signal, "SIGKILL");
});

test("modern stdio fake wants the envelope and refuses initialize", async () => {
  const fake = await stdio({ era: "modern", tools: ["echo"] });
  assert.equal(errorOf(await fake.initialize()).code, -32022);
  const meta = { "io.modelcontextprotocol/protocolVersion": "2026-07-28" };
  const discovered = resultOf(await fake.request("server/discover", { _meta: meta })).json;
  assert.deepEqual(discovered.supportedVersions, ["2026-07-28"]);
  assert.equal(errorOf(await fake.request("tools/list")).code, -32602);
  const list = resultOf(await fake.request("tools/list", { _meta: meta })).json;
  assert.deepEqual([list.resultType, list.ttlMs, list.tools.length], ["complete", 60000, 1]);
  await fake.close();
});

test("HTTP fake gives sessions, standing streams, JSON and event streams", async () => {
  const fake = await startHttpFake({ prompts: ["greet"], resources: ["a"], templates: ["t"] });
  const client = await HttpClient.connect(fake.url, { version: "2025-06-18" });
  const standing = await client.listen();
  assert.equal(standing.status, 200);
  assert.equal(
    textOf(await client.request("tools/call", { name: "echo", arguments: { a: 1 } })),
    '{"a":1}',
  );
  const streamed = await client.start("tools/call", {
    name: "progress",
    arguments: { n: 2 },
    _meta: { progressToken: "t" },
  });
  assert.equal(await streamed.messages.waitForEnd(), "end of stream");
  assert.equal(streamed.messages.items.length, 3);
  await client.request("tools/call", { name: "change", arguments: { kind: "tools", add: "new" } });
  await standing.messages.waitFor(isNotification("notifications/tools/list_changed"));
  const read = await client.request("resources/read", { uri: "fake://fake/t/9" });
  assert.match(read.text, /content of fake:\/\/fake\/t\/9/);
  assert.equal((await client.delete()).status, 200);
  assert.equal((await client.post("{}")).status, 404);
  client.session = undefined;
  assert.equal((await client.post("{}")).status, 400);
  standing.close();
  await fake.close();
});

test("HTTP fake fails as told", async () => {
  const fake = await startHttpFake({ tools: ["echo"] });
  const client = await HttpClient.connect(fake.url);
  fake.fault = (method) => method === "tools/call" ? { status: 503, body: "down" } : undefined;
  const down = await client.start("tools/call", { name: "echo" });
  assert.deepEqual([down.status, down.text], [503, "down"]);
  fake.fault = () => ({ cut: "before" });
  await assert.rejects(client.start("tools/call", { name: "echo" }));
  fake.fault = () => ({ cut: "inside" });
  const cut = await client.start("tools/call", { name: "echo" });
  assert.match(await cut.messages.waitForEnd(), /broken|end/);
  fake.fault = undefined;
  fake.expireSessions();
  assert.equal((await client.start("tools/call", { name: "echo" })).status, 404);
  await fake.close();
});

test("modern HTTP fake checks headers and sees a closed stream as cancellation", async () => {
  const fake = await startHttpFake({ era: "modern" });
  const client = new ModernClient(fake.url);
  const discovered = resultOf(await client.request("server/discover")).json;
  assert.deepEqual(discovered.supportedVersions, ["2026-07-28"]);
  const wrong = await client.start("tools/call", { name: "echo" }, {
    headers: { "mcp-name": "other" },
  });
  assert.equal(wrong.status, 400);
  assert.equal(errorOf(wrong.messages.items[0]!).code, -32020);
  assert.equal((await client.start("no/such")).status, 404);
  const waiting = await client.start("tools/call", { name: "wait", arguments: { key: "k" } }, {
    meta: { progressToken: 1 },
  });
  await waiting.messages.waitFor(isNotification("notifications/progress"));
  waiting.close();
  await fake.core.cancelled("k");
  assert.deepEqual(fake.core.cancellations, [{ key: "k" }]);
  const listen = await client.start("subscriptions/listen", {
    notifications: { toolsListChanged: true },
  }, { id: "sub" });
  await listen.messages.waitFor(isNotification("notifications/subscriptions/acknowledged"));
  await client.request("tools/call", { name: "change", arguments: { kind: "tools", add: "n" } });
  const note = await listen.messages.waitFor(isNotification("notifications/tools/list_changed"));
  assert.equal(note.json.params._meta["io.modelcontextprotocol/subscriptionId"], "sub");
  listen.close();
  await fake.close();
});

test("SSE fake answers on its stream", async () => {
  const fake = await startHttpFake({ version: "2024-11-05" }, { transport: "sse" });
  const client = await SseClient.connect(fake.url);
  assert.equal(resultOf(client.initialized!).json.protocolVersion, "2024-11-05");
  const answer = await client.request("tools/call", { name: "odd" });
  assert.equal(resultOf(answer).text, ODD_RESULT);
  client.close();
  await fake.close();
});
