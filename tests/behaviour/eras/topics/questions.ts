import assert from "node:assert/strict";
import { rawAt } from "../../../../src/lib/json-edit.ts";
import { textOf } from "../../../support/clients/message.ts";
import type { ModernPeer } from "../../../support/clients/modern-peer.ts";
import {
  ALL_CAPABILITIES,
  type Heard,
  namedAnswer,
  type Peer,
  type Question,
} from "../../../support/clients/peer.ts";
import type { EraSuite } from "../suite.ts";

/** What the upstream was told to its questions, from the result of the call. */
// deno-lint-ignore no-explicit-any
function saidIn(answer: Heard): any {
  return JSON.parse(textOf(answer)).said;
}

/** What a client was asked, however its era does that, in order. */
function asked(peer: Peer): Question[] {
  return peer.heard.items.flatMap(({ json }) => {
    if (json.method !== undefined && json.id !== undefined) {
      return [{ method: json.method, params: json.params }];
    }
    return Object.values<Question>(json.result?.inputRequests ?? {});
  });
}

/** Calls a tool that asks once; returns the question, whose answer the upstream has got. */
async function askedOnce(peer: Peer, tool: string): Promise<Question> {
  const answer = await peer.call(tool);
  const questions = asked(peer);
  assert.equal(questions.length, 1, JSON.stringify(questions));
  const [question] = questions as [Question];
  assert.deepEqual(saidIn(answer), [{ result: namedAnswer(peer.label)(question) }]);
  return question;
}

/** Requests of a server to a client, which the two eras do in two ways. */
export function questions({ verifies }: EraSuite): void {
  verifies("elicitation.form", async ({ peer }) => {
    const client = await peer();
    const { method, params } = await askedOnce(client, "talk_elicit");
    assert.equal(method, "elicitation/create");
    assert.equal(params.message, `${client.label} 1`);
    assert.deepEqual(params.requestedSchema, {
      type: "object",
      properties: { answer: { type: "string" } },
    });
  });

  verifies("elicitation.url", async ({ peer }) => {
    const client = await peer();
    const { method, params } = await askedOnce(client, "talk_elicit_url");
    assert.equal(method, "elicitation/create");
    assert.deepEqual([params.mode, params.elicitationId, params.url], [
      "url",
      `id of ${client.label}`,
      "https://example.com/sign-in",
    ]);
  });

  verifies("elicitation.incapable", async ({ cell, control, peer }) => {
    const { elicitation: _none, ...capabilities } = ALL_CAPABILITIES;
    const client = await peer({ capabilities });
    const answer = await client.call("talk_elicit");
    assert.deepEqual(asked(client), []);
    const { error } = cell.upstream === "legacy" && cell.client === "legacy"
      // The upstream is refused, and its call goes on as it sees fit.
      ? saidIn(answer)[0]
      : answer.json;
    assert.equal(error?.code, cell.client === "modern" ? -32021 : -32601, answer.text);
    if (cell.client === "modern") {
      // Its call is let go of upstream: cancelled, or ended with the connection leased to it.
      const { connection } = control.received("tools/call").find(({ params }) =>
        params.arguments.tag === client.label
      )!;
      await control.events.waitFor((event) =>
        (event.kind === "cancelled" && event.tag === client.label) ||
        (event.kind === "closed" && event.connection === connection)
      );
    }
    // What it declares it is asked all the same.
    await client.call("talk_sample", {}, { id: 2 });
    assert.deepEqual(asked(client).map(({ method }) => method), ["sampling/createMessage"]);
  });

  verifies("capabilities.own", async ({ peer }) => {
    for (const capabilities of [{}, { roots: {} }, ALL_CAPABILITIES]) {
      const client = await peer({ capabilities });
      const { _meta } = JSON.parse(textOf(await client.call("plain_raw"))).params;
      assert.deepEqual(_meta["io.modelcontextprotocol/clientCapabilities"], capabilities);
      assert.equal(_meta["io.modelcontextprotocol/clientInfo"].name, client.label);
    }
  });

  verifies("sampling", async ({ peer }) => {
    const client = await peer();
    const { method, params } = await askedOnce(client, "talk_sample");
    assert.equal(method, "sampling/createMessage");
    assert.equal(params.messages[0].content.text, client.label);
    assert.equal(params.maxTokens, 10);
  });

  verifies("roots", async ({ peer }) => {
    for (const client of [await peer(), await peer()]) {
      assert.equal((await askedOnce(client, "talk_roots")).method, "roots/list");
    }
  });

  verifies("questions.breath", async ({ peer }) => {
    const { promise: allAsked, resolve } = Promise.withResolvers<void>();
    const client = await peer();
    const say = client.respond;
    let count = 0;
    client.respond = async (question) => {
      if (++count === 3) resolve();
      await allAsked;
      return say(question);
    };
    const answer = await client.call("talk_several");
    const questions = asked(client);
    const methods = questions.map(({ method }) => method);
    assert.deepEqual(methods, ["elicitation/create", "sampling/createMessage", "roots/list"]);
    assert.deepEqual(saidIn(answer), questions.map((question) => ({ result: say(question) })));
  });

  verifies("questions.rounds", async ({ peer }) => {
    const client = await peer();
    const answer = await client.call("talk_rounds");
    const questions = asked(client);
    const words = questions.map(({ params }) => params.message);
    assert.deepEqual(words, [1, 2, 3].map((round) => `${client.label} ${round}`));
    assert.deepEqual(
      saidIn(answer),
      questions.map((question) => ({ result: namedAnswer(client.label)(question) })),
    );
  });

  verifies("questions.mixed", async ({ cell, peer }) => {
    const client = await peer();
    if (cell.client === "legacy") {
      await client.request("logging/setLevel", { level: "error" }, { id: "level" });
    }
    await client.call("talk_chatter", {}, { token: "t", logLevel: "error" });
    const { label } = client;
    const kinds = (await client.finish()).map((words) => words.replace(/^answer .*/, "answer"))
      .map((words) => words.replace(/^input .*?: /, ""));
    assert.deepEqual(kinds, [
      ...(cell.client === "legacy" ? ["answer"] : []),
      `progress "t": 1/3 ${label}`,
      `log error: ${label} begins`,
      `asks elicitation/create ${label} 1`,
      `progress "t": 2/3 ${label}`,
      `asks sampling/createMessage ${label}`,
      `log error: ${label} ends`,
      `progress "t": 3/3 ${label}`,
      "answer",
    ]);
  });

  verifies("questions.verbatim", async ({ control, peer }) => {
    const client = await peer() as ModernPeer;
    const { label } = client;
    const params = { name: "talk_several", arguments: { tag: label } };
    const first = await client.ask("tools/call", params);
    // The texts are those of the upstream, which writes its state in the open.
    assert.equal(
      rawAt(first.text, ["result", "requestState"]),
      JSON.stringify(JSON.stringify({ answered: [], asked: 3 })),
    );
    assert.deepEqual(Object.keys(first.json.result.inputRequests), ["q0", "q1", "q2"]);
    const roots = rawAt(first.text, ["result", "inputRequests", "q2"]);
    assert.equal(roots, '{"method":"roots/list"}');
    const answers = await client.answersTo(first);
    await client.ask("tools/call", { ...params, ...answers }, { id: 2 });
    const arrived = control.received("tools/call").filter(({ params }) =>
      params.arguments.tag === label
    );
    assert.equal(arrived.length, 2);
    const { inputResponses, requestState } = arrived[1]!.params;
    assert.deepEqual({ inputResponses, requestState }, answers);
  });
}
