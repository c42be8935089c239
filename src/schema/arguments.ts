/** Holds the arguments of a call against its tool's schema before they travel to the server. */

import { isObject, type Json, type JsonObject } from "../lib/json.ts";
import { cut } from "../lib/text.ts";
import { checkJsonSchema } from "./check.ts";
import { DEFAULT_DIALECT, type Dialect, dialectOf, KEYWORDS } from "./dialect.ts";
import {
  countRule,
  enumRule,
  isMultiple,
  maxLengthRule,
  mayBeNull,
  meantName,
  minLengthRule,
  numberRule,
  requiredRule,
  shown,
  typeRule,
} from "./keywords.ts";
import { CheckEnded, CheckRun, type Fault, type Mismatch, type Rule } from "./run.ts";
import { referredSchemas, schemaPlaces } from "./walk.ts";

/**
 * What is wrong with some arguments, the first ten; empty where nothing is, or where that is for
 * the server to find out. Takes some milliseconds at the very most.
 */
export type ArgumentCheck = (args: JsonObject) => readonly Mismatch[];

/** Larger schemas are not worth reading, characters of JSON. */
export const LONGEST_SCHEMA = 100_000;

/** Most characters of one text of a mismatch. */
const LONGEST_TEXT = 300;

/**
 * The check for a tool's input schema, to be kept: reading the schema takes longer than the check.
 * `undefined` for what is no schema in any dialect it may be meant in, and for one that refers to
 * other documents: a server that takes it knows better.
 *
 * @param more names of arguments that the schema does not list and the call takes all the same
 */
export function argumentCheck(
  schema: Json | undefined,
  more: ReadonlySet<string> = new Set(),
): ArgumentCheck | undefined {
  if (!isObject(schema)) return undefined;
  const dialect = dialectFor(schema);
  if (dialect === undefined) return undefined;
  const rules = rulesOf(schema, dialect, more);
  return (args) => {
    const run = new CheckRun();
    try {
      run.apply(rules, args);
    } catch (error) {
      if (!(error instanceof CheckEnded)) throw error;
    }
    return run.found.map(({ path, problem, expected }) => ({
      path: cut(path, LONGEST_TEXT),
      problem: cut(problem, LONGEST_TEXT),
      ...(expected === undefined ? {} : { expected: cut(expected, LONGEST_TEXT) }),
    }));
  };
}

/** What schemas that do not say it are mostly written in, where they are not of the default. */
const UNSAID: readonly (readonly [uri: string, dialect: Dialect])[] = [
  ["http://json-schema.org/draft-07/schema#", "draft-07"],
  ["http://json-schema.org/draft-04/schema#", "draft-04"],
];

/** The dialect in which a schema is one. */
function dialectFor(schema: JsonObject): Dialect | undefined {
  const { $schema } = schema;
  if (isSound(schema)) {
    return typeof $schema === "string" ? dialectOf($schema) : DEFAULT_DIALECT;
  }
  if ($schema !== undefined) return undefined;
  return UNSAID.find(([uri]) => isSound({ ...schema, $schema: uri }))?.[1];
}

function isSound(schema: JsonObject): boolean {
  return checkJsonSchema(schema).every(({ type }) => type === "pattern" || type === "dialect");
}

// Reads a tool's input schema into rules that are held against arguments. Schemas come from servers
// that nobody vouches for, so that nothing here takes time without paying for it (`CheckRun`), and
// patterns, which take for ever if they want to, are left to the server. So is `format`, what each
// checks differently, and what hardly any tool says: `not`, `if`, `contains`, names that depend on
// others. No keyword that is read turns the verdict of another round, so that what is left out, and
// what servers convert (`mayBecome`), can only let more pass: whatever these rules
// refuse, the schema refuses, too (`docs/decisions/0006-own-argument-check.md`).

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
    return this.#known.getOrInsertComputed(schema, () => this.#read(schema));
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
      for (const [index, item] of value.entries()) run.applyAt(index, head[index] ?? tail, item);
    };
  }
}

/** Alternatives beyond these are not told one by one. */
const MOST = 5;

/**
 * The faults that help most: those of the one alternative that takes values of this type at all;
 * where there is none, or more than one, what each of them expects.
 *
 * @param attempts the faults of each alternative, none of them empty
 * @param here where the value is
 */
export function closestFaults(
  attempts: readonly (readonly Fault[])[],
  value: Json,
  here: string,
): readonly Fault[] {
  const types = attempts.map((faults) =>
    faults.find(({ path, isOfOtherType }) => path === here && isOfOtherType)?.expected
  );
  const near = attempts.filter((_, index) => types[index] === undefined);
  if (near.length === 1) return near[0]!;
  if (near.length === 0) {
    return [{
      path: here,
      problem: `got ${shown(value)}`,
      expected: [...new Set(types)].join(" or "),
      isOfOtherType: true,
    }];
  }
  const wanted = near.slice(0, MOST).map((faults) => faultText(faults[0]!, here));
  return [{
    path: here,
    problem: `fits none of ${near.length} alternatives`,
    expected: [...new Set(wanted), ...(near.length > MOST ? ["…"] : [])].join("; or "),
  }];
}

function faultText({ path, problem, expected }: Fault, here: string): string {
  const where = path === here ? "" : `${path.slice(here.length + 1)} `;
  return expected === undefined ? `${where}${problem}` : `${where}to be ${expected}`;
}
