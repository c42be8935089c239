/** What may go wrong with one tool: its name, its description, its schemas. */

import { type ConfigPath, formatPath } from "../config/issue.ts";
import { isObject, type Json, type JsonObject } from "../lib/json.ts";
import { cut, sanitizeName } from "../lib/text.ts";
import { MAX_EXPOSED_NAME } from "../protocol/names.ts";
import type { Registry } from "../registry/types.ts";
import { checkJsonSchema, type SchemaProblem } from "../schema/check.ts";
import { DEFAULT_DIALECT, KEYWORDS } from "../schema/dialect.ts";
import { schemaPlaces } from "../schema/walk.ts";

/** How much a finding matters: an error keeps something from working for some client. */
export type Level = "error" | "warning" | "note";

/** What kinds of things are found; part of the public contract, explained in `docs/check.md`. */
export const RULES = [
  "server-failed",
  "list",
  "duplicate",
  "schema-root",
  "schema-invalid",
  "schema-reference",
  "schema-remote",
  "schema-dialect",
  "schema-pattern",
  "schema-deep",
  "schema-combined",
  "schema-property",
  "schema-items",
  "long-description",
  "no-description",
  "long-instructions",
  "name-long",
  "name-cut",
  "name-spelling",
  "name-conflict",
  "uri-conflict",
  "same-tool",
  "many-tools",
  "ungated",
  "shape",
  "cached-writing",
] as const;

/** One of {@link RULES}. */
export type DiagnoseRule = typeof RULES[number];

/** One thing `check --connect` has found; part of the public contract. */
export interface Finding {
  readonly level: Level;
  /** What kind of thing it is, for scripts. */
  readonly rule: DiagnoseRule;
  /** Config key; null where it is about all of them. */
  readonly server: string | null;
  /** The exposed name of the tool it is about, or what else is listed. */
  readonly subject: string | null;
  /** What was found. */
  readonly message: string;
  /** What to do, for whoever runs the gateway. */
  readonly remedy: string | null;
}

/** A tool as the aggregate lists it for legacy clients: the narrower of the two eras. */
export interface CheckedTool {
  readonly server: string;
  /** The upstream's own name. */
  readonly own: string;
  readonly exposed: string;
  /** What clients get. */
  readonly tool: JsonObject;
}

/** Claude Code cuts descriptions here UTF-16 units. */
export const CUT_DESCRIPTION = 2048;

/** Some OpenAI models refuse a request with a longer one. UTF-16 units. */
const REFUSED_DESCRIPTION = 1024;

/** Of several problems of one kind the first ones are told, and how many there are. */
const TOLD = 3;

/** The first ones, and how many more there are. */
export function listed(texts: readonly string[], separator = ", ", last = " and "): string {
  const more = texts.length - TOLD;
  return texts.slice(0, TOLD).join(separator) + (more > 0 ? `${last}${more} more` : "");
}

type Bare = Pick<Finding, "level" | "rule" | "message" | "remedy">;

/** A finding, before it is said what it is about. */
export function found(
  level: Level,
  rule: DiagnoseRule,
  message: string,
  remedy: string | null = null,
): Bare {
  return { level, rule, message, remedy };
}

/** Everything that may go wrong with one tool. */
export function toolFindings(listed: CheckedTool, registry: Registry): Finding[] {
  const { server, own, exposed, tool } = listed;
  const remedy = `ask the authors of the server to mend it, or leave the tool out: add ${
    JSON.stringify(own)
  } to ${optionOf(server, "exclude")}`;
  const all = [
    ...nameFindings(listed, registry),
    ...descriptionFindings(tool, `set a shorter one in ${optionOf(server, "override", own)}`),
    ...schemaFindings("inputSchema", tool.inputSchema, remedy),
    ...(tool.outputSchema === undefined
      ? []
      : schemaFindings("outputSchema", tool.outputSchema, remedy)),
  ];
  return all.map((finding) => ({ ...finding, server, subject: exposed }));
}

/** Where in the configuration something can be said about tools of a server. */
function optionOf(server: string, ...path: ConfigPath): string {
  return formatPath(["mcpServers", server, "tools", ...path]);
}

function descriptionFindings({ description }: JsonObject, remedy: string): Bare[] {
  if (typeof description !== "string" || description.trim() === "") {
    const message = "has no description: a model has only its name to go by";
    return [
      found("note", "no-description", message, remedy.replace("a shorter one", '"description"')),
    ];
  }
  const { length } = description;
  if (length <= REFUSED_DESCRIPTION) return [];
  const isCut = length > CUT_DESCRIPTION;
  const message = `has a description of ${length} characters: ` +
    (isCut ? `Claude Code cuts it at ${CUT_DESCRIPTION}, ` : "") +
    `some OpenAI models refuse more than ${REFUSED_DESCRIPTION}`;
  return [found(isCut ? "warning" : "note", "long-description", message, remedy)];
}

function schemaFindings(
  member: "inputSchema" | "outputSchema",
  schema: Json | undefined,
  remedy: string,
): Bare[] {
  if (isObject(schema) && schema.type === "object") {
    const problems = problemFindings(member, schema, remedy);
    return member === "inputSchema" ? [...problems, ...refusedForms(schema, remedy)] : problems;
  }
  const fault = schema === undefined
    ? `has no ${member}`
    : !isObject(schema)
    ? `has an ${member} that is no object`
    : schema.type === undefined
    ? `has an ${member} without "type"`
    : `has an ${member} of type ${JSON.stringify(schema.type).slice(0, 60)}`;
  // Clients of the SDK refuse the whole list for one root that is no object.
  const message = `${fault}, expected "type": "object" at its root: many clients refuse the ` +
    "whole list for it";
  return [found("error", "schema-root", message, remedy)];
}

const SEVERITY: Readonly<Record<SchemaProblem["type"], readonly [Level, DiagnoseRule]>> = {
  "invalid": ["error", "schema-invalid"],
  "dangling": ["error", "schema-reference"],
  "remote": ["warning", "schema-remote"],
  "dialect": ["warning", "schema-dialect"],
  "unknown-dialect": ["warning", "schema-dialect"],
  "pattern": ["warning", "schema-pattern"],
  "deep": ["warning", "schema-deep"],
};

const CONSEQUENCE: Readonly<Partial<Record<DiagnoseRule, string>>> = {
  "schema-remote": "; clients do not fetch it",
  "schema-dialect": "; models' interfaces read every schema as 2020-12",
};

function problemFindings(member: string, schema: Json, remedy: string): Bare[] {
  const problems = Map.groupBy(checkJsonSchema(schema), ({ type }) => SEVERITY[type][1]);
  return [...problems].map(([rule, all]) => {
    const texts = all.map(({ pointer, message }) => `${pointer}: ${message}`);
    const message = `${member} ${listed(texts, "; ", "; and ")}${CONSEQUENCE[rule] ?? ""}`;
    return found(SEVERITY[all[0]!.type][0], rule, message, remedy);
  });
}

const COMBINATORS = ["oneOf", "anyOf", "allOf"];

/** What models' interfaces accept as names of properties at the root. */
const ACCEPTED_PROPERTY = /^[a-zA-Z0-9_.-]{1,64}$/;

/** Valid forms that clients, or the models behind them, are known to refuse. */
function refusedForms(schema: JsonObject, remedy: string): Bare[] {
  const combined = COMBINATORS.filter((keyword) => schema[keyword] !== undefined);
  const properties = isObject(schema.properties) ? Object.keys(schema.properties) : [];
  const odd = properties.filter((name) => !ACCEPTED_PROPERTY.test(name));
  const open = arraysWithoutItems(schema);
  const faults: Bare[] = [];
  const add = (rule: DiagnoseRule, message: string) =>
    faults.push(found("warning", rule, message, remedy));
  if (combined.length > 0) {
    const message = "at the root of inputSchema: Claude and OpenAI models refuse the request, " +
      "and Claude Code leaves the tool out";
    add("schema-combined", `has ${combined.join(", ")} ${message}`);
  }
  if (odd.length > 0) {
    const message = `has parameters whose names Claude models refuse: ${quoted(odd)}`;
    add("schema-property", `${message}, expected 1 to 64 of A-Z a-z 0-9 _ . -`);
  }
  if (open.length > 0) {
    const message = `has arrays without "items", which VS Code refuses: inputSchema`;
    add("schema-items", `${message} ${quoted(open)}`);
  }
  return faults;
}

function arraysWithoutItems(schema: JsonObject): string[] {
  return [...schemaPlaces(schema, KEYWORDS[DEFAULT_DIALECT])]
    .filter(({ schema: { type, items, prefixItems } }) =>
      (type === "array" || (Array.isArray(type) && type.includes("array"))) &&
      items === undefined && prefixItems === undefined
    )
    .map(({ pointer }) => pointer);
}

/** How much of a name or pointer a message repeats. */
const LONGEST_QUOTE = 80;

function quoted(texts: readonly string[]): string {
  return listed(texts.map((text) => JSON.stringify(cut(text, LONGEST_QUOTE))));
}

/** Claude, Codex and Zed take no longer name, with what they put in front of it. */
const LONGEST_NAME = 64;

/** What becomes of a tool's name, behind all servers and behind its own. */
function nameFindings(
  { server, own, exposed }: CheckedTool,
  { conflicts, entries }: Registry,
): Bare[] {
  const name = JSON.stringify(own.slice(0, 100));
  const remedy = 'give it a shorter name with "rename", or its server one with "alias"';
  if (own.length > LONGEST_NAME) {
    const message = `is called ${name} by its server, ${own.length} characters: clients of ` +
      `/servers/${server}/mcp that take at most ${LONGEST_NAME} leave it out`;
    return [found("warning", "name-long", message, remedy)];
  }
  const renamed = entries.find(({ name }) => name === server)?.shape?.tools?.rename?.[own];
  const wanted = sanitizeName(own);
  const isWhole = [wanted, sanitizeName(renamed ?? own)].some((name) => exposed.endsWith(name));
  const told = conflicts.some(({ type, parties }) =>
    type === "suffixed" && parties.some((party) => party.exposed === exposed)
  );
  if (!isWhole && !told) {
    const message = `is called ${name} by its server, which is cut: with its prefix it would be ` +
      `longer than ${MAX_EXPOSED_NAME} characters`;
    return [found("note", "name-cut", message, remedy)];
  }
  if (renamed !== undefined || wanted === own) return [];
  const message = `is called ${name} by its server: clients take A-Z a-z 0-9 _ - only`;
  return [found("note", "name-spelling", message)];
}
