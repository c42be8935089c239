import { readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import { fakeArgs } from "../harness/config.ts";
import type { TestProcess } from "../../tests/support/process.ts";
import { Client } from "./client.mjs";
import { residentOf, upstreamsOf } from "./processes.mjs";
import type { Figure } from "./report.ts";
import { type RunningSide, type Setting, type Side, startSide, withinTime } from "./sides.ts";

/** Takes the figures of one side, by their keys. */
export type Take = (key: string, figure: Figure) => void;

/** One step, with the keys of what it measures. */
type Attempt = (keys: readonly string[], work: () => Promise<readonly number[]>) => Promise<void>;

const IDLE = 2_000;
const RECOVERY = 6_000;
const CLIENTS = [1, 4, 16, 64];

/** What comes of it. */
interface Load {
  readonly perSecond: number;
  readonly p50: number;
  readonly micros: number;
  readonly resident: number;
  readonly family: number;
  readonly gap: number;
}

/** One stretch of load, as `load.mjs` takes it. */
interface Job {
  readonly clients: number;
  readonly duration: number;
  readonly method?: string;
  readonly again?: boolean;
}

/** Measures sides, one process at a time. */
export class Measuring {
  #answers = 0;

  /** `end`: when no other step begins, by `performance.now()`. */
  constructor(private readonly generator: TestProcess, private readonly end: number) {}

  /** Everything of one side. What fails is told in place of its figures. */
  async side(side: Side, take: Take): Promise<void> {
    await this.#setting(side, { upstreams: 1, tools: 20 }, take, async (running, attempt) => {
      for (const clients of CLIENTS) {
        const keys = [`rate/${clients}`, `latency/${clients}`, `micros/${clients}`];
        await attempt([...keys, `loaded/${clients}`, `family/${clients}`], async () => {
          const load = await this.#load(running, { clients, duration: 1_500 });
          return [load.perSecond, load.p50, load.micros, load.resident, load.family];
        });
      }
    });
    for (const tools of [200, 1_000]) {
      await this.#setting(side, { upstreams: 1, tools }, take, async (running, attempt) => {
        if (tools === 200) await attempt(["recovery"], async () => [await recovery(running)]);
      });
    }
    for (const upstreams of side.aggregates ? [10, 30] : []) {
      await this.#setting(side, { upstreams, tools: 20 }, take, async (running, attempt) => {
        if (upstreams !== 10 || !side.reloads) return;
        await attempt(["undisturbed", "outage"], () => this.#reload(running));
      });
    }
  }

  /** Start, idle memory and list of a setting, then `more`. */
  async #setting(
    side: Side,
    setting: Setting,
    take: Take,
    more?: (running: RunningSide, attempt: Attempt) => Promise<void>,
  ): Promise<void> {
    const of = `${setting.upstreams}x${setting.tools}`;
    const attempt: Attempt = async (keys, work) => {
      console.error(`  ${of} ${keys[0]}`);
      try {
        if (performance.now() > this.end) throw new Error("no time was left");
        const figures = await withinTime(70_000, work());
        keys.forEach((key, index) => take(key, figures[index]!));
      } catch (error) {
        const reason = (error as Error).message;
        console.error(`  failed: ${reason}`);
        for (const key of keys) take(key, `failed: ${reason.split("\n", 1)[0]!.slice(0, 70)}`);
      }
    };
    let started: RunningSide | undefined;
    await attempt([`start/${of}`], async () => {
      const times = [];
      // Those with many tools are for what follows.
      for (let round = setting.tools === 20 ? 0 : 2; round < 3; round++) {
        await started?.[Symbol.asyncDispose]();
        started = undefined;
        started = await startSide(side, setting);
        times.push(started.started);
      }
      return [times.sort((a, b) => a - b)[times.length >> 1]!];
    });
    if (started === undefined) return;
    await using running = started;
    await attempt([`idle/${of}`], async () => {
      await new Promise((resolve) => setTimeout(resolve, IDLE));
      return [residentOf(running.pid)];
    });
    await attempt([`list/${of}`], async () => {
      const job = { clients: 1, duration: 800, method: "tools/list" };
      return [(await this.#load(running, job)).p50];
    });
    await more?.(running, attempt);
  }

  async #load(running: RunningSide, { method = "tools/call", ...job }: Job): Promise<Load> {
    const { target, pid, tool } = running;
    const params = method === "tools/call" ? { name: tool, arguments: { message: "hello" } } : {};
    const text = JSON.stringify({ target, pid, method, params, warmup: 700, ...job });
    this.generator.write(`${text}\n`);
    const line = await this.generator.stdout.waitFor(() => true, { from: this.#answers++ });
    const answer = JSON.parse(line);
    if (answer.error !== undefined) throw new Error(answer.error);
    return answer as Load;
  }

  /** The longest gap between answers of one server: left alone, and while another one is added. */
  async #reload(running: RunningSide): Promise<readonly number[]> {
    const job = { clients: 1, duration: 4_000, again: true };
    const undisturbed = await this.#load(running, job);
    const load = this.#load(running, job);
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    const config = JSON.parse(readFileSync(running.config, "utf8"));
    config.mcpServers.added = { command: "node", args: fakeArgs({ tools: 20 }) };
    writeFileSync(running.config, JSON.stringify(config));
    const { gap } = await load;
    const client = await withinTime(10_000, Client.open(running.target));
    const names: string[] = await withinTime(5_000, client.tools()).finally(() => client.close());
    if (!names.some((name) => name.startsWith("added"))) throw new Error("the edit was not taken");
    return [undisturbed.gap, gap];
  }
}

/** From SIGKILL of the upstream's process to the next call that is answered, ms. */
async function recovery({ pid, target, tool }: RunningSide): Promise<number> {
  let client = await withinTime(10_000, Client.open(target));
  const call = () =>
    withinTime(3_000, client.request("tools/call", { name: tool, arguments: { message: "hi" } }));
  try {
    await call();
    const victims = upstreamsOf(pid);
    if (victims.length === 0) throw new Error("no process of an upstream was found");
    for (const victim of victims) process.kill(victim, "SIGKILL");
    const began = performance.now();
    while (performance.now() - began < RECOVERY) {
      try {
        await call();
        return performance.now() - began;
      } catch {
        void client.close();
        await new Promise((resolve) => setTimeout(resolve, 5));
        // As a client does: what is left of the old session is not asked for.
        client = await withinTime(2_000, Client.open(target)).catch(() => client);
      }
    }
    throw new Error(`not within ${RECOVERY / 1000} s`);
  } finally {
    await client.close();
  }
}
