import assert from "node:assert/strict";
import { test } from "node:test";
import type { ModernPeer } from "../support/clients/modern-peer.ts";
import { inWords, type Peer } from "../support/clients/peer.ts";
import { assertHeard, House, isModern, MIXES, type UpstreamKind } from "./house.ts";

const UPSTREAMS: readonly UpstreamKind[] = ["stdio, auto", "http legacy", "http modern"];

async function subscribe(peer: Peer, uris: readonly string[]): Promise<void> {
  if (isModern(peer)) {
    const notifications = { resourceSubscriptions: uris };
    await (peer as ModernPeer).start("subscriptions/listen", { notifications }, { id: 1 });
    await peer.heard.waitFor(({ json }) =>
      json.method === "notifications/subscriptions/acknowledged"
    );
    return;
  }
  for (const uri of uris) await peer.request("resources/subscribe", { uri }, { id: 1 });
}

async function unsubscribe(peer: Peer, uri: string): Promise<void> {
  if (isModern(peer)) await peer.cancel(1);
  else await peer.request("resources/unsubscribe", { uri }, { id: 1 });
}

/** Waits until a client has been told of a change so often. */
async function updates(peer: Peer, uri: string, count: number): Promise<void> {
  let left = count;
  await peer.heard.waitFor((message) => inWords(message) === `updated ${uri}` && --left === 0);
}

for (const upstream of UPSTREAMS) {
  for (const kinds of MIXES) {
    test(`isolation: a change reaches its subscribers, each once, ${kinds.join("+")} over ${upstream}`, async () => {
      await using house = await House.open(upstream);
      const peers = await house.peers(kinds, 10);
      const [a, b, both] = peers as [Peer, Peer, Peer];
      // The others come and go without touching anybody's subscription.
      const rest = peers.slice(3);
      await subscribe(a, ["note://a"]);
      await subscribe(b, ["note://b"]);
      await subscribe(both, ["note://a", "note://b"]);
      house.control.tell({ touch: "note://a" });
      await Promise.all([updates(a, "note://a", 1), updates(both, "note://a", 1)]);
      house.control.tell({ touch: "note://b" });
      await Promise.all([updates(b, "note://b", 1), updates(both, "note://b", 1)]);
      await unsubscribe(a, "note://a");
      house.control.tell({ touch: "note://a" });
      await updates(both, "note://a", 2);
      await assertHeard(rest, () => []);
      const confirmed = (peer: Peer, count: number) =>
        isModern(peer)
          ? ["notifications/subscriptions/acknowledged"]
          : Array<string>(count).fill("answer 1: {}");
      await assertHeard([a, b, both], (peer, i) =>
        [
          [
            ...confirmed(peer, 1),
            "updated note://a",
            ...(isModern(peer) ? [] : ["answer 1: {}"]),
          ],
          [...confirmed(peer, 1), "updated note://b"],
          [...confirmed(peer, 2), "updated note://a", "updated note://b", "updated note://a"],
        ][i]!);
      if (upstream === "http modern") return;
      // The upstream was asked once per resource, and let go when the last one had left.
      const { control } = house;
      for (const uri of ["note://a", "note://b"]) {
        await control.events.waitFor(({ message }) =>
          message?.method === "resources/unsubscribe" && message.params.uri === uri
        );
      }
      for (const method of ["resources/subscribe", "resources/unsubscribe"]) {
        const uris = control.received(method).map(({ params }) => params.uri);
        assert.deepEqual(uris.toSorted(), ["note://a", "note://b"], method);
      }
    });
  }
}
