/**
 * Reads a tool's input schema into rules that are held against arguments. Schemas come from servers
 * that nobody vouches for, so that nothing here takes time without paying for it (`CheckRun`), and
 * patterns, which take for ever if they want to, are left to the server, as is what few servers check
 * or each checks differently. Where less is said, less is refused: whatever these rules refuse, the
 * schema refuses, too.
 */

import { isObject, type Json, type JsonObject } from "../lib/json.ts";
import { closestFaults } from "./argument-alternatives.ts";
import {
  countRule,
  enumRule,
  isMultiple,
  lengthRule,
  numberRule,
  requiredRule,
  shown,
  typeRule,
  unknownName,
} from "./argument-keywords.ts";
import type { Rule } from "./argument-run.ts";
import { type Dialect, KEYWORDS } from "./json-schema-dialect.ts";
import { referredSchemas } from "./json-schema-refs.ts";
import { schemaPlaces } from "./json-schema-walk.ts";

/**
 * Keywords that the server is left to check, in whole or, as with `oneOf`, in part; `nullable`, which
 * is OpenAPI's, allows more than the type says.
 */
const LEFT_OUT: readonly string[] = [
  "$dynamicRef",
  "$recursiveRef",
  "format",
  "maxContains",
  "nullable",
  "oneOf",
  "pattern",
  "patternProperties",
  "unevaluatedItems",
  "unevaluatedProperties",
  "uniqueItems",
];

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
  /** Whether nothing is left out, so that what a schema does not allow can be told from what it does. */
  readonly #isWhole: boolean;

  constructor(
    private readonly root: JsonObject,
    private readonly dialect: Dialect,
    private readonly more: ReadonlySet<string>,
  ) {
    const places = [...schemaPlaces(root, KEYWORDS[dialect])];
    this.#places = new Set(places.map(({ schema }) => schema));
    this.#referred = referredSchemas(places);
    this.#isWhole = places.every(({ schema }) =>
      LEFT_OUT.every((keyword) => !Object.hasOwn(schema, keyword))
    );
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
    ["type", (type) => typeRule([type].flat() as string[])],
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
    ["minLength", (least) => lengthRule(Number(least), Infinity, `at least ${least} characters`)],
    ["maxLength", (most) => lengthRule(0, Number(most), `at most ${most} characters`)],
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
    ["dependentRequired", (map) => this.#dependencies(map as JsonObject)],
    ["dependentSchemas", (map) => this.#dependencies(map as JsonObject)],
    ["dependencies", (map) => this.#dependencies(map as JsonObject)],
    ["propertyNames", (names) => this.#names(names)],
    ["allOf", (all) => this.#all(all as Json[])],
    ["anyOf", (any) => this.#any(any as Json[])],
    // Of alternatives that overlap many a server takes the first: that there is one has to do.
    ["oneOf", (one) => this.#any(one as Json[])],
    ["not", (not) => this.#not(not)],
    ["if", (condition, schema) => this.#if(condition, schema)],
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

  #not(schema: Json): Rule | undefined {
    if (!this.#isWhole) return undefined;
    const rules = this.rules(schema);
    return (value, run) => {
      if (run.attempt(rules, value).length > 0) return;
      run.fault({ problem: `${shown(value)} is what the schema's "not" excludes` });
    };
  }

  #if(condition: Json, { then, else: otherwise }: JsonObject): Rule | undefined {
    if (!this.#isWhole) return undefined;
    const rules = this.rules(condition);
    const [met, unmet] = [this.rules(then), this.rules(otherwise)];
    return (value, run) => run.apply(run.attempt(rules, value).length === 0 ? met : unmet, value);
  }

  #dependencies(map: JsonObject): Rule {
    const rules = Object.entries(map).map(([name, needed]) =>
      [
        name,
        Array.isArray(needed) ? [requiredRule(needed as string[], {})] : this.rules(needed),
      ] as const
    );
    return (value, run) => {
      if (!isObject(value)) return;
      run.sweep(rules.length);
      for (const [name, needed] of rules) {
        if (Object.hasOwn(value, name)) run.apply(needed, value);
      }
    };
  }

  #names(schema: Json): Rule {
    const rules = this.rules(schema);
    return (value, run) => {
      if (!isObject(value)) return;
      const names = Object.keys(value);
      run.sweep(names.length);
      for (const name of names) run.applyAt(name, rules, name);
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
        if (Object.hasOwn(value, name)) run.applyAt(name, rules, value[name]!);
      }
      if (others.length === 0) return;
      const keys = Object.keys(value);
      run.sweep(keys.length);
      for (const key of keys) {
        if (names.has(key)) continue;
        if (additionalProperties !== false) run.applyAt(key, others, value[key]!);
        else run.fault({ step: key, ...unknownName(key, names, run) });
      }
    };
  }

  #items({ prefixItems, items, additionalItems, contains, minContains = 1 }: JsonObject):
    | Rule
    | undefined {
    const first = this.#knows("prefixItems") ? prefixItems : items;
    const head = Array.isArray(first) ? first.map((schema) => this.rules(schema)) : [];
    const tail = this.rules(Array.isArray(items) ? additionalItems : items);
    const wanted = contains !== undefined && this.#knows("contains")
      ? this.rules(contains)
      : undefined;
    const least = this.#knows("minContains") ? Number(minContains) : 1;
    if (head.length + tail.length === 0 && wanted === undefined) return undefined;
    return (value, run) => {
      if (!Array.isArray(value)) return;
      run.sweep(value.length);
      for (const [index, item] of value.entries()) {
        run.applyAt(index, head[index] ?? tail, item);
      }
      if (wanted === undefined) return;
      let found = 0;
      for (const item of value) {
        if (found >= least) return;
        if (run.attempt(wanted, item).length === 0) found++;
      }
      if (found < least) {
        run.fault({ problem: `${found} items are as "contains" wants them`, expected: `${least}` });
      }
    };
  }
}
