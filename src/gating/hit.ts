/** A found tool in few tokens: enough to call it, or to see that it is the wrong one. */

import type { GatingConfig } from "../config/types.ts";
import { isObject, type Json, type JsonObject, unlessTooDeep } from "../lib/json.ts";
import { cut } from "../lib/text.ts";
import { estimateTokens } from "../lib/tokens.ts";
import { riskOf } from "../registry/filter.ts";
import { executorOf } from "./meta-tools.ts";
import type { ListedTool } from "./view.ts";
import { asText, titleOf } from "./words/document.ts";

/** By so many characters a server is recognised. */
const ENOUGH_OF_A_NAME = 12;

/** The hints that clients decide approval by (server/tools: annotations). */
const HINTS = ["readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"] as const;

/** A tool as `discover_tools` returns it. */
export type CompactHit = ReturnType<typeof compactHit>;

/** The hit of a listed tool. */
export function compactHit(tool: ListedTool, config: GatingConfig) {
  const { definition, route } = tool;
  const annotations = hintsOf(definition);
  return {
    // The exposed name, and behind it the config key of the server and the upstream's own name.
    id: route.exposed,
    server: route.server,
    name: route.name,
    signature: signatureOf(route.name, definition.inputSchema),
    // One line.
    description: summary(asText(definition.description) || titleOf(definition)),
    tokens: definitionTokens(fullDefinition(tool, config)),
    // What the tool says itself of its risk.
    ...(annotations === undefined ? {} : { annotations }),
    ...executor(annotations, config),
  };
}

/**
 * The hit as a line of text. It begins with the id, as that is what a call needs; the signature's
 * own name is in the data.
 */
export function hitLine(hit: CompactHit & { readonly reason?: string | undefined }): string {
  const { id, name, signature, description, server, annotations, tokens, reason } = hit;
  const about = [
    // Of a long name what is left of it in a shortened id will do.
    id.startsWith(server.slice(0, ENOUGH_OF_A_NAME)) ? undefined : collapsed(server),
    hit.execute_with ?? (saysRisk(annotations) ? riskOf(annotations) : undefined),
    tokens,
    reason,
  ];
  const call = collapsed(id) + signature.slice(collapsed(name).length);
  const what = description === "" ? "" : ` — ${description}`;
  return `${call}${what} [${about.filter((one) => one !== undefined).join(", ")}]`;
}

/** A tool as `provision_tools` returns it: all that is needed to call it. */
export function fullDefinition(
  { definition, route }: ListedTool,
  config: GatingConfig,
): JsonObject {
  const { description, inputSchema, outputSchema } = definition;
  const annotations = hintsOf(definition);
  const output = schemaOf(outputSchema);
  return {
    id: route.exposed,
    ...(asText(description) === "" ? {} : { description }),
    inputSchema: schemaOf(inputSchema) ?? { type: "object" },
    ...(output === undefined ? {} : { outputSchema: output }),
    ...(annotations === undefined ? {} : { annotations }),
    ...executor(annotations, config),
  };
}

/**
 * A schema without `$schema`, which is for validators; to a model it is some fifteen tokens that say
 * nothing. `undefined` also for one too deep to be written.
 */
function schemaOf(schema: Json | undefined): JsonObject | undefined {
  if (!isObject(schema)) return undefined;
  const { $schema: _dialect, ...rest } = schema;
  // In as many brackets as it will ever be put into.
  const isWritable = unlessTooDeep(() => JSON.stringify([[[[[[[[rest]]]]]]]])) !== undefined;
  return isWritable ? rest : undefined;
}

/** Where there is one tool to execute all others, nobody needs to be told which. */
function executor(annotations: JsonObject | undefined, config: GatingConfig) {
  return config.splitByRisk ? { execute_with: executorOf(riskOf(annotations), config) } : {};
}

/** About how many tokens such a definition takes, as JSON. */
export function definitionTokens(definition: JsonObject): number {
  return estimateTokens(JSON.stringify(definition));
}

function hintsOf({ annotations }: JsonObject): JsonObject | undefined {
  if (!isObject(annotations)) return undefined;
  const given = HINTS.filter((hint) => typeof annotations[hint] === "boolean");
  if (given.length === 0) return undefined;
  return Object.fromEntries(given.map((hint) => [hint, annotations[hint]!]));
}

/** A tool without hints counts as destructive, but to say so of nearly every tool says nothing. */
function saysRisk(annotations: JsonObject | undefined): boolean {
  return annotations?.readOnlyHint !== undefined || annotations?.destructiveHint !== undefined;
}

/** Beyond so many parameters a line is no help; the full schema is. */
const MOST_PARAMETERS = 12;

/** Values are listed where they take less than this; else their type is. Characters. */
const LONGEST_VALUES = 48;

/** Names may be anything; only so much of one is shown. Characters. */
const LONGEST_NAME = 64;

/** Types inside types: arrays of arrays, references to references. */
const DEEPEST = 4;

const MOST_ALTERNATIVES = 3;

/** Of alternatives together; types inside types multiply. Characters. */
const LONGEST_ALTERNATIVES = 64;

/** How the types of JSON Schema are written here; others are left as they are not. */
const TYPES: ReadonlyMap<unknown, string> = new Map([
  ["integer", "int"],
  ["number", "number"],
  ["string", "string"],
  ["boolean", "bool"],
  ["object", "object"],
  ["array", "array"],
]);

const UNKNOWN = "any";

/**
 * The signature of a tool with this input schema, which may be anything: required parameters first,
 * each group in the order of the schema, `…` where there are too many. Types are `int`, `number`,
 * `string`, `bool`, `object`, `any`, `T[]`, and short enumerations as `"a"|"b"`.
 */
export function signatureOf(name: string, inputSchema: Json | undefined): string {
  const schema = isObject(inputSchema) ? inputSchema : {};
  const properties = isObject(schema.properties) ? Object.entries(schema.properties) : [];
  const required = new Set(Array.isArray(schema.required) ? schema.required : []);
  const ordered = [
    ...properties.filter(([key]) => required.has(key)),
    ...properties.filter(([key]) => !required.has(key)),
  ];
  const shown = ordered.slice(0, MOST_PARAMETERS).map(([key, property]) =>
    `${nameText(key)}${required.has(key) ? "" : "?"}: ${typeText(property, schema, DEEPEST)}`
  );
  if (ordered.length > shown.length) shown.push("…");
  return `${collapsed(name)}(${shown.join(", ")})`;
}

/** Names that could be taken for something else are quoted. */
function nameText(name: string): string {
  const short = cut(name, LONGEST_NAME);
  return /^[\p{L}\p{N}_$.@-]+…?$/u.test(short) ? short : JSON.stringify(collapsed(short));
}

function typeText(given: Json | undefined, root: JsonObject, depth: number): string {
  if (!isObject(given) || depth === 0) return UNKNOWN;
  const schema = typeof given.$ref === "string" ? referred(given.$ref, root) : given;
  if (schema === undefined) return UNKNOWN;
  if (schema !== given) return typeText(schema, root, depth - 1);
  const values = valuesText(schema);
  if (values !== undefined) return values;
  const { type, items } = schema;
  if (type === "array") return arrayText(typeText(items, root, depth - 1));
  const several = Array.isArray(type)
    ? type.map((one): Json => ({ ...schema, type: one }))
    : [schema.anyOf, schema.oneOf].find(Array.isArray);
  if (several !== undefined) return alternatives(several, root, depth);
  return TYPES.get(type) ?? (isObject(schema.properties) ? "object" : UNKNOWN);
}

/** A place in the same document; what is elsewhere is not looked for. */
function referred(reference: string, root: JsonObject): JsonObject | undefined {
  if (!reference.startsWith("#/")) return undefined;
  let at: Json | undefined = root;
  for (const step of reference.slice(2).split("/")) {
    const key = step.replaceAll("~1", "/").replaceAll("~0", "~");
    if (!isObject(at) || !Object.hasOwn(at, key)) return undefined;
    at = at[key];
  }
  return isObject(at) ? at : undefined;
}

function valuesText({ enum: values, const: only }: JsonObject): string | undefined {
  const listed = Array.isArray(values) ? values : only === undefined ? [] : [only];
  // Nothing more is written of the long ones: an enumeration may have thousands of values.
  if (listed.length === 0 || listed.length > LONGEST_VALUES / 2) return undefined;
  const simple = listed.every((value) =>
    typeof value === "string" && value.length < LONGEST_VALUES || typeof value === "number" ||
    typeof value === "boolean" || value === null
  );
  if (!simple) return undefined;
  const text = listed.map((value) => JSON.stringify(value)).join("|");
  return text.length <= LONGEST_VALUES ? text : undefined;
}

function arrayText(item: string): string {
  return item.includes("|") ? `(${item})[]` : `${item}[]`;
}

/** That a value may be null is not worth the words. */
function alternatives(several: readonly Json[], root: JsonObject, depth: number): string {
  const types = new Set<string>();
  for (const one of several.slice(0, 2 * MOST_ALTERNATIVES)) {
    if (isObject(one) && one.type === "null") continue;
    types.add(typeText(one, root, depth - 1));
  }
  const text = [...types].join("|");
  const isTelling = types.size > 0 && types.size <= MOST_ALTERNATIVES && !types.has(UNKNOWN);
  return isTelling && text.length <= LONGEST_ALTERNATIVES ? text : UNKNOWN;
}

/** Most characters of a line about a tool or a server. */
const LONGEST = 160;

/** A first sentence of fewer characters says too little; the next one joins it. */
const SHORT = 40;

/** Looked at of texts that may be megabytes. */
const LONGEST_READ = 2_000;

/** The end of a sentence. An abbreviation is taken for one, too; {@link SHORT} mostly heals that. */
const END = /[.!?](?=\s+["'“(\[`]?[\p{Lu}\p{Lo}\d])|[。！？]|\n\s*\n|\n(?=\s*[-*#\d])/gu;

/**
 * The beginning of a text as one line: its first sentence, and the next where that one is short; at
 * most 160 characters, cut between words where it is longer.
 */
export function summary(text: string): string {
  const read = withoutHeadings(text.slice(0, LONGEST_READ).trim());
  let line = "";
  for (const { index, 0: end } of read.matchAll(END)) {
    const longer = collapsed(read.slice(0, index + end.length));
    if (line !== "" && longer.length > LONGEST) return line;
    line = longer;
    if (line.length >= SHORT) return cutAtWord(line);
  }
  const all = collapsed(read);
  return line !== "" && all.length > LONGEST ? line : cutAtWord(all);
}

/** Markdown: a heading repeats the name, what is said comes below; unless there is nothing else. */
function withoutHeadings(text: string): string {
  return text.replace(/^(?:\s*#{1,6}\s.*\n)+/, "").trim().replace(/^#{1,6}\s+/, "");
}

/**
 * The text with every run of blanks, line ends and control characters as one space. For what a model
 * reads, which has no use for the escapes of a log's `oneLine`.
 */
export function collapsed(text: string): string {
  // Line and paragraph separators end lines, too, and directional marks reorder them.
  return text.replace(/[\s\p{Cc}\u200e\u200f\u2028-\u202e\u2066-\u2069]+/gu, " ").trim();
}

function cutAtWord(line: string): string {
  if (line.length <= LONGEST) return line;
  const most = line.slice(0, LONGEST - 1);
  const space = most.lastIndexOf(" ");
  // Text without spaces is cut anywhere, but not through a character.
  const kept = space > LONGEST / 2 ? most.slice(0, space) : most.replace(/[\ud800-\udbff]$/, "");
  return `${kept.replace(/[\s,;:–—-]+$/, "")}…`;
}
