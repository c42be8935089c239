import assert from "node:assert/strict";
import { rawAt } from "../../../../src/lib/json-edit.ts";
import { errorOf, resultOf, textOf } from "../../../support/clients/message.ts";
import type { ModernPeer } from "../../../support/clients/modern-peer.ts";
import type { CallOptions, Heard, Peer } from "../../../support/clients/peer.ts";
import { ODD_RESULT } from "../../../support/fakes/tools.mjs";
import type { EraSuite, EraTools } from "../suite.ts";

/** A client where all tools are behind a few that find them. */
function gatedPeer({ gateway, peer }: EraTools): Promise<Peer> {
  return peer({}, `${gateway.base}/gated/mcp`);
}

function paramsFor(tool: string, args: unknown, more: object = {}): object {
  return { name: "execute_tool", arguments: { tool_id: tool, arguments: args }, ...more };
}

/** Calls a tool by way of another, with the peer's name as `tag`. */
function execute(
  peer: Peer,
  tool: string,
  args: object = {},
  options: CallOptions = {},
): Promise<Heard> {
  const { token } = options;
  const meta = token === undefined ? {} : { _meta: { progressToken: token } };
  return peer.request("tools/call", paramsFor(tool, { tag: peer.label, ...args }, meta), options);
}

/** Tools that are called by way of another tool: nothing of theirs is lost on the way. */
export function executed({ verifies }: EraSuite): void {
  verifies("execute.arguments", async (tools) => {
    const client = await gatedPeer(tools);
    const params = paramsFor("plain_raw", { n: 1 }, { "x-vendor": 1 });
    const arrived = JSON.parse(textOf(await client.request("tools/call", params))).params;
    assert.equal(arrived.name, "raw");
    assert.deepEqual(arrived.arguments, { n: 1 });
    assert.equal(arrived["x-vendor"], 1);
    // As text, which models write, and not rounded on the way.
    const args = '{ "big":12345678901234567890, "float":1.0 }';
    const answer = await client.request("tools/call", paramsFor("plain_raw", args), { id: 2 });
    assert.equal(rawAt(textOf(answer), ["params", "arguments"]), args);
    const none = { name: "execute_tool", arguments: { tool_id: "plain_raw" } };
    const bare = await client.request("tools/call", none, { id: 3 });
    assert.equal(rawAt(textOf(bare), ["params", "arguments"]), "{}");
  });

  verifies("execute.result", async (tools) => {
    const client = await gatedPeer(tools);
    const { text } = resultOf(await execute(client, "plain_odd"));
    for (const member of ["content", "structuredContent", "vendorField"]) {
      assert.equal(rawAt(text, [member]), rawAt(ODD_RESULT, [member]), member);
    }
  });

  verifies("execute.error", async (tools) => {
    const client = await gatedPeer(tools);
    const { code, message } = errorOf(await execute(client, "plain_rpc_error"));
    assert.deepEqual([code, message], [-32077, "my own words"]);
    const failed = resultOf(await execute(client, "plain_fail", {}, { id: 2 })).json;
    assert.deepEqual([failed.isError, failed.content[0].text], [true, "it went wrong"]);
  });

  verifies("execute.progress", async (tools) => {
    const client = await gatedPeer(tools);
    const { label } = client;
    await execute(client, "talk_progress", { n: 2 }, { token: "t" });
    assert.deepEqual(await client.finish(), [
      `progress "t": 1/2 ${label}`,
      `progress "t": 2/2 ${label}`,
      `answer 1: {"tag":"${label}"}`,
    ]);
  });

  verifies("execute.cancel", async (tools) => {
    const { control } = tools;
    const client = await gatedPeer(tools);
    const { label } = client;
    const key = `cancel execution ${label}`;
    // A cancelled call has no answer to wait for.
    execute(client, "talk_wait", { key }, { token: 1 }).catch(() => {});
    await control.waiting(label);
    await client.heard.waitFor(() => true);
    await client.cancel(1);
    await control.events.waitFor(({ kind, tag }) => kind === "cancelled" && tag === label);
    control.tell({ open: key });
    await execute(client, "talk_echo", {}, { id: 2 });
    assert.deepEqual(await client.finish(), [
      `progress 1: 0/1 ${label}`,
      `answer 2: {"tag":"${label}"}`,
    ]);
  });

  verifies("execute.questions", async (tools) => {
    const { control } = tools;
    const client = await gatedPeer(tools);
    const { label } = client;
    const { said } = JSON.parse(textOf(await execute(client, "talk_rounds")));
    assert.deepEqual(
      said.map(({ result }: { readonly result: unknown }) => result),
      [1, 2, 3].map((round) => ({
        action: "accept",
        content: { answer: `${label} to ${label} ${round}` },
      })),
    );
    const calls = control.received("tools/call")
      .filter(({ params }) => params.arguments.tag === label);
    assert.ok(calls.every(({ params }) => params.name === "rounds"), JSON.stringify(calls));
    // A modern upstream is called anew for each round; a legacy one holds its call open.
    assert.equal(calls.length, tools.cell.upstream === "modern" ? 4 : 1);
  });

  verifies("execute.state", async (tools) => {
    const client = await gatedPeer(tools) as ModernPeer;
    const params = paramsFor("talk_rounds", { tag: client.label });
    const answers = await client.answersTo(await client.ask("tools/call", params));
    const others = [
      paramsFor("talk_rounds", { tag: client.label, more: 1 }),
      paramsFor("talk_elicit", { tag: client.label }),
    ];
    for (const [index, other] of others.entries()) {
      const answer = await client.ask("tools/call", { ...other, ...answers }, { id: index + 2 });
      assert.equal(errorOf(answer).code, -32602, answer.text);
    }
    // The same call, however it is written.
    const again = paramsFor("talk:rounds", JSON.stringify({ tag: client.label }), answers);
    const second = await client.ask("tools/call", again, { id: 9 });
    assert.equal(second.json.result.resultType, "input_required", second.text);
  });

  verifies("execute.unknown", async (tools) => {
    const client = await gatedPeer(tools);
    const { json } = resultOf(await execute(client, "plain_ecko"));
    assert.equal(json.isError, true);
    assert.equal(json.structuredContent.nearest[0], "plain_echo");
    assert.equal(json.resultType, tools.cell.client === "modern" ? "complete" : undefined);
  });
}
