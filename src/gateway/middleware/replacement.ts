import type { RE2JS } from "re2js";

/** A piece of what is put in the place of a match: text, or a group by number or name. */
type Piece = { readonly text: string } | { readonly group: number | string };

type Match = ReturnType<RE2JS["matcher"]>;

/** What stands for a match as in `String.prototype.replace`, without what it does not need. */
const REFERENCE = /\$(?:\$|&|<([^>]+)>|([1-9]\d?))/g;

/**
 * Reads the text that replaces matches: `$&`, `$1`, `$<name>` and `$$`. Every other text, a reference
 * to a group that the pattern does not have included, stands for itself.
 */
export function compileReplacement(text: string, pattern: RE2JS): (match: Match) => string {
  const pieces: Piece[] = [];
  let from = 0;
  for (const found of text.matchAll(REFERENCE)) {
    const group = groupOf(found, pattern);
    if (group === undefined) continue;
    pieces.push({ text: text.slice(from, found.index) }, group);
    from = found.index + found[0].length;
  }
  pieces.push({ text: text.slice(from) });
  return (match) =>
    pieces.map((piece) => "text" in piece ? piece.text : match.group(piece.group) ?? "").join("");
}

function groupOf(
  [whole, name, number]: RegExpExecArray,
  pattern: RE2JS,
): Piece | undefined {
  if (whole === "$$") return { text: "$" };
  if (whole === "$&") return { group: 0 };
  if (name !== undefined) {
    return Object.hasOwn(pattern.namedGroups(), name) ? { group: name } : undefined;
  }
  return Number(number) <= pattern.groupCount() ? { group: Number(number) } : undefined;
}
