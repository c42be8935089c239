import { test } from "node:test";
import { namedAnswer, type Peer } from "../support/clients/peer.ts";
import { assertHeard, House, isModern, MIXES, type UpstreamKind } from "./house.ts";

/** Connections on which every question can be attributed, however many calls are in flight. */
const UPSTREAMS: readonly UpstreamKind[] = ["stdio, per session", "http legacy", "http modern"];

const SAME = { id: 1, token: 1 };

const form = (message: string) => namedQuestion("elicitation/create", { message });
const sampling = (text: string) =>
  namedQuestion("sampling/createMessage", { messages: [{ content: { text } }] });
const roots = namedQuestion("roots/list", undefined);

/** A question as `inWords()` has it, and what the peer of that name answers to it. */
function namedQuestion(method: string, params: unknown) {
  // deno-lint-ignore no-explicit-any
  const { message, messages } = (params ?? {}) as any;
  return {
    words: `asks ${method} ${message ?? messages?.[0].content.text ?? ""}`.trim(),
    answer: (label: string) => ({ result: namedAnswer(label)({ method, params }) }),
  };
}

type Named = ReturnType<typeof namedQuestion>;

/** The last thing a call says: its tag and everything it was told. */
function told(label: string, ...questions: readonly Named[]): string {
  return JSON.stringify({ tag: label, said: questions.map(({ answer }) => answer(label)) });
}

/** The rounds of a call: requests on the stream of a legacy client, `input_required` for others. */
function rounds(peer: Peer, ...all: readonly (readonly Named[])[]): string[] {
  const flat = all.flat();
  const words = (questions: readonly Named[]) => questions.map((question) => question.words);
  if (!isModern(peer)) return [...words(flat), `answer 1: ${told(peer.label, ...flat)}`];
  const id = (round: number) => round === 0 ? "1" : `"1${" again".repeat(round)}"`;
  return [
    ...all.map((questions, round) => `input ${id(round)}: ${words(questions).join(", ")}`),
    `answer ${id(all.length)}: ${told(peer.label, ...flat)}`,
  ];
}

for (const upstream of UPSTREAMS) {
  for (const kinds of MIXES) {
    for (const count of [2, 10]) {
      const who = `${count} ${kinds.join("+")} clients over ${upstream}`;

      test(`isolation: a question goes to the client whose call caused it, ${who}`, async () => {
        await using house = await House.open(upstream, { clients: count });
        const peers = await house.peers(kinds, count);
        const calls = peers.map((peer) => peer.call("ask_later", { key: "k" }, SAME));
        // Nobody is asked before all of them are in flight.
        await house.allWaiting(peers);
        house.control.tell({ open: "k" });
        await Promise.all(calls);
        await assertHeard(peers, (peer) => [
          `progress 1: 0/1 ${peer.label}`,
          ...rounds(peer, [form(`${peer.label} 1`)]),
        ]);
      });

      test(`isolation: several questions in one breath and in rounds, ${who}`, async () => {
        await using house = await House.open(upstream, { clients: count });
        const peers = await house.peers(kinds, count);
        await Promise.all(
          peers.map((peer, i) => peer.call(i % 2 ? "several" : "rounds", {}, SAME)),
        );
        await assertHeard(peers, (peer, i) => {
          const { label } = peer;
          return i % 2
            ? rounds(peer, [form(`${label} 1`), sampling(label), roots])
            : rounds(peer, [form(`${label} 1`)], [form(`${label} 2`)], [form(`${label} 3`)]);
        });
      });

      test(`isolation: progress, logs and questions mixed, ${who}`, async () => {
        await using house = await House.open(upstream, { clients: count });
        const peers = await house.peers(kinds, count);
        for (const peer of peers.filter((peer) => !isModern(peer))) {
          await peer.request("logging/setLevel", { level: "error" }, { id: "level" });
        }
        const options = { ...SAME, logLevel: "error" };
        await Promise.all(peers.map((peer) => peer.call("chatter", {}, options)));
        await assertHeard(peers, (peer) => {
          const { label } = peer;
          const questions = [[form(`${label} 1`)], [sampling(label)]];
          const [first, second, answer] = rounds(peer, ...questions) as [string, string, string];
          return [
            ...(isModern(peer) ? [] : ['answer "level": {}']),
            `progress 1: 1/3 ${label}`,
            `log error: ${label} begins`,
            first,
            `progress 1: 2/3 ${label}`,
            second,
            `log error: ${label} ends`,
            `progress 1: 3/3 ${label}`,
            answer,
          ];
        });
      });
    }
  }
}
