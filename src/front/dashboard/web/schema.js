// @ts-check
/**
 * A JSON Schema as a page reads it: exact JSON, references, what a schema says in words, what is
 * wrong with a value, and the fields to fill it in. Pure. Schemas come from servers that nobody
 * vouches for, so everything ends.
 */

/** @typedef {any} Schema a schema as it came, whatever it is */
/** @typedef {(string | number)[]} Path where in the value */
/** @typedef {{ path: Path, message: string }} Fault */
/** @typedef {{ label: string, value: any }} Option */
/** @typedef {{ key: string, schema: Schema, required: boolean }} Member */
/**
 * @typedef {object} Field
 * @property {"text" | "number" | "boolean" | "choice" | "null" | "object" | "list" | "variants" | "json"} kind
 * @property {Schema} schema with references followed and `allOf` merged
 * @property {string} hint type, bounds and default, in words
 * @property {boolean} nullable
 * @property {Option[]} [options] of a choice
 * @property {Option[]} [variants] their value is a schema
 * @property {Member[]} [members] of an object
 * @property {boolean} [open] an object that takes other members, too
 */

/** Items of a list, options of a choice, members of an object that are looked at. */
const MOST = 200;
/** Schemas looked at to follow references. */
const MOST_REFERENCES = 64;
/** Schemas held against a value. */
const MOST_CHECKS = 5_000;
const DEEPEST = 100;
/** Characters of JSON that is put in lines. */
const LONGEST_READ = 2_000_000;
const MOST_FAULTS = 20;

const raw = /** @type {any} */ (JSON);

/** A number as it is written, where it cannot be kept otherwise. @type {(key: string, value: any, context?: any) => any} */
const exact = (_, value, { source } = {}) =>
  typeof value !== "number" || source === undefined || String(value) === source
    ? value
    : raw.rawJSON(source);

/** JSON whose numbers stay as they are written, such as 2^53 + 1. @throws {SyntaxError} */
export const parse = (/** @type {string} */ text) => raw.parse(text, exact);

/** The same, and `undefined` for what is no JSON. */
export function parsed(/** @type {string} */ text) {
  try {
    return parse(text);
  } catch {
    return undefined;
  }
}

/** A value as text, for a person. */
export function show(/** @type {any} */ value, indent = 2) {
  try {
    return JSON.stringify(value, null, indent) ?? "";
  } catch {
    return "It goes too deep to be shown.";
  }
}

/** JSON in lines, where it is JSON and of a length that is read. */
export const pretty = (text = "") => text.length < LONGEST_READ && show(parsed(text)) || text;

/** A number that only its text tells. */
function isRaw(/** @type {any} */ value) {
  return raw.isRawJSON?.(value) === true;
}

/** True for `{}`, not for a list, `null` or a number kept as text. */
export function isObject(/** @type {any} */ value) {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !isRaw(value);
}

/** A member that is there by itself: names come from anywhere, `__proto__` included. */
function own(/** @type {any} */ value, /** @type {string | number} */ key) {
  return value !== null && typeof value === "object" && Object.hasOwn(value, key)
    ? value[key]
    : undefined;
}

export function same(/** @type {any} */ a, /** @type {any} */ b) {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** What a reference leads to: a place in the same document, or nothing. @param {any} ref @param {Schema} root */
function referred(ref, root) {
  if (typeof ref !== "string" || ref.length > 1_000 || !/^#(\/|$)/.test(ref)) return undefined;
  let found = root;
  for (const part of ref.split("/").slice(1)) {
    // Decoded, where it is encoded.
    const key = new URLSearchParams(`_=${part.replace(/[&+]/g, encodeURIComponent)}`).get("_");
    found = own(found, `${key}`.replaceAll("~1", "/").replaceAll("~0", "~"));
  }
  return found;
}

/** Both at once. @param {any} a @param {any} b */
function merged(a, b) {
  const both = { ...a, ...b };
  if (isObject(a.properties) && isObject(b.properties)) {
    both.properties = { ...a.properties, ...b.properties };
  }
  const required = [a.required, b.required].filter(Array.isArray).flat();
  return required.length > 0 ? { ...both, required: [...new Set(required)] } : both;
}

/** A schema with references followed and `allOf` merged; what cannot be followed says nothing. */
export function resolve(/** @type {Schema} */ schema, /** @type {Schema} */ root) {
  let left = MOST_REFERENCES;
  /** @returns {any} */
  const follow = (/** @type {any} */ one) => {
    if (!isObject(one) || left-- <= 0) return {};
    const { $ref, allOf, ...rest } = one;
    let all = $ref === undefined ? {} : follow(referred($ref, root));
    for (const part of Array.isArray(allOf) ? allOf : []) all = merged(all, follow(part));
    return merged(all, rest);
  };
  return follow(schema);
}

/** What of a schema without a type lets one think of which. */
const TYPICAL = Object.entries({
  object: ["properties", "required", "additionalProperties", "patternProperties"],
  array: ["items", "prefixItems", "minItems", "maxItems"],
  string: ["pattern", "minLength", "maxLength", "format"],
  number: ["minimum", "maximum", "multipleOf"],
});

/** The types a schema names, or lets one think of. @returns {string[]} */
function typesOf(/** @type {any} */ schema) {
  const given = [schema.type ?? []].flat().filter((one) => typeof one === "string");
  if (schema.type !== undefined) return given;
  const found = TYPICAL.find(([, keys]) => keys.some((key) => Object.hasOwn(schema, key)));
  return found === undefined ? [] : [found[0]];
}

/** The values of a schema that lists them. @returns {Option[] | undefined} */
function optionsOf(/** @type {any} */ schema) {
  const text = (/** @type {any} */ value) => typeof value === "string" ? value : show(value, 0);
  const isConst = Object.hasOwn(schema, "const");
  const [values, names] = isConst
    ? [[schema.const], [schema.title]]
    : [schema.enum, schema.enumNames];
  if (!Array.isArray(values) || values.length === 0) return undefined;
  return values.map((value, at) => ({ label: String(own(names, at) ?? text(value)), value }));
}

const isNull = (/** @type {any} */ schema) => schema?.type === "null" || schema?.const === null;

const count = (/** @type {any} */ n) =>
  typeof n === "number" ? n.toLocaleString("en").replaceAll(",", "\u202f") : n;

/** @param {any} least @param {any} most */
function boundsOf(least, most, unit = "") {
  if (least === undefined && most === undefined) return "";
  if (least === undefined) return `up to ${count(most)}${unit}`;
  if (most === undefined) return `from ${count(least)}${unit}`;
  return `${least === most ? "exactly " : `${count(least)}–`}${count(most)}${unit}`;
}

/** Type, bounds and default in words: "integer, 1–1 000, default 20". */
export function hintOf(/** @type {any} */ schema) {
  const { format, pattern, multipleOf, exclusiveMinimum: above, exclusiveMaximum: below } = schema;
  const [item, ...more] = isObject(schema.items) ? typesOf(schema.items) : [];
  const list = item === undefined || more.length > 0 ? "array" : `list of ${item}s`;
  return [
    typesOf(schema).map((type) => type === "array" ? list : type).join(" or "),
    typeof format === "string" && format,
    boundsOf(schema.minimum, schema.maximum),
    typeof above === "number" && `above ${count(above)}`,
    typeof below === "number" && `below ${count(below)}`,
    boundsOf(schema.minLength, schema.maxLength, " characters"),
    boundsOf(schema.minItems, schema.maxItems, " items"),
    multipleOf !== undefined && `multiple of ${multipleOf}`,
    typeof pattern === "string" && `like ${pattern}`,
    schema.default !== undefined && `default ${show(schema.default, 0)}`,
  ].filter(Boolean).join(", ").slice(0, 200);
}

/** What a number field shows; any other text has not become a number. */
export function numberText(/** @type {any} */ value) {
  return value === undefined ? "" : isRaw(value) ? value.rawJSON : String(value);
}

/** @type {Record<string, (text: string) => boolean>} */
const FORMATS = {
  "date": (text) => /^\d{4}-\d\d-\d\d$/.test(text) && !Number.isNaN(Date.parse(text)),
  "date-time": (text) =>
    /^\d{4}-\d\d-\d\dt\d\d:\d\d/i.test(text) && !Number.isNaN(Date.parse(text)),
  "email": (text) => /^[^\s@]+@[^\s@]+$/.test(text),
  "uri": (text) => URL.canParse(text),
  "uuid": (text) => /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i.test(text),
};

/** Steps that a pattern may take. */
const MOST_STEPS = 2e7;

/** Each repetition multiplies the steps by the length; one within another, or of a choice, knows no end. @param {string} pattern @param {number} length */
function endsSoon(pattern, length) {
  const plain = pattern.replace(/\\.|\[(?:\\.|[^\]\\])*\]/g, "x").replaceAll("(?", "(");
  const repeats = plain.match(/[*+?]|\{\d+,\d*\}/g)?.length ?? 0;
  const isNested = /[*+?{|].*\)[*+{]/s.test(plain);
  return !isNested && length ** (repeats + 1) < MOST_STEPS;
}

/** Whether a text is like a pattern; where that cannot be told, it is. @param {any} pattern @param {string} text */
function matches(pattern, text) {
  const isRead = typeof pattern === "string" && pattern.length < 1_000;
  if (!isRead || !endsSoon(pattern, text.length)) return true;
  try {
    return new RegExp(pattern, "u").test(text);
  } catch {
    return true;
  }
}

function typeOf(/** @type {any} */ value) {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  return isRaw(value) ? "number" : typeof value;
}

function isOfType(/** @type {string} */ type, /** @type {any} */ value) {
  if (type !== "integer") return type === typeOf(value);
  return typeOf(value) === "number" && Number.isInteger(Number(numberText(value)));
}

/**
 * What is wrong with a value, as far as a browser tells: what it does not know it lets pass.
 * @param {Schema} schema @param {any} value @param {Schema} [root] @returns {Fault[]}
 */
export function check(schema, value, root = schema) {
  let left = MOST_CHECKS;
  /** @param {Schema} one @param {any} value @param {Path} path @param {number} depth @returns {Fault[]} */
  const faultsOf = (one, value, path, depth) => {
    if (one === false) return [{ path, message: "Nothing is allowed here" }];
    if (!isObject(one) || left-- <= 0) return [];
    if (depth > DEEPEST) left = 0;
    const inner = (/** @type {Schema} */ next) => faultsOf(next, value, path, depth + 1);
    const list = (/** @type {any} */ given) => Array.isArray(given) ? given : [];
    const parts = [...one.$ref === undefined ? [] : [referred(one.$ref, root)], ...list(one.allOf)];
    const wrongs = wrongsOf(one, value).map((message) => ({ path, message }));
    const faults = [...parts.flatMap(inner), ...wrongs];
    for (const choice of [one.anyOf, one.oneOf].filter(Array.isArray)) {
      const each = choice.map(inner);
      const fitting = each.filter((found) => found.length === 0).length;
      const [first, ...more] = each.filter((_, at) => !isNull(choice[at]));
      // Of a single one beside null its own words help more.
      if (fitting === 0 && more.length === 0) faults.push(...(first ?? []));
      else if (fitting === 0) faults.push({ path, message: "Fits none of the variants" });
      else if (fitting > 1 && choice === one.oneOf) {
        faults.push({ path, message: "Fits more than one of the variants" });
      }
    }
    const items = isObject(one.items) ? one.items : true;
    for (const [at, item] of Array.isArray(value) ? value.slice(0, MOST).entries() : []) {
      const next = own(one.prefixItems, at) ?? items;
      faults.push(...faultsOf(next, item, [...path, at], depth + 1));
    }
    if (!isObject(value)) return faults.slice(0, MOST_FAULTS);
    const missing = list(one.required).filter((key) => !Object.hasOwn(value, key));
    faults.push(...missing.map((key) => ({ path: [...path, key], message: "Required" })));
    const more = one.patternProperties === undefined ? one.additionalProperties : true;
    for (const [key, member] of Object.entries(value)) {
      const below = [...path, key];
      const next = own(one.properties, key) ?? more;
      if (next === false) faults.push({ path: below, message: "Not known to this tool" });
      else faults.push(...faultsOf(next, member, below, depth + 1));
    }
    return faults.slice(0, MOST_FAULTS);
  };
  const found = faultsOf(schema, value, [], 0);
  // What was not looked at to its end is not judged.
  return left > 0 ? found : [];
}

const lengthOf = (/** @type {string} */ text) =>
  text.length > 10_000 ? text.length : [...text].length;
const article = (/** @type {string} */ word) => `${/^[aeio]/.test(word) ? "an" : "a"} ${word}`;

/** By type and keyword, what is wrong. @type {Record<string, Record<string, (value: any, bound: any) => false | string>>} */
const RULES = {
  number: {
    minimum: (n, least) => n < least && `At least ${count(least)}`,
    maximum: (n, most) => n > most && `At most ${count(most)}`,
    exclusiveMinimum: (n, least) => least !== true && n <= least && `Above ${count(least)}`,
    exclusiveMaximum: (n, most) => most !== true && n >= most && `Below ${count(most)}`,
  },
  string: {
    minLength: (text, n) => lengthOf(text) < n && `At least ${count(n)} characters`,
    maxLength: (text, n) => lengthOf(text) > n && `At most ${count(n)} characters`,
    pattern: (text, pattern) => !matches(pattern, text) && `Must be like ${pattern}`,
    format: (text, name) => own(FORMATS, name)?.(text) === false && `Must be ${article(name)}`,
  },
  array: {
    minItems: (list, n) => list.length < n && `At least ${count(n)} items`,
    maxItems: (list, n) => list.length > n && `At most ${count(n)} items`,
  },
};

/** What a schema by itself says against a value. @param {any} schema @param {any} value @returns {string[]} */
function wrongsOf(schema, value) {
  const options = optionsOf(schema)?.map((one) => show(one.value, 0)) ?? [];
  if (options.length > 0 && !options.includes(show(value, 0))) {
    return [`Must be ${options.length > 1 ? "one of " : ""}${options.join(", ")}`.slice(0, 200)];
  }
  const types = schema.type === undefined ? [] : typesOf(schema);
  const isAllowedNull = value === null && schema.nullable === true;
  if (types.length > 0 && !isAllowedNull && !types.some((type) => isOfType(type, value))) {
    return [value === "" ? "Required" : `Must be ${types.map(article).join(" or ")}`];
  }
  const type = typeOf(value);
  const plain = type === "number" ? Number(numberText(value)) : value;
  return Object.entries(RULES[type] ?? {}).flatMap(([keyword, rule]) => {
    const said = Object.hasOwn(schema, keyword) && rule(plain, schema[keyword]);
    return said ? [said.slice(0, 300)] : [];
  });
}

// The fields of a form. Its state is the value itself, where what is left out is not there; a field is
// made of a schema and the part of the value it stands for.

/**
 * The value with another part; `undefined` leaves it out, and with it every object on the way that
 * has nothing left.
 * @param {any} value @param {Path} path @param {any} next
 * @returns {any}
 */
export function set(value, path, next) {
  if (path.length === 0) return next;
  const [key, ...rest] = /** @type {[string | number, ...Path]} */ (path);
  const child = set(own(value, key), rest, next);
  if (typeof key === "number") {
    const list = Array.isArray(value) ? value : [];
    // An item of which nothing is left is still an item, unless it is what was taken away.
    const items = child !== undefined ? [child] : rest.length === 0 ? [] : [{}];
    return list.toSpliced(key, 1, ...items);
  }
  const object = isObject(value) ? value : {};
  if (child !== undefined) return { ...object, [key]: child };
  const left = Object.entries(object).filter(([name]) => name !== key);
  return left.length === 0 ? undefined : Object.fromEntries(left);
}

/** What tells one variant from the others. */
function labelOf(/** @type {any} */ schema, /** @type {number} */ index) {
  if (typeof schema.title === "string") return schema.title;
  const fixed = Object.entries(schema.properties ?? {}).find(([, one]) =>
    own(one, "const") !== undefined
  );
  if (fixed !== undefined) return `${fixed[0]}: ${show(fixed[1].const, 0)}`;
  if (Array.isArray(schema.required)) return `with ${schema.required.join(", ")}`;
  return hintOf(schema) || `variant ${index + 1}`;
}

/** The number of a text, exactly as it is written; the text itself where it is none. */
export function numberOf(/** @type {string} */ text) {
  if (!/^-?(0|[1-9]\d*)(\.\d+)?(e[+-]?\d+)?$/i.test(text.trim())) return text;
  return parse(text.trim());
}

/** What each kind of field can show without changing it. @type {Record<string, (value: any, field: Field) => boolean>} */
const FITS = {
  text: (value) => typeof value === "string" && !value.includes("\r"),
  // What is no number yet is a text.
  number: (value) =>
    typeof value === "string"
      ? numberOf(value) === value && !/[\r\n]/.test(value)
      : typeof value === "number" || isRaw(value),
  boolean: (value) => typeof value === "boolean",
  choice: (value, { options = [] }) => options.some((one) => same(one.value, value)),
  object: isObject,
  list: (value) => Array.isArray(value) && value.length <= MOST,
};

/**
 * The field for a part of the value; JSON where no other can show it.
 * @param {Schema} schema @param {any} value @param {Schema} root @returns {Field}
 */
export function fieldOf(schema, value, root) {
  const whole = resolve(schema, root);
  const all = whole.oneOf ?? whole.anyOf;
  const given = Array.isArray(all) && all.length <= MOST
    ? all.map((one) => resolve(one, root))
    : [];
  const types = typesOf(whole);
  const nullable = types.includes("null") || whole.nullable === true || given.some(isNull);
  const found = { ...plainField(whole, given.filter((one) => !isNull(one))), nullable };
  if (value === null && nullable) return { ...found, kind: "null" };
  const isShown = value === undefined || (FITS[found.kind]?.(value, found) ?? true);
  return isShown ? found : { ...found, kind: "json" };
}

/** Kinds of a single type that says how it is filled in. @type {Record<string, "text" | "number" | "boolean">} */
const PLAIN = { string: "text", integer: "number", number: "number", boolean: "boolean" };

/** @param {any} whole @param {any[]} given its variants @returns {Field} */
function plainField(whole, given) {
  /** @type {Field} */
  const field = { kind: "json", schema: whole, hint: hintOf(whole), nullable: false };
  const { oneOf, anyOf, ...base } = whole;
  // Of both, the other stays to be chosen of in each variant.
  const rest = oneOf && anyOf ? { ...base, anyOf } : base;
  const listed = given.length > 0 && given.every(optionsOf);
  const options = optionsOf(whole) ?? (listed ? given.flatMap((one) => optionsOf(one) ?? []) : []);
  if (options.length > 0) {
    return options.length > MOST ? field : { ...field, kind: "choice", options };
  }
  if (given.length === 1) return plainField(merged(rest, given[0]), []);
  const types = typesOf(whole).filter((one) => one !== "null");
  const ways = given.length > 0 ? given : types.length > 1 ? types.map((type) => ({ type })) : [];
  if (ways.length > 0) {
    const variants = ways.map((one, at) => ({ label: labelOf(one, at), value: merged(rest, one) }));
    return { ...field, kind: "variants", variants };
  }
  const [type = ""] = types;
  if (Object.hasOwn(PLAIN, type)) return { ...field, kind: PLAIN[type] ?? "json" };
  if (type === "array" && isObject(whole.items) && !whole.prefixItems) {
    return { ...field, kind: "list" };
  }
  const members = type === "object" ? membersOf(whole) : [];
  const { additionalProperties: more, patternProperties } = whole;
  const open = more === true || isObject(more) || patternProperties !== undefined;
  return members.length === 0 ? field : { ...field, kind: "object", members, open };
}

/** The members a form has fields for. @returns {Member[]} */
function membersOf(/** @type {any} */ schema) {
  const required = new Set(Array.isArray(schema.required) ? schema.required : []);
  return Object.entries(isObject(schema.properties) ? schema.properties : {})
    .filter(([, one]) => one !== false)
    .slice(0, MOST)
    .map(([key, one]) => ({ key, schema: one, required: required.has(key) }));
}

/** The members of an object that have no field of their own. @param {Field} field @param {any} value */
export function othersOf(field, value) {
  const known = new Set(field.members?.map(({ key }) => key));
  return Object.entries(isObject(value) ? value : {}).filter(([key]) => !known.has(key));
}

/** Which variant a value is of: the first that takes it, else the first that it looks like. @param {Option[]} variants @param {any} value @param {Schema} root */
export function variantOf(variants, value, root) {
  if (value === undefined) return 0;
  const faults = variants.map((one) => check(one.value, value, root).length);
  return faults.indexOf(Math.min(...faults));
}

/** What choosing a variant makes of the value: its fixed members, and those it has in common. @param {Schema} schema @param {any} value @param {Schema} root */
export function become(schema, value, root) {
  const field = fieldOf(schema, undefined, root);
  if (field.kind !== "object") return undefined;
  const kept = (field.members ?? []).flatMap(({ key, schema: one, required }) => {
    const options = optionsOf(resolve(one, root)) ?? [];
    if (required && options.length === 1) return [[key, options[0]?.value]];
    return own(value, key) === undefined ? [] : [[key, own(value, key)]];
  });
  return kept.length === 0 ? undefined : Object.fromEntries(kept);
}

/** What a new item of a list is: the least that its schema lets be, an empty text for a number. @param {Schema} schema @param {Schema} root @returns {any} */
export function blank(schema, root) {
  const { kind, options, variants, schema: { default: preset } } = fieldOf(schema, undefined, root);
  if (preset !== undefined) return preset;
  if (kind === "choice") return options?.[0]?.value ?? null;
  if (kind === "variants") return become(variants?.[0]?.value, undefined, root) ?? "";
  if (kind === "object") return become(schema, undefined, root) ?? {};
  return kind === "list" ? [] : kind === "boolean" ? false : kind === "json" ? null : "";
}

/** Whether a field's text is nobody's business. */
export function isSecret(/** @type {any} */ schema) {
  return schema.format === "password" || schema.writeOnly === true;
}

/** Whether some of what a schema asks for is not for an address. */
export const hasSecrets = (/** @type {any} */ schema) =>
  /"format":"password"|"writeOnly":true/.test(show(schema, 0));
