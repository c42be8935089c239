/** A server to which each user logs in: by whose login it is asked, and what of one concerns others. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { HttpTarget } from "../../src/config/types.ts";
import type { Connection } from "../../src/upstream/connection/connection.ts";
import { LINE_LIMITS } from "../../src/upstream/lines.ts";
import { ExtraConnection, KeptConnections } from "../../src/upstream/own-connections.ts";
import { FakeClock } from "./fakes/clock.ts";
import { PersonalService } from "./personal-service.ts";
import { rounds } from "../support/rounds.ts";
import { playRound } from "./per-user-rounds.ts";
import { by, PersonalWorld } from "./personal-world.ts";

const NEEDED = 'Server "it" needs a login: run "mcproxy login it"';

for (const era of ["legacy", "modern"] as const) {
  test(`each request to a ${era} server carries the login of who asks, in whatever order`, async () => {
    await using world = await PersonalWorld.open({ era, users: ["alice", "bob"] });
    const people = ["alice", "bob", "carol"].flatMap((id) => [by("legacy", id), by("modern", id)]);
    // A modern server is asked by modern clients here: what bridges the eras is above.
    const clients = people.filter((client) => era === "legacy" || client.era === "modern");
    const calls = Array.from({ length: 60 }, (_, n) => clients[(n * 7) % clients.length]!);
    const answers = await Promise.all(calls.map((client, n) => world.call(client, n)));
    assert.deepEqual(
      answers,
      calls.map(({ principal }, n) => principal!.id === "carol" ? NEEDED : `${principal!.id} ${n}`),
    );
    assert.equal(world.upstream.state.phase, "ready");
    // One for the lists; over it a modern server is asked by everybody.
    assert.equal(world.service.asked("initialize").length, era === "legacy" ? 3 : 0);
    assert.equal(world.upstream.status().connections, era === "legacy" ? 3 : 1);
    // Nobody who is not known asks by another's login.
    const nobody = { ...clients[0]!, principal: undefined };
    assert.equal(await world.call(nobody), NEEDED);
  });

  test(`a login that a ${era} server refuses is that of one user alone`, async () => {
    await using world = await PersonalWorld.open({ era, users: ["alice", "bob"] });
    const [alice, bob] = [by(era, "alice"), by(era, "bob")];
    assert.deepEqual([await world.call(alice), await world.call(bob)], ["alice", "bob"]);
    world.service.dead.add("bob");
    assert.match(
      await world.call(bob),
      /^Server "it" refused its login .*: run "mcproxy login it"$/,
    );
    assert.equal(await world.call(alice), "alice");
    assert.match(await world.call(bob), /refused its login/);
    assert.equal(world.upstream.state.phase, "ready");
    const kept = await world.service.file.read();
    assert.deepEqual(kept.map(({ principal, dead }) => [principal, dead?.reason]), [
      ["alice", undefined],
      ["bob", "HTTP 401"],
    ]);
    world.service.dead.clear();
    await world.grant("bob");
    assert.equal(await world.call(bob), "bob");
  });

  test(`the lists of a ${era} server come by the first login that works, without what is private`, async () => {
    await using world = await PersonalWorld.open({ era });
    assert.equal(world.upstream.status().reason, "login");
    assert.equal(world.upstream.status().lastError, NEEDED);
    assert.equal(await world.call(by(era, "alice")), NEEDED);
    assert.equal(world.service.http.seen.length, 0);
    world.service.dead.add("alice");
    await world.grant("alice");
    await world.log.until("refused its login");
    await world.grant("bob");
    await world.watch.until(() => world.upstream.state.phase === "ready");
    const { lists, capabilities } = world.upstream.inventory;
    const keys = Object.entries(lists).map(([kind, { items }]) => [kind, items.length]);
    assert.deepEqual(Object.fromEntries(keys), {
      tools: 1,
      resources: 0,
      templates: 0,
      prompts: 1,
    });
    assert.ok(!capabilities.includes("subscribe") && capabilities.includes("resources"));
    assert.deepEqual(world.service.asked("resources/list"), []);
    assert.deepEqual(world.service.asked("resources/templates/list"), []);
    assert.equal(world.service.asked("tools/list", "bob").length, 1);
    assert.equal(world.service.asked("tools/list").length, 1);
  });

  test(`when the login behind the lists of a ${era} server ends, they come by another`, async () => {
    await using world = await PersonalWorld.open({ era, users: ["alice", "bob"] });
    assert.equal(world.service.asked("tools/list", "alice").length, 1);
    world.service.dead.add("alice");
    assert.match(await world.call(by(era, "alice")), /refused its login/);
    // The next thing that the gateway asks for itself.
    void world.upstream.setSubscriptions(new Set(["x://y"]));
    await world.service.until("tools/list", "bob");
    await world.watch.until(() => world.upstream.state.phase === "ready");
    assert.equal(await world.call(by(era, "bob")), "bob");
  });
}

test("a call waits for a login that works, past those that do no more", async () => {
  await using world = await PersonalWorld.open({ era: "modern", users: ["alice", "bob", "carol"] });
  const { service, upstream } = world;
  const { promise, resolve } = Promise.withResolvers<void>();
  for (const user of ["alice", "bob"]) service.dead.add(user);
  service.held.set("bob", promise);
  void upstream.setSubscriptions(new Set(["x://y"]));
  await service.until("server/discover", "bob");
  const answer = world.call(by("modern", "carol"));
  resolve();
  assert.equal(await answer, "carol");
});

test("a login that is brought wakes the server, and one that is taken away is that user's alone", async () => {
  await using world = await PersonalWorld.open({ era: "modern" });
  const { service, upstream, logins } = world;
  const target = upstream.config.instances[0] as HttpTarget;
  assert.equal(await world.call(by("modern", "alice")), NEEDED);
  for (const user of ["alice", "bob"]) await logins.receive(service.grantOf(user), target);
  await world.watch.until(() => upstream.state.phase === "ready");
  assert.equal(await world.call(by("modern", "alice")), "alice");
  assert.equal(await logins.forget({ server: "it", principal: "bob" }, target), true);
  assert.equal(await world.call(by("modern", "bob")), NEEDED);
  assert.equal(await world.call(by("modern", "alice")), "alice");
});

test("a login that ends in the middle of a handshake is followed by the next one at once", async () => {
  const service = await PersonalService.open("legacy");
  service.fragile.set("alice", "notifications/initialized");
  await using world = await PersonalWorld.open({ era: "legacy", users: ["alice", "bob"] }, service);
  await world.watch.until(() => world.upstream.state.phase === "ready");
  assert.equal(service.asked("tools/list", "bob").length, 1);
  // That would be a pause, which grows.
  assert.ok(!world.log.has("Cannot connect"));
});

test("lists come by a login whose rights do, where those of another do not", async () => {
  const service = await PersonalService.open("legacy");
  for (const user of ["alice", "bob"]) service.lacking.set(user, "initialize");
  await using world = await PersonalWorld.open({ era: "legacy", users: ["alice", "bob"] }, service);
  const lacking = /needs more rights: run "mcproxy login it --scope/;
  await world.watch.until(() => service.asked("initialize", "bob").length === 1);
  await world.watch.until(() => world.upstream.status().reason === "login");
  assert.equal(service.asked("initialize").length, 2);
  assert.match(await world.call(by("legacy", "alice")), lacking);
  await world.grant("carol");
  await world.watch.until(() => world.upstream.state.phase === "ready");
  assert.equal(service.asked("tools/list", "carol").length, 1);
  assert.equal(await world.call(by("legacy", "carol")), "carol");
});

for (const era of ["legacy", "modern"] as const) {
  test(`the lists of a ${era} server come by another login where one is refused for them`, async () => {
    const service = await PersonalService.open(era);
    service.refused.set("alice", 403).set("bob", 400);
    const users = ["alice", "bob", "carol"];
    await using world = await PersonalWorld.open({ era, users }, service);
    await world.watch.until(() => world.upstream.state.phase === "ready");
    assert.equal(service.asked("tools/list", "carol").length, 1);
    assert.equal(await world.call(by(era, "carol")), "carol");
    // That would be a pause, which grows.
    assert.ok(!world.log.has("Cannot connect"));
  });

  test(`a call to a ${era} server needs no login but its own`, async () => {
    const service = await PersonalService.open(era);
    service.refused.set("alice", 403);
    await using world = await PersonalWorld.open({ era, users: ["alice"] }, service);
    await world.log.until("Cannot connect");
    assert.match(await world.call(by(era, "alice")), /HTTP 403/);
    assert.equal(await world.call(by(era, "bob")), NEEDED);
    await world.grant("bob");
    for (let n = 0; n < 2; n++) assert.equal(await world.call(by(era, "bob"), n), `bob ${n}`);
  });

  test(`another login asks a ${era} server in no session of the one before, and for lists of its own`, async () => {
    await using world = await PersonalWorld.open({ era, users: ["alice"] });
    const { service, upstream, logins } = world;
    const target = upstream.config.instances[0] as HttpTarget;
    const alice = by(era, "alice");
    assert.equal(await world.call(alice), "alice");
    await world.grant("mallory", "alice");
    assert.equal(await world.call(alice), "mallory");
    await service.until("tools/list", "mallory");
    await logins.forget({ server: "it", principal: "alice" }, target);
    await logins.receive(service.grantOf("trent", "alice"), target);
    assert.equal(await world.call(alice), "trent");
    await service.until("tools/list", "trent");
    assert.deepEqual((await service.file.read()).map(({ dead }) => dead), [undefined]);
  });
}

for (const era of ["legacy", "modern", "dual"] as const) {
  test(`who may use a ${era} server always can, whatever becomes of others' logins`, async () => {
    for (let seed = 1; seed <= rounds(8); seed++) await playRound(era, seed, 40);
  });
}

test("where nobody listens one login is tried, and then there is a pause", async () => {
  const service = await PersonalService.open("legacy");
  await service.http.close();
  await using world = await PersonalWorld.open({ era: "legacy", users: ["alice", "bob"] }, service);
  await world.log.until("Cannot connect");
  const told = world.log.lines.filter(({ level }) => level === "warn");
  // A login to be tried next at once would be told of otherwise.
  assert.ok(told.every(({ message }) => message.startsWith("Cannot connect:")));
  assert.match(world.upstream.status().lastError ?? "", /could not be reached/);
  assert.match(await world.call(by("legacy", "alice")), /could not be reached/);
});

test("a login that cannot be renewed just now is no reason to try another again and again", async () => {
  const service = await PersonalService.open("legacy");
  const old = service.grantOf("old");
  const tokenEndpoint = "http://127.0.0.1:1/token";
  await service.file.put({ ...old, tokenEndpoint, refreshToken: "x", expiresAt: old.issuedAt });
  service.refused.set("alice", 403);
  await using world = await PersonalWorld.open({ era: "legacy", users: ["alice"] }, service);
  const isRepeated = () => service.asked("initialize", "alice").length > 2;
  await Promise.race([world.log.until("Cannot connect"), service.http.until(isRepeated)]);
  assert.equal(service.asked("initialize", "alice").length, 1);
});

test("connections of sessions, and of single calls, are opened by the login of who asks", async () => {
  const users = ["alice", "bob"];
  await using world = await PersonalWorld.open({ era: "legacy", users, sharing: "session" });
  const clients = ["alice", "bob", "carol"].flatMap((id) => [
    by("legacy", id, `first of ${id}`),
    by("legacy", id, `second of ${id}`),
    by("modern", id),
  ]);
  const answers = await Promise.all(clients.map((client) => world.call(client)));
  assert.deepEqual(
    answers,
    clients.map(({ principal }) => principal!.id === "carol" ? NEEDED : principal!.id),
  );
  assert.equal(world.service.asked("initialize").length, 1 + 4 + 2);
});

test("rights that do not do fail the call of one user, and say what would", async () => {
  await using world = await PersonalWorld.open({ era: "modern", users: ["alice", "bob"] });
  world.service.lacking.set("bob", "tools/call");
  assert.equal(
    await world.call(by("modern", "bob")),
    `Server "it" needs more rights: run "mcproxy login it --scope 'read write'"`,
  );
  assert.equal(await world.call(by("modern", "alice")), "alice");
  world.service.lacking.clear();
  assert.equal(await world.call(by("modern", "bob")), "bob");
});

test("what one user's session has ended with costs no other the login", async () => {
  const service = await PersonalService.open("legacy");
  const { promise, resolve } = Promise.withResolvers<void>();
  service.held.set("stream", promise);
  await using world = await PersonalWorld.open({ era: "legacy", users: ["alice", "bob"] }, service);
  service.dead.add("alice");
  resolve();
  await world.log.until("Event stream broke or is refused");
  // Over the session that alice's login has opened bob's would be refused, and end.
  await world.upstream.setSubscriptions(new Set(["x://y"]));
  await service.until("tools/list", "bob");
  await world.watch.until(() => world.upstream.state.phase === "ready");
  assert.equal(await world.call(by("legacy", "bob")), "bob");
  const kept = await service.file.read();
  assert.deepEqual(kept.map(({ dead }) => dead?.reason), ["HTTP 401", undefined]);
});

test("a server of both eras is reached in the client's own, by the login of who asks", async () => {
  await using world = await PersonalWorld.open({ era: "dual", users: ["alice", "bob"] });
  assert.equal(world.upstream.status().era, "modern");
  for (const id of ["alice", "bob", "carol"]) {
    const expected = id === "carol" ? NEEDED : id;
    assert.equal(await world.call(by("legacy", id)), expected);
    assert.equal(await world.call(by("modern", id)), expected);
  }
  // That carol may not says nothing of the era: the others keep theirs.
  assert.equal(await world.call(by("legacy", "alice", "another")), "alice");
  assert.equal(world.service.asked("initialize").length, 2);
});

test("a connection of a user is closed for another's when it is idle, and never in use", async () => {
  const users = ["alice", "bob", "carol"];
  await using world = await PersonalWorld.open({ era: "legacy", users, limits: { users: 2 } });
  const { promise, resolve } = Promise.withResolvers<void>();
  for (const id of ["alice", "bob"]) world.service.held.set(id, promise);
  const calls = ["alice", "bob"].map((id) => world.call(by("legacy", id)));
  for (const id of ["alice", "bob"]) {
    await world.service.until("tools/call", id);
  }
  assert.match(await world.call(by("legacy", "carol")), /^Server "it" serves 2 users, which is as/);
  resolve();
  assert.deepEqual(await Promise.all(calls), ["alice", "bob"]);
  assert.equal(await world.call(by("legacy", "carol")), "carol");
  assert.equal(await world.call(by("legacy", "bob")), "bob");
  assert.equal(await world.call(by("legacy", "alice")), "alice");
  assert.ok(world.upstream.status().connections <= 3);
});

test("a connection of a user ends after a quarter of an hour without use", async () => {
  const clock = new FakeClock();
  const closed: string[] = [];
  const open = (owner: string) => {
    const connection = {
      channel: { inFlight: 0 },
      acquire: () => connection,
      release: () => {},
      close: () => Promise.resolve(void closed.push(owner)),
    } as unknown as Connection;
    return connection;
  };
  assert.equal(LINE_LIMITS.users, 64);
  const idleTimeout = 900_000;
  const identity = { info: {}, capabilities: {} };
  const wanted = (principal: string) => ({ identity, session: undefined, principal });
  const kept = new KeptConnections("x", clock, { owners: "users", max: 64, idleTimeout, wanted }, (
    options,
  ) => new ExtraConnection(options, (one) => Promise.resolve(open(one.principal!)), new Set()));
  const line = async (id: string) => await kept.acquire(id, by("legacy", id));
  (await line("alice")).release();
  const used = await line("bob");
  clock.tick(idleTimeout - 1);
  (await line("alice")).release();
  clock.tick(idleTimeout - 1);
  assert.equal(kept.size, 2);
  clock.tick(1);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(closed, ["alice"]);
  used.release();
  clock.tick(idleTimeout);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual([closed, kept.size], [["alice", "bob"], 0]);
  assert.equal(clock.armed, 0);
});
