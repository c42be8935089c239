import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createAttemptBudget } from "../../src/upstream/supervisor.ts";
import { FakeClock } from "./fakes/clock.ts";
import { Scripted } from "./fakes/scripted.ts";

test("createAttemptBudget() lets a burst pass at once, then so many a second, in order", () => {
  const budget = createAttemptBudget({ perSecond: 4, burst: 3 });
  const claim = (now: number) => budget.claim(now);
  assert.deepEqual([0, 0, 0, 0, 0].map(claim), [0, 0, 0, 250, 500]);
  assert.equal(claim(500), 250, "behind those that have been claimed");
  assert.deepEqual([1_500, 1_500, 1_500, 1_500].map(claim), [0, 0, 0, 250]);
});

test("createAttemptBudget() never lets more pass than its rate, however it is asked", () => {
  fc.assert(fc.property(
    fc.integer({ min: 1, max: 20 }),
    fc.integer({ min: 1, max: 20 }),
    fc.array(fc.integer({ min: 0, max: 400 }), { maxLength: 100 }),
    (perSecond, burst, gaps) => {
      const budget = createAttemptBudget({ perSecond, burst });
      let now = 0;
      const made = gaps.map((gap) => (now += gap) + budget.claim(now)).toSorted((a, b) => a - b);
      for (let first = 0; first + burst < made.length; first++) {
        // Of any burst + 1 attempts, the first and the last are a place apart; waits are whole ms.
        assert.ok(made[first + burst]! - made[first]! >= 1_000 / perSecond - 1);
      }
    },
  ));
});

test("createAttemptBudget() refuses bounds that let nothing pass", () => {
  for (const options of [{ perSecond: 0 }, { burst: 0 }, { perSecond: NaN }]) {
    assert.throws(() => createAttemptBudget(options), RangeError);
  }
});

test("Instance starts first at once, and retries within the budget of all servers", async () => {
  const clock = new FakeClock();
  const attempts = createAttemptBudget({ perSecond: 2, burst: 1 });
  const servers = Array.from({ length: 4 }, () => {
    const server = new Scripted({}, { attempts }, clock);
    server.fate = "dies-at-start";
    return server;
  });
  for (const { instance } of servers) instance.start();
  await servers[0]!.until(() => servers.every(({ spawned }) => spawned.length > 0));
  assert.deepEqual(servers.map(({ spawned }) => spawned), [[0], [0], [0], [0]]);
  await servers[0]!.pass(10_000, 10);
  const retries = servers.flatMap(({ spawned }) => spawned.slice(1)).toSorted((a, b) => a - b);
  const firsts = servers.map(({ spawned }) => spawned[1]! - retries[0]!).toSorted((a, b) => a - b);
  assert.deepEqual(firsts.map((at) => Math.round(at / 100)), [0, 5, 10, 15], "by turns");
  const gaps = retries.slice(1).map((at, index) => at - retries[index]!);
  assert.ok(Math.min(...gaps) >= 480, `spaced: ${gaps}`);
  assert.ok(retries.length >= 12, `nobody is starved: ${retries}`);
  for (const server of servers) await clock.flowUntil(server.instance.close());
  for (const server of servers) server.assertClean();
});

test("Instance.lineFor() in back-off waits for its place in the budget, for a bounded time", async () => {
  const attempts = createAttemptBudget({ perSecond: 1, burst: 1 });
  const server = await new Scripted({}, { attempts }).start();
  assert.equal(attempts.claim(0), 0, "somebody else's");
  server.die();
  await server.until(() => server.phase === "backoff");
  const answer = server.call();
  await server.pass(900);
  assert.deepEqual(server.spawned, [0]);
  await server.pass(200);
  await server.until(() => server.held.length > 0);
  server.answer();
  await answer;
  assert.deepEqual(server.spawned, [0, 1_000]);
  await server.close();
});

test("Instance.close() while it waits for its place in the budget leaves nothing", async () => {
  const attempts = createAttemptBudget({ perSecond: 1, burst: 1 });
  const server = await new Scripted({}, { attempts }).start();
  attempts.claim(0);
  server.die();
  await server.until(() => server.phase === "backoff");
  const answer = assert.rejects(server.call(), /Server "x"/);
  server.clock.tick(0);
  await server.close();
  await answer;
});
