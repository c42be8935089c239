/** Notices that the content of the configuration has become another one. */

import { clearTimeout, setTimeout } from "node:timers";
import type { Runtime } from "../runtime/types.ts";
import {
  contentDiffers,
  type EntryFilter,
  isPlainEntry,
  readSources,
  type SourceContents,
  type SourceReading,
  wasTouched,
} from "./sources.ts";
import { DirectoryWatches } from "./watch-directories.ts";

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

/**
 * `"done"`: dealt with, be it by using or by reporting it. `"incomplete"`: missing, empty or not
 * valid, so that somebody may be in the middle of writing it; nothing was applied and nothing
 * reported. Means `"done"` where the call was final.
 */
export type ChangeAnswer = "done" | "incomplete";

/** Options of {@link ConfigWatch}. */
export interface WatchOptions {
  /**
   * Everything the running configuration was read from: files, directories, links, also those that
   * do not exist. Asked anew at every look. Relative paths start at the working directory.
   */
  readonly sources: () => readonly string[];
  readonly runtime: Pick<Runtime, "watchDirectory">;
  /**
   * Called when the content has changed and come to rest. Reads it; a change while it does leads
   * to another call after it, never two at once. Must not reject; if it does, that goes to
   * `onError` and counts as `"done"`.
   */
  readonly onChange: (change: ConfigChange) => ChangeAnswer | Promise<ChangeAnswer>;
  /**
   * Told of what goes wrong without ending the watch: a directory that is there but cannot be
   * watched, so that only the poll sees its changes (once, until it can), or what `onChange` or
   * `sources` threw.
   */
  readonly onError?: (error: unknown) => void;
  /**
   * When the reading of the running configuration began (`Date.now()`): what was written after
   * that, but before the watch began, is a change too. May lead to one call too many, as file
   * times are coarse. Without it the first look only takes stock.
   */
  readonly loadedAt?: number;
  /** Which entries of a source that is a directory count. @default isPlainEntry */
  readonly entries?: EntryFilter;
  /** @default DEFAULT_TIMING */
  readonly timing?: Partial<WatchTiming>;
}

/**
 * Watches the sources of a configuration, from its construction to its {@link ConfigWatch.close}.
 *
 * Events only say when to look. A look reads all sources and compares their content with what
 * `onChange` has dealt with, so equal bytes, new modes and new times are no change, and what comes
 * and goes between two looks does not exist. Content that `onChange` calls incomplete is looked at
 * again when the next event comes; where none comes for `patience`, `onChange` is called once
 * more, finally. A look never fails: what cannot be read is content like any other, and the poll
 * finds what no event told of.
 */
export class ConfigWatch implements Disposable {
  readonly #options: WatchOptions;
  readonly #timing: WatchTiming;
  readonly #watches: DirectoryWatches;
  #sources: readonly string[] = [];

  /** What `onChange` has dealt with last. */
  #known: SourceContents = new Map();
  /** `Date.now()` before that was read; what joins the sources later may be newer. */
  #knownSince: number;
  /**
   * `onChange` read after the look that led to it. So where anybody wrote since, even the same
   * bytes in the end, it may have got something else.
   */
  #verify = false;
  /** What `onChange` has called incomplete. */
  #doubted: { readonly contents: SourceContents; readonly until: number } | undefined;

  #events: Events | undefined;
  #again: number | undefined;
  #lookedAt = performance.now();
  #timer: { readonly due: number; readonly id: ReturnType<typeof setTimeout> } | undefined;

  #looking = false;
  #forced = false;
  #asked: PromiseWithResolvers<void> | undefined;
  #closed = false;

  constructor(options: WatchOptions) {
    this.#options = options;
    this.#timing = { ...DEFAULT_TIMING, ...options.timing };
    this.#knownSince = options.loadedAt ?? Infinity;
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
    const patienceOver = this.#doubted !== undefined && this.#doubted.until <= now;
    const reading = await this.#read();
    if (this.#closed) return;
    if (reading === undefined) {
      this.#putOff();
      if (forced) await this.#call(undefined, { final: true, forced }, true);
      return;
    }
    this.#follow(reading);
    const { contents } = reading;
    const touched = this.#verify && wasTouched(this.#known, contents);
    const known = !touched && !contentDiffers(this.#known, contents, this.#knownSince);
    const doubted = this.#doubted !== undefined &&
      !contentDiffers(this.#doubted.contents, contents, this.#knownSince);
    switch (judge({ forced, known, doubted, patienceOver })) {
      case "nothing":
        this.#known = contents;
        this.#verify = false;
        this.#doubted = undefined;
        return;
      case "wait":
        return;
      case "call":
        return await this.#call(contents, { final: false, forced }, !touched);
      case "final":
        return await this.#call(contents, { final: true, forced }, !touched);
    }
  }

  /** Undefined where nothing can be said about the sources now. */
  async #read(): Promise<SourceReading | undefined> {
    try {
      this.#sources = [...this.#options.sources()];
    } catch (error) {
      this.#report(error);
    }
    try {
      return await readSources(this.#sources, this.#options.entries ?? isPlainEntry);
    } catch {
      return undefined;
    }
  }

  #follow({ directories }: SourceReading): void {
    const delay = this.#watches.follow(directories);
    if (delay !== undefined) this.#lookAgain(delay);
  }

  /** Nothing is known about the sources now; what is doubted has to wait as well. */
  #putOff(): void {
    const { patience } = this.#timing;
    this.#lookAgain(patience);
    if (this.#doubted === undefined) return;
    this.#doubted = { ...this.#doubted, until: performance.now() + patience };
  }

  /** `verify` is false where only the times had changed, lest a call that writes is repeated for ever. */
  async #call(
    found: SourceContents | undefined,
    change: ConfigChange,
    verify: boolean,
  ): Promise<void> {
    const began = Date.now();
    const answer = await this.#answer(change);
    if (this.#closed) return;
    if (answer === "incomplete" && !change.final && found !== undefined) {
      const until = performance.now() + this.#timing.patience;
      this.#doubted = { contents: found, until };
      return;
    }
    this.#known = found ?? this.#known;
    this.#knownSince = began;
    this.#doubted = undefined;
    this.#verify = verify;
    this.#lookAgain(this.#timing.settle);
  }

  async #answer(change: ConfigChange): Promise<ChangeAnswer> {
    try {
      return await this.#options.onChange(change);
    } catch (error) {
      this.#report(error);
      return "done";
    }
  }

  #report(error: unknown): void {
    try {
      this.#options.onError?.(error);
    } catch {
      // Whoever is told has nobody else to tell.
    }
  }
}

/** When a watch of the configuration looks, and what it does with what it found; pure. */

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
export const DEFAULT_TIMING: WatchTiming = {
  settle: 15,
  limit: 100,
  patience: 250,
  poll: 30_000,
};

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
