/** Notices that the content of the configuration has become another one. */

import { clearTimeout, setTimeout } from "node:timers";
import { attempt } from "../lib/json.ts";
import type { Runtime } from "../runtime/types.ts";
import { readSources, type Sources } from "./files.ts";
import { directoriesOf, DirectoryWatches } from "./watch-directories.ts";

/** What `onChange` is told. */
export interface ConfigChange {
  /**
   * Nothing is expected to follow: what is there now is meant. Report what is wrong with it; in a
   * call that is not final something incomplete is no news yet, answer `"incomplete"`.
   */
  readonly final: boolean;
  /** {@link ConfigWatch.check} was told to; the content may be what it was. */
  readonly forced: boolean;
}

/** What came of a call of `onChange`. */
export interface ChangeAnswer {
  /**
   * Whether the configuration is in force. Where it is not and the call was not final, it may be
   * incomplete: missing, empty or not valid, because somebody is in the middle of writing it.
   */
  readonly used: boolean;
  /** What was read; where that did not come to an end, as far as it came. */
  readonly sources: Sources;
}

/** Options of {@link ConfigWatch}. */
export interface WatchOptions {
  /** What the configuration in force was read from; what differs from it when the watch begins is a
   * change. */
  readonly sources: Sources;
  readonly runtime: Pick<Runtime, "watchDirectory">;
  /**
   * Called when the content has changed and come to rest. Reads it; a change while it does leads
   * to another call after it, never two at once. Must not reject; if it does, that goes to
   * `onError`, and what was there counts as dealt with.
   */
  readonly onChange: (change: ConfigChange) => Promise<ChangeAnswer>;
  /**
   * Told of what goes wrong without ending the watch: a directory that is there but cannot be
   * watched, so that only the poll sees its changes (once, until it can), or what `onChange` threw.
   */
  readonly onError?: (error: unknown) => void;
  /** @default DEFAULT_TIMING */
  readonly timing?: Partial<WatchTiming>;
}

/**
 * Watches the sources of a configuration, from its construction to its {@link ConfigWatch.close}.
 *
 * Events only say when to look. A look reads all sources and compares their content with what was
 * read for the configuration, so equal bytes, new modes and new times are no change, and what comes
 * and goes between two looks does not exist. Content that may be incomplete is looked at again when
 * the next event comes; where none comes for `patience`, `onChange` is called once more, finally. A
 * look never fails: what cannot be read is content like any other, and the poll finds what no event
 * told of.
 */
export class ConfigWatch implements Disposable {
  readonly #timing: WatchTiming;
  readonly #watches: DirectoryWatches;

  /** What was read for what is in force, or was dealt with otherwise. */
  #known: Sources;
  /** What may be incomplete; a look that finds it again begins the patience with it. */
  #doubted: { readonly sources: Sources; readonly until?: number } | undefined;

  #events: Events | undefined;
  #again: number | undefined;
  #lookedAt = performance.now();
  #timer: { readonly due: number; readonly id: ReturnType<typeof setTimeout> } | undefined;

  #looking = false;
  #forced = false;
  #asked: PromiseWithResolvers<void> | undefined;
  #closed = false;

  constructor(private readonly options: WatchOptions) {
    this.#timing = { ...DEFAULT_TIMING, ...options.timing };
    this.#known = options.sources;
    this.#watches = new DirectoryWatches({
      watchDirectory: (...rest) => options.runtime.watchDirectory(...rest),
      onChange: () => this.#event(),
      onError: (error) => this.#report(error),
      maxDelay: this.#timing.poll,
    });
    void this.#run();
  }

  /**
   * Looks now, for a signal or whoever knows that something has changed. `force` calls `onChange`
   * in any case, finally. Resolves when that look and the call it led to, if any, are over; never
   * rejects. Do not wait for it within `onChange`.
   */
  check({ force = false }: { readonly force?: boolean } = {}): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.#forced ||= force;
    this.#asked ??= Promise.withResolvers();
    const { promise } = this.#asked;
    void this.#run();
    return promise;
  }

  /** Ends all watches and timers; no call of `onChange` begins after this. */
  close(): void {
    this.#closed = true;
    this.#watches[Symbol.dispose]();
    this.#disarm();
    this.#asked?.resolve();
    this.#asked = undefined;
  }

  /** {@link ConfigWatch.close}. */
  [Symbol.dispose](): void {
    this.close();
  }

  #event(): void {
    const now = performance.now();
    this.#events = { first: this.#events?.first ?? now, last: now };
    this.#arm();
  }

  #lookAgain(delay: number): void {
    this.#again = Math.min(this.#again ?? Infinity, performance.now() + delay);
  }

  #due(): number {
    return nextLook({
      lookedAt: this.#lookedAt,
      events: this.#events,
      patienceEnds: this.#doubted?.until,
      again: this.#again,
    }, this.#timing);
  }

  #arm(): void {
    if (this.#closed || this.#looking) return;
    const due = this.#due();
    // Where events move the time on, the timer finds that out when it fires: cheap in a storm.
    if (this.#timer !== undefined && this.#timer.due <= due) return;
    this.#disarm();
    const id = setTimeout(() => {
      this.#timer = undefined;
      if (this.#due() > performance.now()) this.#arm();
      else void this.#run();
    }, Math.max(0, Math.ceil(due - performance.now())));
    id.unref();
    this.#timer = { due, id };
  }

  #disarm(): void {
    clearTimeout(this.#timer?.id);
    this.#timer = undefined;
  }

  /** One look at a time; who asks during one gets another after it. */
  async #run(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    this.#disarm();
    do {
      const asked = this.#asked;
      this.#asked = undefined;
      await this.#look();
      this.#lookedAt = performance.now();
      asked?.resolve();
    } while (this.#asked !== undefined);
    this.#looking = false;
    this.#arm();
  }

  async #look(): Promise<void> {
    const forced = this.#forced;
    this.#forced = false;
    const now = performance.now();
    this.#events = unsettled(this.#events, now, this.#timing);
    this.#again = undefined;
    // Not while somebody is at work in its directory.
    const patienceOver = this.#events === undefined && (this.#doubted?.until ?? Infinity) <= now;
    const found = await this.#read();
    if (this.#closed) return;
    if (found === undefined) {
      this.#putOff();
      if (forced) await this.#call(this.#known, { final: true, forced });
      return;
    }
    const known = isStill(this.#known, found);
    const doubted = this.#doubted !== undefined && isStill(this.#doubted.sources, found);
    const verdict = judge({ forced, known, doubted, patienceOver });
    switch (verdict) {
      case "nothing":
        this.#doubted = undefined;
        return;
      case "wait":
        return this.#doubtOn();
      case "call":
      case "final":
        return await this.#call(found, { final: verdict === "final", forced });
    }
  }

  /** What is there now, in directories that are watched; undefined where nothing can be said. */
  async #read(): Promise<Sources | undefined> {
    const paths = [...(this.#doubted?.sources ?? this.#known).keys()];
    try {
      const directories = await Promise.all(paths.map(directoriesOf));
      const found = await readSources(paths);
      if (this.#closed) return undefined;
      const delay = this.#watches.follow(new Set(directories.flat()));
      if (delay !== undefined) this.#lookAgain(delay);
      return found;
    } catch {
      return undefined;
    }
  }

  #doubtOn(): void {
    const { sources, until } = this.#doubted!;
    const now = performance.now();
    const { patience, settle } = this.#timing;
    this.#doubted = {
      sources,
      until: until === undefined ? now + patience : Math.max(until, now + settle),
    };
  }

  /** Nothing is known about the sources now; what is doubted has to wait as well. */
  #putOff(): void {
    const { patience } = this.#timing;
    this.#lookAgain(patience);
    if (this.#doubted === undefined) return;
    this.#doubted = { ...this.#doubted, until: performance.now() + patience };
  }

  async #call(found: Sources, change: ConfigChange): Promise<void> {
    const { used, sources } = await this.#answer(found, change);
    if (this.#closed) return;
    // What was not used may have been read in part: the rest counts as it was found.
    const read = used ? sources : new Map([...found, ...sources]);
    const isSettled = used || change.final;
    if (isSettled) this.#known = read;
    this.#doubted = isSettled ? undefined : { sources: read };
    // It may have changed since, in directories that are not watched yet.
    this.#lookAgain(this.#timing.settle);
  }

  async #answer(found: Sources, change: ConfigChange): Promise<ChangeAnswer> {
    try {
      return await this.options.onChange(change);
    } catch (error) {
      this.#report(error);
      return { used: true, sources: found };
    }
  }

  #report(error: unknown): void {
    // Whoever is told has nobody else to tell.
    attempt(() => this.options.onError?.(error));
  }
}

/** Whether everything that was read is as it was. */
function isStill(before: Sources, now: Sources): boolean {
  return [...before].every(([path, tag]) => now.get(path) === tag);
}

/** Times of a {@link ConfigWatch}, in milliseconds. */
export interface WatchTiming {
  /** From the last event to the look: an editor's write is several events. */
  readonly settle: number;
  /** From the first event to the look at most, where the events do not stop. */
  readonly limit: number;
  /** How long incomplete content may stay before it is taken for meant. */
  readonly patience: number;
  /** Between two looks without an event: some network mounts and bind mounts give none. */
  readonly poll: number;
}

/** From the write to the caller in some 20 ms, of the 200 ms that a client may wait for it. */
export const DEFAULT_TIMING: WatchTiming = { settle: 15, limit: 100, patience: 250, poll: 30_000 };

/** The first and the last event that no look has followed yet, in milliseconds. */
export interface Events {
  readonly first: number;
  readonly last: number;
}

/**
 * The events that a look which begins now leaves for the next one: Bun keeps an event to itself
 * that comes within some 3 ms after another of the same file, so each wants a look that begins
 * `settle` after it.
 */
export function unsettled(
  events: Events | undefined,
  now: number,
  { settle }: WatchTiming,
): Events | undefined {
  if (events === undefined || events.last + settle <= now) return undefined;
  return { first: now, last: events.last };
}

/** What a look waits for; all times in milliseconds of the same clock. */
export interface Waiting {
  /** The end of the look before. */
  readonly lookedAt: number;
  readonly events: Events | undefined;
  /** When incomplete content has stayed long enough. */
  readonly patienceEnds: number | undefined;
  /** When there is another reason to look. */
  readonly again: number | undefined;
}

/** When to look next. */
export function nextLook(waiting: Waiting, { settle, limit, poll }: WatchTiming): number {
  const { lookedAt, events, patienceEnds = Infinity, again = Infinity } = waiting;
  const settled = events === undefined
    ? Infinity
    : Math.min(events.last + settle, Math.max(events.first, lookedAt) + limit);
  return Math.min(lookedAt + poll, settled, patienceEnds, again);
}

/** What a look found. */
export interface Judgement {
  /** Somebody wants the caller called in any case. */
  readonly forced: boolean;
  /** The same as what the caller has dealt with. */
  readonly known: boolean;
  /** The same as what the caller has called incomplete. */
  readonly doubted: boolean;
  /** It has been there for longer than the patience with it. */
  readonly patienceOver: boolean;
}

/**
 * What follows from it: nothing, waiting for what is incomplete to become complete, or a call,
 * which may be the `final` one for this content.
 */
export function judge(finding: Judgement): "nothing" | "wait" | "call" | "final" {
  if (finding.forced) return "final";
  if (finding.known) return "nothing";
  if (!finding.doubted) return "call";
  return finding.patienceOver ? "final" : "wait";
}
