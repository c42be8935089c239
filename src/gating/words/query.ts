/** From the text of a query to what is looked for. */

import { STOP_WORDS } from "./stop-words.ts";
import type { Vocabulary } from "./vocabulary.ts";
import { termOf, words } from "./words.ts";

// Tool calls can be of any size; what is meant is said before this.
const LONGEST_QUERY = 4000;
const MOST_TERMS = 48;

/** The part of the query that is looked at. */
export function bounded(query: string): string {
  return query.length > LONGEST_QUERY ? query.slice(0, LONGEST_QUERY) : query;
}

/**
 * The terms that are looked for, each once, in order. A divided word is one term where a tool has it
 * undivided, else its parts; two words are one where a tool writes them together, beside themselves.
 */
export function queryTerms(query: string, vocabulary: Vocabulary): readonly string[] {
  const found = new Set<string>();
  let before: string | undefined;
  for (const { whole, parts } of words(bounded(query))) {
    if (found.size >= MOST_TERMS) break;
    const joined = before === undefined ? undefined : termOf(before + whole);
    if (joined !== undefined && joined.length > 4 && vocabulary.knows(joined)) found.add(joined);
    if (parts.length > 1 && vocabulary.has(termOf(whole))) found.add(termOf(whole));
    for (const part of parts) {
      if (STOP_WORDS.has(part)) continue;
      found.add(termOf(part));
      for (const half of halves(part, vocabulary)) found.add(half);
    }
    before = whole;
  }
  return found.size === 0 ? filling(query, vocabulary) : [...found].slice(0, MOST_TERMS);
}

/** Of a query that has nothing but words such as "make", those that stand for others. */
function filling(query: string, vocabulary: Vocabulary): readonly string[] {
  const terms = words(bounded(query)).map(({ whole }) => termOf(whole));
  return [...new Set(terms)].filter((term) => vocabulary.knows(term)).slice(0, MOST_TERMS);
}

const SHORTEST_HALF = 3;

/** The two terms that a word is made of where nobody writes it as one: `github` for `gitHub`. */
function halves(word: string, vocabulary: Vocabulary): readonly string[] {
  if (word.length < 2 * SHORTEST_HALF || vocabulary.has(termOf(word))) return [];
  for (let at = word.length - SHORTEST_HALF; at >= SHORTEST_HALF; at--) {
    const [first, second] = [termOf(word.slice(0, at)), termOf(word.slice(at))];
    if (vocabulary.has(first) && vocabulary.has(second)) return [first, second];
  }
  return [];
}

/** What could be an identifier in it: all of it, and every word that is written like one. */
export function identifiers(query: string): readonly string[] {
  const whole = bounded(query).trim();
  const pieces = whole.split(/[\s,;"'`()[\]{}<>]+/u)
    .filter((piece) => /[\p{L}\p{N}][_\-./:][\p{L}\p{N}]|\p{Ll}\p{Lu}/u.test(piece));
  return [whole, ...pieces].map(identifierKey).filter((key) => key !== "");
}

/** Alike for names that differ in case and separators only. */
export function identifierKey(name: string): string {
  return name.toLowerCase().replace(/[\s_\-./:]+/gu, "");
}
