/** Alerts of a gateway: what is told of it when, and what is known of that afterwards. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { loadOptions } from "../../../src/config/schema.ts";
import type { AlertMessage } from "../../../src/observe/alerts/channels.ts";
import type { AlertRow } from "../../../src/observe/history/pending.ts";
import { Alerts } from "../../../src/observe/alerts/alerts.ts";
import { type Clock, systemClock } from "../../../src/lib/time.ts";
import { Observatory } from "../../../src/observe/observatory.ts";
import type { ChildProcess, SpawnOptions } from "../../../src/runtime/types.ts";
import { Scope } from "../../behaviour/scope.ts";
import { House } from "../../front/access/house.ts";
import { Inbox } from "../../support/inbox.ts";
import { passTime } from "../../support/time.ts";

type Mutable<Type> = { -readonly [Key in keyof Type]: Type[Key] };

await loadOptions("alerts");

const MISSING = { command: "missing-canary-5150" };
const TO = { to: [{ command: ["tell"] }] };
const [SECOND, MINUTE] = [1_000, 60_000];

/** A program that takes what it is told. */
function teller() {
  const told = new Inbox<AlertMessage>("what was told");
  const runtime = {
    spawn: ({ onExit }: SpawnOptions): Promise<ChildProcess> =>
      Promise.resolve({
        pid: 1,
        write: (text) => Promise.resolve(told.push(JSON.parse(text))),
        endInput: () => onExit({ code: 0, signal: null }),
        kill: () => {},
      }),
  };
  return { told, runtime };
}

/** A gateway whose alerts are told to a program, and the rows that are kept of them. */
async function watched(scope: Scope, mcpServers: object, alerts: object = TO) {
  const settings = { mcpServers, profiles: {}, alerts };
  const house = await House.open(scope, settings);
  const { told, runtime } = teller();
  const rows = new Map<string, AlertRow>();
  const history = {
    addAlert: (row: AlertRow) => void rows.set(`${row.rule} ${row.subject} ${row.since}`, row),
    alerts: () => Promise.resolve([...rows.values()]),
  };
  const { gateway, observatory: { recorder } } = house;
  const parts = { gateway, recorder, runtime, history: () => Promise.resolve(history) };
  const open = new Alerts(parts);
  scope.defer(() => open.close());
  const look = (ms: number) => {
    passTime(ms);
    open.look();
  };
  const next = async (count: number) => {
    await told.waitFor(() => told.items.length === count, { within: 5_000 });
    return told.items[count - 1]!;
  };
  return { house, alerts: open, look, told, next, rows };
}

test("a server that is down is told of once, and again when it is over", async () => {
  await using scope = new Scope();
  const { house, alerts, look, next, rows } = await watched(scope, { x: MISSING });
  look(50 * SECOND);
  assert.deepEqual(alerts.firing, { down: 0, errors: 0, config: 0 });
  look(69 * SECOND);
  assert.deepEqual(alerts.firing, { down: 0, errors: 0, config: 0 });
  look(2 * SECOND);
  assert.deepEqual(alerts.firing, { down: 1, errors: 0, config: 0 });
  const first = await next(1);
  const { rule, subject, state, text, url } = first;
  assert.deepEqual([rule, subject, state], ["down", "x", "firing"]);
  assert.match(text, /^Server "x" is down: cannot be started/);
  assert.equal(url, "http://127.0.0.1:12009/#/alerts");
  look(10 * SECOND);
  const { firing } = await alerts.report();
  assert.deepEqual(firing, [{ rule: "down", subject: "x", since: first.since, text }]);
  const { promise: isReady, resolve } = Promise.withResolvers<void>();
  house.gateway.events.on("server", ({ phase }) => phase === "ready" && resolve());
  house.reload({ mcpServers: { x: { command: "fake" } }, profiles: {}, alerts: TO });
  await isReady;
  look(10 * SECOND);
  const second = await next(2);
  assert.deepEqual([second.state, second.id, second.text], [
    "resolved",
    first.id,
    `Over: ${text}`,
  ]);
  const report = await alerts.report();
  assert.deepEqual(report.firing, []);
  const [span, ...more] = report.history;
  assert.deepEqual([span!.rule, span!.subject, span!.since, span!.text, more], [
    ...["down", "x", first.since, text],
    [],
  ]);
  assert.ok(span!.until! >= span!.since && span!.told! >= span!.since);
  // In the history as well, which tells of it after a restart.
  assert.deepEqual([...rows.values()], [span]);
});

test("nothing begins in the first minute, and what then does is one message", async () => {
  await using scope = new Scope();
  const rules = [{ when: "down", for: "0s" }, { when: "config" }];
  const servers = { x: MISSING, y: MISSING, z: { command: "fake" } };
  const { house, look, next, told } = await watched(scope, servers, { ...TO, rules });
  house.gateway.configState.refuse("f.json:1:1 no such thing");
  look(59 * SECOND);
  assert.deepEqual(told.items, []);
  look(2 * SECOND);
  const { rule, subject, text, alerts = [] } = await next(1);
  assert.equal(rule, "down, config");
  assert.equal(subject, "x, y, mcproxy");
  assert.equal(text.split("\n").length, 3);
  assert.deepEqual(alerts.map((one) => one.subject), ["x", "y", "mcproxy"]);
  // What nobody wants to be told any more is over.
  house.gateway.configState.accept(house.gateway.config);
  look(10 * SECOND);
  const over = await next(2);
  assert.deepEqual([over.rule, over.state], ["config", "resolved"]);
});

test("it is told again after four hours", async () => {
  await using scope = new Scope();
  const { look, next, told } = await watched(scope, { x: MISSING });
  look(MINUTE);
  look(2 * MINUTE);
  await next(1);
  look(239 * MINUTE);
  look(MINUTE);
  const again = await next(2);
  assert.deepEqual([again.state, again.id], ["firing", told.items[0]!.id]);
});

test("they come and go with the configuration", async () => {
  await using scope = new Scope();
  const house = await House.open(scope, { mcpServers: { x: MISSING }, profiles: {} });
  const { told, runtime } = teller();
  const observatory = new Observatory(house.gateway, { runtime });
  scope.defer(() => observatory.close());
  assert.equal(await observatory.alerts, undefined);
  const down = { when: "down", for: "0s" };
  const reload = (rules: object[]) =>
    house.reload({ mcpServers: { x: MISSING }, profiles: {}, alerts: { ...TO, rules } });
  reload([down]);
  const alerts = (await observatory.alerts)!;
  passTime(2 * MINUTE);
  alerts.look();
  await told.waitFor(() => told.items.length === 1);
  assert.deepEqual(alerts.firing, { down: 1 });
  reload([{ when: "config" }, down]);
  assert.equal(await observatory.alerts, alerts);
  alerts.look();
  assert.deepEqual(alerts.firing, { down: 1, config: 0 }, "it goes on");
  reload([{ when: "config" }]);
  await observatory.alerts;
  alerts.look();
  const over = await told.waitFor(({ state }) => state === "resolved");
  assert.equal(over.rule, "down");
  assert.deepEqual(alerts.firing, { config: 0 });
});

test("no configuration puts off the next look, however often there is another one", async () => {
  await using scope = new Scope();
  const clock: Mutable<Clock> = systemClock;
  const { after } = clock;
  let [begun, ended] = [0, 0];
  const { alerts, house } = await watched(scope, { x: MISSING });
  // At once, so that nobody else in this process waits for anything meanwhile.
  try {
    clock.after = (...wait) => {
      begun++;
      const end = after(...wait);
      return () => (ended++, end());
    };
    alerts.configure();
    assert.deepEqual([begun, ended], [0, 0]);
    const other = new Alerts(house.observatory as never);
    assert.deepEqual([begun, ended], [1, 0]);
    other.close();
    assert.deepEqual([begun, ended], [1, 1]);
  } finally {
    clock.after = after;
  }
});

test("what nobody was told stays counted when its channel is gone", async () => {
  await using scope = new Scope();
  const house = await House.open(scope, { mcpServers: { x: MISSING }, profiles: {}, alerts: TO });
  const runtime = { spawn: () => new Promise<never>(() => {}) };
  const observatory = new Observatory(house.gateway, { runtime });
  scope.defer(() => observatory.close());
  const alerts = (await observatory.alerts)!;
  const configure = (count: number) => {
    const rules = Array.from({ length: count }, (_, at) => ({ when: "down", for: `${at}s` }));
    house.reload({ mcpServers: { x: MISSING }, profiles: {}, alerts: { ...TO, rules } });
  };
  passTime(2 * MINUTE);
  // Each is told by itself; fifty wait for a program that does not even start.
  for (let count = 1; count <= 53; count++) {
    configure(count);
    alerts.look();
    passTime(MINUTE);
    alerts.look();
  }
  const { alerts: dropped } = await observatory.dropped();
  assert.ok(dropped! >= 3, String(dropped));
  house.reload({ mcpServers: { x: MISSING }, profiles: {}, alerts: { to: [], rules: [] } });
  assert.equal((await observatory.dropped())["alerts"], dropped);
});
