import assert from "node:assert/strict";
import { test } from "node:test";
import { AGGREGATE, type Endpoint } from "../../src/gating/endpoint.ts";
import type { ActiveExchange } from "../../src/gateway/clients/exchange.ts";
import { Owners } from "../../src/gateway/tasks.ts";
import { type Reply, replyText } from "../../src/registry/answers.ts";
import { Session, type SessionParts } from "../../src/gateway/clients/session.ts";
import { Facts, SILENT } from "../../src/gateway/events.ts";
import type { Member } from "../../src/gateway/members/member.ts";
import { SessionStore } from "../../src/gateway/clients/sessions.ts";
import { invalidParams } from "../../src/protocol/errors.ts";
import type { Client } from "../../src/protocol/exchange.ts";
import { type NotificationMessage, parseMessage } from "../../src/protocol/message.ts";
import { buildRegistry } from "../../src/registry/build.ts";
import { entry } from "../registry/builders.ts";

/** The parts of a gateway with one server that shares a resource with another. */
class Host implements SessionParts {
  readonly exchanges: ActiveExchange[] = [];
  readonly answers: ((reply: Reply | undefined) => void)[] = [];

  handle(exchange: ActiveExchange): Promise<Reply | undefined> {
    this.exchanges.push(exchange);
    return new Promise((resolve) =>
      this.answers.push((reply) => {
        exchange.end();
        resolve(reply);
      })
    );
  }

  readonly elicitations = new Owners();
  readonly told: string[] = [];

  readonly snapshots = {
    view: ({ server }: Endpoint) => {
      if (server !== undefined) return undefined;
      const servers = ["s", "t"].map((name) => entry(name, { resources: ["shared:1"] }));
      return buildRegistry({ version: 1, servers }).aggregate;
    },
    whenListable: () => undefined,
  };

  readonly levels = {
    changed: async ({ client }: { readonly client?: Client | undefined }) => {
      await Promise.resolve();
      this.told.push(`level ${client?.logLevel}`);
    },
  };

  readonly subscriptions = {
    find: (_: unknown, uri: string) =>
      uri === "x:none" ? undefined : { server: "s", uri, exposed: uri },
    add: ({ uri }: { readonly uri: string }) => {
      if (uri === "x:full") throw invalidParams("too many");
      return this.subscriptions.added(uri);
    },
    added: async (uri: string) => {
      await Promise.resolve();
      this.told.push(`subscribe ${uri}`);
    },
    remove: async ({ uri }: { readonly uri: string }) => {
      await Promise.resolve();
      this.told.push(`unsubscribe ${uri}`);
    },
  };

  readonly events = new Facts();

  readonly members = {
    behind: () => {
      const upstream = { notifyClientRoots: () => void this.told.push("roots") };
      return [{ upstream }] as unknown as readonly Member[];
    },
  };
}

class Sink {
  readonly sent: string[] = [];
  send(raw: string): void {
    this.sent.push(raw);
  }
}

const INITIALIZE =
  '{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{"roots":{}},"clientInfo":{"name":"t"}}}';

function open(): {
  host: Host;
  session: Session;
  sink: Sink;
  say: (text: string) => Promise<string>;
} {
  const host = new Host();
  const session = new Session("http", AGGREGATE, host, () => {});
  const sink = new Sink();
  return {
    host,
    session,
    sink,
    say: async (text) => {
      const reply = await session.receive(parseMessage(text), sink);
      return reply === undefined ? "" : replyText(reply);
    },
  };
}

async function opened() {
  const all = open();
  await all.say(INITIALIZE);
  await all.say('{"jsonrpc":"2.0","method":"notifications/initialized"}');
  return all;
}

test("Session answers initialize with the client's version and remembers the client", async () => {
  const { session, say } = open();
  assert.match(await say(INITIALIZE), /"id":0,"result":{"protocolVersion":"2025-06-18",/);
  assert.deepEqual(session.client?.capabilities, { roots: {} });
  assert.match(await say(INITIALIZE), /-32600.*initialized already/);
});

test("Session refuses calls before initialize but answers ping", async () => {
  const { say, host } = open();
  assert.match(await say('{"jsonrpc":"2.0","id":"a","method":"tools/list"}'), /"id":"a".*-32600/);
  assert.equal(
    await say('{"jsonrpc":"2.0","id":"a","method":"ping"}'),
    '{"jsonrpc":"2.0","id":"a","result":{}}',
  );
  assert.equal(host.exchanges.length, 0);
});

test("Session refuses an id in flight and takes it again afterwards", async () => {
  const { say, host } = await opened();
  const first = say('{"jsonrpc":"2.0","id":1,"method":"tools/call"}');
  assert.match(await say('{"jsonrpc":"2.0","id":1,"method":"tools/call"}'), /already in flight/);
  const other = say('{"jsonrpc":"2.0","id":"1","method":"tools/call"}');
  host.answers[0]!("A");
  host.answers[1]!("B");
  assert.deepEqual([await first, await other], ["A", "B"]);
  const again = say('{"jsonrpc":"2.0","id":1,"method":"tools/call"}');
  host.answers[2]!("C");
  assert.equal(await again, "C");
});

test("Session cancels exactly the request that is named", async () => {
  const { say, host } = await opened();
  void say('{"jsonrpc":"2.0","id":1,"method":"tools/call"}');
  void say('{"jsonrpc":"2.0","id":"1","method":"tools/call"}');
  await say('{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"1"}}');
  assert.deepEqual(host.exchanges.map((one) => one.signal.aborted), [false, true]);
  await say('{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":99}}');
  await say('{"jsonrpc":"2.0","method":"notifications/cancelled"}');
  assert.deepEqual(host.exchanges.map((one) => one.signal.aborted), [false, true]);
});

test("Session keeps one of each list_changed until there is a stream and the client is ready", async () => {
  const { session, say } = open();
  const stream = new Sink();
  session.listsChanged(["tools"]);
  session.attach(stream, () => {});
  assert.deepEqual(stream.sent, []);
  await say(INITIALIZE);
  await say('{"jsonrpc":"2.0","method":"notifications/initialized"}');
  assert.deepEqual(stream.sent, ['{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}']);
  session.detach(stream);
  session.listsChanged(["tools"]);
  session.listsChanged(["tools"]);
  session.attach(stream, () => {});
  assert.equal(stream.sent.length, 2);
});

test("Session forgets a change that the client has read meanwhile, of that list only", async () => {
  const { session, say, host } = await opened();
  session.listsChanged(["tools", "resources", "templates"]);
  for (const method of ["tools/list", "resources/list"]) {
    const listed = say(`{"jsonrpc":"2.0","id":"${method}","method":"${method}"}`);
    host.answers.at(-1)!("{}");
    await listed;
  }
  const stream = new Sink();
  session.attach(stream, () => {});
  assert.deepEqual(stream.sent, [
    '{"jsonrpc":"2.0","method":"notifications/resources/list_changed"}',
  ]);
});

test("Session.attach() replaces a stream and tells it so; an old one detaches nothing", async () => {
  const { session } = await opened();
  const [first, second] = [new Sink(), new Sink()];
  let replaced = 0;
  session.attach(first, () => {
    replaced++;
    session.detach(first);
  });
  session.attach(second, () => {});
  session.detach(first);
  session.listsChanged(["tools"]);
  assert.deepEqual([replaced, first.sent.length, second.sent.length], [1, 0, 1]);
});

test("Session has written down what was granted, in the order it was asked for", async () => {
  const { session, say } = await opened();
  const notes: unknown[] = [];
  session.note = (...note) => void notes.push(note);
  const ask = (method: string, uri: string, id: string) =>
    say(`{"jsonrpc":"2.0","id":"${id}","method":"resources/${method}","params":{"uri":"${uri}"}}`);
  const answers = await Promise.all([
    ask("subscribe", "x:a", "1"),
    ask("unsubscribe", "x:a", "2"),
    ask("subscribe", "x:full", "3"),
    ask("subscribe", "x:none", "4"),
    ask("unsubscribe", "x:none", "5"),
    ask("subscribe", "x:b", "6"),
  ]);
  assert.deepEqual(answers.map((text) => "error" in JSON.parse(text)), [
    false,
    false,
    true,
    true,
    false,
    false,
  ]);
  assert.deepEqual(notes, [
    ["subscribe", "x:a"],
    ["unsubscribe", "x:a"],
    ["unsubscribe", "x:none"],
    ["subscribe", "x:b"],
  ]);
});

test("Session.close() cancels what is in flight, once", async () => {
  const { session, say, host } = await opened();
  void say('{"jsonrpc":"2.0","id":1,"method":"tools/call"}');
  session.close("test");
  session.close("again");
  assert.equal(host.exchanges[0]!.signal.aborted, true);
  assert.equal(session.closed.aborted, true);
});

test("ActiveExchange sends nothing after its end and cannot be cancelled then", async () => {
  const { say, host, sink } = await opened();
  void say('{"jsonrpc":"2.0","id":1,"method":"tools/call"}');
  const exchange = host.exchanges[0]!;
  exchange.notify("one");
  exchange.end();
  exchange.notify("two");
  exchange.cancel("late");
  assert.deepEqual(sink.sent, ["one"]);
  assert.equal(exchange.signal.aborted, false);
});

test("SessionStore reaps the silent, never one with a stream or a call", async () => {
  const reaped: string[] = [];
  const store = new SessionStore(() => 1000);
  const make = async () => {
    const host = new Host();
    const session = new Session("http", AGGREGATE, host, (closed, reason) => {
      if (reason === SILENT.idle) reaped.push(closed.label);
      store.remove(closed);
    });
    await session.receive(parseMessage(INITIALIZE), new Sink());
    store.add(session);
    return session;
  };
  const [silent, streaming, calling] = [await make(), await make(), await make()];
  streaming.attach(new Sink(), () => {});
  void calling.receive(parseMessage('{"jsonrpc":"2.0","id":1,"method":"x"}'), new Sink());
  store.reap(Date.now() + 500);
  assert.equal(store.size, 3);
  store.reap(Date.now() + 2000);
  assert.deepEqual(reaped, [silent.label]);
  assert.equal(store.get(silent.id), undefined);
  assert.equal(store.get(streaming.id), streaming);
  store.close("test over");
  assert.equal(store.size, 0);
});

test("Session answers logging and subscriptions itself and tells the gateway", async () => {
  const { say, host, session } = await opened();
  const ask = (method: string, params: unknown) =>
    say(JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }));
  assert.match(await ask("logging/setLevel", { level: "warning" }), /"result":{}/);
  assert.equal(session.client?.logLevel, "warning");
  assert.match(await ask("logging/setLevel", { level: "loud" }), /-32602.*debug, info/);
  assert.match(await ask("resources/subscribe", { uri: "x:1" }), /"result":{}/);
  assert.match(await ask("resources/subscribe", { uri: "x:none" }), /-32002/);
  assert.match(await ask("resources/subscribe", {}), /-32602/);
  assert.match(await ask("resources/unsubscribe", { uri: "x:1" }), /"result":{}/);
  await say('{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}');
  assert.deepEqual(host.told, ["level warning", "subscribe x:1", "unsubscribe x:1", "roots"]);
  assert.equal(host.exchanges.length, 0);
});

test("Session.hear() names the resource as this client knows it", async () => {
  const { session } = await opened();
  const stream = new Sink();
  const raw = (uri: string) =>
    `{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"${uri}"}}`;
  session.attach(stream, () => {});
  const hear = (text: string) => session.hear("s", parseMessage(text) as NotificationMessage);
  hear(raw("own:1"));
  hear(raw("shared:1"));
  assert.deepEqual(stream.sent, [raw("own:1"), raw("s+shared:1")]);
});

test("Session keeps a bounded number of messages for a stream that is still to come", async () => {
  const { session } = await opened();
  for (let i = 0; i < 100; i++) session.send(`${i}`);
  const stream = new Sink();
  session.attach(stream, () => {});
  assert.equal(stream.sent.length, 64);
  assert.equal(stream.sent.at(-1), "99");
});
