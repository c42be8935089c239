import assert from "node:assert/strict";
import { test } from "node:test";
import { LINE_LIMITS } from "../../src/upstream/lines.ts";
import type { ModernPeer } from "../support/clients/modern-peer.ts";
import type { Heard } from "../support/clients/peer.ts";
import { House, type UpstreamKind } from "./house.ts";

const UPSTREAMS: readonly UpstreamKind[] = ["stdio, per session", "stdio, shared", "http legacy"];

const PARAMS = { name: "elicit", arguments: { tag: "same" } };

function assertRefused({ json }: Heard, why: string): void {
  assert.equal(json.error?.code, -32602, `${why}: ${JSON.stringify(json)}`);
}

function saidIn({ json }: Heard): unknown {
  return JSON.parse(json.result.content[0].text).said[0].result.content.answer;
}

for (const upstream of UPSTREAMS) {
  test(`isolation: a parked call is resumed by its own state only, ${upstream}`, async () => {
    await using house = await House.open(upstream);
    const peer = await house.peer("modern", { label: "c0" }) as ModernPeer;
    const first = await peer.ask("tools/call", PARAMS, { id: 1 });
    const answers = await peer.answersTo(first);
    const { inputResponses } = answers;
    const state = answers["requestState"] as string;
    const flip = (at: number) =>
      state.slice(0, at) + (state[at] === "A" ? "B" : "A") + state.slice(at + 1);
    const retry = (params: object, id: string) =>
      peer.ask("tools/call", { ...PARAMS, inputResponses, ...params }, { id });
    for (const at of [0, 5, Math.floor(state.length / 2), state.length - 5]) {
      assertRefused(
        await retry({ requestState: flip(at) }, `altered at ${at}`),
        `altered at ${at}`,
      );
    }
    for (const requestState of ["", "x", state + state, state.slice(0, -4), "__proto__", "."]) {
      assertRefused(await retry({ requestState }, "invented"), JSON.stringify(requestState));
    }
    assertRefused(
      await retry({ requestState: state, arguments: { tag: "other" } }, "other arguments"),
      "other arguments",
    );
    assertRefused(await retry({ requestState: state, name: "sample" }, "other tool"), "other tool");
    // None of that has cost the call anything.
    assert.equal(saidIn(await retry({ requestState: state }, "own")), "c0 to same 1");
    assertRefused(await retry({ requestState: state }, "replayed"), "replayed");
    // Nor has it cost anybody else theirs.
    await Promise.all((await house.peers(["modern"], 4)).map((other) => other.call("elicit")));
    assert.equal(house.control.received("tools/call").length, 1 + 4);
    await peer.finish();
  });
}

for (const upstream of ["stdio, per session", "http legacy"] as const) {
  test(`isolation: equal calls of modern clients are parked apart, ${upstream}`, async () => {
    const count = upstream === "http legacy" ? 10 : LINE_LIMITS.leases;
    await using house = await House.open(upstream, { clients: count });
    const peers = await house.peers(["modern"], count) as ModernPeer[];
    const asked = await Promise.all(peers.map((peer) => peer.ask("tools/call", PARAMS)));
    const states = asked.map(({ json }) => json.result.requestState);
    assert.equal(new Set(states).size, peers.length, "two calls have one state");
    // Resumed in another order than they were parked in.
    const order = peers.map((_, i) => (i * 3 + 1) % peers.length);
    const ended = await Promise.all(order.map(async (i) => {
      const more = await peers[i]!.answersTo(asked[i]!);
      return saidIn(await peers[i]!.ask("tools/call", { ...PARAMS, ...more }, { id: "again" }));
    }));
    assert.deepEqual(ended, order.map((i) => `c${i} to same 1`));
    await Promise.all(peers.map((peer) => peer.finish()));
  });

  test(`isolation: progress after a round has the token of that round, ${upstream}`, async () => {
    await using house = await House.open(upstream);
    const peer = await house.peer("modern", { label: "c0" }) as ModernPeer;
    const params = (progressToken: string) => ({
      name: "chatter",
      arguments: { tag: "c0" },
      _meta: { progressToken },
    });
    const first = await peer.ask("tools/call", params("first"), { id: 1 });
    const second = await peer.ask(
      "tools/call",
      { ...params("second"), ...await peer.answersTo(first) },
      { id: 2 },
    );
    await peer.ask("tools/call", { ...params("third"), ...await peer.answersTo(second) }, {
      id: 3,
    });
    const progress = peer.heard.items.filter(({ json }) =>
      json.params?.progressToken !== undefined
    );
    assert.deepEqual(progress.map(({ json, via }) => [json.params.progressToken, via]), [
      ["first", "request 1"],
      ["second", "request 2"],
      ["third", "request 3"],
    ]);
    await peer.finish();
  });
}
