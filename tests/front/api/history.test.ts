/** What the API tells where a history is kept: also of before the gateway was started. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Scope } from "../../behaviour/scope.ts";
import { inDirectory } from "../../config/temp.ts";
import { callOf } from "../../observe/history/history-support.ts";
import { House, LOCAL } from "../access/house.ts";

const FROM = { from: "127.0.0.1" };

test("calls, usage and problems outlive a gateway", () =>
  inDirectory(async (stateDirectory) => {
    // deno-lint-ignore no-explicit-any
    const told = async (house: House, path: string, status = 200): Promise<any> => {
      const response = await house.ask(path, FROM);
      assert.equal(response.status, status, path);
      return await response.json();
    };
    const call = async (house: House, name: string) =>
      await (await house.modern("/mcp", "tools/call", { name, arguments: {} })).text();
    const open = (scope: Scope) => House.open(scope, {}, undefined, { stateDirectory });
    {
      await using scope = new Scope();
      const house = await open(scope);
      for (const name of ["a_echo", "b_echo", "a_echo"]) await call(house, name);
      const { items, next } = await told(house, "/api/calls?limit=2");
      assert.equal(items.length, 2);
      const rest = await told(house, `/api/calls?before=${next}`);
      assert.equal(rest.items.length, 1);
      assert.equal((await told(house, "/api/overview?range=15m")).calls, 3);
    }
    await using scope = new Scope();
    const house = await open(scope);
    await call(house, "b_echo");
    const { items } = await told(house, "/api/calls?filter=server:a");
    assert.equal(items.length, 2);
    const one = await told(house, `/api/calls/${items[0].id}`);
    assert.deepEqual(one, { ...items[0], inner: [] });
    const { calls, servers } = await told(house, "/api/overview");
    assert.equal(calls, 4);
    const counts = servers.map(({ name, calls }: { name: string; calls: number }) => [name, calls]);
    assert.deepEqual(counts, [["a", 2], ["b", 2]]);
    const usage = await told(house, "/api/usage?by=tool&range=7d");
    assert.deepEqual(usage.items.map(({ key }: { key: string }) => key).sort(), [
      ...["a_echo", "b_echo"],
    ]);
    assert.ok(usage.items[0].tokens > 0);
    assert.equal((await told(house, "/api/servers/a")).calls, 2);
    assert.equal((await told(house, "/api/tools/b_echo")).calls, 2);
    // So little tells nothing.
    assert.deepEqual(await told(house, "/api/advice"), { items: [], next: null });
    assert.deepEqual(await told(house, "/api/problems"), { items: [], next: null });
    assert.equal((await told(house, "/api/problems?state=odd", 400)).error, "invalid_state");
    const unknown = await house.post("/api/problems/x", { state: "done" }, LOCAL);
    assert.equal(unknown.status, 404);
    const wrong = await house.post("/api/problems/x", { state: "odd" }, LOCAL);
    assert.equal(wrong.status, 400);
    assert.deepEqual((await told(house, "/api/alerts")).history, []);
  }));

test("a server that takes twice as long as before needs attention", () =>
  inDirectory(async (stateDirectory) => {
    await using scope = new Scope();
    const house = await House.open(scope, {}, undefined, { stateDirectory });
    const history = (await house.observatory.history())!;
    const add = (server: string, minutes: number, ms: number, count = 50) => {
      const at = Date.now() - minutes * 60_000;
      for (let i = 0; i < count; i++) history.add(callOf({ at, server, ms }));
    };
    const slow = async (range: string) => {
      const { attention } = await (await house.ask(`/api/overview?range=${range}`, FROM)).json();
      return attention.filter(({ kind }: { kind: string }) => kind === "slow");
    };
    add("a", 20, 100);
    // Little is as good as nothing, and so are few.
    add("b", 20, 1);
    add("b", 1, 9);
    add("a", 1, 900, 49);
    assert.deepEqual(await slow("15m"), []);
    add("a", 1, 900, 1);
    assert.deepEqual(await slow("15m"), [{
      ...{ kind: "slow", level: "warn", subject: "a", title: "a takes twice as long" },
      text: "p95 is 975 ms in 15m, was 98 ms before.",
      act: { label: "Calls", href: "#/calls?filter=server%3A%22a%22" },
    }]);
    assert.deepEqual(await slow("1h"), [], "all of it is of one time");
  }));
