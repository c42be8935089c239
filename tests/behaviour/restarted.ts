import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { within } from "../support/inbox.ts";
import type { TestProcess } from "../support/process.ts";
import { type ProcessMode, startProgram } from "../support/program.ts";
import type { Scope } from "./scope.ts";

/** A gateway that comes back at the address it had, with what it kept. */
export class Restarted {
  #running: TestProcess | undefined;
  #port = 0;

  private constructor(private readonly mode: ProcessMode, readonly directory: string) {}

  /** Nothing is started yet. */
  static async open(scope: Scope, mode: ProcessMode, config: object): Promise<Restarted> {
    const directory = await mkdtemp(join(tmpdir(), "mcproxy-restarts-"));
    scope.defer(() => rm(directory, { recursive: true, force: true }));
    const gateway = new Restarted(mode, directory);
    await writeFile(gateway.config, JSON.stringify(config));
    scope.defer(() => gateway.#running?.kill());
    return gateway;
  }

  get config(): string {
    return join(this.directory, "mcp-servers.json");
  }

  /** Where it keeps lists and sessions. */
  get env(): { readonly CACHE_DIRECTORY: string; readonly STATE_DIRECTORY: string } {
    const kept = join(this.directory, "kept");
    return { CACHE_DIRECTORY: kept, STATE_DIRECTORY: kept };
  }

  /** Its address without a path. */
  get base(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get url(): string {
    return `${this.base}/mcp`;
  }

  /** What it has said since it was started last. */
  get lines(): readonly string[] {
    return this.#running?.stdout.items ?? [];
  }

  /** Returns when it listens. */
  async start(): Promise<void> {
    const flags = ["--config", this.config, "--port", `${this.#port}`];
    const env = { ...this.env, NO_COLOR: "1" };
    const running = await startProgram(this.mode, ["--log", ...flags], { env });
    this.#running = running;
    const address = /http:\/\/127\.0\.0\.1:(\d+)\/mcp/;
    // On a busy machine a start takes its time.
    const line = await running.stdout.waitFor((line) => address.test(line), { within: 60_000 });
    this.#port = Number(address.exec(line)![1]);
  }

  /** Returns when it has ended. */
  async end(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    this.#running!.signal(signal);
    await within(this.#running!.exited, `the end by ${signal}`, 30_000);
  }
}
