import assert from "node:assert/strict";
import { rawAt } from "../../../../src/lib/json-edit.ts";
import {
  errorOf,
  isResponseTo,
  type Received,
  requestText,
  resultOf,
  textOf,
} from "../../../support/clients/message.ts";
import { envelope, ModernClient } from "../../../support/clients/modern.ts";
import type { LegacyPeer, Peer } from "../../../support/clients/peer.ts";
import { promptText, resourceText } from "../../../support/fakes/core.mjs";
import { itemText } from "../../../support/fakes/items.mjs";
import { ODD_RESULT } from "../../../support/fakes/tools.mjs";
import { LISTS, listTexts } from "../../helpers.ts";
import type { EraSuite, EraTools } from "../suite.ts";
import { PLAIN } from "../world.ts";

const KINDS = Object.keys(LISTS) as (keyof typeof LISTS)[];

/** One item of each list of `plain`: its key there, and how clients know it. */
const ITEMS = {
  tools: ["echo", "plain_echo"],
  prompts: ["greet", "plain_greet"],
  resources: [`fake://${PLAIN.name}/one`, `fake://${PLAIN.name}/one`],
  templates: [`fake://${PLAIN.name}/item/{id}`, `fake://${PLAIN.name}/item/{id}`],
} as const;

/** Sends `params` as JSON text, which no serialiser could have written. */
async function requestRaw(
  { cell, gateway }: EraTools,
  peer: Peer,
  method: string,
  name: string,
  params: string,
): Promise<Received> {
  if (cell.client === "legacy") {
    await (peer as LegacyPeer).say(requestText(1, method, params));
    return await peer.heard.waitFor(isResponseTo(1));
  }
  const client = new ModernClient(gateway.url);
  const members = JSON.stringify(envelope()).slice(1, -1);
  const body = requestText(1, method, params.replace('"_meta":{', `"_meta":{${members},`));
  const answer = await client.post(body, client.headers(method, { name }));
  return await answer.messages.waitFor(isResponseTo(1));
}

/** Asserts that members have the same text in both: what is around them may differ by era. */
function assertSameTexts(actual: string, expected: string, ...members: string[]): void {
  for (const member of members) {
    const text = rawAt(expected, [member]);
    assert.notEqual(text, undefined, member);
    assert.equal(rawAt(actual, [member]), text, member);
  }
}

/** What a client asks for, and what it gets. */
export function calls({ verifies }: EraSuite): void {
  verifies("lists", async ({ peer }) => {
    const client = await peer();
    for (const kind of KINDS) {
      const [key, exposed] = ITEMS[kind];
      const expected = itemText(kind, key).replace(JSON.stringify(key), JSON.stringify(exposed));
      const texts = await listTexts(client, kind);
      assert.ok(texts.includes(expected), `${kind}: ${texts.join("\n")}`);
    }
    const tools = (await listTexts(client, "tools")).map((text) => JSON.parse(text).name);
    assert.ok(tools.includes("talk_elicit"));
    assert.equal(new Set(tools).size, tools.length);
  });

  verifies("call.arguments", async (tools) => {
    const args =
      '{ "big":12345678901234567890,"huge":1e400, "float":1.0,"2":"b","1":"\\u00e9\\/" }';
    const params = `{"name":"plain_raw","arguments":${args},"x-vendor":{"n":1.0},` +
      `"_meta":{"vendor.example/x":[1e400]}}`;
    const peer = await tools.peer();
    const answer = await requestRaw(tools, peer, "tools/call", "plain_raw", params);
    const arrived = textOf(answer);
    assert.equal(rawAt(arrived, ["params", "name"]), '"raw"');
    assert.equal(rawAt(arrived, ["params", "arguments"]), args);
    assert.equal(rawAt(arrived, ["params", "x-vendor"]), '{"n":1.0}');
    assert.equal(rawAt(arrived, ["params", "_meta", "vendor.example/x"]), "[1e400]");
    const version = rawAt(arrived, ["params", "_meta", "io.modelcontextprotocol/protocolVersion"]);
    assert.equal(version, tools.cell.upstream === "modern" ? '"2026-07-28"' : undefined);
  });

  verifies("call.result", async ({ cell, peer }) => {
    const result = resultOf(await (await peer()).call("plain_odd"));
    assertSameTexts(result.text, ODD_RESULT, "content", "structuredContent", "vendorField");
    const path = ["_meta", "vendor.example/x"];
    assert.equal(rawAt(result.text, path), rawAt(ODD_RESULT, path));
    if (cell.client === "modern") assert.equal(result.json.resultType, "complete");
    else if (cell.upstream === "legacy") assert.equal(result.text, ODD_RESULT);
  });

  verifies("call.error", async ({ peer }) => {
    const answer = await (await peer()).call("plain_rpc_error");
    const { code, message } = errorOf(answer);
    assert.deepEqual([code, message], [-32077, "my own words"]);
    assert.equal(rawAt(answer.text, ["error", "data"]), '{"n":12345678901234567890}');
  });

  verifies("call.unknown", async ({ peer }) => {
    const client = await peer();
    for (const method of ["tools/call", "prompts/get"]) {
      const answer = await client.request(method, { name: "plain_nobody" }, { id: method });
      const { code, message } = errorOf(answer);
      assert.equal(code, -32602, method);
      assert.match(message, /plain_nobody/, method);
    }
  });

  verifies("resources.unknown", async ({ cell, gateway, peer }) => {
    const client = await peer({}, gateway.serverUrl("plain"));
    const answer = await client.request("resources/read", { uri: "nobody://x" });
    // -32002 is the older code; where either end is of 2026-07-28 it is not used.
    const expected = cell.client === "legacy" && cell.upstream === "legacy" ? -32002 : -32602;
    assert.equal(errorOf(answer).code, expected, answer.text);
  });

  verifies("resources.read", async ({ peer }) => {
    const client = await peer();
    for (const uri of [`fake://${PLAIN.name}/one`, `fake://${PLAIN.name}/item/7`]) {
      const { text } = resultOf(await client.request("resources/read", { uri }, { id: uri }));
      assertSameTexts(text, resourceText(uri), "contents", "x-vendor");
    }
  });

  verifies("prompts.get", async ({ peer }) => {
    const args = { who: "you" };
    const params = { name: "plain_greet", arguments: args };
    const { text } = resultOf(await (await peer()).request("prompts/get", params));
    const expected = promptText({ name: "greet", arguments: args });
    assertSameTexts(text, expected, "description", "messages", "x-vendor");
  });

  verifies("method.unknown", async ({ gateway, peer }) => {
    for (const url of [gateway.url, gateway.serverUrl("plain"), gateway.serverUrl("talk")]) {
      const client = await peer({}, url);
      for (const method of ["no/such", "tools/callx", "constructor"]) {
        const answer = await client.request(method, {}, { id: method });
        assert.equal(errorOf(answer).code, -32601, `${method} at ${url}`);
      }
    }
  });
}
