/**
 * Reads a tool's input schema into rules that are held against arguments. Schemas come from servers
 * that nobody vouches for, so that nothing here takes time without paying for it (`CheckRun`), and
 * patterns, which take for ever if they want to, are left to the server. So is `format`, what each
 * checks differently, and what hardly any tool says: `not`, `if`, `contains`, names that depend on
 * others. No keyword that is read turns the verdict of another round, so that what is left out, and
 * what servers convert (`argument-conversions.ts`), can only let more pass: whatever these rules
 * refuse, the schema refuses, too (`docs/decisions/0006-own-argument-check.md`).
 */

import { isObject, type Json, type JsonObject } from "../lib/json.ts";
import { closestFaults } from "./argument-alternatives.ts";
import { mayBeNull } from "./argument-conversions.ts";
import {
  countRule,
  enumRule,
  isMultiple,
  maxLengthRule,
  meantName,
  minLengthRule,
  numberRule,
  requiredRule,
  typeRule,
} from "./argument-keywords.ts";
import { type Dialect, KEYWORDS } from "./dialect.ts";
import { referredSchemas } from "./json-schema-refs.ts";
import { schemaPlaces } from "./json-schema-walk.ts";
import type { Rule } from "./run.ts";

/**
 * The rules of a schema of this dialect, which has been found sound (`checkJsonSchema`).
 *
 * @param more names that the root takes beside its own, whatever they hold
 */
export function rulesOf(
  root: JsonObject,
  dialect: Dialect,
  more: ReadonlySet<string>,
): readonly Rule[] {
  return new Reader(root, dialect, more).rules(root);
}

/** Reads one keyword; `undefined` where it refuses nothing. */
type Reading = (value: Json, schema: JsonObject) => Rule | undefined;

class Reader {
  readonly #known = new Map<JsonObject, readonly Rule[]>();
  readonly #referred: ReadonlyMap<JsonObject, JsonObject | boolean>;
  readonly #places: ReadonlySet<JsonObject>;

  constructor(
    private readonly root: JsonObject,
    private readonly dialect: Dialect,
    private readonly more: ReadonlySet<string>,
  ) {
    const places = [...schemaPlaces(root, KEYWORDS[dialect])];
    this.#places = new Set(places.map(({ schema }) => schema));
    this.#referred = referredSchemas(places);
  }

  /** What is no schema of the document, and so has not been found sound, has no rules. */
  rules(schema: Json | undefined): readonly Rule[] {
    if (schema === false) return [(_, run) => run.fault({ problem: "nothing is allowed here" })];
    if (!isObject(schema) || !this.#places.has(schema)) return [];
    let rules = this.#known.get(schema);
    if (rules === undefined) this.#known.set(schema, rules = this.#read(schema));
    return rules;
  }

  #read(schema: JsonObject): readonly Rule[] {
    const { $ref } = schema;
    if ($ref !== undefined && this.#isOld) return [this.#reference(schema)];
    const rules: (Rule | undefined)[] = [
      schema.nullable === true ? (value) => value !== null : undefined,
    ];
    if ($ref !== undefined) rules.push(this.#reference(schema));
    for (const [keyword, read] of this.#readings) {
      const value = schema[keyword];
      if (value !== undefined && this.#knows(keyword)) rules.push(read(value, schema));
    }
    rules.push(this.#members(schema), this.#items(schema));
    return rules.filter((rule) => rule !== undefined);
  }

  #knows(keyword: string): boolean {
    if (keyword === "const") return this.dialect !== "draft-04";
    return KEYWORDS[this.dialect].has(keyword);
  }

  /** Beside a reference nothing counts. */
  get #isOld(): boolean {
    return ["draft-04", "draft-06", "draft-07"].includes(this.dialect);
  }

  /** Followed when it is needed: references may lead in circles. */
  #reference(schema: JsonObject): Rule {
    return (value, run) => run.apply(this.rules(this.#referred.get(schema)), value);
  }

  /** In the order in which mistakes are best told; types first, as the others presume them. */
  readonly #readings: readonly (readonly [keyword: string, read: Reading])[] = [
    ["type", (type, { default: preset }) => typeRule([type].flat() as string[], preset)],
    ["enum", (values) => enumRule(values as Json[])],
    ["const", (value) => enumRule([value])],
    ["minimum", (least, schema) => {
      const isOpen = schema.exclusiveMinimum === true;
      return numberRule(
        (n) => isOpen ? n > Number(least) : n >= Number(least),
        `a number ${isOpen ? "above" : "from"} ${least}`,
      );
    }],
    ["maximum", (most, schema) => {
      const isOpen = schema.exclusiveMaximum === true;
      return numberRule(
        (n) => isOpen ? n < Number(most) : n <= Number(most),
        `a number ${isOpen ? "below" : "up to"} ${most}`,
      );
    }],
    [
      "exclusiveMinimum",
      (least) =>
        typeof least === "number"
          ? numberRule((n) => n > least, `a number above ${least}`)
          : undefined,
    ],
    [
      "exclusiveMaximum",
      (most) =>
        typeof most === "number"
          ? numberRule((n) => n < most, `a number below ${most}`)
          : undefined,
    ],
    ["multipleOf", (of) => numberRule((n) => isMultiple(n, Number(of)), `a multiple of ${of}`)],
    ["minLength", (least) => minLengthRule(Number(least))],
    ["maxLength", (most) => maxLengthRule(Number(most))],
    [
      "minItems",
      (least) => countRule(Array.isArray, (n) => n >= Number(least), `at least ${least} items`),
    ],
    [
      "maxItems",
      (most) => countRule(Array.isArray, (n) => n <= Number(most), `at most ${most} items`),
    ],
    [
      "minProperties",
      (least) => countRule(isObject, (n) => n >= Number(least), `at least ${least} members`),
    ],
    [
      "maxProperties",
      (most) => countRule(isObject, (n) => n <= Number(most), `at most ${most} members`),
    ],
    ["required", (names, schema) => requiredRule(names as string[], schema)],
    ["allOf", (all) => this.#all(all as Json[])],
    ["anyOf", (any) => this.#any(any as Json[])],
    // Of alternatives that overlap many a server takes the first: that there is one has to do.
    ["oneOf", (one) => this.#any(one as Json[])],
  ];

  #all(schemas: readonly Json[]): Rule {
    const all = schemas.map((schema) => this.rules(schema));
    return (value, run) => {
      for (const rules of all) run.apply(rules, value);
    };
  }

  #any(schemas: readonly Json[]): Rule {
    const alternatives = schemas.map((schema) => this.rules(schema));
    return (value, run) => {
      const attempts = [];
      for (const rules of alternatives) {
        const faults = run.attempt(rules, value);
        if (faults.length === 0) return;
        attempts.push(faults);
      }
      run.adopt(closestFaults(attempts, value, run.path));
    };
  }

  #members(schema: JsonObject): Rule | undefined {
    const { properties = {}, patternProperties, additionalProperties = true } = schema;
    const own = Object.entries(properties as JsonObject)
      .map(([name, property]) => [name, this.rules(property)] as const);
    const checked = own.filter(([, rules]) => rules.length > 0);
    // What a pattern would have let pass is not additional.
    const others = patternProperties === undefined ? this.rules(additionalProperties) : [];
    if (checked.length === 0 && others.length === 0) return undefined;
    const names = new Set([...own.map(([name]) => name), ...schema === this.root ? this.more : []]);
    return (value, run) => {
      if (!isObject(value)) return;
      run.sweep(checked.length);
      for (const [name, rules] of checked) {
        if (!Object.hasOwn(value, name)) continue;
        if (value[name] === null && mayBeNull(schema, name)) continue;
        run.applyAt(name, rules, value[name]!);
      }
      if (others.length === 0) return;
      const keys = Object.keys(value);
      run.sweep(keys.length);
      for (const key of keys) {
        if (names.has(key)) continue;
        if (additionalProperties !== false) {
          run.applyAt(key, others, value[key]!);
          continue;
        }
        // Else no mistake: generators close the schemas of servers that pass over what they do not know.
        const meant = meantName(key, names, value, run);
        if (meant === undefined) continue;
        run.fault({
          step: key,
          problem: "is unknown",
          expected: `perhaps ${JSON.stringify(meant)}`,
        });
      }
    };
  }

  #items({ prefixItems, items, additionalItems }: JsonObject): Rule | undefined {
    const first = this.#knows("prefixItems") ? prefixItems : items;
    const head = Array.isArray(first) ? first.map((schema) => this.rules(schema)) : [];
    const tail = this.rules(Array.isArray(items) ? additionalItems : items);
    if (head.length + tail.length === 0) return undefined;
    return (value, run) => {
      if (!Array.isArray(value)) return;
      run.sweep(value.length);
      for (const [index, item] of value.entries()) {
        run.applyAt(index, head[index] ?? tail, item);
      }
    };
  }
}
