import { test } from "node:test";
import { assertHeard, House, MIXES, type UpstreamKind } from "./house.ts";

const UPSTREAMS: readonly UpstreamKind[] = ["stdio, auto", "http legacy", "http modern"];

/** Ids and tokens of all clients: a number that is also a gateway id, and a text. */
const SAME = { id: 1, token: 1 };

for (const upstream of UPSTREAMS) {
  for (const kinds of MIXES) {
    for (const count of [2, 10]) {
      const who = `${count} ${kinds.join("+")} clients over ${upstream}`;

      test(`isolation: progress and answers under equal ids and tokens, ${who}`, async () => {
        await using house = await House.open(upstream, { clients: count });
        const peers = await house.peers(kinds, count);
        const calls = peers.map((peer) => peer.call("wait", { key: "k" }, SAME));
        // All of them are in flight before the first one ends.
        await Promise.all(peers.map(({ label }) => house.control.waiting(label)));
        house.control.tell({ open: "k" });
        await Promise.all(calls);
        await Promise.all(
          peers.map((peer) => peer.call("progress", { n: 3 }, { ...SAME, id: "1" })),
        );
        await assertHeard(peers, ({ label }) => [
          `progress 1: 0/1 ${label}`,
          `answer 1: {"tag":"${label}"}`,
          ...[1, 2, 3].map((n) => `progress 1: ${n}/3 ${label}`),
          `answer "1": {"tag":"${label}"}`,
        ]);
      });

      test(`isolation: a cancel ends the call of its client only, ${who}`, async () => {
        await using house = await House.open(upstream, { clients: count });
        const peers = await house.peers(kinds, count);
        const quitter = peers[0]!;
        // A cancelled call has no answer to wait for.
        const calls = peers.map((peer) => peer.call("wait", { key: "k" }, SAME).catch(() => {}));
        await Promise.all(peers.map(({ label }) => house.control.waiting(label)));
        // What is on its way when a call is cancelled may be dropped.
        await quitter.heard.waitFor(() => true);
        await quitter.cancel(SAME.id);
        await house.control.events.waitFor((event) =>
          event.kind === "cancelled" && event.tag === quitter.label
        );
        house.control.tell({ open: "k" });
        await Promise.all(calls.slice(1));
        await assertHeard(peers, (peer) => [
          `progress 1: 0/1 ${peer.label}`,
          ...(peer === quitter ? [] : [`answer 1: {"tag":"${peer.label}"}`]),
        ]);
      });
    }
  }
}
