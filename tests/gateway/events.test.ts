import { runtime } from "#runtime";
import { configureSync, type LogRecord, resetSync } from "@logtape/logtape";
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseConfig } from "../../src/config/load.ts";
import type { Config } from "../../src/config/types.ts";
import { AGGREGATE } from "../../src/gating/endpoint.ts";
import { ActiveExchange } from "../../src/gateway/clients/exchange.ts";
import { type CallRecord, type Fact, Facts, logFacts } from "../../src/gateway/events.ts";
import { Gateway } from "../../src/gateway/gateway.ts";
import { createApp } from "../../src/front/app.ts";
import type { Json, JsonObject } from "../../src/lib/json.ts";
import { createRedactor } from "../../src/lib/secrets.ts";
import { renderEntry } from "../../src/log/entry.ts";
import type { Principal } from "../../src/protocol/exchange.ts";
import { type Message, parseMessage, type RequestMessage } from "../../src/protocol/message.ts";
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

function initialize(clientInfo: Json): Message {
  const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo };
  return parseMessage(JSON.stringify({ jsonrpc: "2.0", id: 1, method: "initialize", params }));
}

/** The lines that the gateway's own facts make while `run` goes. */
async function logged(run: () => Promise<void> | void): Promise<readonly string[]> {
  const lines: string[] = [];
  const redactor = createRedactor();
  const render = (record: LogRecord) => renderEntry(record, { format: "text", redactor });
  const keep = (record: LogRecord) => {
    const { message, fields } = render(record);
    lines.push(`${message} ${fields}`.trim());
  };
  const categories = [["mcproxy", "gateway"], ["logtape", "meta"]];
  const loggers = categories.map((category, at) => ({ category, sinks: at === 0 ? ["keep"] : [] }));
  configureSync({ sinks: { keep }, loggers, reset: true });
  try {
    await run();
  } finally {
    resetSync();
  }
  return lines;
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
      const info = { name: "editor", version: "2.1" };
      await session.receive(initialize(info), { send: () => {} });
      session.close("done");
      const { client } = session;
      assert.deepEqual(client!.info, info);
      gateway.openSession("sse", AGGREGATE).close("it never said who it is");
      const told = { kind: "client", transport: "http", endpoint: "*", client };
      assert.deepEqual(of("client"), [
        { ...told, left: undefined },
        { ...told, left: "done" },
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
          ["tools/call", "none", "", "refused", -32602],
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
      const session = gateway.openSession("http", AGGREGATE);
      await session.receive(initialize({}), { send: () => {} });
      session.close("done");
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
  events.emit(client({}));
  stop();
  events.emit({ kind: "config", file: "f", refused: "two" });
  assert.deepEqual(heard, ["one"]);
  const record: Partial<CallRecord> = { kind: "call" };
  events.emit(record as CallRecord);
});

/** As a session tells of a client. */
function client(info: JsonObject, more: Partial<Fact> = {}): Fact {
  const fact = { kind: "client", transport: "http", endpoint: "*", left: undefined } as const;
  return { ...fact, client: { label: "c7", info }, ...more } as Fact;
}

/** As the front tells of a request that it turns away. */
function refused(agent: string): Fact {
  const told = { code: -32600, message: "Session not found" };
  const method = "POST /mcp";
  return { kind: "failure", rid: undefined, client: agent, method, told, cause: undefined };
}

test("the log says which client came, by what way and to where, and why it went", async () => {
  const lines = await logged(() => {
    const events = new Facts();
    logFacts(events);
    const info = { name: "editor", version: "2.1" };
    events.emit(client(info));
    events.emit(client(info, { left: "idle for too long" }));
    events.emit(client({}, { transport: "sse", endpoint: "profiles/dev" }));
    events.emit(client({ name: 7, version: "1" }, { endpoint: "*/gated" }));
  });
  assert.deepEqual(lines, [
    'Client c7 "editor 2.1" came transport=http path=/mcp',
    'Client c7 "editor 2.1" went: idle for too long transport=http path=/mcp',
    'Client c7 "" came transport=sse path=/profiles/dev/sse',
    'Client c7 "1" came transport=http path=/gated/mcp',
  ]);
});

test("the log and the record of a call say who is behind a client, where that is known", async () => {
  const principal: Principal = { id: "key:ci", who: "ci", names: ["group:bots"] };
  const lines = await logged(async () => {
    const gateway = new Gateway({ config: configOf({ mcpServers: {} }), runtime });
    const records: CallRecord[] = [];
    gateway.events.on("call", (record) => void records.push(record));
    const session = gateway.openSession("http", AGGREGATE, undefined, principal);
    const outlet = { send: () => {} };
    await session.receive(initialize({ name: "editor" }), outlet);
    const call = { jsonrpc: "2.0", id: 2, method: "tools/call", params: { name: "none" } };
    await session.receive(parseMessage(JSON.stringify(call)), outlet);
    session.close("done");
    assert.equal(records[0]!.client.principal, principal);
    await gateway.close();
  });
  // Who looks at calls has the line of one that failed.
  assert.equal(lines.length, 2);
  assert.match(lines[0]!, /^Client c\d+ "editor" came transport=http path=\/mcp who=ci$/);
  assert.match(lines[1]!, /^Client c\d+ "editor" went: done .* who=ci$/);
  assert.doesNotMatch(lines.join(""), /bots|key:/);
});

test("no name of a client makes a line of its own, or a long one", async () => {
  const lines = await logged(() => {
    const events = new Facts();
    logFacts(events);
    events.emit(client({ name: 'x" went\nClient c8 came', version: "\u001b[31m\u202e" }));
    events.emit(client({ name: "y".repeat(1_000_000), version: { toString: 1 } }));
  });
  const name = '"x\\" went Client c8 came  [31m\\u202e"';
  assert.equal(lines[0], `Client c7 ${name} came transport=http path=/mcp`);
  assert.equal(lines.length, 2);
  assert.ok(lines[1]!.length < 200, String(lines[1]!.length));
});

test("no text of a client or server makes the line of a failed call a long one", async () => {
  const long = "y".repeat(1_000_000);
  const failed = (rid: string | undefined, method: string, message: string, cause?: unknown) => {
    const told = { code: -32602, message };
    return { kind: "failure", rid, client: "c7", method, told, cause } as const;
  };
  const lines = await logged(() => {
    const events = new Facts();
    logFacts(events);
    events.emit(failed("r1", "tools/call", `Unknown tool "${long}"`));
    events.emit(failed("r2", long, "Method not found"));
    events.emit(failed(undefined, `GET /${long}`, `No such path: /${long}`));
    events.emit(failed("r3", long, "Internal error", new Error("broken")));
    events.emit(failed("r4", "tools/call", 'Server "x" is busy: 8 calls wait; try again later'));
  });
  assert.equal(lines.length, 5);
  for (const line of lines) assert.ok(line.length < 1_300, String(line.length));
  assert.match(lines[0]!, /^tools\/call failed: Unknown tool "y+…/);
  assert.match(lines[4]!, /failed: Server "x" is busy: 8 calls wait; try again later/);
});

test("clients that come by the thousand, or go on with what is over, make few lines", async () => {
  let now = 0;
  const lines = await logged(() => {
    const events = new Facts();
    logFacts(events, () => now);
    for (let i = 0; i < 1_000; i++) events.emit(client({ name: "loop" }));
    for (let i = 0; i < 1_000; i++) events.emit(refused("loop/1"));
    now = 60_000;
    events.emit(client({ name: "loop" }));
    events.emit(refused("loop/1"));
  });
  assert.equal(lines.length, 107);
  assert.match(lines.at(-2)!, /^Client c7 "loop" came .*suppressed=900$/);
  const last = "POST /mcp was refused: Session not found client=loop/1 suppressed=995";
  assert.equal(lines.at(-1), last);
});

test("a request of a session that is over, or of nobody, is told with who sent it", async () => {
  const gateway = new Gateway({ config: configOf({ mcpServers: {} }), runtime });
  const app = createApp({ gateway, boundHost: "127.0.0.1" });
  const session = gateway.openSession("http", AGGREGATE);
  const sent: RequestInit = { method: "POST", body: '{"jsonrpc":"2.0","id":1,"method":"ping"}' };
  const send = async (path: string, id: string, init = sent) => {
    const headers = {
      host: "127.0.0.1",
      accept: "application/json, text/event-stream",
      "content-type": "application/json",
      "mcp-session-id": id,
      "user-agent": `loop/1 ${"z".repeat(1_000)}`,
    };
    const url = `http://127.0.0.1${path}`;
    const request = new Request(url, { headers, ...init });
    const response = await app.handler(request);
    await response.body?.cancel();
    return response.status;
  };
  try {
    const lines = await logged(async () => {
      assert.equal(await send("/mcp", "none"), 404);
      assert.equal(await send("/gated/mcp", session.id), 404);
      assert.equal(await send("/mcp", "none", { method: "DELETE" }), 404);
      assert.equal(await send("/messages?sessionId=none", ""), 404);
      assert.equal(await send("/mcp", session.id), 200);
      assert.equal(await send("/mcp", session.id, { ...sent, headers: { host: "evil" } }), 403);
    });
    const paths = ["POST /mcp", "POST /gated/mcp", "DELETE /mcp", "POST /messages"];
    assert.equal(lines.length, paths.length + 1, lines.join("\n"));
    assert.match(lines.at(-1)!, /^POST \/mcp was refused: Host "evil" is not allowed/);
    for (const [at, line] of lines.slice(0, -1).entries()) {
      assert.ok(line.startsWith(`${paths[at]} was refused: Session not found; `), line);
      assert.match(line, / client="?loop\/1 z{150,200}…/);
      assert.ok(!line.includes("none") && !line.includes(session.id), "an id is a key");
    }
  } finally {
    app.close();
    await gateway.close();
  }
});
