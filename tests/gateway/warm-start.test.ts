import { runtime } from "#runtime";
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { parseConfig } from "../../src/config/load.ts";
import { AGGREGATE } from "../../src/gating/endpoint.ts";
import { Gateway } from "../../src/gateway/gateway.ts";
import { ListCache } from "../../src/gateway/members/list-cache.ts";
import { heard, type HttpFake, startHttpFake } from "../support/fakes/http-server.ts";
import { eventually } from "../support/inbox.ts";

type Servers = Readonly<Record<string, object>>;

/** Two servers that can be held, a place to keep lists, and gateways one after the other. */
class House implements AsyncDisposable {
  readonly #undo: (() => Promise<unknown>)[] = [];
  readonly #gates: (() => void)[] = [];

  private constructor(readonly directory: string, readonly fakes: readonly HttpFake[]) {}

  static async open(): Promise<House> {
    const directory = await mkdtemp(join(tmpdir(), "mcproxy-warm-"));
    const fakes = await Promise.all(
      ["a", "b"].map((name) => startHttpFake({ name, tools: ["echo", name] })),
    );
    return new House(directory, fakes);
  }

  get servers(): Servers {
    return { a: { url: this.fakes[0]!.url }, b: { url: this.fakes[1]!.url } };
  }

  /** From now on nothing is answered until {@link House.release}. */
  hold(): void {
    const { promise, resolve } = Promise.withResolvers<void>();
    for (const fake of this.fakes) fake.fault = () => ({ after: promise });
    this.#gates.push(resolve);
  }

  release(): void {
    for (const open of this.#gates.splice(0)) open();
    for (const fake of this.fakes) fake.fault = undefined;
  }

  /** A gateway, not started. */
  gateway(mcpServers: Servers = this.servers, settings: object = {}, cache = this.cache()) {
    const text = JSON.stringify({ ...settings, mcpServers });
    const parsed = parseConfig(text, { file: "warm.json", env: {} });
    assert.ok(parsed.ok, JSON.stringify(parsed));
    const gateway = new Gateway({ config: parsed.config, runtime, cache });
    this.#undo.push(() => gateway.close());
    return gateway;
  }

  cache(): ListCache {
    return new ListCache(this.directory);
  }

  /** Runs a gateway until it knows and keeps everything. */
  async learn(mcpServers: Servers = this.servers): Promise<void> {
    const gateway = this.gateway(mcpServers);
    gateway.start();
    await gateway.settled();
    await gateway.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.release();
    for (const undo of this.#undo.reverse()) await undo();
    await Promise.all(this.fakes.map((fake) => fake.close()));
    await rm(this.directory, { recursive: true, force: true });
  }
}

/** The exposed names of all tools, as clients see them now. */
function tools(gateway: Gateway): readonly string[] {
  gateway.snapshots.flush();
  return [...gateway.snapshots.registry.aggregate.names("tool")].sort();
}

const ALL = ["a_a", "a_echo", "b_b", "b_echo"];

/** Waits until the gateway lists something. */
function listing(gateway: Gateway): Promise<readonly string[]> {
  return eventually(() => tools(gateway), ({ length }) => length > 0, "a list");
}

test("Gateway.start() shows what all servers offered last, in one turn, as stale", async () => {
  await using house = await House.open();
  await house.learn();
  house.hold();
  const gateway = house.gateway();
  const seen: number[] = [];
  const stop = gateway.snapshots.listen({
    endpoint: AGGREGATE,
    era: "legacy",
    listsChanged: () => void seen.push(tools(gateway).length),
  });
  gateway.start();
  assert.deepEqual(await listing(gateway), ALL);
  assert.deepEqual(gateway.members.all.map(({ entry }) => entry.stale), [true, true]);
  assert.deepEqual(seen, [4]);
  house.release();
  await gateway.settled();
  assert.deepEqual(gateway.members.all.map(({ entry }) => entry.stale), [false, false]);
  // What was confirmed is no news.
  assert.deepEqual(seen, [4]);
  stop();
});

test("Gateway keeps what a server offers now, not what it offered at the start", async () => {
  await using house = await House.open();
  const gateway = house.gateway();
  gateway.start();
  await gateway.settled();
  await heard(house.fakes[0]!);
  house.fakes[0]!.core.change("tools", "fresh", "a");
  await eventually(() => tools(gateway), (names) => names.includes("a_fresh"), "the change");
  await gateway.close();
  house.hold();
  const next = house.gateway();
  next.start();
  assert.deepEqual(await listing(next), ["a_echo", "a_fresh", "b_b", "b_echo"]);
});

test("Gateway shows nothing kept of a server that is configured otherwise now", async () => {
  await using house = await House.open();
  await house.learn();
  house.hold();
  const { a, b } = house.servers;
  const gateway = house.gateway({ a: { ...a, headers: { "x-tenant": "other" } }, b: b! });
  gateway.start();
  assert.deepEqual(await listing(gateway), ["b_b", "b_echo"]);
  assert.equal(gateway.members.get("a")!.known, false);
});

test("Gateway keeps lists across changes of what is not connected to", async () => {
  await using house = await House.open();
  await house.learn();
  house.hold();
  const { a, b } = house.servers;
  const gateway = house.gateway({ a: { ...a, timeout: "1m", separator: "__" }, b: b! });
  gateway.start();
  assert.deepEqual(await listing(gateway), ["a__a", "a__echo", "b_b", "b_echo"]);
});

test("Gateway.start() starts no lazy server whose lists it knows, and does not doubt them", async () => {
  await using house = await House.open();
  const { a, b } = house.servers;
  const servers = { a: { ...a, lazy: true }, b: b! };
  await house.learn(servers);
  const before = house.fakes[0]!.requests.items.length;
  const gateway = house.gateway(servers);
  gateway.start();
  await eventually(
    () => gateway.members.all.every(({ isSettled }) => isSettled),
    Boolean,
    "the start",
  );
  assert.deepEqual(tools(gateway), ALL);
  assert.equal(gateway.members.get("a")!.upstream.state.phase, "idle");
  assert.equal(gateway.members.get("a")!.entry.stale, false);
  assert.equal(house.fakes[0]!.requests.items.length, before);
});

test("Gateway.start() waits for no cache that does not answer", async () => {
  await using house = await House.open();
  const cache = house.cache();
  cache.get = () => new Promise(() => {});
  const gateway = house.gateway(house.servers, {}, cache);
  gateway.start();
  assert.deepEqual(
    await listing(gateway).then(() => gateway.settled()).then(() => tools(gateway)),
    ALL,
  );
});

test("Gateway lets kept lists go when the server stays away for staleGrace", async () => {
  await using house = await House.open();
  await house.learn();
  await house.fakes[0]!.close();
  const gateway = house.gateway(house.servers, { staleGrace: "100ms" });
  gateway.start();
  assert.deepEqual(await listing(gateway), ALL);
  const left = ["b_b", "b_echo"];
  await eventually(
    () => tools(gateway),
    (names) => `${names}` === `${left}`,
    "the end of the grace",
  );
  assert.equal(gateway.members.get("a")!.known, false);
});

test("Gateway.reload() shows what a server it adds offered last", async () => {
  await using house = await House.open();
  await house.learn();
  const { b } = house.servers;
  const gateway = house.gateway({ b: b! });
  gateway.start();
  await gateway.settled();
  house.hold();
  gateway.reload(house.gateway().config);
  await eventually(() => tools(gateway), (names) => names.length === 4, "the kept lists");
  assert.deepEqual(gateway.members.all.map(({ entry }) => entry.stale), [true, false]);
  assert.equal(gateway.members.get("a")!.upstream.state.phase, "connecting");
});
