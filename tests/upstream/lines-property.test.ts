/**
 * One upstream with all the connections it opens, clients with equal ids and tokens, and a server
 * that speaks about any call it has not answered: whatever arrives must be about a call of the
 * client it arrives at.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { SharingMode } from "../../src/config/types.ts";
import type { Client } from "../../src/protocol/exchange.ts";
import type { NotificationMessage } from "../../src/protocol/message.ts";
import type { FakeProcess } from "../support/fake-child.ts";
import { FakeRuntime } from "../support/fake-runtime.ts";
import { Upstream } from "../../src/upstream/upstream.ts";
import { FakeClock } from "./fakes/clock.ts";
import {
  callText,
  exchangeFor,
  LEGACY_CLIENT,
  MODERN_CLIENT,
  RecordedLog,
  serverConfig,
  type TestExchange,
} from "./support.ts";

const CLIENTS: readonly Client[] = [
  { ...LEGACY_CLIENT, session: "s0", capabilities: { elicitation: {} } },
  { ...LEGACY_CLIENT, session: "s1", capabilities: { elicitation: {} } },
  { ...LEGACY_CLIENT, session: "s2" },
  { ...MODERN_CLIENT, capabilities: { elicitation: {} } },
  { ...MODERN_CLIENT, capabilities: {} },
];

type Step =
  | { readonly do: "begin" | "end"; readonly of: number }
  | {
    readonly do: "answer" | "say" | "progress" | "ask" | "reply" | "cancel" | "crash";
    readonly of: number;
  };

/** A call as the server sees it. */
interface Arrived {
  readonly tag: string;
  readonly id: number;
  readonly token: unknown;
  readonly process: FakeProcess;
}

class World {
  readonly clock = new FakeClock();
  readonly #exchanges = new Map<string, TestExchange>();
  /** Calls the server has not answered; one that was cancelled still runs. */
  #running: Arrived[] = [];
  readonly #settled: Promise<unknown>[] = [];
  readonly #askedAbout = new Map<string, string>();
  readonly upstream: Upstream;
  /** How much has arrived, so that a property about nothing is noticed. */
  delivered = 0;

  constructor(sharing: SharingMode) {
    const runtime = new FakeRuntime({ programs: { fake: (process) => this.#serve(process) } });
    const target = { kind: "stdio", command: "fake", args: [], env: {} } as const;
    this.upstream = new Upstream({
      config: serverConfig(target, { sharing, protocol: "legacy" }),
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
      limits: { sessions: 2, leases: 2 },
      events: {
        onNotification: (message, exchange, session) =>
          this.#notified(message, exchange as TestExchange | undefined, session),
      },
    });
  }

  async start(): Promise<void> {
    this.upstream.start();
    await this.upstream.settled;
  }

  async take(step: Step): Promise<void> {
    if (step.do === "begin") this.#begin(CLIENTS[step.of % CLIENTS.length]!);
    else if (step.do === "end") this.upstream.releaseSession(`s${step.of % 3}`);
    else if (step.do === "reply") this.#reply(step.of);
    else if (this.#running.length > 0) {
      const call = this.#running[step.of % this.#running.length]!;
      if (step.do === "cancel") this.#exchanges.get(call.tag)!.abort();
      else this.#speak(call, step.do);
    }
    // A retry after a crash waits for the clock, everything else for the event loop.
    this.clock.tick(0);
    for (let turn = 0; turn < 3; turn++) await new Promise((next) => setImmediate(next));
  }

  async close(): Promise<void> {
    await this.clock.flowUntil(this.upstream.close());
    await Promise.all(this.#settled);
    for (const [tag, { sent }] of this.#exchanges) {
      for (const raw of sent) {
        // Progress has a token, so it must reach its own call.
        assert.equal(JSON.parse(raw).params.message, tag);
        this.delivered++;
      }
    }
    assert.equal(this.upstream.status().inFlight, 0);
  }

  #begin(client: Client): void {
    const tag = `t${this.#exchanges.size}`;
    const exchange = exchangeFor(callText("x", { tag }, { id: 1, token: 1 }), client);
    this.#exchanges.set(tag, exchange);
    const call = this.upstream.forward(exchange, []);
    this.#settled.push(call.then(({ raw }) => assert.match(raw, new RegExp(`"${tag}"`)), () => {}));
  }

  #speak(call: Arrived, what: "answer" | "say" | "progress" | "ask" | "crash"): void {
    const { tag, id, token, process } = call;
    const send = (message: object) =>
      process.stdout(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
    switch (what) {
      case "answer":
        this.#running = this.#running.filter((each) => each !== call);
        return send({ id, result: { tag } });
      case "say":
        return send({ method: "notifications/message", params: { data: tag } });
      case "progress": {
        const params = { progressToken: token, progress: 1, message: tag };
        return send({ method: "notifications/progress", params });
      }
      case "ask": {
        const ask = `ask-${this.#askedAbout.size}`;
        this.#askedAbout.set(ask, tag);
        return send({ id: ask, method: "elicitation/create", params: { tag } });
      }
      case "crash":
        this.#running = this.#running.filter((each) => each.process !== process);
        return process.exit(1);
    }
  }

  #reply(of: number): void {
    const open = [...this.#exchanges].filter(([, { asked }]) => asked.length > 0);
    if (open.length === 0) return;
    const [tag, { asked }] = open[of % open.length]!;
    for (const { params, answer } of asked.splice(0)) {
      this.delivered++;
      this.#assertMayKnow(this.#exchanges.get(tag)!, (params as { tag: string }).tag);
      answer({ by: tag });
    }
  }

  #notified(
    { params }: NotificationMessage,
    exchange: TestExchange | undefined,
    session: string | undefined,
  ): void {
    const about = String(params?.data);
    if (exchange !== undefined) this.#assertMayKnow(exchange, about);
    if (session !== undefined) assert.equal(this.#exchanges.get(about)!.client.session, session);
    if (exchange !== undefined || session !== undefined) this.delivered++;
  }

  /** Two calls of one session are one client's; without a session there is nothing to go by. */
  #assertMayKnow(exchange: TestExchange, about: string): void {
    const other = this.#exchanges.get(about)!;
    const same = exchange === other ||
      (exchange.client.session !== undefined && exchange.client.session === other.client.session);
    assert.ok(same, `something about ${about} reached ${exchange.request.raw}`);
  }

  #serve(process: FakeProcess): void {
    const send = (message: object) =>
      process.stdout(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
    process.onInput((text) => {
      for (const line of text.split("\n").filter((line) => line !== "")) {
        const { id, method, params, result } = JSON.parse(line);
        if (method === "initialize") {
          const serverInfo = { name: "fake", version: "1" };
          const capabilities = { tools: {} };
          send({ id, result: { protocolVersion: "2025-11-25", capabilities, serverInfo } });
        } else if (method === "tools/list") send({ id, result: { tools: [] } });
        else if (method === "tools/call") {
          const { arguments: { tag }, _meta } = params;
          this.#running.push({ tag, id, token: _meta.progressToken, process });
        } else if (result !== undefined) {
          // The answer to a question comes from the client it was about.
          const about = this.#askedAbout.get(id)!;
          this.#assertMayKnow(this.#exchanges.get(result.by)!, about);
        }
      }
    });
  }
}

const of = fc.nat(30);
const step = (weight: number, name: Step["do"]) => ({
  weight,
  arbitrary: of.map((of): Step => ({ do: name, of })),
});
const steps = fc.array(
  fc.oneof(
    step(8, "begin"),
    step(4, "answer"),
    step(5, "say"),
    step(4, "progress"),
    step(5, "ask"),
    step(4, "reply"),
    step(3, "cancel"),
    step(1, "end"),
    step(1, "crash"),
  ),
  { maxLength: 40, size: "max" },
);

for (const sharing of ["auto", "shared", "session"] as const) {
  test(`Upstream delivers nothing about one client's call to another, sharing "${sharing}"`, async () => {
    let delivered = 0;
    await fc.assert(
      fc.asyncProperty(steps, async (steps) => {
        const world = new World(sharing);
        await world.start();
        for (const each of steps) await world.take(each);
        await world.close();
        delivered += world.delivered;
      }),
      { seed: 20261120, numRuns: 200 },
    );
    assert.ok(delivered > 200, `only ${delivered} messages arrived anywhere`);
  });
}
