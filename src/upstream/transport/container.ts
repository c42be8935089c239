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

/** Each container carries it, with the host, the process and the run of the gateway it is of. */
const LABEL = "mcproxy";
/** Tells hosts of one name apart, and containers of one host: each has process ids of its own. */
const HOST = [
  hostname(),
  attempt(() => readFileSync("/etc/machine-id", "utf8").trim()),
  attempt(() => readlinkSync("/proc/self/ns/pid").replaceAll(/\D/g, "")),
].filter((one) => one).join("-");
const RUN = `${HOST}/${process.pid}/${crypto.randomUUID()}/`;

/** What is started, without what becomes of it. */
export type Program = Pick<SpawnOptions, "command" | "args" | "cwd" | "env">;

/** Programs that run containers and were asked for what an earlier gateway has left. */
const swept = new Map<string, Promise<boolean>>();

/**
 * What `docker run` has started. It is no child of ours: the first process of a container ignores
 * SIGTERM unless it says otherwise, and whoever kills `docker run` leaves the container behind.
 */
export class Container {
  readonly #label = `${LABEL}=${RUN}${crypto.randomUUID()}`;
  /** The arguments of the program, by which the container is known again. */
  readonly args: readonly string[];

  /** `client` has the words before `run`: options, or `container`. */
  private constructor(
    private readonly client: Program,
    rest: readonly string[],
    private readonly runtime: Pick<Runtime, "spawn">,
  ) {
    this.args = [...client.args, "run", "--label", this.#label, ...rest];
  }

  /** Undefined where what runs containers, which `program` is, is to do something else. */
  static of(program: Program, runtime: Pick<Runtime, "spawn">): Container | undefined {
    const at = program.args.indexOf("run");
    const args = program.args.slice(0, Math.max(at, 0));
    const isOther = (word: string, index: number) =>
      word !== "container" && ![args[index - 1], word].some((one) => one?.startsWith("-"));
    if (at === -1 || args.some(isOther)) return undefined;
    return new Container({ ...program, args }, program.args.slice(at + 1), runtime);
  }

  /** Ends it, however it is. Never rejects. */
  async remove(): Promise<void> {
    await this.#removeLabelled(this.#label, () => true);
  }

  /** Ends, once, what gateways have left that were killed. Never rejects. */
  async sweep(): Promise<void> {
    const { command, args, env } = this.client;
    const key = JSON.stringify([command, args, env["DOCKER_HOST"], env["DOCKER_CONTEXT"]]);
    const isLeft = (label: string) => {
      const [host, pid] = label.split("/");
      return host === HOST && !label.startsWith(RUN) && !isAlive(Number(pid));
    };
    const isDone = await swept.getOrInsertComputed(key, () => this.#removeLabelled(LABEL, isLeft));
    // One that could not be asked may be there later.
    if (!isDone) swept.delete(key);
  }

  /** Whether it could be found out which there are. */
  async #removeLabelled(label: string, isMeant: (label: string) => boolean): Promise<boolean> {
    const tell = (...words: string[]) =>
      ask({ ...this.client, args: [...this.client.args, ...words] }, this.runtime);
    const format = `{{.ID}} {{.Label "${LABEL}"}}`;
    const filter = `label=${label}`;
    const { isDone, said } = await tell("ps", "--all", "--filter", filter, "--format", format);
    if (!isDone) return false;
    const rows = said.split("\n").map((line) => line.trim().split(" "));
    const ids = rows.flatMap(([id, own]) => id && isMeant(own ?? "") ? [id] : []);
    if (ids.length > 0) await tell("rm", "--force", ...ids);
    return true;
  }
}

/** What a program says that ends by itself, and whether that is well and whole. Never rejects. */
export async function ask(program: Program, runtime: Pick<Runtime, "spawn">, patience = PATIENCE) {
  const heard = { isDone: false, said: "", complaint: "" };
  const ended = Promise.withResolvers<boolean>();
  const hears = (part: "said" | "complaint") => (chunk: Uint8Array) => {
    heard[part] += new TextDecoder().decode(chunk);
    // Half a list has half an id, which means other containers.
    if (heard[part].length > MOST_SAID) ended.resolve(false);
  };
  try {
    const child = await runtime.spawn({
      ...program,
      onStdout: hears("said"),
      onStderr: hears("complaint"),
      onExit: ({ code }) => ended.resolve(code === 0),
    });
    await within(patience, ended.promise.then((isDone) => heard.isDone = isDone));
    child.kill("SIGKILL");
  } catch (error) {
    heard.complaint = messageOf(error);
  }
  return heard;
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
