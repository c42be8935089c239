import { runtime } from "#runtime";
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseConfig } from "../../src/config/load.ts";
import type { Config } from "../../src/config/types.ts";
import { AGGREGATE } from "../../src/gating/endpoint.ts";
import { ActiveExchange } from "../../src/gateway/clients/exchange.ts";
import { type CallRecord, type Fact, Facts } from "../../src/gateway/events.ts";
import { Gateway } from "../../src/gateway/gateway.ts";
import type { Json } from "../../src/lib/json.ts";
import { parseMessage, type RequestMessage } from "../../src/protocol/message.ts";
import { replyText } from "../../src/registry/answers.ts";
import { eventually } from "../support/inbox.ts";
import { poolTarget } from "../upstream/pool-support.ts";
import { clientOf } from "./middleware/middleware-support.ts";

const { kind: _, ...SERVER } = poolTarget();
const KINDS = ["call", "failure", "server", "lists", "client", "config"] as const;

function configOf(settings: object = {}): Config {
  const text = JSON.stringify({ prefix: "never", mcpServers: { s: SERVER }, ...settings });
  const parsed = parseConfig(text, { file: "events.json", env: {} });
  assert.ok(parsed.ok, JSON.stringify(parsed));
  return parsed.config;
}

function exchangeOf(method: string, params: Json): ActiveExchange {
  const raw = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params });
  return new ActiveExchange(clientOf("a"), parseMessage(raw) as RequestMessage, { send: () => {} });
}

/** A gateway before one server `s`; `listen` is called before anything happens. */
async function running(
  listen: (events: Facts) => void,
  run: (gateway: Gateway) => Promise<void> | void,
  config = configOf(),
): Promise<void> {
  const gateway = new Gateway({ config, runtime });
  listen(gateway.events);
  try {
    gateway.start();
    await gateway.settled();
    await run(gateway);
  } finally {
    await gateway.close();
  }
}

const READ = { name: "read", arguments: {} };

test("Gateway tells every fact to those who listen for it", async () => {
  const facts: Fact[] = [];
  const of = <K extends Fact["kind"]>(kind: K) =>
    facts.filter((fact): fact is Extract<Fact, { kind: K }> => fact.kind === kind);
  await running(
    (events) => {
      for (const kind of KINDS) events.on(kind, (fact) => void facts.push(fact));
    },
    async (gateway) => {
      const phases = of("server").map(({ server, phase }) => [server, phase].join());
      assert.ok(phases.includes("s,connecting") && phases.includes("s,ready"), phases.join(" "));
      const { before, after } = of("lists").at(-1)!;
      assert.equal(before.aggregate.tool("read"), undefined);
      assert.equal(after.aggregate.tool("read")?.server, "s");

      const session = gateway.openSession("http", AGGREGATE);
      session.close("done");
      const client = session.label;
      assert.deepEqual(of("client"), [
        { kind: "client", client, transport: "http", left: undefined },
        { kind: "client", client, transport: "http", left: "done" },
      ]);

      await gateway.handle(exchangeOf("tools/list", {}), AGGREGATE);
      await gateway.handle(exchangeOf("tools/call", READ), AGGREGATE);
      await gateway.handle(exchangeOf("tools/call", { name: "none" }), AGGREGATE);
      const cancelled = exchangeOf("tools/call", READ);
      cancelled.cancel("enough");
      await gateway.handle(cancelled, AGGREGATE);
      const calls = of("call");
      assert.deepEqual(
        calls.map(({ method, name, server, outcome, code }) => [
          method,
          name,
          server,
          outcome,
          code,
        ]),
        [
          ["tools/list", undefined, "", "ok", undefined],
          ["tools/call", "read", "s", "ok", undefined],
          ["tools/call", "none", "", "error", -32602],
          ["tools/call", "read", "s", "cancelled", undefined],
        ],
      );
      assert.equal(calls[1]!.tool?.name, "read");
      assert.ok(calls.every(({ duration }) => duration >= 0));
      assert.deepEqual(calls[1]!.client, clientOf("a"));
      const [failure] = of("failure");
      assert.match(failure!.told.message, /Unknown tool "none"/);
      assert.equal(failure!.cause, undefined);

      gateway.configState.refuse("no good");
      gateway.reload(configOf({ pageSize: 3 }));
      assert.deepEqual(of("config"), [
        { kind: "config", file: "events.json", refused: "no good" },
        { kind: "config", file: "events.json", refused: undefined },
      ]);
    },
  );
});

test("what is told of a server is told of the one that serves under its name", async () => {
  const told: string[] = [];
  await running(
    (events) => events.on("server", ({ server, phase }) => void told.push(`${server} ${phase}`)),
    async (gateway) => {
      const changed = { ...SERVER, env: { CHANGED: "1" } };
      const steady = async () => {
        await eventually(() => gateway.members.isSteady, (is) => is, "the end of the reload");
        // Whoever was let go has had its say by then.
        return told.splice(0);
      };
      await steady();
      gateway.reload(configOf({ mcpServers: { s: changed } }));
      await eventually(() => told.at(-1), (last) => last === "s ready", "its successor");
      assert.ok(
        !(await steady()).includes("s closed"),
        "nobody hears of the end of the one before",
      );
      gateway.reload(configOf({ mcpServers: {} }));
      assert.deepEqual(new Set(await steady()), new Set(["s closed"]), "it is gone");
      gateway.reload(configOf({ mcpServers: { s: changed } }));
      await eventually(() => told.at(-1), (last) => last === "s ready", "a new one");
    },
  );
});

test("a listener that throws, at once or later, harms nobody", async () => {
  const heard: string[] = [];
  await running(
    (events) => {
      for (const kind of KINDS) {
        events.on(kind, () => {
          throw new Error("a listener's own");
        });
        events.on(kind, () => Promise.reject(new Error("a listener's own, later")));
        events.on(kind, () => void heard.push(kind));
      }
    },
    async (gateway) => {
      gateway.openSession("http", AGGREGATE).close("done");
      gateway.configState.refuse("no good");
      const reply = await gateway.handle(exchangeOf("tools/call", READ), AGGREGATE);
      assert.match(replyText(reply!), /"result"/);
      await gateway.handle(exchangeOf("tools/call", { name: "none" }), AGGREGATE);
    },
  );
  assert.deepEqual(new Set(heard), new Set(KINDS));
});

test("without listeners no record of a call is made", async () => {
  await running(() => {}, async (gateway) => {
    const exchange = exchangeOf("tools/call", READ);
    await gateway.handle(exchange, AGGREGATE);
    assert.equal(exchange.record, undefined);
    assert.equal(gateway.events.hasListeners("call"), false);
    const stop = gateway.events.on("call", () => {});
    assert.equal(gateway.events.hasListeners("call"), true);
    stop();
    assert.equal(gateway.events.hasListeners("call"), false);
  });
});

test("calls are recorded for the ranking by use, as long as there is one", async () => {
  const config = (usageRanking: boolean) => configOf({ gating: { mode: "on", usageRanking } });
  await running(() => {}, (gateway) => {
    assert.equal(gateway.events.hasListeners("call"), true);
    gateway.reload(config(false));
    assert.equal(gateway.events.hasListeners("call"), false);
    gateway.reload(config(true));
    assert.equal(gateway.events.hasListeners("call"), true);
  }, config(true));
});

test("Facts tells only of the kind that is listened for, until it is stopped", () => {
  const events = new Facts();
  const heard: (string | undefined)[] = [];
  const stop = events.on("config", ({ refused }) => void heard.push(refused));
  events.emit({ kind: "config", file: "f", refused: "one" });
  events.emit({ kind: "client", client: "c1", transport: "sse", left: undefined });
  stop();
  events.emit({ kind: "config", file: "f", refused: "two" });
  assert.deepEqual(heard, ["one"]);
  const record: Partial<CallRecord> = { kind: "call" };
  events.emit(record as CallRecord);
});
