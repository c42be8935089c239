// The fakes and the raw clients against the official SDKs: both sides of the suite are only as good
// as their agreement with what real clients and servers do.

import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { realClients } from "../behaviour/real-clients.ts";
import { HttpClient } from "./clients/http.ts";
import { resultOf, textOf } from "./clients/message.ts";
import { SseClient } from "./clients/old-sse.ts";
import { StdioClient } from "./clients/stdio.ts";
import { startHttpFake } from "./fakes/http-server.ts";
import type { FakeSpec } from "./fakes/spec.ts";
import { fakeCommand } from "./fakes/stdio.ts";
import { within } from "./inbox.ts";
import { startProcess } from "./process.ts";
import { ROOT } from "./program.ts";
import { OWN_PORT } from "./own-address.ts";

const SPEC = {
  name: "f",
  tools: ["echo"],
  prompts: ["greet"],
  resources: ["one"],
  templates: ["item"],
} as const satisfies FakeSpec;

const EVERYTHING = `${ROOT}node_modules/@modelcontextprotocol/server-everything/dist/index.js`;

test("fakes satisfy the real clients of both eras and all transports", async () => {
  const web = await startHttpFake({ ...SPEC, era: "dual" }, { answer: "sse" });
  const old = await startHttpFake(SPEC, { transport: "sse" });
  const target = { url: web.url, sseUrl: old.url, commands: { stdio: fakeCommand(SPEC) } };
  for (const [name, connect] of realClients(target)) {
    const client = await within(connect(), `the connection of ${name}`);
    assert.deepEqual(await client.names(), {
      tools: ["echo"],
      prompts: ["greet"],
      resources: ["fake://f/one"],
      templates: ["fake://f/item/{id}"],
    }, name);
    assert.equal(await client.call("echo", { name }), JSON.stringify({ name }));
    assert.match(await client.read("fake://f/item/3"), /content of fake:\/\/f\/item\/3/);
    assert.match(await client.get("greet", { who: "me" }), /who/);
    await client.close();
  }
  await web.close();
  await old.close();
});

test("the modern fake satisfies the modern client where answers are JSON", async () => {
  const web = await startHttpFake({ ...SPEC, era: "modern" });
  const connect = realClients({ url: web.url, sseUrl: "", commands: {} }).get(
    "SDK v2 modern",
  )!;
  const client = await within(connect(), "the connection");
  assert.deepEqual((await client.names()).tools, ["echo"]);
  assert.equal(await client.call("echo", { a: 1 }), '{"a":1}');
  await client.close();
  await web.close();
});

test("raw clients satisfy a real server on stdio", async () => {
  const client = await StdioClient.spawn("node", [EVERYTHING, "stdio"]);
  assert.equal(resultOf(await client.initialize()).json.protocolVersion, "2025-11-25");
  const answer = await client.request("tools/call", { name: "echo", arguments: { message: "hi" } });
  assert.match(textOf(answer), /hi/);
  await client.process.kill();
});

test("raw clients satisfy a real server over Streamable HTTP and HTTP+SSE", async () => {
  for (const transport of ["streamableHttp", "sse"]) {
    const env = { ...process.env, PORT: String(OWN_PORT) };
    const server = await startProcess("node", [EVERYTHING, transport], { env });
    await server.stderr.waitFor((line) => /listening|running/i.test(line));
    const base = `http://127.0.0.1:${OWN_PORT}`;
    const client = transport === "sse"
      ? await SseClient.connect(`${base}/sse`)
      : await HttpClient.connect(`${base}/mcp`);
    const params = { name: "echo", arguments: { message: "hi" } };
    assert.match(textOf(await client.request("tools/call", params)), /hi/, transport);
    assert.ok(resultOf(await client.request("tools/list")).json.tools.length > 5);
    if (client instanceof HttpClient) {
      const stream = await client.listen();
      assert.equal(stream.status, 200);
      stream.close();
      assert.equal((await client.delete()).status, 200);
    } else client.close();
    await server.kill();
  }
});
