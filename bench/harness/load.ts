import { fileURLToPath } from "node:url";
import { startProcess } from "../../tests/support/process.ts";
import type { Server } from "./server.ts";

/** One stretch of closed-loop load. */
export interface Job {
  /** Per connection, the complete HTTP requests it sends in turn. */
  readonly connections: readonly (readonly string[])[];
  /** Not counted, ms. */
  readonly warmup: number;
  /** Counted, ms. */
  readonly duration: number;
}

/** What came of it. */
export interface Load {
  readonly perSecond: number;
  /** Latencies, ms. */
  readonly p50: number;
  readonly p99: number;
  /** Processor time of the server for one request, microseconds, all its threads. */
  readonly cpuMicros: number;
  /** Processor time of the server for one second, in processors. */
  readonly busy: number;
}

interface Answer {
  readonly error?: string;
  readonly total: number;
  readonly counted: number;
  readonly seconds: number;
  readonly p50: number;
  readonly p99: number;
}

/** Some tens of thousands of requests, ms. */
const WARM = 3_000;

/** The generator process; one for a whole run, so that its own code is warm. */
export class Generator implements AsyncDisposable {
  #answers = 0;

  private constructor(private readonly child: Awaited<ReturnType<typeof startProcess>>) {}

  static async start(): Promise<Generator> {
    const path = fileURLToPath(new URL("generator.mjs", import.meta.url));
    return new Generator(await startProcess("node", [path]));
  }

  /**
   * Runs a server until its code is compiled: a gateway has more of it than a baseline, and the
   * budgets are about the steady state.
   */
  async warm(server: Server, connections: Job["connections"]): Promise<void> {
    await this.run(server, { connections, warmup: 0, duration: WARM });
  }

  /** Loads a server. @throws {Error} at the first answer that is not 200 with a result */
  async run(server: Server, { connections, warmup, duration }: Job): Promise<Load> {
    const cpu = server.cpu();
    const began = performance.now();
    const { child } = this;
    child.write(
      JSON.stringify({ port: server.port, connections, warmup, duration, latency: true }) + "\n",
    );
    const line = await child.stdout.waitFor(() => true, {
      from: this.#answers++,
      within: warmup + duration + 30_000,
    });
    const answer = JSON.parse(line) as Answer;
    if (answer.error !== undefined) throw new Error(`Cannot load the server: ${answer.error}`);
    const used = server.cpu() - cpu;
    return {
      perSecond: answer.counted / answer.seconds,
      p50: answer.p50,
      p99: answer.p99,
      cpuMicros: used * 1000 / answer.total,
      busy: used / (performance.now() - began),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.child.kill();
  }
}
