import assert from "node:assert/strict";
import { test } from "node:test";
import { ErrorCode, RpcError } from "../../src/protocol/errors.ts";
import type { Client } from "../../src/protocol/exchange.ts";
import type { RequestMessage } from "../../src/protocol/message.ts";
import { Channel, type ChannelEvents } from "../../src/upstream/connection/channel.ts";
import { SHARED_IDENTITY } from "../../src/upstream/connection/line.ts";
import { AFTERWORDS } from "../../src/upstream/connection/questions.ts";
import { LostCallError, NOT_SENT, SENT } from "../../src/upstream/transport/failures.ts";
import { FakeClock } from "./fakes/clock.ts";
import { FakeTransport } from "./fakes/transport.ts";
import { callText, exchangeFor, LEGACY_CLIENT, MODERN_CLIENT, RecordedLog } from "./support.ts";

const OTHER_CLIENT = { ...LEGACY_CLIENT, label: "c2", session: "c2" };
const WITH_ROOTS = { ...LEGACY_CLIENT, capabilities: { roots: {} } };

async function open(
  { era = "legacy", kind = "stdio", events = {} }: {
    era?: "legacy" | "modern";
    kind?: "stdio" | "http";
    events?: Partial<ChannelEvents>;
  } = {},
) {
  const transport = new FakeTransport(kind);
  const clock = new FakeClock();
  const ambiguous: string[] = [];
  const channel = new Channel({
    server: "x",
    transport,
    log: new RecordedLog(),
    clock,
    timeout: 1_000,
    identity: SHARED_IDENTITY,
    events: {
      onNotification: () => {},
      onAmbiguous: (method) => void ambiguous.push(method),
      onGap: () => {},
      onClose: () => {},
      ...events,
    },
  });
  channel.era = era;
  await channel.start(new AbortController().signal);
  return { channel, transport, clock, ambiguous };
}

/** How often this client, whose call is the second and the only one, is asked what comes on no stream. */
async function timesAsked(
  { channel, transport }: Pick<Awaited<ReturnType<typeof open>>, "channel" | "transport">,
  client: Client,
): Promise<number> {
  const exchange = exchangeFor(callText("b"), client);
  const call = channel.forward(exchange, []);
  transport.say(ELICIT);
  await settled();
  const { length } = exchange.asked;
  exchange.asked[0]?.answer({});
  transport.answer(2);
  await call;
  return length;
}

const ELICIT =
  '{"jsonrpc":"2.0","id":90071992547409931,"method":"elicitation/create","params":{"message":"?","n":1.0}}';

/** The answers sent to the upstream so far. */
function answers(transport: FakeTransport): string[] {
  return transport.sent.map(({ raw }) => raw).filter((raw) => !raw.includes('"method"'));
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

test("Channel asks the only client with a call and answers under the upstream's own id", async () => {
  const { channel, transport } = await open();
  const exchange = exchangeFor(callText("a"));
  const call = channel.forward(exchange, []);
  transport.say(ELICIT);
  const asked = await exchange.nextAsked();
  assert.deepEqual([asked.method, asked.params], ["elicitation/create", { message: "?", n: 1 }]);
  asked.answer({ action: "accept" });
  await settled();
  assert.deepEqual(answers(transport), [
    '{"jsonrpc":"2.0","id":90071992547409931,"result":{"action":"accept"}}',
  ]);
  transport.answer(1);
  await call;
});

test("Channel turns a client's refusal into an error of the upstream's request", async () => {
  const { channel, transport } = await open();
  const exchange = exchangeFor(callText("a"));
  const call = channel.forward(exchange, []);
  transport.say('{"jsonrpc":"2.0","id":"s","method":"sampling/createMessage"}');
  const asked = await exchange.nextAsked();
  assert.equal(asked.params, undefined);
  asked.refuse(new RpcError(-1, "User said no", { why: 1 }));
  await settled();
  assert.deepEqual(JSON.parse(answers(transport)[0]!), {
    jsonrpc: "2.0",
    id: "s",
    error: { code: -1, message: "User said no", data: { why: 1 } },
  });
  transport.answer(1);
  await call;
});

test("Channel stops the time of a call while its client thinks", async () => {
  const { channel, transport, clock } = await open();
  const exchange = exchangeFor(callText("a"));
  const failures: unknown[] = [];
  const call = channel.forward(exchange, []).catch((error: unknown) => failures.push(error));
  transport.say(ELICIT);
  const asked = await exchange.nextAsked();
  clock.tick(600_000);
  asked.answer({});
  await settled();
  assert.equal(answers(transport).length, 1);
  clock.tick(999);
  await settled();
  assert.equal(failures.length, 0);
  clock.tick(1);
  await call;
  assert.equal((failures[0] as RpcError).code, ErrorCode.UpstreamTimeout);
});

test("Channel refuses to guess between clients, says so once each, and gives nobody the question", async () => {
  const { channel, transport, ambiguous } = await open();
  const a = exchangeFor(callText("a"));
  const b = exchangeFor(callText("b"), OTHER_CLIENT);
  const calls = [channel.forward(a, []), channel.forward(b, [])];
  transport.say(ELICIT);
  assert.deepEqual([a.asked.length, b.asked.length], [0, 0]);
  assert.equal(JSON.parse(answers(transport)[0]!).error.code, ErrorCode.InternalError);
  assert.deepEqual(ambiguous, ["elicitation/create"]);
  // The stream of one call tells which one.
  transport.say(ELICIT, 2);
  (await b.nextAsked()).answer({ mine: true });
  await settled();
  assert.match(answers(transport)[1]!, /"mine":true/);
  for (const id of [1, 2]) transport.answer(id);
  await Promise.all(calls);
});

test("Channel keeps what a cancelled call still asks from the client that is left", async () => {
  const { channel, transport, clock, ambiguous } = await open();
  channel.timeout = 3 * AFTERWORDS;
  const gone = exchangeFor(callText("a"));
  const lost = channel.forward(gone, []);
  gone.abort();
  await assert.rejects(lost, RpcError);
  const other = exchangeFor(callText("b"), OTHER_CLIENT);
  const call = channel.forward(other, []);
  transport.say(ELICIT);
  assert.deepEqual([other.asked.length, ambiguous.length], [0, 1]);
  // Its own client may be asked: it is the same person.
  const again = exchangeFor(callText("c"));
  transport.answer(2);
  await call;
  clock.tick(AFTERWORDS);
  const mine = channel.forward(again, []);
  transport.say(ELICIT);
  (await again.nextAsked()).answer({});
  await settled();
  // When it has answered after all, or its time is over, the other one can be asked.
  transport.answer(1);
  transport.answer(3);
  await mine;
  clock.tick(AFTERWORDS);
  const later = exchangeFor(callText("d"), OTHER_CLIENT);
  const last = channel.forward(later, []);
  transport.say(ELICIT);
  (await later.nextAsked()).answer({});
  await settled();
  transport.answer(4);
  await last;
  assert.equal(clock.now(), 2 * AFTERWORDS);
});

test("Channel keeps what is said after an answer from everybody but the client that had it", async () => {
  const said: unknown[] = [];
  const { channel, transport, clock, ambiguous } = await open({
    events: { onNotification: (_, exchange) => void said.push(exchange?.client.label) },
  });
  const LINE = '{"jsonrpc":"2.0","method":"notifications/message","params":{"data":"?"}}';
  const first = channel.forward(exchangeFor(callText("a")), []);
  transport.answer(1);
  await first;
  const other = exchangeFor(callText("b"), OTHER_CLIENT);
  const call = channel.forward(other, []);
  clock.tick(AFTERWORDS - 1);
  transport.say(LINE);
  transport.say(ELICIT);
  assert.equal(JSON.parse(answers(transport)[0]!).error.code, ErrorCode.InternalError);
  assert.deepEqual([said, other.asked.length, ambiguous.length], [[undefined], 0, 1]);
  // What came on the stream of a call is no question.
  transport.say(LINE, 2);
  clock.tick(1);
  transport.say(LINE);
  transport.say(ELICIT);
  (await other.nextAsked()).answer({});
  await settled();
  assert.deepEqual(said, [undefined, "c2", "c2"]);
  transport.answer(2);
  await call;
  // Nobody is a stranger to himself, and one answer of his hides none of another's before it.
  const again = exchangeFor(callText("c"), OTHER_CLIENT);
  const second = channel.forward(again, []);
  transport.say(LINE);
  assert.equal(said.at(-1), "c2");
  const strange = channel.forward(exchangeFor(callText("d")), []);
  transport.answer(4);
  await strange;
  transport.answer(3);
  await second;
  const last = channel.forward(exchangeFor(callText("e"), OTHER_CLIENT), []);
  transport.say(LINE);
  assert.equal(said.at(-1), undefined);
  transport.answer(5);
  await last;
});

test("Channel takes the only call for what is meant where the client of the one before has left", async () => {
  for (const [left, asked] of [["s1", 1], ["another", 0]] as const) {
    const { channel, transport } = await open();
    const first = channel.forward(exchangeFor(callText("a"), { ...WITH_ROOTS, session: "s1" }), []);
    transport.answer(1);
    await first;
    channel.left(left);
    assert.equal(await timesAsked({ channel, transport }, OTHER_CLIENT), asked);
  }
});

test("Channel keeps what follows a failed sending from strangers, where the upstream may have got it", async () => {
  for (const [error, asked] of [[NOT_SENT, 1], [SENT, 0]] as const) {
    const { channel, transport } = await open({ kind: "http" });
    const send = transport.send.bind(transport);
    transport.send = (raw, options) => {
      if (options.requestId !== 1) return send(raw, options);
      return Promise.reject(new LostCallError("x", "broke off its answer stream", error));
    };
    await assert.rejects(channel.forward(exchangeFor(callText("a")), []), LostCallError);
    assert.equal(await timesAsked({ channel, transport }, OTHER_CLIENT), asked);
  }
});

test("Channel brings what names a task to the session whose it is, or to nobody", async () => {
  const said: unknown[] = [];
  const { channel, transport } = await open({
    events: {
      onNotification: (_, exchange) => void said.push(exchange?.client.label),
      ownerOf: (params) => params?.n === undefined ? undefined : OTHER_CLIENT.session,
    },
  });
  const mine = exchangeFor(callText("a"));
  const first = channel.forward(mine, []);
  transport.say('{"jsonrpc":"2.0","method":"notifications/message","params":{"n":1}}');
  transport.say(ELICIT);
  // On the stream of a call, too: what it names says more.
  transport.say(ELICIT, 1);
  assert.deepEqual([said, mine.asked.length, answers(transport).length], [[undefined], 0, 2]);
  const other = exchangeFor(callText("b"), OTHER_CLIENT);
  const second = channel.forward(other, []);
  transport.say(ELICIT);
  (await other.nextAsked()).answer({ mine: true });
  await settled();
  assert.match(answers(transport).at(-1)!, /"mine":true/);
  for (const id of [1, 2]) transport.answer(id);
  await Promise.all([first, second]);
  assert.equal(mine.asked.length, 0);
});

test("Channel knows a client without session by the pipe it came by, and by nothing else", async () => {
  for (const [pipe, asked] of [["p", 1], [undefined, 0]] as const) {
    const client = { ...MODERN_CLIENT, ...pipe && { pipe }, capabilities: { elicitation: {} } };
    const { channel, transport } = await open();
    const first = channel.forward(exchangeFor(callText("a"), client), []);
    transport.answer(1);
    await first;
    assert.equal(await timesAsked({ channel, transport }, client), asked);
  }
});

test("Channel answers roots outside a call, or for a client without, from its owner or with none", async () => {
  const roots = '{"jsonrpc":"2.0","id":1,"method":"roots/list"}';
  const { channel, transport, clock } = await open({
    events: {
      onRequest: () => Promise.resolve('{"jsonrpc":"2.0","id":0,"result":{"roots":[1]}}'),
    },
  });
  transport.say(roots);
  await settled();
  const without = exchangeFor(callText("a"), OTHER_CLIENT);
  const first = channel.forward(without, []);
  transport.say(roots);
  await settled();
  const withRoots = exchangeFor(callText("b"), WITH_ROOTS);
  const second = channel.forward(withRoots, []);
  transport.say(roots);
  await settled();
  const config = '{"jsonrpc":"2.0","id":1,"result":{"roots":[1]}}';
  assert.deepEqual(answers(transport), [config, config, config]);
  transport.answer(1);
  await first;
  clock.tick(AFTERWORDS);
  transport.say(roots);
  (await withRoots.nextAsked()).answer({ roots: ["mine"] });
  await settled();
  assert.match(answers(transport).at(-1)!, /"mine"/);
  transport.answer(2);
  await second;
  const plain = await open();
  plain.transport.say(roots);
  assert.deepEqual(answers(plain.transport), ['{"jsonrpc":"2.0","id":1,"result":{"roots":[]}}']);
});

test("Channel asks the only client whichever of its calls is meant, and outside of calls its owner", async () => {
  const requests: string[] = [];
  const { channel, transport, clock, ambiguous } = await open({
    events: {
      onRequest: ({ method }: RequestMessage) => {
        requests.push(method);
        return undefined;
      },
    },
  });
  transport.say(ELICIT);
  assert.deepEqual(requests, ["elicitation/create"]);
  assert.equal(JSON.parse(answers(transport)[0]!).error.code, ErrorCode.MethodNotFound);
  const a = exchangeFor(callText("a"));
  const b = exchangeFor(callText("b"));
  const calls = [channel.forward(a, []), channel.forward(b, [])];
  transport.say(ELICIT);
  const asked = await b.nextAsked();
  // Either may be the one that waits: neither runs out of time.
  clock.tick(5_000);
  asked.answer({});
  await settled();
  assert.equal(answers(transport).length, 2);
  for (const id of [1, 2]) transport.answer(id);
  await Promise.all(calls);
  assert.deepEqual([a.asked.length, ambiguous.length], [0, 0]);
});

test("Channel lets go of a question the upstream takes back, and answers it no more", async () => {
  const { channel, transport } = await open();
  const exchange = exchangeFor(callText("a"));
  const call = channel.forward(exchange, []);
  transport.say('{"jsonrpc":"2.0","id":"q","method":"elicitation/create"}');
  const asked = await exchange.nextAsked();
  transport.say(
    '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"q"}}',
  );
  assert.equal(asked.signal?.aborted, true);
  asked.answer({});
  await settled();
  assert.deepEqual(answers(transport), []);
  transport.answer(1);
  await call;
});

test("Channel lets go of every question when its transport is gone", async () => {
  const { channel, transport } = await open();
  const exchange = exchangeFor(callText("a"));
  const call = channel.forward(exchange, []);
  transport.say(ELICIT);
  const asked = await exchange.nextAsked();
  transport.handlers.onClose({ code: "exited", message: "exited" });
  await assert.rejects(call, RpcError);
  assert.equal(asked.signal?.aborted, true);
});

test("Channel refuses a second question under an id that is still open", async () => {
  const { channel, transport } = await open();
  const exchange = exchangeFor(callText("a"));
  const call = channel.forward(exchange, []);
  transport.say(ELICIT);
  transport.say(ELICIT);
  const asked = await exchange.nextAsked();
  assert.equal(JSON.parse(answers(transport)[0]!).error.code, ErrorCode.InvalidRequest);
  asked.answer({});
  await settled();
  assert.equal(answers(transport).length, 2);
  transport.answer(1);
  await call;
});

test("Channel takes no request from a modern server, and no method it does not know", async () => {
  const modern = await open({ era: "modern" });
  const exchange = exchangeFor(callText("a"), MODERN_CLIENT);
  const call = modern.channel.forward(exchange, []);
  modern.transport.say(ELICIT);
  assert.equal(JSON.parse(answers(modern.transport)[0]!).error.code, ErrorCode.MethodNotFound);
  assert.equal(exchange.asked.length, 0);
  modern.transport.answer(1);
  await call;
  const { transport } = await open();
  transport.say('{"jsonrpc":"2.0","id":1,"method":"toString"}');
  assert.equal(JSON.parse(answers(transport)[0]!).error.code, ErrorCode.MethodNotFound);
});
