/** What an audit says of what happens, and calls that it stops. */

import { runtime } from "#runtime";
import assert from "node:assert/strict";
import { chmod, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { parseConfig } from "../../../src/config/load.ts";
import { loadOptions } from "../../../src/config/schema.ts";
import { AGGREGATE } from "../../../src/gating/endpoint.ts";
import { Audit } from "../../../src/gateway/access/audit.ts";
import { auditLines, ChainCheck } from "../../../src/gateway/access/audit-chain.ts";
import { type CallRecord, Facts } from "../../../src/gateway/events.ts";
import { CALL_OUTCOMES } from "../../../src/gateway/outcome.ts";
import { Gateway } from "../../../src/gateway/gateway.ts";
import type { JsonObject } from "../../../src/lib/json.ts";
import { createRedactor } from "../../../src/lib/secrets.ts";
import { replyText } from "../../../src/registry/answers.ts";
import { inDirectory } from "../../config/temp.ts";
import { callTo, clientOf } from "../middleware/middleware-support.ts";
import { FakeDisk, HandClock, PATH } from "./audit-support.ts";

await loadOptions("audit");

const SECRET = "hunter2-is-no-word";

/** An audit of facts that a test makes. */
async function audited(
  shown: "none" | "hash" | "full",
  run: (events: Facts, clock: HandClock) => void,
  stateDirectory?: string,
): Promise<JsonObject[]> {
  const [events, clock, disk] = [new Facts(), new HandClock(), new FakeDisk()];
  const config = { file: PATH, arguments: shown, required: false };
  const redactor = createRedactor([SECRET]);
  const parts = {
    config,
    source: "f.json",
    events,
    clock,
    disk,
    stateDirectory,
    redactor: () => redactor,
  };
  const audit = new Audit(parts);
  await audit.opened;
  run(events, clock);
  await audit.close();
  const lines = disk.files.get(PATH)!.trimEnd().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual([lines[0].event, lines[0].name], ["config", "f.json"]);
  return lines.slice(1);
}

function record(params: JsonObject, more: Partial<CallRecord> = {}): CallRecord {
  const client = clientOf("c7", { principal: { id: "key:ci", who: "ci", names: [] } });
  return {
    kind: "call",
    rid: "000a",
    client,
    method: "tools/call",
    endpoint: "profiles/dev",
    params,
    name: "gh_create",
    server: "gh",
    tool: undefined,
    outcome: "tool_error",
    code: undefined,
    started: 0,
    duration: 12.34567,
    ...more,
  } as unknown as CallRecord;
}

test("a line says who has called what, where, how long it took and what became of it", async () => {
  const lines = await audited("none", (events) => {
    events.emit(record({ name: "gh_create", arguments: { q: SECRET } }));
    events.emit(record({ uri: "f://a" }, { method: "resources/read", name: `f://${SECRET}` }));
    events.emit(record({}, { method: "tools/list", name: undefined }));
  });
  assert.equal(lines.length, 2);
  const { t, n, prev: _, ...said } = lines[0]!;
  assert.ok(Math.abs(Date.parse(String(t)) - Date.now()) < 3_600_000);
  assert.equal(n, 2);
  assert.deepEqual(Object.entries(said).map(String), [
    "event,call",
    "rid,000a",
    "who,ci",
    "client,c7",
    "endpoint,profiles/dev",
    "server,gh",
    "name,gh_create",
    "method,tools/call",
    "ms,12.346",
    "outcome,toolError",
  ]);
  assert.equal(lines[1]!.name, "f://[redacted]");
});

test("outcomes are written in the words that lines have from the beginning", async () => {
  const limited = { outcome: "refused", code: -32015 } as const;
  const lines = await audited("none", (events) => {
    for (const outcome of CALL_OUTCOMES) events.emit(record({}, { outcome }));
    events.emit(record({}, { outcome: "ok", isUnfinished: true }));
    events.emit(record({}, { outcome: "cancelled", isUnfinished: true }));
    // That has a line of another kind.
    events.emit(record({}, limited));
  });
  const error = "error";
  assert.deepEqual(lines.map(({ outcome }) => outcome), [
    ...["ok", "toolError", error, error, error, error, "cancelled", "unfinished"],
    ...["unfinished", "cancelled"],
  ]);
});

test("arguments are written in full without secrets, and cut", async () => {
  const args = { q: `it is ${SECRET}`, password: "x1", deep: [1, null] };
  const lines = await audited("full", (events) => {
    events.emit(record({ arguments: args }));
    events.emit(record({ arguments: { long: "y".repeat(100_000) } }));
    events.emit(record({}));
  });
  const shown = { q: "it is [redacted]", password: "[redacted]", deep: [1, null] };
  assert.equal(lines[0]!.args, JSON.stringify(shown));
  assert.equal(String(lines[1]!.args).length, 8 * 1024 + 1);
  assert.equal("args" in lines[2]!, false);
});

test("hashes tell equal arguments from run to run, by a key that nobody else can read", async () => {
  await inDirectory(async (directory) => {
    const state = join(directory, "state");
    const hashes = async () => {
      const lines = await audited("hash", (events) => {
        events.emit(record({ arguments: { a: 1, b: 2 } }));
        events.emit(record({ arguments: { b: 2, a: 1 } }));
        events.emit(record({ arguments: { a: 1, b: 3 } }));
      }, state);
      return lines.map(({ args }) => args);
    };
    const first = await hashes();
    assert.match(String(first[0]), /^[0-9a-f]{64}$/);
    assert.deepEqual([first[0] === first[1], first[0] === first[2]], [true, false]);
    assert.deepEqual(await hashes(), first);
    const { mode } = await stat(join(state, "audit.key"));
    assert.equal(mode & 0o777, 0o600);
    await chmod(join(state, "audit.key"), 0o640);
    assert.notDeepEqual(await hashes(), first);
    await chmod(join(state, "audit.key"), 0o600);
    assert.deepEqual(await hashes(), first);
    await writeFile(join(state, "audit.key"), "nonsense\n");
    assert.notDeepEqual(await hashes(), first);
    assert.equal(await readFile(join(state, "audit.key"), "utf8"), "nonsense\n");
  });
});

test("limits, refusals, sessions, configurations and wrong credentials are written down", async () => {
  const principal = { id: "key:ci", who: "ci", names: [] };
  const lines = await audited("none", (events, clock) => {
    const client = { label: "c7", session: "c7", era: "legacy", principal } as const;
    const call = { rid: "1", client, method: "tools/call", name: "x" };
    events.emit({ kind: "limited", ...call, endpoint: "*", server: "gh", told: "Limit of 1" });
    const address = "192.0.2.1";
    events.emit({ kind: "denied", principal, path: "/api/status", status: 403 });
    events.emit({ kind: "pin", server: "gh", item: "tool x", what: "held" });
    const info = { name: "editor", version: "2" };
    const session = { client: { ...client, info }, transport: "http", endpoint: "*" } as const;
    events.emit({ kind: "client", ...session, left: undefined });
    events.emit({ kind: "config", file: "f.json", refused: "it is broken" });
    for (let at = 0; at < 3; at++) events.emit({ kind: "authFailed", address, why: "invalid" });
    clock.pass(60_000);
    events.emit({ kind: "authFailed", address, why: "invalid" });
    events.emit({ kind: "client", ...session, left: "done" });
  });
  const said = lines.map(({ t: _, n: _n, prev: _prev, ...rest }) => rest);
  const who = { who: "ci", client: "c7" };
  const named = { endpoint: "*", name: "editor 2 by http" };
  assert.deepEqual(said, [
    {
      event: "limited",
      rid: "1",
      ...who,
      ...{ endpoint: "*", server: "gh", name: "x", method: "tools/call", outcome: "Limit of 1" },
    },
    {
      event: "denied",
      ...{ who: "ci", name: "/api/status", outcome: 403 },
    },
    { event: "pin", server: "gh", name: "tool x", outcome: "held" },
    { event: "session", ...who, ...named, outcome: "came" },
    { event: "config", name: "f.json", outcome: "it is broken" },
    { event: "auth-failed", address: "192.0.2.1", outcome: "3 in a minute" },
    { event: "session", ...who, ...named, outcome: "done" },
    { event: "auth-failed", address: "192.0.2.1", outcome: "1 in a minute" },
  ]);
});

test("lines have where somebody came from, and what became of logins to servers", async () => {
  const principal = { id: "key:ci", who: "ci", names: [] };
  const address = "192.0.2.7";
  const lines = await audited("none", (events) => {
    events.emit(record({}, { client: { ...clientOf("c7", { principal }), address } }));
    events.emit({ kind: "denied", principal, address, path: "/api/status", status: 403 });
    const login = { kind: "grant", server: "gh" } as const;
    events.emit({ ...login, principal: "", what: "received", who: "ci", address });
    events.emit({ ...login, principal: "key:ci", what: "refreshed" });
  });
  assert.deepEqual(lines.slice(0, 3).map((line) => line.address), Array(3).fill(address));
  const said = lines.slice(2).map(({ t: _, n: _n, prev: _prev, ...rest }) => rest);
  assert.deepEqual(said, [
    { event: "grant", who: "ci", address, server: "gh", outcome: "received" },
    { event: "grant", server: "gh", name: "key:ci", outcome: "refreshed" },
  ]);
});

test("failures from any number of addresses take bounded room", async () => {
  const lines = await audited("none", (events) => {
    for (let at = 0; at < 3_000; at++) {
      events.emit({ kind: "authFailed", address: `a${at}`, why: "invalid" });
    }
  });
  assert.equal(lines.length, 1_001);
  assert.deepEqual(lines.at(-1)!.outcome, "2000 in a minute");
});

test("what is refused to somebody over and over has ten lines a minute, and a count", async () => {
  const principal = { id: "key:x", who: "x y", names: [] };
  const lines = await audited("none", (events, clock) => {
    for (let at = 0; at < 500; at++) {
      events.emit({ kind: "denied", principal, path: `/p${at}`, status: 404 });
    }
    clock.pass(60_000);
    events.emit({ kind: "denied", principal, path: "/p", status: 404 });
  });
  const { event, who, outcome } = lines[10]!;
  assert.deepEqual([event, who, outcome], ["denied", "x y", "490 more in a minute"]);
  assert.deepEqual([lines.length, lines[9]!.name, lines[11]!.name], [12, "/p9", "/p"]);
});

test("logins that somebody brings over and over have ten lines a minute, the gateway's own each", async () => {
  const lines = await audited("none", (events, clock) => {
    const login = { kind: "grant", server: "gh" } as const;
    for (let at = 0; at < 220; at++) {
      events.emit({ ...login, principal: "key:x", what: "received", who: "x y" });
      events.emit({ ...login, principal: "key:x", what: "refreshed" });
    }
    for (let at = 0; at < 20; at++) events.emit({ ...login, principal: "", what: "refreshed" });
    clock.pass(60_000);
  });
  const [by, his] = [lines.filter(({ who }) => who === "x y"), lines.filter(({ who }) => !who)];
  assert.deepEqual([by.length, by.at(-1)!.outcome], [11, "210 more in a minute"]);
  assert.deepEqual(his.length, 10 + 20);
  const counts = lines.slice(-2).map(({ event, who, outcome }) => [event, who, outcome]);
  assert.deepEqual(counts, [
    ["grant", "x y", "210 more in a minute"],
    ["grant", "key:x", "210 more in a minute"],
  ]);
});

test("calls are refused while the audit cannot be written, if it is required, and only then", async () => {
  await inDirectory(async (directory) => {
    const file = join(directory, "blocked", "audit.jsonl");
    await writeFile(join(directory, "blocked"), "a file where a directory should be");
    const configOf = (audit: object) => {
      const text = JSON.stringify({ mcpServers: {}, audit });
      const parsed = parseConfig(text, { file: "audit.json", env: {} });
      assert.ok(parsed.ok, JSON.stringify(parsed));
      return parsed.config;
    };
    const gateway = new Gateway({ config: configOf({ file, required: true }), runtime });
    const ask = async (method = "tools/call") => {
      const reply = (await gateway.handle(callTo({ method }).exchange, AGGREGATE))!;
      return { reply, said: replyText(reply) };
    };
    try {
      const { reply, said } = await ask();
      assert.ok(typeof reply === "object" && "seconds" in reply);
      assert.equal(reply.status, 503);
      assert.match(said, /"code":-32603,"message":"Calls are refused while the audit cannot be/);
      assert.match((await ask("tools/list")).said, /"tools":\[\]/);
      gateway.reload(configOf({ file }));
      assert.match((await ask()).said, /Unknown tool/);
      const other = join(directory, "new", "audit.jsonl");
      gateway.reload(configOf({ file: other, required: true }));
      assert.match((await ask()).said, /Unknown tool/);
      await gateway.close();
      const lines: JsonObject[] = [];
      const check = new ChainCheck();
      for await (const { bytes, isWhole } of auditLines(other)) {
        const place = { file: other, line: lines.length + 1 };
        assert.equal(check.push(bytes, isWhole, place), undefined);
        lines.push(JSON.parse(new TextDecoder().decode(bytes)));
      }
      assert.deepEqual(lines.map(({ event }) => event), ["config", "call"]);
      assert.equal((await stat(other)).mode & 0o777, 0o600);
    } finally {
      await gateway.close();
    }
  });
});
