import assert from "node:assert/strict";
import { test } from "node:test";
import type { Client } from "../../src/protocol/exchange.ts";
import { ErrorCode } from "../../src/protocol/errors.ts";
import { AFTERWORDS } from "../../src/upstream/connection/questions.ts";
import type { Upstream } from "../../src/upstream/upstream.ts";
import { passTime } from "../support/time.ts";
import {
  askingTarget,
  callText,
  exchangeFor,
  LEGACY_CLIENT,
  MODERN_CLIENT,
  serverConfig,
  type TestExchange,
  textOf,
  Watch,
  withUpstream,
} from "./support.ts";

const ANNA: Client = {
  ...LEGACY_CLIENT,
  session: "anna",
  capabilities: { elicitation: {}, extra: {} },
  info: { name: "anna", version: "9" },
};
const BERT: Client = {
  ...LEGACY_CLIENT,
  session: "bert",
  capabilities: { elicitation: {} },
  info: {},
};
/** Can be asked nothing. */
const DORA: Client = { ...LEGACY_CLIENT, session: "dora", capabilities: {}, info: {} };
const CLEO: Client = { ...MODERN_CLIENT, capabilities: { elicitation: { form: {} } } };

const GATEWAY = /"name":"mcproxy"/;

async function seen(upstream: Upstream, client: Client) {
  const { raw } = await upstream.forward(exchangeFor(callText("seen"), client), []);
  return JSON.parse(textOf(raw));
}

/** Puts a question to a client and answers it with its own name. */
async function ask(upstream: Upstream, client: Client, name: string): Promise<unknown> {
  const exchange = exchangeFor(callText("ask"), client);
  const call = upstream.forward(exchange, []);
  (await exchange.nextAsked()).answer({ name });
  return JSON.parse(textOf((await call).raw));
}

test("Upstream shares one connection, declared for anybody, until it turns out interactive", async () => {
  const watch = new Watch();
  await withUpstream(serverConfig(askingTarget()), async (upstream, log) => {
    const [anna, bert] = [await seen(upstream, ANNA), await seen(upstream, BERT)];
    assert.equal(anna.pid, bert.pid);
    assert.deepEqual(Object.keys(anna.initialize.capabilities).sort(), [
      "elicitation",
      "roots",
      "sampling",
    ]);
    assert.match(JSON.stringify(anna.initialize.clientInfo), GATEWAY);
    passTime(AFTERWORDS);
    assert.deepEqual(await ask(upstream, ANNA, "anna"), { name: "anna" });

    const other = exchangeFor(callText("hold"), BERT);
    const held = upstream.forward(other, []);
    const first = exchangeFor(callText("ask"), ANNA);
    const refused = await upstream.forward(first, []);
    assert.equal(JSON.parse(textOf(refused.raw)).code, ErrorCode.InternalError);
    assert.deepEqual([first.asked.length, other.asked.length], [0, 0]);
    assert.equal(upstream.interactive, true);
    assert.equal(upstream.status().interactive, true);
    await watch.until(() => upstream.interactive);
    assert.equal(log.lines.filter(({ message }) => message.includes("several clients")).length, 1);

    // The call that was in flight keeps its connection; what comes now has one of its own.
    const names = await Promise.all([ask(upstream, ANNA, "anna"), ask(upstream, BERT, "bert")]);
    assert.deepEqual(names, [{ name: "anna" }, { name: "bert" }]);
    const [own, berts] = [await seen(upstream, ANNA), await seen(upstream, BERT)];
    assert.equal(new Set([anna.pid, own.pid, berts.pid]).size, 3);
    assert.deepEqual(own.initialize.capabilities, { elicitation: {} });
    assert.deepEqual(own.initialize.clientInfo, { name: "anna", version: "9" });
    assert.match(JSON.stringify(berts.initialize.clientInfo), GATEWAY);
    assert.equal(upstream.status().connections, 3);
    other.abort();
    await assert.rejects(held);
  }, watch);
});

test("Upstream gives a client that cannot answer what it asks a connection that says so", async () => {
  await withUpstream(serverConfig(askingTarget()), async (upstream) => {
    const [anna, dora] = [await seen(upstream, ANNA), await seen(upstream, DORA)];
    assert.equal(anna.pid, dora.pid);
    passTime(AFTERWORDS);
    assert.deepEqual(await ask(upstream, ANNA, "anna"), { name: "anna" });
    const alone = await seen(upstream, DORA);
    assert.notEqual(alone.pid, anna.pid);
    assert.deepEqual(alone.initialize.capabilities, {});
    assert.equal((await seen(upstream, BERT)).pid, anna.pid);
    assert.equal(upstream.interactive, false);
  });
});

test('Upstream with sharing "shared" refuses and goes on sharing', async () => {
  const config = serverConfig(askingTarget(), { sharing: "shared" });
  await withUpstream(config, async (upstream) => {
    const held = upstream.forward(exchangeFor(callText("hold"), BERT), []);
    const refused = await upstream.forward(exchangeFor(callText("ask"), ANNA), []);
    assert.equal(JSON.parse(textOf(refused.raw)).code, ErrorCode.InternalError);
    await upstream.forward(exchangeFor(callText("release"), ANNA), []);
    await held;
    assert.equal((await seen(upstream, ANNA)).pid, (await seen(upstream, BERT)).pid);
    assert.equal(upstream.status().connections, 1);
  });
});

test('Upstream with sharing "session" gives each session its own, and ends it with the session', async () => {
  const config = serverConfig(askingTarget(), { sharing: "session" });
  await withUpstream(config, async (upstream) => {
    // Two at once open one connection.
    const [a, again] = await Promise.all([seen(upstream, ANNA), seen(upstream, ANNA)]);
    const b = await seen(upstream, BERT);
    assert.equal(a.pid, again.pid);
    assert.notEqual(a.pid, b.pid);
    assert.notEqual(a.pid, upstream.status().pid);
    assert.equal(upstream.status().connections, 3);
    upstream.releaseSession("anna");
    upstream.releaseSession("nobody");
    assert.equal(upstream.status().connections, 2);
    assert.notEqual((await seen(upstream, ANNA)).pid, a.pid);
    assert.equal((await seen(upstream, BERT)).pid, b.pid);
  });
});

test("Upstream opens a session's connection again when it was lost, and the primary is not touched", async () => {
  const config = serverConfig(askingTarget(), { sharing: "session" });
  await withUpstream(config, async (upstream) => {
    const before = await seen(upstream, ANNA);
    const exit = upstream.forward(exchangeFor(callText("exit"), ANNA), []);
    await assert.rejects(exit, { code: ErrorCode.UpstreamUnavailable });
    assert.equal(upstream.state.phase, "ready");
    assert.notEqual((await seen(upstream, ANNA)).pid, before.pid);
    assert.equal(upstream.status().restarts, 0);
  });
});

test("Upstream closes the idlest session's connection for a new one, and refuses when all are busy", async () => {
  const config = serverConfig(askingTarget(), { sharing: "session" });
  const client = (session: string): Client => ({ ...LEGACY_CLIENT, session });
  await withUpstream(
    config,
    async (upstream) => {
      const first = await seen(upstream, client("a"));
      const second = await seen(upstream, client("b"));
      await seen(upstream, client("a"));
      await seen(upstream, client("c"));
      assert.equal(upstream.status().connections, 3);
      assert.equal((await seen(upstream, client("a"))).pid, first.pid);
      assert.notEqual((await seen(upstream, client("b"))).pid, second.pid);
      // A line that is held counts as busy between the rounds of its call, too.
      const line = await upstream.lineFor(exchangeFor(callText("seen"), client("a")));
      const held = upstream.forward(exchangeFor(callText("hold"), client("b")), []);
      await assert.rejects(seen(upstream, client("d")), {
        code: ErrorCode.UpstreamUnavailable,
        message: /Server "x" serves 2 client sessions, .* all of them have calls in flight/,
      });
      line.release();
      line.release();
      await seen(upstream, client("d"));
      upstream.releaseSession("b");
      await assert.rejects(held);
    },
    {},
    { sessions: 2, leases: 1, users: 1 },
  );
});

test("Upstream lends connections to modern calls, one at a time, for the same capabilities only", async () => {
  const config = serverConfig(askingTarget(), { sharing: "session", timeout: 5_000 });
  await withUpstream(
    config,
    async (upstream) => {
      const line = await upstream.lineFor(exchangeFor(callText("seen"), CLEO));
      assert.equal(line.era, "legacy");
      const exchange = exchangeFor(callText("ask"), CLEO);
      const call = line.forward(exchange, []);
      (await exchange.nextAsked()).answer({ by: "cleo" });
      assert.deepEqual(JSON.parse(textOf((await call).raw)), { by: "cleo" });
      const mine = JSON.parse(
        textOf((await line.forward(exchangeFor(callText("seen"), CLEO), [])).raw),
      );
      assert.deepEqual(mine.initialize.capabilities, { elicitation: { form: {} } });
      assert.match(JSON.stringify(mine.initialize.clientInfo), GATEWAY);
      // Another call does not get it while it is lent, and waits when there is no other.
      const waiting = seen(upstream, CLEO);
      line.release();
      assert.equal((await waiting).pid, mine.pid);
      const other = await seen(upstream, { ...CLEO, capabilities: {} });
      assert.notEqual(other.pid, mine.pid);
      assert.deepEqual(other.initialize.capabilities, {});
      assert.equal(upstream.status().connections, 2);
    },
    {},
    { sessions: 1, leases: 1, users: 1 },
  );
});

test("Upstream does not lend a connection again on which a call was given up", async () => {
  const config = serverConfig(askingTarget(), { sharing: "session" });
  await withUpstream(config, async (upstream) => {
    const before = await seen(upstream, CLEO);
    passTime(AFTERWORDS);
    const gone = exchangeFor(callText("hold"), CLEO);
    const line = await upstream.lineFor(gone);
    const lost = line.forward(gone, []);
    gone.abort();
    await assert.rejects(lost);
    line.release();
    assert.notEqual((await seen(upstream, CLEO)).pid, before.pid);
  });
});

test("Upstream lets a call wait for a lent connection no longer than its time, and not when it is gone", async () => {
  const config = serverConfig(askingTarget(), { sharing: "session", timeout: 300 });
  await withUpstream(
    config,
    async (upstream) => {
      const line = await upstream.lineFor(exchangeFor(callText("seen"), CLEO));
      await assert.rejects(seen(upstream, CLEO), {
        code: ErrorCode.UpstreamUnavailable,
        message: /Server "x" serves 1 calls of clients without session/,
      });
      const gone: TestExchange = exchangeFor(callText("seen"), CLEO);
      const waiting = upstream.forward(gone, []);
      gone.abort();
      await assert.rejects(waiting, { code: ErrorCode.UpstreamUnavailable });
      line.release();
      await seen(upstream, CLEO);
    },
    {},
    { sessions: 1, leases: 1, users: 1 },
  );
});

test("Upstream reaches a server of both eras in the client's own, and bridges to one of one era", async () => {
  await withUpstream(serverConfig(askingTarget("dual")), async (upstream) => {
    assert.equal(upstream.status().era, "modern");
    const modern = await seen(upstream, CLEO);
    assert.equal(modern.initialize, null);
    const [legacy, another] = await Promise.all([seen(upstream, ANNA), seen(upstream, BERT)]);
    assert.equal(legacy.pid, another.pid);
    assert.notEqual(legacy.pid, modern.pid);
    assert.equal(legacy.meta, null);
    assert.equal((await upstream.lineFor(exchangeFor(callText("seen"), ANNA))).era, "legacy");
    assert.equal(upstream.status().connections, 2);
    passTime(AFTERWORDS);
    assert.deepEqual(await ask(upstream, ANNA, "anna"), { name: "anna" });
  });
  await withUpstream(serverConfig(askingTarget("modern")), async (upstream, log) => {
    const line = await upstream.lineFor(exchangeFor(callText("seen"), ANNA));
    assert.equal(line.era, "modern");
    const { meta } = await seen(upstream, { ...ANNA, logLevel: "debug" });
    assert.deepEqual(meta, {
      "io.modelcontextprotocol/protocolVersion": "2026-07-28",
      "io.modelcontextprotocol/clientCapabilities": { elicitation: {} },
      "io.modelcontextprotocol/clientInfo": { name: "anna", version: "9" },
      "io.modelcontextprotocol/logLevel": "debug",
    });
    // It was tried once, is no failure of the server, and is not tried again.
    await seen(upstream, BERT);
    assert.equal(log.lines.filter(({ message }) => message.includes("another")).length, 1);
    assert.equal(upstream.status().lastError, undefined);
    assert.equal(upstream.status().connections, 1);
  });
  for (const [protocol, era] of [["legacy", "legacy"], ["modern", "modern"]] as const) {
    await withUpstream(serverConfig(askingTarget("dual"), { protocol }), async (upstream) => {
      for (const client of [ANNA, CLEO]) {
        const line = await upstream.lineFor(exchangeFor(callText("seen"), client));
        assert.equal(line.era, era);
        line.release();
      }
      assert.equal(upstream.status().connections, 1);
    });
  }
});

test("Upstream gives each legacy session its own connection beside a modern one, too", async () => {
  const config = serverConfig(askingTarget("dual"), { sharing: "session" });
  await withUpstream(config, async (upstream) => {
    const pids = [];
    for (const client of [ANNA, BERT, CLEO]) pids.push((await seen(upstream, client)).pid);
    assert.equal(new Set(pids).size, 3);
    assert.equal(pids[2], upstream.status().pid);
  });
});

test("Upstream hands a request outside any call on a session's own connection to that session", async () => {
  const asked: (string | undefined)[] = [];
  const events = {
    onRequest: ({ method, id }: { method: string; id: unknown }, session?: string) => {
      asked.push(`${method} ${session}`);
      return Promise.resolve(JSON.stringify({ jsonrpc: "2.0", id, result: { roots: [] } }));
    },
  };
  const said: (string | undefined)[] = [];
  const watch = Object.assign(new Watch(), events);
  const stir = watch.onNotification;
  const onNotification = (message: unknown, exchange: unknown, session?: string) => {
    said.push(`${(message as { method: string }).method} ${exchange === undefined} ${session}`);
    stir();
  };
  const config = serverConfig(askingTarget(), { sharing: "session" });
  await withUpstream(config, async (upstream) => {
    const line = (method: string, id?: number) => ({ method, ...(id === undefined ? {} : { id }) });
    // The answer of the call comes after; by then the call is over, and its client asked for no roots.
    const messages = [line("roots/list", 77), line("notifications/message")];
    const say = callText("say", { messages });
    await upstream.forward(exchangeFor(say, ANNA), []);
    await upstream.forward(exchangeFor(callText("seen"), ANNA), []);
    assert.deepEqual(asked, ["roots/list anna"]);
    assert.deepEqual(said, ["notifications/message false anna"]);
  }, Object.assign(watch, { onNotification }));
});

test("Upstream closes every connection it has, and serves nobody after that", async () => {
  const config = serverConfig(askingTarget(), { sharing: "session" });
  let closed: Upstream | undefined;
  await withUpstream(config, async (upstream) => {
    closed = upstream;
    await Promise.all([seen(upstream, ANNA), seen(upstream, BERT), seen(upstream, CLEO)]);
    assert.equal(upstream.status().connections, 4);
  });
  // withUpstream() has proved that no process is left.
  assert.equal(closed!.status().connections, 0);
  await assert.rejects(seen(closed!, ANNA), { code: ErrorCode.UpstreamUnavailable });
});
