import { runtime } from "#runtime";
import assert from "node:assert/strict";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { parseConfig } from "../../src/config/load.ts";
import { AGGREGATE, serverEndpoint } from "../../src/gating/endpoint.ts";
import { Gateway } from "../../src/gateway/gateway.ts";
import { ListCache } from "../../src/gateway/members/list-cache.ts";
import { getLogger } from "../../src/log/mod.ts";
import { parseMessage, request } from "../../src/protocol/message.ts";
import { type Reply, replyText } from "../../src/registry/answers.ts";
import { type HttpFake, startHttpFake } from "../support/fakes/http-server.ts";
import { eventually } from "../support/inbox.ts";

/** Longer than any test: what ends a wait here is never the time. */
const FOR_EVER = 600_000;

const INITIALIZE =
  '{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}';

/** Two servers, one of which may be held, and gateways that keep lists in one place. */
class House implements AsyncDisposable {
  readonly #undo: (() => Promise<unknown>)[] = [];
  readonly #held: (() => void)[] = [];

  private constructor(
    readonly directory: string,
    readonly quick: HttpFake,
    readonly slow: HttpFake,
  ) {}

  static async open(): Promise<House> {
    const directory = await mkdtemp(join(tmpdir(), "mcproxy-first-"));
    const quick = await startHttpFake({ tools: ["echo"] });
    const slow = await startHttpFake({ tools: ["echo"], prompts: ["greet"], instructions: "Slow" });
    return new House(directory, quick, slow);
  }

  /** It answers nothing until the returned function is called. */
  hold(fake: HttpFake): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    fake.fault = () => ({ after: promise });
    const release = () => {
      fake.fault = undefined;
      resolve();
    };
    this.#held.push(release);
    return release;
  }

  /** A gateway that has been started. */
  start(settings: object = {}, patience?: number, cache = this.cache()): Gateway {
    const mcpServers = { quick: { url: this.quick.url }, slow: { url: this.slow.url } };
    const text = JSON.stringify({ ...settings, mcpServers });
    const parsed = parseConfig(text, { file: "first.json", env: {} });
    assert.ok(parsed.ok, JSON.stringify(parsed));
    const gateway = new Gateway({ config: parsed.config, runtime, cache, patience });
    this.#undo.push(() => gateway.close());
    gateway.start();
    return gateway;
  }

  /** One that writes only when it is told to. */
  cache(): ListCache {
    const clock = { now: () => 0, after: () => () => {} };
    return new ListCache(this.directory, { log: getLogger("test"), clock, now: () => 1 });
  }

  /** How many servers' lists are on disk. */
  async kept(): Promise<number> {
    return (await readdir(join(this.directory, "lists")).catch(() => [])).length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const release of this.#held) release();
    for (const undo of this.#undo) await undo();
    await Promise.all([this.quick.close(), this.slow.close()]);
    await rm(this.directory, { recursive: true, force: true });
  }
}

/** What a client is told first, in the order it asks. */
class Newcomer {
  readonly #session;
  readonly told: string[] = [];
  #id = 0;

  constructor(gateway: Gateway, endpoint = AGGREGATE) {
    this.#session = gateway.openSession("stdio", endpoint);
  }

  async ask(method: string, params?: string): Promise<string> {
    const message = parseMessage(request(String(++this.#id), method, params));
    const reply = await this.#session.receive(message, { send: () => {} });
    this.told.push(method);
    return replyText(reply as Reply);
  }

  initialize = (): Promise<string> => this.ask("initialize", INITIALIZE);
}

async function quickIsReady(gateway: Gateway): Promise<void> {
  const phase = () => gateway.members.upstream("quick")!.state.phase;
  await eventually(phase, (now) => now === "ready", "the quick server");
}

function toolsIn(reply: string): string[] {
  const { tools } = JSON.parse(reply).result;
  return tools.map(({ name }: { name: string }) => name).sort();
}

test("Gateway tells a client that came with it nothing before all servers have answered", async () => {
  await using house = await House.open();
  const release = house.hold(house.slow);
  const gateway = house.start({}, FOR_EVER);
  const client = new Newcomer(gateway);
  const answers = [client.initialize(), client.ask("tools/list"), client.ask("prompts/list")];
  const direct = new Newcomer(gateway, serverEndpoint("slow"));
  const directly = direct.initialize();
  await quickIsReady(gateway);
  assert.equal(await new Newcomer(gateway, serverEndpoint("quick")).initialize() !== "", true);
  assert.deepEqual([...client.told, ...direct.told], []);
  release();
  const [hello, tools, prompts] = await Promise.all(answers);
  const { capabilities, instructions } = JSON.parse(hello!).result;
  assert.ok(capabilities.prompts !== undefined);
  assert.match(instructions, /Slow/);
  assert.deepEqual(toolsIn(tools!), ["quick_echo", "slow_echo"]);
  assert.match(prompts!, /greet/);
  assert.match(await directly, /Slow/);
});

test("Gateway waits for no server that has failed", async () => {
  await using house = await House.open();
  house.slow.fault = () => ({ status: 500, body: "no" });
  const client = new Newcomer(house.start({}, FOR_EVER));
  assert.match(await client.initialize(), /"tools"/);
  assert.deepEqual(toolsIn(await client.ask("tools/list")), ["quick_echo"]);
});

test("Gateway waits for startupGrace where the client did not come with it", async () => {
  await using house = await House.open();
  house.hold(house.slow);
  const gateway = house.start({ startupGrace: "1ms" });
  await quickIsReady(gateway);
  const client = new Newcomer(gateway);
  await client.initialize();
  assert.deepEqual(toolsIn(await client.ask("tools/list")), ["quick_echo"]);
});

test("Gateway answers what waits for servers when it is stopped", async () => {
  await using house = await House.open();
  house.hold(house.slow);
  const gateway = house.start({}, FOR_EVER);
  const client = new Newcomer(gateway);
  const answers = [client.initialize(), client.ask("tools/list")];
  await quickIsReady(gateway);
  assert.deepEqual(client.told, []);
  await gateway.drain(FOR_EVER);
  await Promise.all(answers);
});

test("Gateway answers the first message from what it has kept", async () => {
  await using house = await House.open();
  const before = house.start();
  await before.settled();
  await before.close();
  house.hold(house.slow);
  house.hold(house.quick);
  const client = new Newcomer(house.start({}, FOR_EVER));
  const { capabilities } = JSON.parse(await client.initialize()).result;
  assert.ok(capabilities.prompts !== undefined);
  assert.deepEqual(toolsIn(await client.ask("tools/list")), ["quick_echo", "slow_echo"]);
});

test("Gateway keeps first lists as soon as they are in", async () => {
  await using house = await House.open();
  const gateway = house.start();
  await gateway.settled();
  await eventually(() => house.kept(), (count) => count === 2, "the kept lists");
});

test("Gateway keeps what it has first thing at a stop", async () => {
  await using house = await House.open();
  house.hold(house.slow);
  const gateway = house.start();
  await quickIsReady(gateway);
  assert.equal(await house.kept(), 0);
  await gateway.drain(FOR_EVER);
  await eventually(() => house.kept(), (count) => count === 1, "the kept lists");
});
