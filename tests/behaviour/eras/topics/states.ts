import assert from "node:assert/strict";
import { errorOf } from "../../../support/clients/message.ts";
import type { ModernPeer } from "../../../support/clients/modern-peer.ts";
import type { EraSuite, EraTools } from "../suite.ts";

/** A call that waits for its client's answer, and the ways to go on with it. */
async function parked({ peer, control }: EraTools) {
  const client = await peer() as ModernPeer;
  const { label } = client;
  const params = { name: "talk_rounds", arguments: { tag: label } };
  const first = await client.ask("tools/call", params);
  let id = 1;
  return {
    params,
    answers: await client.answersTo(first) as { readonly requestState: string },
    client,
    retry: (more: object) => client.ask("tools/call", { ...params, ...more }, { id: ++id }),
    /** How often the upstream was called for it. */
    calls: () =>
      control.received("tools/call").filter(({ params }) => params.arguments.tag === label).length,
  };
}

/** The states with which a stateless client finds the call that a legacy upstream holds open. */
export function states({ verifies }: EraSuite): void {
  verifies("state.altered", async (tools) => {
    const { answers, client, retry, calls } = await parked(tools);
    const { requestState: state } = answers;
    const flip = (at: number) =>
      state.slice(0, at) + (state[at] === "A" ? "B" : "A") + state.slice(at + 1);
    const wrong = [
      ...[0, 5, Math.floor(state.length / 2), state.length - 5].map(flip),
      ...["", ".", "invented", state.slice(0, -4), state + state],
    ].map((requestState) => ({ requestState }));
    const others = [
      { arguments: { tag: client.label, more: 1 } },
      { name: "talk_elicit" },
      { "x-vendor": 1 },
    ];
    for (const more of [...wrong, ...others]) {
      assert.equal(errorOf(await retry({ ...answers, ...more })).code, -32602, inspect(more));
    }
    // None of it has touched the call itself.
    assert.equal(calls(), 1);
    const second = await retry(answers);
    assert.equal(second.json.result.resultType, "input_required", second.text);
  });

  verifies("state.replayed", async (tools) => {
    const { answers, client, retry, calls } = await parked(tools);
    const used = [answers];
    let answer = await retry(answers);
    while (answer.json.result.resultType === "input_required") {
      assert.equal(errorOf(await retry(used.at(-1)!)).code, -32602, "answered already");
      const next = await client.answersTo(answer) as typeof answers;
      used.push(next);
      answer = await retry(next);
    }
    assert.equal(new Set(used.map(({ requestState }) => requestState)).size, 3);
    for (const again of used) assert.equal(errorOf(await retry(again)).code, -32602, "ended");
    assert.equal(calls(), 1);
  });
}

function inspect(value: object): string {
  return JSON.stringify(value);
}
