/** What the configuration does to the parameters of a tool: in its schema, and in its calls. */

import type { Override } from "../config/shaping.ts";
import { parseGlob } from "../lib/glob.ts";
import { type JsonEdit, rawAt } from "../lib/json-edit.ts";
import { isObject } from "../lib/json.ts";
import type { ArgumentRules } from "../protocol/arguments.ts";

/** The parameters of one tool as they are to be. */
export interface ShapedParameters {
  /** `undefined` where calls go through as they are. */
  readonly rules: ArgumentRules | undefined;
  /** Edits of the tool's text. */
  readonly edits: readonly JsonEdit[];
  /** Parameters that the configuration names and the tool does not have. */
  readonly missing: readonly string[];
  /** Parameters that the tool requires, and that nobody can give any more. */
  readonly unsatisfied: readonly string[];
}

const UNCHANGED: ShapedParameters = { rules: undefined, edits: [], missing: [], unsatisfied: [] };

const PROPERTIES = ["inputSchema", "properties"];
const REQUIRED = ["inputSchema", "required"];

/**
 * Reads the rules from the overrides of one tool, in their order. An override by pattern says
 * nothing about parameters that a tool does not have; one by name does, for not every schema lists
 * all that its tool takes.
 */
export function shapeParameters(raw: string, overrides: readonly Override[]): ShapedParameters {
  const concerned = overrides.filter(({ hideParameters, defaults, fixed }) =>
    hideParameters !== undefined || defaults !== undefined || fixed !== undefined
  );
  if (concerned.length === 0) return UNCHANGED;
  const has = (name: string) => rawAt(raw, [...PROPERTIES, name]) !== undefined;
  const missing = new Set<string>();
  const rules = {
    defaults: new Map<string, string>(),
    fixed: new Map<string, string>(),
    hidden: new Set<string>(),
  };
  for (const { match, hideParameters = [], defaults = {}, fixed = {} } of concerned) {
    const isByName = parseGlob(match).isLiteral;
    const isMeant = (name: string) => {
      const there = has(name);
      if (!there && isByName) missing.add(name);
      return there || isByName;
    };
    for (const name of hideParameters.filter(isMeant)) rules.hidden.add(name);
    for (const [name, value] of Object.entries(defaults)) {
      if (isMeant(name)) rules.defaults.set(name, JSON.stringify(value ?? null));
    }
    for (const [name, value] of Object.entries(fixed)) {
      if (isMeant(name)) rules.fixed.set(name, JSON.stringify(value ?? null));
    }
  }
  if (rules.defaults.size + rules.fixed.size + rules.hidden.size === 0) return UNCHANGED;
  return { rules, missing: [...missing], ...schemaEdits(raw, rules) };
}

function schemaEdits(
  raw: string,
  { defaults, fixed, hidden }: ArgumentRules,
): Pick<ShapedParameters, "edits" | "unsatisfied"> {
  const unseen = new Set([...hidden, ...fixed.keys()]);
  const edits: JsonEdit[] = [];
  for (const name of unseen) {
    const path = [...PROPERTIES, name];
    if (rawAt(raw, path) !== undefined) edits.push({ path, value: undefined });
  }
  for (const [name, value] of defaults) {
    const path = [...PROPERTIES, name];
    // A schema that is no object is `true`, or allows nothing anyway.
    if (unseen.has(name) || !isObject(parsed(raw, path))) continue;
    edits.push({ path: [...path, "default"], value });
  }
  const required = parsed(raw, REQUIRED);
  if (!Array.isArray(required)) return { edits, unsatisfied: [] };
  const isOptional = (name: unknown) =>
    typeof name === "string" && (unseen.has(name) || defaults.has(name));
  const remaining = required.filter((name) => !isOptional(name));
  if (remaining.length < required.length) {
    // Of the older dialects some allow no empty list.
    const value = remaining.length === 0 ? undefined : JSON.stringify(remaining);
    edits.push({ path: REQUIRED, value });
  }
  const unsatisfied = [...hidden].filter((name) =>
    required.includes(name) && !defaults.has(name) && !fixed.has(name)
  );
  return { edits, unsatisfied };
}

function parsed(raw: string, path: readonly string[]): unknown {
  const text = rawAt(raw, path);
  return text === undefined ? undefined : JSON.parse(text);
}
