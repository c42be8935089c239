import assert from "node:assert/strict";
import { test } from "node:test";
import { STDIO_PATIENCE } from "../../src/front/stdio.ts";
import type { Heard, LegacyPeer } from "../support/clients/peer.ts";
import { passTime } from "../support/time.ts";
import { assertHeard, House, type PeerKind, type UpstreamKind } from "./house.ts";

const LEGACY: readonly PeerKind[] = ["http", "sse", "stdio"];
const LEGACY_UPSTREAMS: readonly UpstreamKind[] = ["stdio, per session", "http legacy"];
const SAME = { id: 1, token: 1 };

/** What the upstream was told to its questions, from the result of the call. */
// deno-lint-ignore no-explicit-any
function saidIn({ json }: Heard): any {
  return JSON.parse(json.result.content[0].text).said;
}

for (const upstream of LEGACY_UPSTREAMS) {
  for (const kind of [...LEGACY, "modern"] as const) {
    test(`isolation: what a client cannot do it is not asked, nor anybody else, ${kind} over ${upstream}`, async () => {
      await using house = await House.open(upstream);
      const able = await house.peer(kind, { label: "able" });
      const unable = await house.peer(kind, { label: "unable", capabilities: {} });
      const forms = await house.peer(kind, { label: "forms", capabilities: { elicitation: {} } });
      house.control.tell({ open: "k" });
      const [, refused, url] = await Promise.all([
        able.call("elicit", {}, SAME),
        unable.call("several", {}, SAME),
        forms.call("elicit_url", {}, SAME),
      ]);
      if (kind === "modern") {
        // The era has an error of its own for that: a server must not ask what was not declared.
        assert.deepEqual([refused, url].map(({ json }) => json.error?.code), [-32021, -32021]);
      } else {
        const [form, sampling, roots] = saidIn(refused);
        for (const { error } of [form, sampling, saidIn(url)[0]]) {
          assert.equal(typeof error?.code, "number");
        }
        // Roots may be the gateway's own; here it has none.
        if (roots.error === undefined) assert.deepEqual(roots.result, { roots: [] });
      }
      const words = await Promise.all([unable.finish(), forms.finish()]);
      for (const heard of words) {
        assert.deepEqual(heard.filter((one) => /asks|input/.test(one)), []);
      }
      assert.equal((await able.finish()).filter((one) => /asks|input/.test(one)).length, 1);
    });
  }

  for (const kind of LEGACY) {
    test(`isolation: an answer counts only from the client that was asked, ${kind} over ${upstream}`, async () => {
      await using house = await House.open(upstream);
      const asked = await house.peer(kind, {
        label: "asked",
        respond: () => undefined,
      }) as LegacyPeer;
      const foreign = await house.peer(kind, { label: "foreign" }) as LegacyPeer;
      const call = asked.call("elicit", {}, SAME);
      const { json: { id } } = await asked.heard.waitFor(({ json }) =>
        json.method === "elicitation/create"
      );
      const answer = (id: unknown, said: string) =>
        JSON.stringify({ jsonrpc: "2.0", id, result: { action: "accept", content: { said } } });
      for (const guess of [id, String(id), ...Array(20).keys()]) {
        await foreign.say(answer(guess, "not mine to say"));
      }
      // Its answers have been dealt with once what came after them is.
      await foreign.request("ping", {}, { id: 99 });
      await asked.say(answer(id, "mine"));
      await asked.say(answer(id, "mine again"));
      const mine = { action: "accept", content: { said: "mine" } };
      assert.deepEqual(saidIn(await call), [{ result: mine }]);
      await assertHeard([foreign], () => ["answer 99: {}"]);
      assert.equal((await asked.finish()).filter((one) => one.startsWith("asks")).length, 1);
    });

    test(`isolation: a question taken back reaches the client that has it, ${kind} over ${upstream}`, async () => {
      await using house = await House.open(upstream);
      const silent = { respond: () => undefined };
      const first = await house.peer(kind, { label: "first", ...silent }) as LegacyPeer;
      const second = await house.peer(kind, { label: "second", ...silent }) as LegacyPeer;
      const calls = [first, second].map((peer) => peer.call("give_up", { key: peer.label }, SAME));
      const questions = await Promise.all(
        [first, second].map((peer) => peer.heard.waitFor(({ json }) => json.method !== undefined)),
      );
      house.control.tell({ open: "first" });
      await calls[0];
      const taken = await first.heard.waitFor(({ json }) =>
        json.method === "notifications/cancelled"
      );
      assert.equal(taken.json.params.requestId, questions[0]!.json.id);
      const result = { action: "decline" };
      await second.say(JSON.stringify({ jsonrpc: "2.0", id: questions[1]!.json.id, result }));
      await calls[1];
      const answers = {
        first: '{"tag":"first","said":"gave up"}',
        second: '{"tag":"second","said":{"result":{"action":"decline"}}}',
      };
      const heard = await Promise.all([first.finish(), second.finish()]);
      assert.deepEqual(
        heard.map((all) => all.filter((one) => !one.startsWith('answer "the end"'))),
        [
          [
            "asks elicitation/create first 1",
            "takes a question back",
            `answer 1: ${answers.first}`,
          ],
          ["asks elicitation/create second 1", `answer 1: ${answers.second}`],
        ],
      );
    });

    test(`isolation: a client that leaves while it is asked ends its own call only, ${kind} over ${upstream}`, async () => {
      await using house = await House.open(upstream);
      const leaver = await house.peer(kind, { label: "leaver", respond: () => undefined });
      const stayer = await house.peer(kind, { label: "stayer", respond: () => undefined });
      // Whether it hears an end of it is nobody's business any more.
      leaver.call("elicit", {}, SAME).catch(() => {});
      const stays = stayer.call("elicit", {}, SAME);
      const isAsked = ({ json }: { readonly json: { readonly method?: string } }) =>
        json.method === "elicitation/create";
      await leaver.heard.waitFor(isAsked);
      const { json: { id } } = await stayer.heard.waitFor(isAsked);
      // Who pipes in little and leaves early would be waited for.
      passTime(STDIO_PATIENCE);
      await leaver.close();
      await house.control.events.waitFor(({ kind, tag, connection }) =>
        (kind === "cancelled" && tag === "leaver") ||
        (kind === "closed" && connection === connectionOf(house, "leaver"))
      );
      const result = { action: "cancel" };
      await (stayer as LegacyPeer).say(JSON.stringify({ jsonrpc: "2.0", id, result }));
      assert.deepEqual(saidIn(await stays), [{ result }]);
      await stayer.finish();
    });
  }
}

/** The gateway's connection on which a client's call came. */
function connectionOf(house: House, tag: string): string | undefined {
  return house.control.received("tools/call").find(({ params }) => params.arguments.tag === tag)
    ?.connection;
}

for (const kind of LEGACY) {
  for (const upstream of LEGACY_UPSTREAMS) {
    test(`isolation: URL elicitations end at the client they began with, ${kind} over ${upstream}`, async () => {
      await using house = await House.open(upstream, { clients: 10 });
      const peers = await house.peers([kind], 10);
      await Promise.all(peers.map((peer) => peer.call("elicit_url", {}, SAME)));
      const needs = await Promise.all(peers.map((peer) => peer.call("need_url", {}, { id: 2 })));
      needs.forEach(({ json }, i) => {
        const expected = {
          mode: "url",
          elicitationId: `id of c${i}`,
          url: "https://example.com/sign-in",
          message: `c${i} 1`,
        };
        assert.deepEqual(json.error.data, { elicitations: [expected] });
      });
      for (const peer of peers) {
        const { label } = peer;
        const heard = (await peer.finish()).filter((one) => !one.startsWith('answer "the end"'));
        // Not in order: the completion belongs to no request and may take another stream.
        assert.deepEqual(heard.toSorted(), [
          `answer 1: {"tag":"${label}","said":[{"result":{"action":"accept"}}]}`,
          `asks elicitation/create ${label} 1`,
          `complete id of ${label}`,
          `error 2: -32042 ${label} needs to sign in`,
        ]);
      }
    });
  }
}
