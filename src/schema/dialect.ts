/** The dialects of JSON Schema that tools are written in, and what each says of its keywords. */

/** The dialects that differ in what this project looks at. */
export type Dialect = "draft-04" | "draft-06" | "draft-07" | "2019-09" | "2020-12";

/** What MCP takes a schema without `$schema` for (SEP-1613), and what model APIs read all as. */
export const DEFAULT_DIALECT: Dialect = "2020-12";

const BY_URI: ReadonlyMap<string, Dialect> = new Map([
  ["json-schema.org/draft-04/schema", "draft-04"],
  ["json-schema.org/draft-06/schema", "draft-06"],
  ["json-schema.org/draft-07/schema", "draft-07"],
  ["json-schema.org/draft/2019-09/schema", "2019-09"],
  ["json-schema.org/draft/2020-12/schema", "2020-12"],
  ["json-schema.org/schema", "2020-12"],
]);

/** The dialect that a `$schema` names; `undefined` for one that is not known. */
export function dialectOf(uri: string): Dialect | undefined {
  return BY_URI.get(uri.replace(/^https?:\/\//, "").replace(/#$/, ""));
}

/** What may stand behind a keyword. */
export type KeywordForm =
  | "schema"
  | "schemas"
  | "schema map"
  | "schema or schemas"
  | "schema or boolean"
  | "dependencies"
  | "type"
  | "strings"
  | "strings map"
  | "array"
  | "count"
  | "number"
  | "positive number"
  | "boolean"
  | "string"
  | "pattern";

/** What all dialects agree on. */
const COMMON: Readonly<Record<string, KeywordForm>> = {
  $ref: "string",
  $schema: "string",
  additionalProperties: "schema",
  allOf: "schemas",
  anyOf: "schemas",
  definitions: "schema map",
  dependencies: "dependencies",
  description: "string",
  enum: "array",
  exclusiveMaximum: "number",
  exclusiveMinimum: "number",
  format: "string",
  maxItems: "count",
  maxLength: "count",
  maxProperties: "count",
  maximum: "number",
  minItems: "count",
  minLength: "count",
  minProperties: "count",
  minimum: "number",
  multipleOf: "positive number",
  not: "schema",
  oneOf: "schemas",
  pattern: "pattern",
  patternProperties: "schema map",
  properties: "schema map",
  required: "strings",
  title: "string",
  type: "type",
  uniqueItems: "boolean",
};

const DRAFT_06: Readonly<Record<string, KeywordForm>> = {
  ...COMMON,
  $id: "string",
  additionalItems: "schema",
  contains: "schema",
  examples: "array",
  items: "schema or schemas",
  propertyNames: "schema",
};

const DRAFT_07: Readonly<Record<string, KeywordForm>> = {
  ...DRAFT_06,
  $comment: "string",
  contentEncoding: "string",
  contentMediaType: "string",
  else: "schema",
  if: "schema",
  readOnly: "boolean",
  then: "schema",
  writeOnly: "boolean",
};

const DRAFT_2019: Readonly<Record<string, KeywordForm>> = {
  ...DRAFT_07,
  $anchor: "string",
  $defs: "schema map",
  contentSchema: "schema",
  dependentRequired: "strings map",
  dependentSchemas: "schema map",
  deprecated: "boolean",
  maxContains: "count",
  minContains: "count",
  unevaluatedItems: "schema",
  unevaluatedProperties: "schema",
};

/** The form of every keyword that a dialect knows; others may be anything. */
export const KEYWORDS: Readonly<Record<Dialect, ReadonlyMap<string, KeywordForm>>> = {
  "draft-04": keywords({
    ...COMMON,
    additionalItems: "schema or boolean",
    additionalProperties: "schema or boolean",
    exclusiveMaximum: "boolean",
    exclusiveMinimum: "boolean",
    id: "string",
    items: "schema or schemas",
  }),
  "draft-06": keywords(DRAFT_06),
  "draft-07": keywords(DRAFT_07),
  "2019-09": keywords(DRAFT_2019),
  "2020-12": keywords({
    ...DRAFT_2019,
    $dynamicAnchor: "string",
    $dynamicRef: "string",
    items: "schema",
    prefixItems: "schemas",
  }),
};

// Not the objects themselves: a schema may have a member called "constructor".
function keywords(forms: Readonly<Record<string, KeywordForm>>): ReadonlyMap<string, KeywordForm> {
  return new Map(Object.entries(forms));
}
