import assert from "node:assert/strict";
import { HttpClient, send } from "../../support/clients/http.ts";
import {
  errorOf,
  isNotification,
  isResponseTo,
  requestText,
  textOf,
} from "../../support/clients/message.ts";
import { ModernClient } from "../../support/clients/modern.ts";
import { rawHttp, statusOf } from "../../support/clients/raw.ts";
import { callText, everyClient, listKeys } from "../helpers.ts";
import type { Suite } from "../suite.ts";

const PING = requestText(1, "ping");
const LIMIT = 4 * 1024 * 1024;

/** Input that is refused, and how. */
export function rejections({ verifies }: Suite): void {
  verifies("bad.json", async ({ world }) => {
    const { gateway } = await world();
    const client = await HttpClient.connect(gateway.url);
    for (
      const body of ["", "{", "no json", '{"jsonrpc":"2.0",}', "\u0000"]
    ) {
      const answer = await client.post(body);
      assert.equal(answer.status, 400, body);
      const { error, id } = JSON.parse(answer.text);
      assert.deepEqual([error.code, id], [-32700, null], body);
    }
  });

  verifies("bad.types", async ({ world }) => {
    const { gateway } = await world();
    const client = await HttpClient.connect(gateway.url);
    const bodies = [
      "null",
      "1",
      '"text"',
      "{}",
      '{"jsonrpc":"1.0","id":1,"method":"ping"}',
      '{"id":1,"method":"ping"}',
      '{"jsonrpc":"2.0","id":1,"method":7}',
      '{"jsonrpc":"2.0","id":1,"method":"ping","params":[1]}',
      '{"jsonrpc":"2.0","id":1,"method":"ping","params":"x"}',
      '{"jsonrpc":"2.0","id":{},"method":"ping"}',
      '{"jsonrpc":"2.0","id":null,"method":"ping"}',
      '{"jsonrpc":"2.0","id":true,"method":"ping"}',
    ];
    for (const body of bodies) {
      const answer = await client.post(body);
      assert.equal(answer.status, 400, body);
      assert.equal(JSON.parse(answer.text).error.code, -32600, body);
    }
  });

  verifies("bad.method", async ({ world, scope }) => {
    const { gateway } = await world();
    for (const [front, client] of await everyClient(gateway, scope)) {
      for (const method of ["no/such", "toString", "constructor"]) {
        assert.equal(errorOf(await client.request(method)).code, -32601, `${front} ${method}`);
      }
    }
  });

  verifies("bad.params", async ({ world }) => {
    const { gateway } = await world();
    const client = await HttpClient.connect(gateway.url);
    const wrong: [string, unknown][] = [
      ["tools/call", undefined],
      ["tools/call", {}],
      ["tools/call", { name: 7 }],
      ["prompts/get", {}],
      ["resources/read", {}],
      ["resources/read", { uri: null }],
    ];
    for (const [method, params] of wrong) {
      const answer = await client.request(method, params);
      assert.equal(errorOf(answer).code, -32602, `${method} ${JSON.stringify(params)}`);
    }
    const cursor = await client.request("tools/list", { cursor: "no-such-cursor" });
    assert.equal(errorOf(cursor).code, -32602);
  });

  verifies("bad.tool", async ({ world, scope }) => {
    const { gateway } = await world();
    for (const [front, client] of await everyClient(gateway, scope)) {
      const unknown: [string, Record<string, unknown>, string][] = [
        ["tools/call", { name: "alpha_no-such", arguments: {} }, "alpha_no-such"],
        ["tools/call", { name: "toString", arguments: {} }, "toString"],
        ["prompts/get", { name: "alpha_nobody" }, "alpha_nobody"],
        ["resources/read", { uri: "nobody://here" }, "nobody://here"],
      ];
      for (const [method, params, name] of unknown) {
        const { code, message } = errorOf(await client.request(method, params));
        assert.ok([-32602, -32002].includes(code), `${front} ${name} ${code}`);
        assert.ok(message.includes(name), `${front}: "${message}" does not name ${name}`);
      }
    }
  });

  verifies("bad.size", async ({ world }) => {
    const { gateway } = await world();
    const client = await HttpClient.connect(gateway.url);
    const padded = (size: number) => {
      const head = '{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":"';
      return `${head}${"x".repeat(size - head.length - 3)}"}}`;
    };
    assert.equal((await client.post(padded(LIMIT))).status, 200);
    const refused = await client.post(padded(LIMIT + 1));
    assert.equal(refused.status, 413);
    assert.equal(typeof JSON.parse(refused.text), "object");
    const chunk = "x".repeat(65536);
    const unannounced = [
      "POST /mcp HTTP/1.1",
      `Host: 127.0.0.1:${gateway.port}`,
      "Content-Type: application/json",
      "Accept: application/json, text/event-stream",
      `Mcp-Session-Id: ${client.session}`,
      "Transfer-Encoding: chunked",
      "Connection: close",
      "",
      ...Array.from({ length: LIMIT / 65536 + 1 }, () => `10000\r\n${chunk}`),
      "0",
      "",
      "",
    ].join("\r\n");
    assert.equal(statusOf(await rawHttp(gateway.port, unannounced)), 413);
    assert.equal((await client.post(PING)).status, 200);
  });

  verifies("bad.content-type", async ({ world }) => {
    const { gateway } = await world();
    const client = await HttpClient.connect(gateway.url);
    for (const type of ["text/plain", "application/x-www-form-urlencoded", "application/jsonx"]) {
      const answer = await client.post(PING, { "content-type": type });
      assert.equal(answer.status, 415, type);
      assert.equal(typeof JSON.parse(answer.text), "object", type);
    }
    for (const type of ["application/json; charset=utf-8", "Application/JSON"]) {
      assert.equal((await client.post(PING, { "content-type": type })).status, 200, type);
    }
  });

  verifies("bad.accept", async ({ world }) => {
    const { gateway } = await world();
    const client = await HttpClient.connect(gateway.url);
    assert.equal((await client.post(PING, { accept: "text/html" })).status, 406);
    assert.equal((await client.listen({ accept: "application/json" })).status, 406);
    for (const accept of ["*/*", "text/event-stream, application/json;q=0.5"]) {
      assert.equal((await client.post(PING, { accept })).status, 200, accept);
    }
  });

  verifies("bad.version", async ({ world }) => {
    const { gateway } = await world();
    const client = await HttpClient.connect(gateway.url);
    for (const version of ["1999-01-01", "latest", "2099-01-01"]) {
      const answer = await client.post(PING, { "mcp-protocol-version": version });
      assert.equal(answer.status, 400, version);
      assert.match(JSON.parse(answer.text).error.message, new RegExp(version));
    }
    assert.equal((await client.post(PING, { "mcp-protocol-version": null })).status, 200);
  });

  verifies("bad.duplicate", async ({ world }) => {
    const { gateway } = await world();
    const client = await HttpClient.connect(gateway.url);
    const params = {
      name: "alpha_wait",
      arguments: { key: "duplicate" },
      _meta: { progressToken: 1 },
    };
    const first = await client.start("tools/call", params, 9);
    await first.messages.waitFor(isNotification("notifications/progress"));
    const second = await client.request("tools/call", { name: "alpha_pid" }, { id: 9 });
    assert.equal(errorOf(second).code, -32600);
    // Text "9" is another id than number 9.
    const other = await client.request("tools/call", { name: "alpha_pid" }, { id: "9" });
    assert.match(textOf(other), /^\d+$/);
    await callText(client, "alpha_release", { key: "duplicate" });
    assert.equal(textOf(await first.messages.waitFor(isResponseTo(9))), "released duplicate");
    assert.match(
      textOf(await client.request("tools/call", { name: "alpha_pid" }, { id: 9 })),
      /^\d/,
    );
  });

  verifies("bad.http-method", async ({ world }) => {
    const { gateway } = await world();
    for (const method of ["PUT", "PATCH"]) {
      const answer = await send(gateway.url, { method, body: "{}" });
      assert.equal(answer.status, 405, method);
      assert.match(answer.headers.get("allow") ?? "", /POST/);
    }
  });

  verifies("bad.survives", async ({ world, scope }) => {
    const { gateway } = await world();
    const hostile = [
      "NONSENSE\r\n\r\n",
      "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\nConnection: close\r\n\r\n",
      `GET ${"/x".repeat(20_000)} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`,
    ];
    for (const text of hostile) {
      const status = statusOf(await rawHttp(gateway.port, text));
      assert.ok(status === 0 || status >= 400, `${text.slice(0, 40)} gave ${status}`);
    }
    const deep = `{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":${"[".repeat(50_000)}`;
    assert.equal((await (await HttpClient.connect(gateway.url)).post(deep)).status, 400);
    for (const [front, client] of await everyClient(gateway, scope)) {
      assert.equal(await callText(client, "alpha_echo", { front }), JSON.stringify({ front }));
    }
    assert.ok((await listKeys(new ModernClient(gateway.url), "tools")).length > 100);
  });
}
