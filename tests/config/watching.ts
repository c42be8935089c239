/** A directory with a configuration in it, and a watch whose caller behaves as a reload does. */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runtime } from "#runtime";
import {
  type ChangeAnswer,
  type ConfigChange,
  ConfigWatch,
  type WatchOptions,
} from "../../src/config/watch.ts";
import { readSources, readText } from "../../src/config/files.ts";
import { Inbox } from "../support/inbox.ts";

/** One call of `onChange`. */
export interface Call extends ConfigChange {
  /** What it read, `null` where the file was missing. */
  readonly text: string | null;
  readonly at: number;
}

/** What a test may change of a {@link Watching}. */
export interface WatchingOptions extends Partial<Omit<WatchOptions, "sources">> {
  /** What call 1, 2, … reads beside the file, and call 0, which is the load before the watch. */
  readonly others?: (call: number, root: string) => readonly string[];
  /** Called between the load and the watch, and awaited. */
  readonly between?: (root: string) => Promise<unknown>;
  /** Called before the file is read, and awaited. */
  readonly before?: (call: number) => Promise<void> | void;
  /** Called after it, and awaited. */
  readonly after?: (call: number) => Promise<void> | void;
}

/** JSON that is not valid counts as incomplete, as does a missing file. */
export class Watching implements AsyncDisposable {
  readonly calls = new Inbox<Call>("onChange");
  readonly errors: unknown[] = [];
  watch!: ConfigWatch;
  #underWay = 0;
  /** The most calls there ever were at a time. */
  mostAtATime = 0;
  #count = 0;

  readonly #others: (call: number) => readonly string[];

  private constructor(
    readonly root: string,
    readonly file: string,
    others: (call: number) => readonly string[],
  ) {
    this.#others = others;
  }

  /** `arrange` makes the files, the watch begins after it; `path` is relative to the directory. */
  static async start(
    arrange: (root: string) => Promise<unknown>,
    { before, after, others = () => [], between, ...options }: WatchingOptions = {},
    path = "servers.json",
  ): Promise<Watching> {
    const root = await mkdtemp(join(tmpdir(), "mcproxy-config-watch-"));
    const watching = new Watching(root, join(root, path), (call) => others(call, root));
    await arrange(root);
    const sources = await readSources([watching.file, ...others(0, root)]);
    await between?.(root);
    watching.watch = new ConfigWatch({
      sources,
      runtime,
      onChange: (change) => watching.#read(change, before, after),
      onError: (error) => watching.errors.push(error),
      ...options,
    });
    await watching.watch.check();
    return watching;
  }

  /** Resolves with the call that reads this text. */
  reads(text: string | null, from = 0): Promise<Call> {
    return this.calls.waitFor((call) => call.text === text, { from });
  }

  /** What all calls so far have read. */
  get texts(): (string | null)[] {
    return this.calls.items.map(({ text }) => text);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.watch.close();
    await rm(this.root, { recursive: true, force: true });
  }

  async #read(
    change: ConfigChange,
    before: WatchingOptions["before"],
    after: WatchingOptions["after"],
  ): Promise<ChangeAnswer> {
    const at = performance.now();
    this.mostAtATime = Math.max(this.mostAtATime, ++this.#underWay);
    const count = ++this.#count;
    await before?.(count);
    const sources = new Map<string, string>();
    const read = await readText(this.file, { sources });
    const text = read.ok ? read.text : null;
    for (const [path, tag] of await readSources(this.#others(count))) sources.set(path, tag);
    await after?.(count);
    this.#underWay--;
    this.calls.push({ ...change, text, at });
    return { used: isComplete(text), sources };
  }
}

function isComplete(text: string | null): boolean {
  try {
    return JSON.parse(text ?? "") !== null;
  } catch {
    return false;
  }
}
