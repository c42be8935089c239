/**
 * A bounded run of everything that goes wrong in a long life: servers that crash and are killed,
 * edits, clients that are slow, that hang up and that never say goodbye. `SOAK_SECONDS=3600` for an
 * hour by hand; in the suite some seconds each, and more in `deno task ok:slow`.
 */

import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { stdioUpstream } from "../behaviour/world.ts";
import { HttpClient } from "../support/clients/http.ts";
import { requestText } from "../support/clients/message.ts";
import { streamed } from "../support/clients/streamed.ts";
import { startHttpFake } from "../support/fakes/http-server.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { eventually } from "../support/inbox.ts";
import { AS_RELEASED, ON_BUN, type ProcessMode } from "../support/program.ts";
import { Edits } from "./edits.ts";
import { answeredOnce, Load } from "./load.ts";
import { Seeded } from "./seeded.ts";
import { type Vitals, vitalsOf } from "./vitals.ts";

const SECONDS = Number(process.env["SOAK_SECONDS"] ?? 10);
const modes: readonly ProcessMode[] = ON_BUN
  ? []
  : process.env["MCPROXY_BINARY"] === undefined
  ? ["deno", "bun"]
  : ["deno", "bun", "binary"];

for (const mode of modes) {
  test(`${mode}: ${SECONDS} s of crashes, edits and bad clients leave memory, processes and descriptors flat`, async () => {
    const random = new Seeded(4);
    const web = await startHttpFake({ tools: ["echo", "wait"] });
    const staying = {
      one: stdioUpstream({ name: "one", tools: ["echo", "pid"] }),
      web: { url: web.url },
      fragile: stdioUpstream({ name: "fragile", tools: ["echo", "pid", "crash", "crash_mid"] }),
    };
    const config = { sessionIdleTimeout: "2s", drainTimeout: "2s", mcpServers: staying };
    const gateway = await startGateway({ mode, config, env: AS_RELEASED });
    try {
      await gateway.ready();
      // Later there may be a moment at which a server that has just crashed is not back yet.
      const { processes: usual } = await vitalsOf(gateway.pid);
      const misfortune = new Misfortune(
        gateway,
        random,
        new Edits(gateway.configPath, config, random),
      );
      const load = await Load.start(gateway.base, ["one_echo", "web_echo"], STREAMS);
      const series: Vitals[] = [];
      const end = performance.now() + SECONDS * 1_000;
      let next = performance.now() + 2_000;
      while (performance.now() < end) {
        await misfortune.strike();
        if (performance.now() > next) {
          series.push(await vitalsOf(gateway.pid));
          next = performance.now() + 1_000;
        }
      }
      await misfortune.over();
      const { sent, answered, failures } = await load.stop();
      assert.deepEqual(failures.slice(0, 5), []);
      assert.equal(answered, sent);
      // A call starts a server that is in back-off.
      const client = await HttpClient.connect(gateway.url);
      const called = async () => await answeredOnce(client, "fragile_echo", "last");
      await eventually(called, (text) => text.includes('"result"'), "an answer of the fragile one");
      await client.delete();
      await eventually(
        () => status(gateway),
        // Streams that `fetch` hangs up on may stay open on Deno's side of the test.
        ({ clients, servers }) =>
          clients.sessions <= STREAMS && servers.every(({ state }) => state === "ready"),
        "every server up, every session gone",
        20_000,
      );
      const [first] = series;
      const last = await eventually(
        () => vitalsOf(gateway.pid),
        ({ processes }) => processes <= usual,
        "no process left over",
        20_000,
      );
      assert.equal(last.zombies, 0);
      assert.ok(last.descriptors <= first!.descriptors + 10, JSON.stringify({ first, last }));
      const half = series.slice(Math.floor(series.length / 2));
      assert.ok(
        last.rss <= Math.max(...series.slice(0, 10).map(({ rss }) => rss)) + 40,
        JSON.stringify({ first, half, last }),
      );
      console.log(
        `${mode}: ${answered} calls, ${misfortune.summary}; ${JSON.stringify({ first, last })}`,
      );
      await gateway.stop();
    } finally {
      await gateway.kill();
      await web.close();
    }
  });
}

/** Clients of HTTP+SSE among the load. */
const STREAMS = 2;

interface WholeStatus {
  readonly servers: readonly { readonly state: string }[];
  readonly clients: { readonly sessions: number };
}

async function status(gateway: Gateway): Promise<WholeStatus> {
  return await gateway.status() as unknown as WholeStatus;
}

/** What happens to the gateway besides its ordinary work. */
class Misfortune {
  readonly #gateway: Gateway;
  readonly #random: Seeded;
  readonly #edits: Edits;
  readonly #counts = new Map<string, number>();

  constructor(gateway: Gateway, random: Seeded, edits: Edits) {
    this.#gateway = gateway;
    this.#random = random;
    this.#edits = edits;
  }

  get summary(): string {
    return [...this.#counts].map(([what, count]) => `${count} ${what}`).sort().join(", ");
  }

  /** One of them; resolves when it has had its effect. */
  async strike(): Promise<void> {
    const what = this.#random.pick(
      ["edit", "crash", "kill", "abandon", "hang up", "slow", "ask"] as const,
    );
    this.#counts.set(what, (this.#counts.get(what) ?? 0) + 1);
    switch (what) {
      case "edit":
        await this.#edits.make();
        return;
      case "crash": {
        const client = await HttpClient.connect(this.#gateway.url);
        const tool = this.#random.pick(["fragile_crash", "fragile_crash_mid"]);
        await answeredOnce(client, tool, `c${this.#counts.get(what)}`);
        await client.delete();
        return;
      }
      case "kill": {
        const servers = (await this.#gateway.status()).servers;
        const pid = servers.find(({ name }) => name === "fragile")?.pid;
        if (typeof pid === "number") this.#kill(pid);
        return;
      }
      case "abandon":
        // Says hello and is never heard again.
        await HttpClient.connect(this.#gateway.url);
        return;
      case "hang up": {
        const client = await HttpClient.connect(this.#gateway.url);
        const params = { name: "web_wait", arguments: { key: "nobody" } };
        const call = await streamed(this.#gateway.url, {
          method: "POST",
          headers: client.headers(),
          body: requestText(1, "tools/call", { ...params, _meta: { progressToken: 1 } }),
        });
        await call.messages.waitFor(() => true);
        call.close();
        await client.delete();
        return;
      }
      case "slow": {
        // Opens its stream and is gone without reading it.
        const client = await HttpClient.connect(this.#gateway.url);
        const stream = await streamed(this.#gateway.url, {
          headers: client.headers({ "content-type": null, accept: "text/event-stream" }),
        });
        stream.close();
        return;
      }
      case "ask": {
        const client = await HttpClient.connect(this.#gateway.url);
        await client.request("tools/list");
        await answeredOnce(client, "fragile_echo", "a");
        await client.delete();
      }
    }
  }

  async over(): Promise<void> {
    await this.#edits.undo();
  }

  #kill(pid: number): void {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It has crashed meanwhile.
    }
  }
}
