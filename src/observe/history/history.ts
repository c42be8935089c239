/**
 * The history of calls, on the disk. Whoever adds to it never waits and never fails: what cannot be
 * written now is written later or not at all, and counted.
 */

import { join } from "node:path";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { codeOf, messageOf } from "../../lib/text.ts";
import { type Clock, nextTurn, within } from "../../lib/time.ts";
import { getLogger } from "../../log/mod.ts";
import type { Body } from "../bodies.ts";
import type { ObservedCall } from "../call.ts";
import type { EndedCall } from "../ring.ts";
import { type AlertRow, type CallExtra, Pending } from "./pending.ts";
import { alertsIn } from "./queries.ts";
import { removeOld, type Retention } from "./retention.ts";
import { putAside, Store, troubleOf } from "./store.ts";

/** What a {@link History} stands on. */
export interface HistoryParts extends Retention {
  readonly directory: string;
  /** The name of this process. */
  readonly process: string;
  readonly clock: Clock;
  /** Ms since the epoch. */
  readonly now?: () => number;
  /** Whether no call is under way. */
  readonly isIdle?: () => boolean;
  /** Adds the calls, until the returned function is called. */
  readonly follow?: (history: History) => () => void;
}

const FLUSH_EVERY = 5_000;
const [CLEAN_EVERY, AGAIN_AFTER] = [600_000, 600_000];
/** What is pending is written before its time when there is so much of it. */
const MUCH = 1_000;
/** Flushes in a row that find somebody else writing, before it is given up for a while. */
const PATIENCE = 6;
/** How long writing may hold up the loop, ms. */
const A_TURN = 2;
const CLOSE_WITHIN = 900;

const log = getLogger("mcproxy", "observe");
const pack = promisify(gzip);

/** Opened with the first flush; away, for as long as the file cannot be used. */
export class History {
  /** Another one after a reload. */
  retention: Retention;
  readonly #pending = new Pending();
  readonly #path: string;
  readonly #now: () => number;
  #store: Store | undefined;
  /** One thing after another: what writes, and what is asked. */
  #last: Promise<unknown> = Promise.resolve();
  /** What is left of a flush that somebody else's writing has stopped. */
  #left: (() => void)[] = [];
  /** Flushes that have found somebody else writing. */
  #waited = 0;
  #isFlushing = false;
  #trouble: string | undefined;
  /** What the log was told of, once. */
  readonly #told = new Set<string>();
  /** On the clock: when it is tried again, and when old rows go. */
  #due = { again: Infinity, clean: Infinity };
  #cancelTimer: () => void;
  #closed: Promise<void> | undefined;
  readonly #unfollow: (() => void) | undefined;

  constructor(private readonly parts: HistoryParts) {
    this.#path = join(parts.directory, "history.db");
    this.#now = parts.now ?? Date.now;
    this.retention = parts;
    this.#cancelTimer = this.#nextTick();
    this.#unfollow = parts.follow?.(this);
  }

  /** Why nothing is written at the moment. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  /** Calls, counts and bodies that were not kept one by one. */
  get dropped(): number {
    return this.#pending.dropped;
  }

  /** Costs a few map look-ups. */
  add(call: ObservedCall | EndedCall, extra?: CallExtra): void {
    this.#pending.add(call, extra);
    if (this.#pending.size >= MUCH && this.#waited === 0) this.#flushOnce();
  }

  /** One with the same rule, subject and begin is replaced. */
  addAlert(alert: AlertRow): void {
    this.#pending.addAlert(alert);
  }

  /** The latest first. */
  async alerts(): Promise<AlertRow[]> {
    return await this.ask(alertsIn) ?? [];
  }

  /** Of a call that is added before the next flush, or was. */
  async addBody(id: string, { request, result, cut, redacted }: Body): Promise<void> {
    const [sent, got] = await Promise.all([pack(request), pack(result)]);
    const flags = Number(cut) + 2 * Number(redacted);
    this.#pending.addBody({ id, request: sent, result: got, flags });
  }

  /**
   * What a query answers, in short work; what was pending is there, too. Undefined while the file
   * cannot be used. What the query itself throws is the asker's affair.
   */
  ask<T>(query: (store: Store) => T | Promise<T>): Promise<T | undefined> {
    return this.#inTurn(async () => {
      // Many may ask while somebody else has the file: that is no sign that he keeps it.
      await this.#safely(() => this.#write(), undefined, 0);
      const store = this.#store;
      const isOurs = (error: unknown) => isOfFile(error) || this.#store !== store;
      return store && await this.#safely(() => query(store), isOurs);
    });
  }

  /** Writes what is pending now. Never rejects. */
  flush(): Promise<void> {
    return this.#inTurn(() => this.#safely(() => this.#write()));
  }

  /** Writes what there is, for a second at most, and lets go of the file. Idempotent. */
  close(): Promise<void> {
    return this.#closed ??= this.#close();
  }

  async #close(): Promise<void> {
    this.#unfollow?.();
    this.#cancelTimer();
    // Who asks something this moment has the file until then.
    await within(CLOSE_WITHIN, this.#isWaiting ? this.flush() : this.#last);
    this.#trouble ??= "it is closed";
    this.#due = { again: Infinity, clean: Infinity };
    this.#letGo();
  }

  #nextTick(): () => void {
    return this.parts.clock.after(FLUSH_EVERY, () => this.#tick(), true);
  }

  #tick(): void {
    this.#cancelTimer = this.#nextTick();
    const now = this.parts.clock.now();
    if (now >= this.#due.again) this.#trouble = undefined;
    if (this.#isWaiting) this.#flushOnce();
    if (now < this.#due.clean) return;
    this.#due.clean = Infinity;
    void this.#inTurn(() => this.#safely(() => this.#clean()));
  }

  /** In parts, so that whoever asks meanwhile need not wait for all of it. */
  async #clean(): Promise<void> {
    if (this.#store === undefined) return;
    // Also where it fails, for one who holds the file this moment.
    this.#due.clean = this.parts.clock.now() + CLEAN_EVERY;
    if (await removeOld(this.#store, this.retention, this.#now())) this.#due.clean = 0;
  }

  get #isWaiting(): boolean {
    return this.#pending.size > 0 || this.#left.length > 0;
  }

  #flushOnce(): void {
    if (this.#isFlushing || this.#trouble !== undefined) return;
    this.#isFlushing = true;
    void this.flush().then(() => this.#isFlushing = false);
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work);
    this.#last = done.catch(() => {});
    return done;
  }

  /** Undefined where it fails by the file; `weight` is how much it counts where that is locked. */
  async #safely<T>(
    work: () => T | Promise<T>,
    isOurs: (error: unknown) => boolean = () => true,
    weight = 1,
  ) {
    try {
      return await work();
    } catch (error) {
      if (!isOurs(error)) throw error;
      await this.#failed(error, weight);
      return undefined;
    }
  }

  /** What was begun before, then what is pending: in transactions of a few ms, with turns between. */
  async #write(): Promise<void> {
    if (this.#trouble !== undefined) return;
    if (await this.#store?.isGone()) {
      this.#letGo();
      this.#tell("gone", "The history in {path} was removed or replaced; it is opened anew");
    }
    if (this.#store === undefined) {
      this.#store = await Store.open(this.#path, this.parts.process);
      this.#due.clean = this.parts.clock.now() + CLEAN_EVERY;
    }
    if (this.#trouble !== undefined) this.#letGo(); // It was closed meanwhile.
    while (this.#store && this.#isWaiting) {
      if (this.#left.length === 0) this.#left = this.#store.steps(this.#pending.take());
      const until = performance.now() + A_TURN;
      let done = 0;
      this.#store.transaction(() => {
        do this.#left[done++]!(); while (done < this.#left.length && performance.now() < until);
      });
      this.#left.splice(0, done);
      this.#waited = 0;
      this.#told.delete("trouble");
      await nextTurn();
    }
    this.#store?.checkpoint(this.parts.isIdle?.() ?? true);
  }

  async #failed(error: unknown, weight: number): Promise<void> {
    if (this.#trouble !== undefined) return;
    const trouble = troubleOf(error);
    if (trouble === "locked" && (this.#waited += weight) < PATIENCE) return;
    this.#letGo();
    if (trouble === "garbage" && !this.#told.has("garbage")) {
      await putAside(this.#path);
      return this.#tell(
        "garbage",
        "Cannot read the history in {path}: it is {path}.broken now, and another is begun",
      );
    }
    this.#trouble = messageOf(error);
    this.#due.again = this.parts.clock.now() + AGAIN_AFTER;
    const text = "Cannot keep the history in {path}: {error}; tried again in 10 minutes";
    this.#tell("trouble", text, this.#trouble);
  }

  /** Once. */
  #tell(what: string, text: string, error?: string): void {
    if (!this.#told.has(what)) log.warn(text, { path: this.#path, error });
    this.#told.add(what);
  }

  /** Whatever it is that could not be written: it is not tried again. */
  #letGo(): void {
    this.#store?.close();
    this.#store = undefined;
    this.#pending.dropped += this.#left.length;
    [this.#left, this.#waited] = [[], 0];
  }
}

function isOfFile(error: unknown): boolean {
  return codeOf(error) === "ERR_SQLITE_ERROR";
}
