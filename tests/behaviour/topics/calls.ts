import assert from "node:assert/strict";
import { rawAt } from "../../../src/lib/json-edit.ts";
import { HttpClient } from "../../support/clients/http.ts";
import { errorOf, resultOf, textOf } from "../../support/clients/message.ts";
import { ModernClient } from "../../support/clients/modern.ts";
import { SseClient } from "../../support/clients/old-sse.ts";
import { promptText, resourceText } from "../../support/fakes/core.mjs";
import { ODD_RESULT } from "../../support/fakes/tools.mjs";
import { call, callText, everyClient, listKeys } from "../helpers.ts";
import { startOddWorld } from "../odd-world.ts";
import type { Suite } from "../suite.ts";

const UPSTREAMS = ["alpha", "beta", "modern", "web", "old"];

/** Calls, reads and gets, over every front to every upstream, untouched on their way. */
export function calls({ verifies }: Suite): void {
  verifies("fronts.streamable", async ({ world }) => {
    const { gateway } = await world();
    for (const version of ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"]) {
      const client = await HttpClient.connect(gateway.url, { version });
      assert.equal(resultOf(client.initialized!).json.protocolVersion, version);
      assert.ok((await listKeys(client, "tools")).includes("alpha_echo"));
      assert.equal(await callText(client, "alpha_echo", { v: version }), `{"v":"${version}"}`);
    }
  });

  verifies("fronts.sse", async ({ world, scope }) => {
    const { gateway } = await world();
    const client = scope.use(await SseClient.connect(`${gateway.base}/sse`));
    assert.equal(resultOf(client.initialized!).json.protocolVersion, "2024-11-05");
    assert.ok((await listKeys(client, "tools")).includes("alpha_echo"));
    assert.equal(await callText(client, "alpha_echo", { x: 1 }), '{"x":1}');
    const read = await client.request("resources/read", { uri: "fake://alpha-itself/one" });
    assert.equal(resultOf(read).text, resourceText("fake://alpha-itself/one"));
    const prompt = await client.request("prompts/get", { name: "alpha_greet", arguments: {} });
    assert.equal(resultOf(prompt).text, promptText({ name: "greet", arguments: {} }));
  });

  verifies("fronts.modern", async ({ world }) => {
    const { gateway } = await world();
    const client = new ModernClient(gateway.url);
    assert.ok((await listKeys(client, "tools")).includes("modern_echo"));
    assert.equal(await callText(client, "modern_echo", { x: 1 }), '{"x":1}');
    const read = await client.request("resources/read", { uri: "fake://modern-itself/one" });
    assert.equal(resultOf(read).json.contents[0].text, "content of fake://modern-itself/one");
    const prompt = await client.request("prompts/get", { name: "modern_greet", arguments: {} });
    assert.equal(resultOf(prompt).json.description, "greet");
  });

  verifies("calls.every", async ({ world, scope }) => {
    const { gateway } = await world();
    for (const [front, client] of await everyClient(gateway, scope)) {
      for (const server of UPSTREAMS) {
        const args = { front, server };
        assert.equal(await callText(client, `${server}_echo`, args), JSON.stringify(args));
      }
      assert.equal(await callText(client, "paged_tool_0024", { last: true }), '{"last":true}');
    }
  });

  verifies("calls.read", async ({ world, scope }) => {
    const { gateway } = await world();
    const uris = [
      ...["alpha", "modern", "web", "old"].map((name) => `fake://${name}-itself/one`),
      "fake://alpha-itself/item/7",
      "fake://modern-itself/item/8",
    ];
    for (const [front, client] of await everyClient(gateway, scope)) {
      for (const uri of uris) {
        const { contents } = resultOf(await client.request("resources/read", { uri })).json;
        assert.deepEqual([contents[0].uri, contents[0].text], [uri, `content of ${uri}`], front);
      }
    }
  });

  verifies("calls.get", async ({ world, scope }) => {
    const { gateway } = await world();
    for (const [front, client] of await everyClient(gateway, scope)) {
      for (const server of ["alpha", "beta", "modern", "web"]) {
        const params = { name: `${server}_greet`, arguments: { who: front } };
        const { description, messages } =
          resultOf(await client.request("prompts/get", params)).json;
        assert.equal(description, "greet");
        assert.equal(messages[0].content.text, JSON.stringify({ who: front }));
      }
    }
  });

  verifies("raw.results", async ({ world, scope }) => {
    const { gateway } = await world();
    const legacy = await HttpClient.connect(gateway.url);
    for (const server of ["alpha", "web", "old"]) {
      assert.equal(resultOf(await call(legacy, `${server}_odd`)).text, ODD_RESULT, server);
    }
    const modern = new ModernClient(gateway.url);
    const stamped = ODD_RESULT.replace("{", '{"resultType":"complete",');
    assert.equal(resultOf(await call(modern, "modern_odd")).text, stamped);
    // Across eras the result type comes or goes; everything else stays.
    for (const [front, client] of await everyClient(gateway, scope)) {
      for (const server of ["alpha", "modern"]) {
        const { text } = resultOf(await call(client, `${server}_odd`));
        for (const member of ["content", "structuredContent", "vendorField"]) {
          assert.equal(rawAt(text, [member]), rawAt(ODD_RESULT, [member]), `${front} ${server}`);
        }
      }
    }
  });

  verifies("raw.arguments", async ({ world }) => {
    const { gateway } = await world();
    const client = await HttpClient.connect(gateway.url);
    const args = '{ "big":12345678901234567890, "f":1.0,"e":1e400, "2":[ ],"1":"\\u00e9\\/" }';
    for (const server of UPSTREAMS) {
      const params = `{"name":"${server}_raw","arguments":${args}}`;
      const arrived = textOf(await client.request("tools/call", params));
      assert.equal(rawAt(arrived, ["params", "arguments"]), args, server);
      assert.equal(JSON.parse(arrived).params.name, "raw");
    }
  });

  verifies("raw.errors", async ({ world, scope }) => {
    const { gateway } = await world();
    for (const [front, client] of await everyClient(gateway, scope)) {
      for (const server of UPSTREAMS) {
        const answer = await call(client, `${server}_rpc_error`);
        const { code, message } = errorOf(answer);
        assert.deepEqual([code, message], [-32077, "my own words"], `${front} ${server}`);
        assert.equal(rawAt(answer.text, ["error", "data", "n"]), "12345678901234567890");
        const failed = resultOf(await call(client, `${server}_fail`)).json;
        assert.deepEqual([failed.isError, failed.content[0].text], [true, "it went wrong"]);
      }
    }
  });

  verifies("raw.bad-ref", async ({ shared }) => {
    const { gateway } = await shared(startOddWorld);
    const client = await HttpClient.connect(gateway.url);
    const names = await listKeys(client, "tools");
    for (const name of ["badref_echo", "good_echo"]) assert.ok(names.includes(name), name);
    assert.equal(await callText(client, "badref_echo", { a: 1 }), '{"a":1}');
  });

  verifies("raw.large", async ({ world, scope }) => {
    const { gateway } = await world();
    const bytes = 5 * 1024 * 1024;
    for (const [front, client] of await everyClient(gateway, scope)) {
      for (const server of ["alpha", "modern", "web"]) {
        const text = await callText(client, `${server}_large`, { bytes });
        assert.equal(text.length, bytes, `${front} ${server}`);
      }
    }
  });

  verifies("raw.meta", async ({ world, scope }) => {
    const { gateway } = await world();
    const meta = { "vendor.example/x": { deep: 1 }, traceparent: "00-0af7651916cd43dd-b7ad-01" };
    for (const [front, client] of await everyClient(gateway, scope)) {
      for (const server of UPSTREAMS) {
        const arrived = JSON.parse(textOf(await call(client, `${server}_raw`, {}, meta)));
        for (const [key, value] of Object.entries(meta)) {
          assert.deepEqual(arrived.params._meta[key], value, `${front} ${server}`);
        }
      }
    }
  });
}
