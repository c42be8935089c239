/**
 * Several instances that crash under calls of every kind, with bounds on what is let in: each call
 * has one outcome, its own, and nothing that may do harm is carried out twice.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { RpcError } from "../../src/protocol/errors.ts";
import type { SharingMode } from "../../src/config/types.ts";
import type { FakeProcess } from "../support/fake-child.ts";
import { FakeRuntime } from "../support/fake-runtime.ts";
import { Upstream } from "../../src/upstream/upstream.ts";
import { FakeClock } from "./fakes/clock.ts";
import {
  callText,
  exchangeFor,
  LEGACY_CLIENT,
  RecordedLog,
  serverConfig,
  type TestExchange,
} from "./support.ts";

type Step = {
  readonly do: "read" | "write" | "answer" | "cancel" | "crash" | "end" | "wait" | "limit";
  readonly of: number;
};

const TOOLS = [
  { name: "read", inputSchema: {}, annotations: { readOnlyHint: true } },
  { name: "write", inputSchema: {} },
];

class World {
  readonly clock = new FakeClock();
  readonly upstream: Upstream;
  readonly outcomes = new Map<string, string[]>();
  /** How often a call came to a server. */
  readonly arrivals = new Map<string, number>();
  readonly #exchanges = new Map<string, TestExchange>();
  readonly #settled: Promise<unknown>[] = [];
  readonly #config;
  #running: { tag: string; id: number; process: FakeProcess }[] = [];

  constructor(sharing: SharingMode, instances: number) {
    const runtime = new FakeRuntime({ programs: { fake: (process) => this.#serve(process) } });
    const target = { kind: "stdio", command: "fake", args: [], env: {} } as const;
    this.#config = serverConfig(target, {
      sharing,
      protocol: "legacy",
      instances: Array(instances).fill(target),
      maxConcurrency: 3,
      maxQueue: 3,
    });
    this.upstream = new Upstream({
      config: this.#config,
      runtime: {
        spawn: async (options) => {
          const child = await runtime.spawn(options);
          // Its program begins to read behind this; what came earlier would be lost.
          await new Promise((next) => setImmediate(next));
          return child;
        },
      },
      log: new RecordedLog(),
      clock: this.clock,
      random: () => 0.5,
    });
  }

  async start(): Promise<void> {
    this.upstream.start();
    await this.upstream.settled;
  }

  async take(step: Step): Promise<void> {
    const call = this.#running[step.of % this.#running.length];
    switch (step.do) {
      case "read":
      case "write":
        this.#begin(step.do, `s${step.of % 3}`);
        break;
      case "answer":
        if (call !== undefined) this.#answer(call);
        break;
      case "cancel":
        [...this.#exchanges.values()][step.of]?.abort();
        break;
      case "crash":
        if (call === undefined) break;
        this.#running = this.#running.filter(({ process }) => process !== call.process);
        call.process.exit(1);
        break;
      case "end":
        this.upstream.releaseSession(`s${step.of % 3}`);
        break;
      case "wait":
        this.clock.tick(step.of * 100);
        break;
      case "limit":
        this.upstream.reconfigure({ ...this.#config, maxConcurrency: step.of % 5 + 1 });
        break;
    }
    // A retry after a crash waits for the clock, everything else for the event loop.
    this.clock.tick(0);
    for (let turn = 0; turn < 4; turn++) await new Promise((next) => setImmediate(next));
  }

  async close(): Promise<void> {
    await this.clock.flowUntil(this.upstream.close());
    await Promise.all(this.#settled);
    await this.upstream.whenIdle();
    const { inFlight, queued, calls } = this.upstream.status();
    assert.deepEqual([inFlight, queued, calls], [0, 0, this.#exchanges.size]);
    // The groups of crashed processes are ended for good; no other timer is left.
    this.clock.tick(100);
    assert.equal(this.clock.armed, 0);
    for (const [tag, outcome] of this.outcomes) assert.equal(outcome.length, 1, tag);
    for (const [tag, count] of this.arrivals) {
      assert.ok(count <= (tag.startsWith("read") ? 2 : 1), `${tag} was carried out ${count} times`);
    }
  }

  #begin(name: string, session: string): void {
    const tag = `${name}-${this.#exchanges.size}`;
    const exchange = exchangeFor(callText(name, { tag }), { ...LEGACY_CLIENT, session });
    this.#exchanges.set(tag, exchange);
    const told: string[] = [];
    this.outcomes.set(tag, told);
    const call = this.upstream.forward(exchange, []);
    this.#settled.push(call.then(({ raw }) => {
      assert.match(raw, new RegExp(`"${tag}"`));
      told.push("answer");
    }, (error) => {
      assert.ok(error instanceof RpcError, String(error));
      told.push(error.message);
    }));
  }

  #answer(call: { tag: string; id: number; process: FakeProcess }): void {
    this.#running = this.#running.filter((each) => each !== call);
    const { tag, id, process } = call;
    process.stdout(`${JSON.stringify({ jsonrpc: "2.0", id, result: { tag } })}\n`);
  }

  #serve(process: FakeProcess): void {
    const send = (id: number, result: object) =>
      process.stdout(`${JSON.stringify({ jsonrpc: "2.0", id, result })}\n`);
    process.onInput((text) => {
      for (const line of text.split("\n").filter((line) => line !== "")) {
        const { id, method, params } = JSON.parse(line);
        if (method === "initialize") {
          const serverInfo = { name: "fake", version: "1" };
          send(id, { protocolVersion: "2025-11-25", capabilities: { tools: {} }, serverInfo });
        } else if (method === "tools/list") send(id, { tools: TOOLS });
        else if (method === "tools/call") {
          const { tag } = params.arguments;
          this.arrivals.set(tag, (this.arrivals.get(tag) ?? 0) + 1);
          this.#running.push({ tag, id, process });
        }
      }
    });
  }
}

const step = (weight: number, name: Step["do"]) => ({
  weight,
  arbitrary: fc.nat(30).map((of): Step => ({ do: name, of })),
});
const steps = fc.array(
  fc.oneof(
    step(6, "read"),
    step(6, "write"),
    step(8, "answer"),
    step(2, "cancel"),
    step(3, "crash"),
    step(1, "end"),
    step(2, "wait"),
    step(1, "limit"),
  ),
  { maxLength: 40, size: "max" },
);

for (const [sharing, instances] of [["shared", 3], ["session", 2], ["shared", 1]] as const) {
  test(`Upstream of ${instances} with sharing "${sharing}" gives each call one outcome, and counts exactly`, async () => {
    const seen = { answer: 0, repeated: 0, refused: 0, busy: 0 };
    await fc.assert(
      fc.asyncProperty(steps, async (steps) => {
        const world = new World(sharing, instances);
        await world.start();
        for (const each of steps) await world.take(each);
        await world.close();
        for (const [outcome] of world.outcomes.values()) {
          if (outcome === "answer") seen.answer++;
          else if (/may have been carried out/.test(outcome!)) seen.refused++;
          else if (/is busy/.test(outcome!)) seen.busy++;
        }
        for (const count of world.arrivals.values()) if (count > 1) seen.repeated++;
      }),
      { seed: 20261120, numRuns: 100 },
    );
    // A property about nothing is noticed.
    for (const [what, count] of Object.entries(seen)) assert.ok(count > 10, `${count} ${what}`);
  });
}
