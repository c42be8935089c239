import assert from "node:assert/strict";
import { test } from "node:test";
import { AFTERWORDS } from "../../src/upstream/connection/questions.ts";
import { passTime } from "../support/time.ts";
import { assertHeard, House, isModern, MIXES, type UpstreamKind } from "./house.ts";

const UPSTREAMS: readonly UpstreamKind[] = [
  "stdio, auto",
  "stdio, per session",
  "http legacy",
  "http modern",
];

/** What each client wants, in turn, and what it then gets of the lines below. */
const LEVELS = [["debug", 3], ["info", 2], ["error", 1], ["emergency", 0]] as const;
const LINES = ["debug", "warning", "error"];

for (const upstream of UPSTREAMS) {
  for (const kinds of MIXES) {
    test(`isolation: log lines reach the client whose call they are about, at its level, ${kinds.join("+")} over ${upstream}`, async () => {
      await using house = await House.open(upstream);
      const peers = await house.peers(kinds, 4);
      for (const [i, peer] of peers.entries()) {
        if (isModern(peer)) continue;
        await peer.request("logging/setLevel", { level: LEVELS[i]![0] }, { id: "level" });
      }
      // The shared connection has the level by then of whoever wants most.
      if (upstream !== "http modern" && upstream !== "stdio, per session" && !isModern(peers[0]!)) {
        await house.control.events.waitFor(({ message }) =>
          message?.method === "logging/setLevel" && message.params.level === "debug"
        );
      }
      // One some time after the other: on a shared connection that makes them attributable.
      for (const [i, peer] of peers.entries()) {
        passTime(AFTERWORDS);
        const options = { id: 1, logLevel: LEVELS[i]![0] };
        await peer.call("log", { levels: LINES }, options);
      }
      await assertHeard(peers, (peer, i) => [
        ...(isModern(peer) ? [] : ['answer "level": {}']),
        ...LINES.slice(LINES.length - LEVELS[i]![1]).map((level) => `log ${level}: ${peer.label}`),
        `answer 1: {"tag":"${peer.label}"}`,
      ]);
    });
  }
}

test("isolation: log lines of calls that overlap on a shared connection reach nobody", async () => {
  await using house = await House.open("stdio, shared");
  const peers = await house.peers(["http", "sse", "stdio"], 3);
  for (const peer of peers) {
    await peer.request("logging/setLevel", { level: "debug" }, { id: "level" });
  }
  const waits = peers.slice(1).map((peer) => peer.call("wait", { key: "k" }));
  await Promise.all(peers.slice(1).map(({ label }) => house.control.waiting(label)));
  await peers[0]!.call("log", { levels: LINES });
  house.control.tell({ open: "k" });
  await Promise.all(waits);
  await assertHeard(peers, ({ label }) => ['answer "level": {}', `answer 1: {"tag":"${label}"}`]);
  assert.equal(house.control.all("opened").length, 1);
});
