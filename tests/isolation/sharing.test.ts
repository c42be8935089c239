import assert from "node:assert/strict";
import { test } from "node:test";
import { AFTERWORDS } from "../../src/upstream/connection/questions.ts";
import type { Peer } from "../support/clients/peer.ts";
import { holdTime, passTime } from "../support/time.ts";
import { assertHeard, House, isModern, MIXES, type PeerKind } from "./house.ts";

const SAME = { id: 1, token: 1 };

/** Has all of them in flight on one connection when the upstream asks its questions. */
async function askAtOnce(house: House, peers: readonly Peer[]): Promise<void> {
  const calls = peers.map((peer) => peer.call("ask_later", { key: "k" }, SAME));
  await Promise.all(peers.map(({ label }) => house.control.waiting(label)));
  house.control.tell({ open: "k" });
  for (const answer of await Promise.all(calls)) {
    const { said } = JSON.parse(answer.json.result.content[0].text);
    assert.equal(said.length, 1);
    assert.equal(typeof said[0].error?.code, "number", "a question was answered by a guess");
  }
}

function assertNotAsked(peers: readonly Peer[]): void {
  for (const { heard } of peers) {
    assert.deepEqual(heard.items.filter(({ json }) => json.id !== undefined && json.method), []);
    assert.deepEqual(heard.items.filter(({ json }) => json.result?.inputRequests), []);
  }
}

for (const kinds of MIXES) {
  for (const count of [2, 10]) {
    const who = `${count} ${kinds.join("+")} clients`;

    test(`isolation: what cannot be attributed is refused, then each has a connection, ${who}`, async () => {
      await using house = await House.open("stdio, auto", { clients: count });
      const peers = await house.peers(kinds, count);
      await askAtOnce(house, peers);
      assertNotAsked(peers);
      assert.equal(house.control.all("opened").length, 1);
      const answers = await Promise.all(peers.map((peer) => peer.call("elicit", {}, { id: 2 })));
      answers.forEach(({ json }, i) => {
        const { tag, said } = JSON.parse(json.result.content[0].text);
        assert.equal(tag, `c${i}`);
        assert.equal(said[0].result.content.answer, `c${i} to c${i} 1`);
      });
      const shared = house.control.all("opened")[0]!.connection;
      const mine = new Map(
        house.control.received("tools/call")
          .filter(({ params }) => params.name === "elicit")
          .map(({ connection, params }) => [params.arguments.tag, connection]),
      );
      assert.ok(![...mine.values()].includes(shared!), "a question was risked again");
      // Those without session are lent theirs, one call after the other.
      for (const peer of peers.filter(isModern)) mine.delete(peer.label);
      assert.equal(new Set(mine.values()).size, mine.size, "two sessions had one connection");
      await Promise.all(peers.map((peer) => peer.finish()));
      for (const connection of mine.values()) {
        await house.control.events.waitFor((event) =>
          event.kind === "closed" && event.connection === connection
        );
      }
    });

    test(`isolation: a connection that is pinned as shared refuses and stays, ${who}`, async () => {
      await using house = await House.open("stdio, shared", { clients: count });
      const peers = await house.peers(kinds, count);
      await askAtOnce(house, peers);
      assertNotAsked(peers);
      // One call alone, with nothing left to say about another, is no guess.
      passTime(AFTERWORDS);
      const { json } = await peers[0]!.call("elicit", {}, { id: 2 });
      assert.match(json.result.content[0].text, /c0 to c0 1/);
      await Promise.all(peers.map((peer) => peer.finish()));
      assert.equal(house.control.all("opened").length, 1);
    });
  }
}

for (const kind of ["http", "sse", "stdio", "modern"] as readonly PeerKind[]) {
  test(`isolation: a connection of one client's own declares what that client can do, ${kind}`, async () => {
    await using house = await House.open("stdio, per session");
    const all = await house.peer(kind, { label: "all" });
    const few = await house.peer(kind, { label: "few", capabilities: { roots: {} } });
    const none = await house.peer(kind, { label: "none", capabilities: {} });
    // It is opened by the first call, not by the session.
    assert.equal(house.control.received("initialize").length, 1);
    const declared = await Promise.all([all, few, none].map(async (peer) => {
      const { json } = await peer.call("declared");
      const { capabilities } = JSON.parse(json.result.content[0].text).declared;
      const keys = ["sampling", "elicitation", "roots"];
      return keys.filter((key) => capabilities[key] !== undefined);
    }));
    assert.deepEqual(declared, [["sampling", "elicitation", "roots"], ["roots"], []]);
    await Promise.all([all, few, none].map((peer) => peer.finish()));
  });
}

for (const upstream of ["stdio, auto", "stdio, per session", "http legacy"] as const) {
  for (const kind of ["http", "sse", "stdio", "modern"] as readonly PeerKind[]) {
    test(`isolation: what is asked or said outside any call reaches no stranger, ${kind} over ${upstream}`, async () => {
      await using house = await House.open(upstream, { rootsAtStart: true });
      const peers = await house.peers([kind], 2);
      for (const peer of peers.filter((peer) => !isModern(peer))) {
        await peer.request("logging/setLevel", { level: "debug" }, { id: "level" });
      }
      await Promise.all(peers.map((peer) => peer.call("echo")));
      house.control.tell({ log: { level: "emergency", data: "to whom" } });
      house.control.tell({ ask: { method: "sampling/createMessage", params: { messages: [] } } });
      const refused = await house.control.events.waitFor(({ kind, answer }) =>
        kind === "told" && answer.error !== undefined
      );
      assert.equal(typeof refused.answer.error.code, "number");
      // Roots are the exception: they are the gateway's own to name.
      const roots = await house.control.events.waitFor(({ kind, answer }) =>
        kind === "told" && answer.result !== undefined
      );
      assert.ok(Array.isArray(roots.answer.result.roots));
      for (const peer of peers) {
        // On a connection that is one client's own, everything is meant for that client.
        const own = upstream === "stdio, per session" && !isModern(peer);
        if (own) await peer.heard.waitFor(({ json }) => json.method === "notifications/message");
        const heard = (await peer.finish()).filter((one) => !/"level"|"the end"/.test(one))
          .flatMap((one) => upstream === "stdio, per session" ? withoutRoots(one) : one);
        const log = own ? ["log emergency: to whom"] : [];
        assert.deepEqual(heard, [`answer 1: {"tag":"${peer.label}"}`, ...log]);
      }
    });
  }
}

for (const upstream of ["stdio, auto", "stdio, shared", "http legacy"] as const) {
  for (const kind of ["http", "sse", "stdio", "modern"] as readonly PeerKind[]) {
    test(`isolation: what follows an answer reaches nobody whose call is the only one by then, ${kind} over ${upstream}`, async () => {
      await using house = await House.open(upstream);
      const peers = await house.peers([kind], 2);
      for (const peer of peers.filter((peer) => !isModern(peer))) {
        await peer.request("logging/setLevel", { level: "debug" }, { id: "level" });
      }
      using _ = holdTime();
      await peers[0]!.call("echo");
      const waits = peers[1]!.call("wait", { key: "k" }, { logLevel: "debug" });
      await house.control.waiting("c1");
      house.control.tell({ log: { level: "emergency", data: "to whom" } });
      house.control.tell({ ask: { method: "sampling/createMessage", params: { messages: [] } } });
      const refused = await house.control.events.waitFor(({ kind }) => kind === "told");
      assert.equal(typeof refused.answer.error?.code, "number", "a question was put by a guess");
      house.control.tell({ open: "k" });
      await waits;
      await assertHeard(peers, (peer) => [
        ...(isModern(peer) ? [] : ['answer "level": {}']),
        `answer 1: {"tag":"${peer.label}"}`,
      ]);
    });
  }
}

/**
 * What was heard but for the question of a server that has just been started for this client's
 * call: when that is under way by then, the question is its, and no stranger's.
 */
function withoutRoots(heard: string): string[] {
  return heard.includes("asks roots/list") ? [] : [heard.replace('answer "1 again"', "answer 1")];
}
