import { fileURLToPath } from "node:url";
import { startProcess, type TestProcess } from "../../tests/support/process.ts";
import type { Server } from "./server.ts";
import { clientSteps } from "./session.ts";

/** One stretch of closed-loop load. */
export interface Job {
  /** Per connection, the complete HTTP requests it sends in turn. */
  readonly connections: readonly (readonly string[])[];
  /** Not counted, ms. */
  readonly warmup: number;
  /** Counted, ms. */
  readonly duration: number;
  /** Each connection sends one request in so many ms. @default as fast as it is answered */
  readonly every?: number;
  /** A connection ends after so many. @default when the time is over */
  readonly count?: number;
}

/** Clients with an open GET stream, until they are disposed of. */
export interface Clients extends AsyncDisposable {
  readonly sessions: readonly string[];
}

/** What came of it. */
export interface Load {
  /** Requests answered, those that are not counted too. */
  readonly total: number;
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
  readonly total: number;
  readonly counted: number;
  readonly seconds: number;
  readonly p50: number;
  readonly p99: number;
}

/** Some tens of thousands of requests, ms. */
const WARM = 3_000;

const PROGRAM = fileURLToPath(new URL("generator.mjs", import.meta.url));

/** The generator process; one for a whole run, so that its own code is warm. */
export class Generator implements AsyncDisposable {
  #child: TestProcess | undefined;
  #answers = 0;

  /**
   * Runs a server until its code is compiled: a gateway has more of it than a baseline, and the
   * budgets are about the steady state.
   */
  async warm(server: Server, connections: Job["connections"]): Promise<void> {
    await this.run(server, { connections, warmup: 0, duration: WARM });
  }

  /**
   * Opens clients, one connection each: a session, and its GET stream which stays open.
   * Disposing of them throws when the server has ended one of them before.
   */
  async open(server: Server, count: number): Promise<Clients> {
    const job = { port: server.port, clients: count, steps: clientSteps() };
    const { sessions } = await this.#ask<{ sessions: string[] }>(job, 0);
    return {
      sessions,
      [Symbol.asyncDispose]: async () => {
        const { lost } = await this.#ask<{ lost: number }>({ close: true }, 0);
        if (lost > 0) throw new Error(`Cannot keep clients: the server has ended ${lost} streams`);
      },
    };
  }

  /** Loads a server. @throws {Error} at the first answer that is not 200 with a result */
  async run(server: Server, job: Job): Promise<Load> {
    const cpu = server.cpu();
    const began = performance.now();
    const answer = await this.#ask<Answer>(
      { port: server.port, latency: true, ...job },
      job.warmup + job.duration,
    );
    if (answer.counted === 0) {
      throw new Error("Cannot load the server: it answered nothing in time");
    }
    const used = server.cpu() - cpu;
    return {
      total: answer.total,
      perSecond: answer.counted / answer.seconds,
      p50: answer.p50,
      p99: answer.p99,
      cpuMicros: used * 1000 / answer.total,
      busy: used / (performance.now() - began),
    };
  }

  async #ask<Result>(job: object, takes: number): Promise<Result> {
    // Another one where it has failed: its case is lost, those after it are not.
    if (this.#child === undefined || this.#child.stdout.ended) {
      this.#child = await startProcess("node", [PROGRAM]);
      this.#answers = 0;
    }
    const { stdout } = this.#child;
    this.#child.write(JSON.stringify(job) + "\n");
    const line = await stdout.waitFor(() => true, {
      from: this.#answers++,
      within: takes + 60_000,
    });
    const { error, ...answer } = JSON.parse(line) as { error?: string };
    if (error !== undefined) throw new Error(`Cannot load the server: ${error}`);
    return answer as Result;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child?.kill();
  }
}
