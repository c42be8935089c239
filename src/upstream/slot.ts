import type { ServerTarget } from "../config/config.ts";
import type { Clock } from "../lib/clock.ts";
import type { Candidate } from "./balance.ts";
import type { Instance } from "./instance.ts";
import type { Phase } from "./state.ts";

/** For how long an instance that did not answer is used only where there is nothing better, in ms. */
const SUSPICION = 5_000;

/** One instance in its pool, with what the choice between them goes by. Plain state. */
export class Slot implements Candidate {
  /** From 1, as people count. */
  readonly number: number;
  readonly instance: Instance;
  /** How log and status name it: `instance 2`, with the host where that tells them apart. */
  readonly label: string;
  readonly #clock: Clock;
  #inUse = 0;
  #calls = 0;
  #failed = 0;
  #suspectUntil = -Infinity;

  constructor(number: number, instance: Instance, target: ServerTarget, clock: Clock) {
    this.number = number;
    this.instance = instance;
    this.label = slotLabel(number, target);
    this.#clock = clock;
  }

  get phase(): Phase {
    return this.instance.state.phase;
  }

  get isReady(): boolean {
    return this.phase === "ready";
  }

  get suspect(): boolean {
    return this.#clock.now() < this.#suspectUntil || this.instance.health.health === "degraded";
  }

  get inUse(): number {
    return this.#inUse;
  }

  /** Calls it has been sent and is done with. */
  get calls(): number {
    return this.#calls;
  }

  /** Those of them that ended with an error. */
  get failed(): number {
    return this.#failed;
  }

  /** A call is on its way to it. */
  enter(): void {
    this.#inUse++;
  }

  /** It is not any more. */
  leave(): void {
    this.#inUse--;
  }

  /** It has answered a call. */
  answered(isError: boolean): void {
    this.#calls++;
    if (isError) this.#failed++;
    this.#suspectUntil = -Infinity;
  }

  /** It has not; `atFault` when it should have. */
  unanswered(atFault: boolean): void {
    this.#calls++;
    this.#failed++;
    if (atFault) this.#suspectUntil = this.#clock.now() + SUSPICION;
  }
}

/** The host only: path and query of a URL may hold secrets. */
export function slotLabel(number: number, target: ServerTarget): string {
  const host = target.kind === "http" && URL.canParse(target.url)
    ? ` (${new URL(target.url).host})`
    : "";
  return `instance ${number}${host}`;
}
