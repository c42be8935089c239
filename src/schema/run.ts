/** One check of one value: what was found, where it is, and what it has cost. */

import { isObject, type Json } from "../lib/json.ts";
import { escapeStep } from "./walk.ts";

/** One thing wrong with the arguments of a call. */
export interface Mismatch {
  /** Where, as a JSON pointer into the arguments; empty for all of them. */
  readonly path: string;
  /** What is wrong there. */
  readonly problem: string;
  /** What is expected instead, where a few words can say it. */
  readonly expected?: string;
}

/** A mismatch on the way to being told. */
export interface Fault extends Mismatch {
  /** The value is of another type altogether, so that nothing else about it means anything. */
  readonly isOfOtherType?: boolean;
}

/**
 * Holds one keyword against a value and tells the run what is wrong; `false` where the rules behind
 * it have nothing to add.
 */
export type Rule = (value: Json, run: CheckRun) => boolean | void;

/** The end of a check that has found enough, or takes longer or goes deeper than it may. */
export class CheckEnded extends Error {
  override readonly name = "CheckEnded";
}

/** What a check may cost, in uses of a schema, or other work of that size: some milliseconds. */
const BUDGET = 20_000;

/** Deeper, in schemas and values together, nobody writes; and the stack has an end. */
const DEEPEST = 250;

/** Members or characters that are gone over at the price of one use of a schema. */
const SWEPT = 25;

/** What a fault costs, its words and its path, as {@link SWEPT} counts. */
const TOLD = 6 * SWEPT;

/** A model that makes more mistakes than these mends the first ones first. */
const ENOUGH = 10;

/** A check that is under way. */
export class CheckRun {
  readonly #found: Fault[] = [];
  /** Where faults go: to {@link CheckRun.found}, or to those of an attempt. */
  #faults = this.#found;
  readonly #path: (string | number)[] = [];
  #left = BUDGET;
  #depth = 0;

  /** What is wrong for certain, however the check ends; the first {@link ENOUGH} of it. */
  get found(): readonly Fault[] {
    return this.#found.slice(0, ENOUGH);
  }

  /** Where the check is, as {@link Mismatch.path}. */
  get path(): string {
    return this.#path.map((step) => `/${escapeStep(String(step))}`).join("");
  }

  /**
   * Holds the rules of a schema against a value.
   * @throws {CheckEnded}
   */
  apply(rules: readonly Rule[], value: Json): void {
    if (rules.length === 0) return;
    if (--this.#left < 0 || ++this.#depth > DEEPEST) throw new CheckEnded();
    for (const rule of rules) {
      if (rule(value, this) === false) break;
    }
    this.#depth--;
  }

  /** The same for what is in a value, as its member or item `step`. */
  applyAt(step: string | number, rules: readonly Rule[], value: Json): void {
    if (rules.length === 0) return;
    this.#path.push(step);
    this.apply(rules, value);
    this.#path.pop();
  }

  /** The same; what is wrong is returned and counts for nothing. */
  attempt(rules: readonly Rule[], value: Json): readonly Fault[] {
    const outer = this.#faults;
    this.#faults = [];
    this.apply(rules, value);
    const found = this.#faults;
    this.#faults = outer;
    return found;
  }

  /**
   * Something is wrong here, or with the member `step`.
   * @throws {CheckEnded}
   */
  fault({ step, ...fault }: Omit<Fault, "path"> & { readonly step?: string }): void {
    this.sweep(TOLD * (1 + this.#path.length / 20));
    const path = step === undefined ? this.path : `${this.path}/${escapeStep(step)}`;
    this.adopt([{ path, ...fault }]);
  }

  /**
   * What was wrong in an attempt is wrong.
   * @throws {CheckEnded}
   */
  adopt(faults: readonly Fault[]): void {
    for (const fault of faults) this.#faults.push(fault);
    if (this.#found.length >= ENOUGH) throw new CheckEnded();
  }

  /**
   * Pays for going over so many members or characters.
   * @throws {CheckEnded}
   */
  sweep(count: number): void {
    if ((this.#left -= count / SWEPT) < 0) throw new CheckEnded();
  }

  /**
   * Whether two values are the same JSON.
   * @throws {CheckEnded}
   */
  isSame(one: Json, other: Json, depth = 0): boolean {
    if (typeof one !== "object" || one === null) return one === other;
    if (depth > DEEPEST) throw new CheckEnded();
    this.sweep(1);
    if (Array.isArray(one)) {
      if (!Array.isArray(other) || one.length !== other.length) return false;
      this.sweep(one.length);
      return one.every((item, index) => this.isSame(item, other[index]!, depth + 1));
    }
    if (!isObject(other)) return false;
    const keys = Object.keys(one);
    this.sweep(keys.length);
    return keys.length === Object.keys(other).length &&
      keys.every((key) =>
        Object.hasOwn(other, key) && this.isSame(one[key]!, other[key]!, depth + 1)
      );
  }
}
