/** What is left of a gateway's processes after it has ended, in every way it can end. */
import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { GUARD_NAME } from "../../src/runtime/node/guard.ts";
import { Scope } from "../behaviour/scope.ts";
import { stdioUpstream } from "../behaviour/world.ts";
import { HttpClient } from "../support/clients/http.ts";
import type { FakeSpec } from "../support/fakes/spec.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { eventually, within } from "../support/inbox.ts";
import { type ProcessMode, runProgram } from "../support/program.ts";
import {
  descendantsOf,
  descriptorsOf,
  type Entry,
  processTable,
  waitUntilAllGone,
} from "../support/process-table.ts";

/** Ends by nothing but SIGKILL, and has a child in its group that ends by no EOF. */
const STUBBORN = { ignoreEof: true, ignoreSigterm: true, grandchild: true } as const;

let made = 0;

/** One gateway, and what can be recognised as started by it, whoever its parent is by now. */
class Household {
  /** In the command line of every server, and of no other process. */
  readonly #mark = `household-${process.pid}-${++made}`;
  readonly #mode: ProcessMode;
  readonly #scope: Scope;
  #gateway: Gateway | undefined;

  constructor(mode: ProcessMode, scope: Scope) {
    this.#mode = mode;
    this.#scope = scope;
    scope.defer(() => {
      for (const { group } of this.servers()) killGroup(group);
    });
  }

  server(faults: FakeSpec["faults"] = {}, settings: object = {}): object {
    return stdioUpstream({ name: this.#mark, faults }, settings);
  }

  async start(mcpServers: Record<string, unknown>, settings: object = {}): Promise<Gateway> {
    const gateway = await startGateway({ mode: this.#mode, config: { mcpServers, ...settings } });
    this.#scope.defer(() => gateway.kill());
    return this.#gateway = gateway;
  }

  servers(): Entry[] {
    return processTable().filter(({ command, isZombie }) =>
      command.includes(this.#mark) && !isZombie
    );
  }

  /** Waits until so many servers run, of so many processes; returns all the gateway has started. */
  async running(servers: number, processes = servers + 1): Promise<Entry[]> {
    const there = () => this.servers().length;
    await eventually(there, (count) => count === servers, `${servers} servers`);
    const all = () => descendantsOf(this.#gateway!.pid);
    return await eventually(all, ({ length }) => length === processes, `${processes} processes`);
  }
}

function killGroup(id: number): void {
  try {
    process.kill(-id, "SIGKILL");
  } catch {
    // It has gone already.
  }
}

function guardsIn(entries: readonly Entry[]): number {
  return entries.filter(({ command }) => command.includes(GUARD_NAME)).length;
}

/** Registers all tests for one way of running the program. */
export function addTests(mode: ProcessMode): void {
  const check = (name: string, run: (house: Household) => Promise<void>) =>
    test(`${mode}: ${name}`, async () => {
      await using scope = new Scope();
      await run(new Household(mode, scope));
    });

  /** A gateway with a good server, a stubborn one and one that never gets ready. */
  const full = async (house: Household) => {
    const gateway = await house.start({
      good: house.server(),
      stubborn: house.server(STUBBORN),
      hung: house.server({ ...STUBBORN, hangOnStart: true }),
    });
    await gateway.waitForServer("good", ({ state }) => state === "ready");
    await gateway.waitForServer("stubborn", ({ state }) => state === "ready");
    // Guard, three servers, two grandchildren.
    const all = await house.running(3, 6);
    assert.equal(guardsIn(all), 1);
    return { gateway, all };
  };

  const endedBy = async (gateway: Gateway) =>
    await within(gateway.process!.exited, "the end of the gateway");

  check("after SIGKILL nothing is left", async (house) => {
    const { gateway, all } = await full(house);
    gateway.process!.signal("SIGKILL");
    await endedBy(gateway);
    await waitUntilAllGone(all);
  });

  check("after SIGKILL to its process group nothing is left", async (house) => {
    const { gateway, all } = await full(house);
    process.kill(-gateway.pid, "SIGKILL");
    await endedBy(gateway);
    await waitUntilAllGone(all);
  });

  check("after SIGTERM nothing is left", async (house) => {
    const { gateway, all } = await full(house);
    await gateway.stop();
    await waitUntilAllGone(all, 1_000);
  });

  check("after Ctrl+C on its terminal nothing is left", async (house) => {
    const { gateway, all } = await full(house);
    process.kill(-gateway.pid, "SIGINT");
    assert.deepEqual(await endedBy(gateway), { code: 0, signal: null });
    await waitUntilAllGone(all, 1_000);
  });

  check("after a second signal nothing is left, clients' own servers included", async (house) => {
    const own = { sharing: "session" };
    const gateway = await house.start({ own: house.server(STUBBORN, own) });
    await gateway.ready();
    const clients = [await HttpClient.connect(gateway.url), await HttpClient.connect(gateway.url)];
    await Promise.all(clients.map((client) => client.request("tools/call", { name: "own_pid" })));
    // Guard, and a server with its child for each client and for the gateway itself.
    const all = await house.running(3, 7);
    const from = gateway.logs.items.length;
    gateway.process!.signal("SIGTERM");
    await gateway.waitForLog(/Stopping/, from);
    gateway.process!.signal("SIGTERM");
    assert.deepEqual(await endedBy(gateway), { code: 143, signal: null });
    await waitUntilAllGone(all);
  });

  check("a stop at once after the start leaves nothing", async (house) => {
    // As npx is: not the server itself, and a while before it even begins.
    const { command, args } = house.server(STUBBORN) as { command: string; args: string[] };
    const wrapped = { command: "/bin/sh", args: ["-c", '"$@"; true', "sh", command, ...args] };
    const gateway = await house.start({ wrapped, other: house.server(STUBBORN) });
    await gateway.stop();
    await eventually(() => house.servers(), (left) => left.length === 0, "no server left", 1_000);
  });

  check("a stop between two attempts of a crashing server leaves nothing", async (house) => {
    const gateway = await house.start({
      crashing: house.server({ crashOnStart: 1 }),
      orphaning: house.server({ crashOnInitialize: true, grandchild: true }),
    });
    await gateway.waitForServer("crashing", ({ state }) => state === "backoff");
    await gateway.waitForServer("orphaning", ({ state }) => state === "backoff");
    const all = descendantsOf(gateway.pid);
    await gateway.stop();
    await waitUntilAllGone(all, 1_000);
    assert.deepEqual(house.servers(), []);
  });

  check("a gateway that cannot listen leaves nothing", async (house) => {
    const first = await house.start({ stubborn: house.server(STUBBORN) });
    await first.ready();
    const all = await house.running(1, 3);
    const address = ["--port", String(first.port), "--config", first.configPath];
    const { code } = await runProgram(mode, ["--log", ...address]);
    assert.equal(code, 1);
    assert.equal(house.servers().length, 1);
    await first.stop();
    await waitUntilAllGone(all, 1_000);
  });

  check("servers killed again and again leave neither zombies nor descriptors", async (house) => {
    const names = ["a", "b", "c", "d"];
    const servers = names.map((name) => [name, house.server({ grandchild: name === "a" })]);
    const gateway = await house.start(Object.fromEntries(servers));
    await gateway.ready();
    const ready = async () => {
      const { servers } = await gateway.status();
      return servers.filter(({ state }) => state === "ready").length;
    };
    const held = () => ({
      processes: descendantsOf(gateway.pid).length,
      descriptors: descriptorsOf(gateway.pid).size,
    });
    const killAll = async () => {
      const before = house.servers();
      for (const { pid } of before) process.kill(pid, "SIGKILL");
      await waitUntilAllGone(before);
      // Who is not there anew may still be called ready, from before the gateway has heard of it.
      const there = () => house.servers().length;
      await eventually(there, (count) => count === names.length, "all started again");
      await eventually(ready, (count) => count === names.length, "all ready again");
    };
    // The first round may open what stays open.
    await killAll();
    const { descriptors: before } = held();
    const rounds = 3;
    for (let round = 0; round < rounds; round++) await killAll();
    const guardServersGrandchild = 1 + names.length + 1;
    // A restart that kept one of its descriptors would show as 12 of them. A few are connections of
    // this test, which come and go as the pool of `fetch` has it.
    const settled = ({ processes, descriptors }: ReturnType<typeof held>) =>
      processes === guardServersGrandchild && descriptors < before + rounds * names.length / 2;
    await eventually(held, settled, `${guardServersGrandchild} processes, ${before} descriptors`);
  });
}
