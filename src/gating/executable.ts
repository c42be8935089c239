import { editJson } from "../lib/json-edit.ts";
import { isObject, type Json, type JsonObject } from "../lib/json.ts";
import { argumentEdits, type ArgumentRules } from "../protocol/arguments.ts";
import { memoised } from "../registry/memo.ts";
import { type ArgumentCheck, argumentCheck, LONGEST_SCHEMA } from "../schema/argument-check.ts";
import { escapeStep } from "../schema/json-schema-walk.ts";
import type { Mismatch } from "../schema/run.ts";
import type { ListedTool } from "./listed-tools.ts";
import type { Risk } from "./meta-tools.ts";
import { riskOf } from "./risk.ts";

/** The arguments of a call: as they stand in its text, and as they are read. */
export interface GivenArguments {
  readonly text: string;
  readonly value: JsonObject;
}

/** What an execution needs to know of a tool, read once as long as the tool is listed as it is. */
export class Executable {
  readonly risk: Risk;
  readonly #tool: ListedTool;
  #check: { readonly rules: ArgumentRules | undefined; readonly holds: ArgumentCheck } | undefined;

  private constructor(tool: ListedTool) {
    this.#tool = tool;
    this.risk = riskOf(tool.definition.annotations);
  }

  /** The one of a listed tool. */
  static of(tool: ListedTool): Executable {
    return memoised(known, tool, () => new Executable(tool));
  }

  /** As clients are shown it. */
  get inputSchema(): Json | undefined {
    return this.#tool.definition.inputSchema;
  }

  /**
   * What is wrong with some arguments. They are judged as the server will get them, with what the
   * configuration puts in and takes out; of that nothing is said, as the client has no part in it,
   * and may not see it.
   */
  mismatches(
    { text, value }: GivenArguments,
    rules: ArgumentRules | undefined,
  ): readonly Mismatch[] {
    if (this.#check === undefined || this.#check.rules !== rules) {
      this.#check = { rules, holds: this.#checkWith(rules) };
    }
    if (rules === undefined) return this.#check.holds(value);
    const unseen = unseenArguments(value, rules);
    return this.#check.holds(applied(text, rules) ?? value)
      .filter(({ path }) => !unseen.some((at) => `${path}/`.startsWith(at)));
  }

  #checkWith(rules: ArgumentRules | undefined): ArgumentCheck {
    if (this.#tool.raw.length > LONGEST_SCHEMA) return unchecked;
    const { defaults, fixed, hidden } = rules ?? NO_RULES;
    const more = new Set([...defaults.keys(), ...fixed.keys(), ...hidden]);
    return argumentCheck(this.inputSchema, more) ?? unchecked;
  }
}

const known = new WeakMap<ListedTool, Executable>();

const NO_RULES: ArgumentRules = { defaults: new Map(), fixed: new Map(), hidden: new Set() };

const unchecked: ArgumentCheck = (): readonly Mismatch[] => [];

/** Where the arguments are that a client does not give, and yet the server gets. */
function unseenArguments(
  given: JsonObject,
  { defaults, fixed, hidden }: ArgumentRules,
): readonly string[] {
  const added = [...defaults.keys()].filter((name) => !Object.hasOwn(given, name));
  return [...fixed.keys(), ...hidden, ...added].map((name) => `/${escapeStep(name)}/`);
}

function applied(text: string, rules: ArgumentRules): JsonObject | undefined {
  const value: unknown = JSON.parse(editJson(text, argumentEdits(text, rules)));
  return isObject(value) ? value : undefined;
}
