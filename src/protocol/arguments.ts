/** What the configuration does to the arguments of a tool's calls. Pure. */

import { type JsonEdit, rawAt } from "../lib/json-edit.ts";

/** The rules for one tool; values are JSON texts by parameter. */
export interface ArgumentRules {
  /** For calls that do not have the argument. */
  readonly defaults: ReadonlyMap<string, string>;
  /** For every call, whatever it says. */
  readonly fixed: ReadonlyMap<string, string>;
  /** What no client may send; those with a default or a fixed value have that one. */
  readonly hidden: ReadonlySet<string>;
}

/**
 * The edits that make a call's arguments what the rules say; paths start in the object of the
 * arguments, which `text` is, `undefined` for a call without. Nothing is refused: what a client
 * sends for a hidden parameter is left out. Everything else stays character for character.
 */
export function argumentEdits(
  text: string | undefined,
  { defaults, fixed, hidden }: ArgumentRules,
): readonly JsonEdit[] {
  const isSent = (name: string) => text !== undefined && rawAt(text, [name]) !== undefined;
  const edits: JsonEdit[] = [];
  // Also where the value is right already, or absent: of a member that is sent twice an edit leaves
  // the last one only, and nobody can take the wrong one.
  for (const [name, value] of fixed) edits.push({ path: [name], value });
  for (const [name, value] of defaults) {
    if (!fixed.has(name) && (hidden.has(name) || !isSent(name))) {
      edits.push({ path: [name], value });
    }
  }
  for (const name of hidden) {
    if (!fixed.has(name) && !defaults.has(name)) edits.push({ path: [name], value: undefined });
  }
  return edits;
}
