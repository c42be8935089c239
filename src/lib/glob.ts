/**
 * Patterns for names and URIs: `*` is any text (slashes too), `?` one character, `{a,b}` either of
 * several, `\` takes the next character as it is. Braces without a comma are themselves, so that a
 * URI template can be written as it stands. Upper and lower case differ.
 *
 * Not by regular expressions: a pattern is matched in time proportional to its length times that of
 * the text, whatever both are.
 */

/** More alternatives in one pattern are a mistake, or an attack. */
export const MAX_ALTERNATIVES = 256;

/** A pattern, ready to be matched. Immutable. */
export interface Glob {
  readonly pattern: string;
  /** Whether the pattern names one text only: it has no wildcard and no alternatives. */
  readonly isLiteral: boolean;
  /** Whether the whole text is what the pattern says. */
  matches(text: string): boolean;
}

/** Character codes, and the two wildcards. */
type Tokens = readonly number[];
const ANY = -1;
const ONE = -2;

/**
 * Reads a pattern; every text is one.
 * @throws {RangeError} with more than {@link MAX_ALTERNATIVES} alternatives
 */
export function parseGlob(pattern: string): Glob {
  const alternatives = expand(pattern).map(simplify);
  const isLiteral = alternatives.length === 1 && alternatives[0]!.every((token) => token >= 0);
  return Object.freeze({
    pattern,
    isLiteral,
    matches: (text: string) => alternatives.some((tokens) => matchTokens(tokens, text)),
  });
}

/** Every alternative the braces of a pattern stand for. */
function expand(pattern: string): Tokens[] {
  let found: number[][] = [[]];
  const append = (token: number) => {
    for (const tokens of found) tokens.push(token);
  };
  for (let at = 0; at < pattern.length; at++) {
    const character = pattern[at];
    const group = character === "{" ? alternativesAt(pattern, at) : undefined;
    if (character === "*") append(ANY);
    else if (character === "?") append(ONE);
    else if (group !== undefined) {
      const inner = group.parts.flatMap(expand);
      if (found.length * inner.length > MAX_ALTERNATIVES) {
        throw new RangeError(
          `Cannot read the pattern ${JSON.stringify(pattern)}: more than ${MAX_ALTERNATIVES} ` +
            "alternatives; expected fewer",
        );
      }
      found = found.flatMap((tokens) => inner.map((more) => [...tokens, ...more]));
      at = group.end;
    } else {
      // A last backslash is itself.
      if (character === "\\" && at + 1 < pattern.length) at++;
      append(pattern.charCodeAt(at));
    }
  }
  return found;
}

/** What the brace at `start` encloses, `end` being its partner; none without a comma in between. */
function alternativesAt(pattern: string, start: number) {
  const parts: string[] = [];
  let from = start + 1;
  let depth = 0;
  for (let at = start; at < pattern.length; at++) {
    const character = pattern[at];
    if (character === "\\") at++;
    else if (character === "{") depth++;
    else if (character === "," && depth === 1) {
      parts.push(pattern.slice(from, at));
      from = at + 1;
    } else if (character === "}" && --depth === 0) {
      if (parts.length === 0) return undefined;
      return { parts: [...parts, pattern.slice(from, at)], end: at };
    }
  }
  return undefined;
}

function simplify(tokens: Tokens): Tokens {
  return tokens.filter((token, index) => token !== ANY || tokens[index - 1] !== ANY);
}

/** Of several `*` only the last one ever has to be tried again. */
function matchTokens(tokens: Tokens, text: string): boolean {
  let at = 0;
  let next = 0;
  let star = -1;
  let resume = 0;
  while (at < text.length) {
    const token = tokens[next];
    if (token === ANY) {
      star = next++;
      resume = at;
    } else if (token === ONE) {
      at += text.codePointAt(at)! > 0xffff ? 2 : 1;
      next++;
    } else if (token === text.charCodeAt(at)) {
      at++;
      next++;
    } else if (star >= 0) {
      next = star + 1;
      at = ++resume;
    } else return false;
  }
  while (tokens[next] === ANY) next++;
  return next === tokens.length;
}
