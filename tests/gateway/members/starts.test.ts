import assert from "node:assert/strict";
import { test } from "node:test";
import { parseConfig } from "../../../src/config/load.ts";
import type { ServerConfig } from "../../../src/config/types.ts";
import type { ListCache } from "../../../src/gateway/members/list-cache.ts";
import { Member } from "../../../src/gateway/members/member.ts";
import { Members } from "../../../src/gateway/members/members.ts";
import { createAttemptBudget } from "../../../src/upstream/supervisor.ts";
import { FakeRuntime } from "../../support/fake-runtime.ts";
import { FakeClock } from "../../upstream/fakes/clock.ts";
import { knownInventory } from "../../upstream/fakes/scripted.ts";

/** Members that do nothing but tell what is done to them, and when. None ever answers. */
class House {
  readonly clock = new FakeClock();
  readonly told: { readonly what: string; readonly at: number }[] = [];
  readonly members: Members;
  onStart: () => void = () => {};

  constructor(names: readonly string[]) {
    this.members = new Members({
      create: (config) => this.#member(config),
      onSwap: () => {},
      settings: () => assert.fail(),
      clock: this.clock,
    });
    this.members.create(new Map(names.map((name) => [name, { name } as ServerConfig])));
  }

  get order(): readonly string[] {
    return this.told.map(({ what }) => what);
  }

  #member(config: ServerConfig): Member {
    const tell = (what: string) => {
      this.told.push({ what: `${what} ${config.name}`, at: this.clock.now() });
    };
    return {
      config,
      canWait: config.name.startsWith("known"),
      kept: () => Promise.resolve(undefined),
      recall: () => tell("recall"),
      upstream: {
        start: () => {
          tell("start");
          this.onStart();
        },
      },
      close: () => Promise.resolve(),
    } as unknown as Member;
  }
}

test("Members.start() starts those that can wait one after the other, and waits for none", async () => {
  const house = new House(["known1", "new1", "known2", "new2", "known3"]);
  await house.clock.flowUntil(house.members.start());
  const recalled = ["known1", "new1", "known2", "new2", "known3"].map((name) => `recall ${name}`);
  const started = ["new1", "new2", "known1", "known2", "known3"].map((name) => `start ${name}`);
  assert.deepEqual(house.order, [...recalled, ...started]);
  const times = house.told.slice(recalled.length).map(({ at }) => at);
  const [first, second, ...waiting] = times;
  // What cannot wait is started in the turn in which the lists are shown.
  assert.deepEqual([first, second], [house.told[0]!.at, house.told[0]!.at]);
  // Clients get a time between any two of the others, and before the first.
  assert.ok([second!, ...waiting].every((at, index, all) => index === 0 || at > all[index - 1]!));
});

test("Members.start() leaves clients their time however long a fork takes", async () => {
  const fork = 500;
  const house = new House(["known1", "known2", "known3"]);
  // In the turn of the start, and nothing else happens meanwhile.
  house.onStart = () => queueMicrotask(() => house.clock.tick(fork));
  await house.clock.flowUntil(house.members.start());
  const [first, second, third] = house.told.slice(3).map(({ at }) => at);
  assert.ok(second! > first! + fork, `${first}, ${second}`);
  assert.ok(third! > second! + fork, `${second}, ${third}`);
});

test("Members.start() starts nobody after the end", async () => {
  const house = new House(["new", "known1", "known2"]);
  const started = house.members.start();
  while (house.clock.armed === 0) await new Promise((next) => setImmediate(next));
  await house.members.close();
  await house.clock.flowUntil(started);
  assert.deepEqual(house.order.slice(3), ["start new"]);
  assert.equal(house.clock.armed, 0);
});

/** A member of a server as configured, that knows `kept` from its last run. Nothing is started. */
async function memberOf(server: object, kept: boolean): Promise<Member> {
  const parsed = parseConfig(JSON.stringify({ mcpServers: { a: server } }), {
    file: "starts.json",
    env: {},
  });
  assert.ok(parsed.ok, JSON.stringify(parsed));
  const lists = { inventory: knownInventory("echo"), savedAt: 0 };
  const member = new Member({
    config: parsed.config.servers.get("a")!,
    runtime: new FakeRuntime(),
    staleGrace: () => 0,
    onChange: () => {},
    upcalls: {},
    onState: () => {},
    cache: { get: () => Promise.resolve(kept ? lists : undefined) } as unknown as ListCache,
    vet: () => undefined,
    heldBack: () => undefined,
    attempts: createAttemptBudget(),
  });
  member.recall(await member.kept());
  return member;
}

test("Member.canWait is what a process whose lists are known can", async () => {
  const process = { command: "x" };
  const cases: [server: object, kept: boolean, canWait: boolean][] = [
    [process, true, true],
    [process, false, false],
    [{ ...process, lazy: true }, true, false],
    [{ url: "http://127.0.0.1:1/mcp" }, true, false],
  ];
  for (const [server, kept, canWait] of cases) {
    const member = await memberOf(server, kept);
    assert.equal(member.canWait, canWait, JSON.stringify([server, kept]));
    // Nothing has been started, so nothing has settled: it is on its way.
    assert.deepEqual([member.known, member.isSettled], [kept, false]);
  }
});
