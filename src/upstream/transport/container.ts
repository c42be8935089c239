/** Containers that a command-line client starts and leaves behind. Loaded only where one does. */

import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";
import process from "node:process";
import { attempt } from "../../lib/json.ts";
import { codeOf, messageOf } from "../../lib/text.ts";
import { within } from "../../lib/time.ts";
import type { Runtime, SpawnOptions } from "../../runtime/types.ts";

/** What is asked of a program has to be answered in so many ms. */
const PATIENCE = 3_000;
/** And in so many characters, which some thousand containers take. */
const MOST_SAID = 1024 * 1024;
const MOST_COMPLAINED = 4_096;
/** Each container carries it, with the host, the process and the run of the gateway it is of. */
const LABEL = "mcproxy";
const HOST = `${hostname()}${nameOfPids()}/`;
const RUN = `${HOST}${process.pid}/${crypto.randomUUID()}/`;

/** What is started, without what becomes of it. */
export type Program = Pick<SpawnOptions, "command" | "args" | "cwd" | "env">;

/** Programs that run containers and were asked for what an earlier gateway has left. */
const swept = new Map<string, Promise<boolean>>();

/** Tells hosts of one name apart, and containers of one host: each has process ids of its own. */
function nameOfPids(): string {
  const machine = attempt(() => readFileSync("/etc/machine-id", "utf8").trim()) ?? "";
  const space = attempt(() => readlinkSync("/proc/self/ns/pid").replaceAll(/\D/g, "")) ?? "";
  return [machine, space].filter((one) => one !== "").map((one) => `-${one}`).join("");
}

/**
 * What `docker run` has started. It is no child of ours: the first process of a container ignores
 * SIGTERM unless it says otherwise, and whoever kills `docker run` leaves the container behind.
 */
export class Container {
  readonly #label = `${LABEL}=${RUN}${crypto.randomUUID()}`;
  /** The words before `run`: options, or `container`. */
  readonly #words: readonly string[];

  private constructor(
    private readonly program: Program,
    private readonly runtime: Pick<Runtime, "spawn">,
    private readonly at: number,
  ) {
    this.#words = program.args.slice(0, at);
  }

  /** Undefined where what runs containers, which `program` is, is to do something else. */
  static of(program: Program, runtime: Pick<Runtime, "spawn">): Container | undefined {
    const { args } = program;
    const at = args.indexOf("run");
    const isRun = at !== -1 &&
      args.slice(0, at).every((word, index) =>
        word === "container" || word.startsWith("-") || args[index - 1]?.startsWith("-")
      );
    return isRun ? new Container(program, runtime, at) : undefined;
  }

  /** The arguments of the program, by which the container is known again. */
  get args(): readonly string[] {
    return this.program.args.toSpliced(this.at + 1, 0, "--label", this.#label);
  }

  /** Ends it, however it is. Never rejects. */
  remove(): Promise<void> {
    return this.#removeLabelled(this.#label, () => true).then(() => {});
  }

  /** Ends, once, what gateways have left that were killed. Never rejects. */
  async sweep(): Promise<void> {
    const { command, env } = this.program;
    const key = JSON.stringify([command, this.#words, env["DOCKER_HOST"], env["DOCKER_CONTEXT"]]);
    const isLeft = (label: string) =>
      label.startsWith(HOST) && !label.startsWith(RUN) &&
      !isAlive(Number(label.slice(HOST.length).split("/")[0]));
    // One that could not be asked may be there later.
    if (!await swept.getOrInsertComputed(key, () => this.#removeLabelled(LABEL, isLeft))) {
      swept.delete(key);
    }
  }

  /** Whether it could be found out which there are. */
  async #removeLabelled(label: string, isMeant: (label: string) => boolean): Promise<boolean> {
    const format = `{{.ID}} {{.Label "${LABEL}"}}`;
    const list = await this.#ask("ps", "--all", "--filter", `label=${label}`, "--format", format);
    if (list === undefined) return false;
    const rows = list.split("\n").map((line) => line.trim().split(" "));
    const ids = rows.flatMap(([id, own]) => id && isMeant(own ?? "") ? [id] : []);
    if (ids.length > 0) await this.#ask("rm", "--force", ...ids);
    return true;
  }

  /** What it says, undefined where it fails. */
  async #ask(...words: string[]): Promise<string | undefined> {
    const program = { ...this.program, args: [...this.#words, ...words] };
    const { isDone, said } = await ask(program, this.runtime);
    return isDone ? said : undefined;
  }
}

/** What a program says that ends by itself, and whether that is well and whole. Never rejects. */
export async function ask(
  program: Program,
  runtime: Pick<Runtime, "spawn">,
): Promise<{ readonly isDone: boolean; readonly said: string; readonly complaint: string }> {
  let [said, complaint] = ["", ""];
  let isDone = false;
  const ended = Promise.withResolvers<void>();
  try {
    const child = await runtime.spawn({
      ...program,
      onStdout: (chunk) => {
        if (said.length > MOST_SAID) ended.resolve();
        else said += new TextDecoder().decode(chunk);
      },
      onStderr: (chunk) => {
        if (complaint.length < MOST_COMPLAINED) complaint += new TextDecoder().decode(chunk);
      },
      onExit: ({ code }) => {
        isDone = code === 0;
        ended.resolve();
      },
    });
    await within(PATIENCE, ended.promise);
    child.kill("SIGKILL");
  } catch (error) {
    complaint ||= messageOf(error);
  }
  // Half a list has half an id, which means other containers.
  return { isDone: isDone && said.length <= MOST_SAID, said, complaint };
}

/** Whether another gateway may be there, of this process id. */
function isAlive(pid: number): boolean {
  // In a container each run has the same one.
  if (pid === process.pid) return false;
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return codeOf(error) === "EPERM";
  }
}
