/** An instance of a server in memory, under fake time, that behaves as a test tells it to. */

import assert from "node:assert/strict";
import type { ServerConfig } from "../../../src/config/types.ts";
import { EMPTY_INVENTORY, type Inventory } from "../../../src/protocol/lists.ts";
import type { FakeProcess } from "../../support/fake-child.ts";
import { FakeRuntime } from "../../support/fake-runtime.ts";
import { Instance } from "../../../src/upstream/instance.ts";
import type { UpstreamOptions } from "../../../src/upstream/opener.ts";
import { call, RecordedLog, serverConfig } from "../support.ts";
import type { Phase } from "../../../src/upstream/state.ts";
import { FakeClock } from "./clock.ts";

/** Where in its life a scripted server ends by itself, or stops to answer. */
export type Fate = "serves" | "dies-at-start" | "dies-when-ready" | "hangs" | "hangs-at-lists";

/** See the top of the file. */
export class Scripted {
  readonly clock = new FakeClock();
  readonly log = new RecordedLog();
  readonly config: ServerConfig;
  readonly instance: Instance;
  /** When each process was started. */
  readonly spawned: number[] = [];
  /** The phases it has been in. */
  readonly phases: string[] = [];
  readonly inventories: Inventory[] = [];
  /** Methods the server was asked for since the start. */
  readonly asked: string[] = [];
  /** What processes that start from now on do. */
  fate: Fate = "serves";
  /** Calls it has not answered, by id. */
  readonly held: number[] = [];
  tools: unknown[] = [{ name: "echo" }];
  /** The one that was started last. */
  #process: FakeProcess | undefined;
  /** It reads and says nothing. */
  #mute: FakeProcess | undefined;
  readonly #runtime = new FakeRuntime({ programs: { fake: (process) => this.#serve(process) } });

  constructor(
    overrides: Partial<ServerConfig> = {},
    options: Partial<UpstreamOptions> = {},
    clock?: FakeClock,
  ) {
    if (clock !== undefined) this.clock = clock;
    const target = { kind: "stdio", command: "fake", args: [], env: {} } as const;
    this.config = serverConfig(target, { protocol: "legacy", ...overrides });
    this.instance = new Instance({
      config: this.config,
      runtime: {
        spawn: async (spawn) => {
          this.spawned.push(this.clock.now());
          const child = await this.#runtime.spawn(spawn);
          // Its program begins to read behind this; what came earlier would be lost.
          await new Promise((next) => setImmediate(next));
          return child;
        },
      },
      log: this.log,
      clock: this.clock,
      random: () => 0.5,
      events: {
        onStateChange: () => this.phases.push(this.instance.state.phase),
        onInventory: (inventory) => this.inventories.push(inventory),
      },
      ...options,
    });
  }

  /** The process that was started last reads and says nothing from now on, or speaks again. */
  set silent(silent: boolean) {
    this.#mute = silent ? this.#process : undefined;
  }

  get phase(): string {
    return this.instance.state.phase;
  }

  /** Starts it and waits for the end of the first attempt. */
  async start(known?: Inventory): Promise<this> {
    if (known !== undefined) this.instance.recall(known);
    this.instance.start();
    await this.instance.settled;
    return this;
  }

  /** Forwards a call to the end. */
  async call(exchange = call("echo")): Promise<string> {
    const line = await this.instance.lineFor(exchange);
    try {
      return (await line.forward(exchange, [])).raw;
    } finally {
      line.release();
    }
  }

  /** Lets everything happen that needs no time, until `test` holds. */
  async until(test: () => boolean): Promise<void> {
    for (let turn = 0; !test(); turn++) {
      assert.ok(turn < 1_000, `nothing more happens in ${this.phase}: ${this.phases}`);
      this.clock.tick(0);
      await new Promise((next) => setImmediate(next));
    }
  }

  /** Lets time go by, with everything that happens in it. */
  async pass(ms: number, step = 100): Promise<void> {
    for (let left = ms; left > 0; left -= step) {
      this.clock.tick(Math.min(step, left));
      for (let turn = 0; turn < 4; turn++) await new Promise((next) => setImmediate(next));
    }
  }

  /** Lets time go by until it is in this phase. */
  async reach(phase: Phase, step = 1): Promise<void> {
    while (this.instance.state.phase !== phase) await this.pass(step, step);
  }

  /** Closes it, and proves that nothing is left. */
  async close(): Promise<void> {
    await this.clock.flowUntil(this.instance.close());
    this.assertClean();
  }

  /** No process, no timer. */
  assertClean(): void {
    assert.deepEqual(this.#runtime.leaks(), []);
    // What ends a group that outlived its leader is the only thing that may still come.
    this.clock.tick(100);
    assert.equal(this.clock.armed, 0, "a timer is left");
    assert.equal(this.phase, "closed");
  }

  /** Answers a call that is held. */
  answer(id = this.held.shift()!): void {
    this.send({ id, result: { content: [] } });
  }

  /** The server says something. */
  send(message: object, process = this.#process!): void {
    process.stdout(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
  }

  /** The server ends. */
  die(code = 1): void {
    this.#process!.exit(code);
  }

  #serve(process: FakeProcess): void {
    this.#process = process;
    const { fate } = this;
    if (fate === "dies-at-start") return later(() => process.exit(3));
    if (fate === "hangs") {
      process.onInputEnd(() => {});
      process.onTerminate(() => {});
      return;
    }
    process.onInput((text) => {
      for (const line of text.split("\n").filter((line) => line !== "")) {
        const { id, method } = JSON.parse(line);
        this.asked.push(method);
        if (process !== this.#mute) this.#receive(process, fate, id, method);
      }
    });
  }

  #receive(process: FakeProcess, fate: Fate, id: number, method: string): void {
    const serverInfo = { name: "fake", version: "1" };
    const reply = (result: object) => this.send({ id, result }, process);
    switch (method) {
      case "initialize": {
        const capabilities = { tools: { listChanged: true }, resources: { subscribe: true } };
        return reply({ protocolVersion: "2025-11-25", capabilities, serverInfo });
      }
      case "tools/list":
        if (fate === "hangs-at-lists") return;
        reply({ tools: this.tools });
        if (fate === "dies-when-ready") later(() => process.exit(1));
        return;
      case "resources/list":
        return reply({ resources: [] });
      case "resources/templates/list":
        return reply({ resourceTemplates: [] });
      case "tools/call":
        return void this.held.push(id);
      case "ping":
      case "resources/subscribe":
      case "resources/unsubscribe":
        return reply({});
    }
  }
}

/** Behind whatever is about to happen. */
function later(callback: () => void): void {
  setImmediate(() => setImmediate(callback));
}

/** The lists of a scripted server as an earlier run would have kept them. */
export function knownInventory(...tools: readonly string[]): Inventory {
  return {
    ...EMPTY_INVENTORY,
    capabilities: '{"tools":{"listChanged":true},"resources":{"subscribe":true}}',
    serverInfo: '{"name":"fake","version":"1"}',
    era: "legacy",
    lists: {
      ...EMPTY_INVENTORY.lists,
      tools: { items: tools.map((key) => ({ key, raw: JSON.stringify({ name: key }) })) },
    },
  };
}
