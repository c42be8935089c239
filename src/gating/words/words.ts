/** From text to the words that are indexed and searched. */

import { lightStem } from "./stem.ts";
import { STOP_WORDS } from "./stop-words.ts";

/** Scripts that put no space between words: their neighbouring characters are the words. */
const UNSPACED = "\\p{Script=Han}\\p{Script=Hiragana}\\p{Script=Katakana}\\p{Script=Hangul}" +
  "\\p{Script=Thai}\\p{Script=Lao}\\p{Script=Khmer}\\p{Script=Myanmar}ー";
const RUNS = new RegExp(`[${UNSPACED}]+|(?:(?![${UNSPACED}])[\\p{L}\\p{N}\\p{M}])+`, "gu");
const UNSPACED_START = new RegExp(`^[${UNSPACED}]`, "u");
const ASCII_RUNS = /[A-Za-z0-9]+/g;

/** Of `getUserID`, `HTTPServer`, `parseURLs` and `base64`: where one part ends and the next begins. */
const PART_ENDS =
  /(?<=[\p{Ll}\p{N}])(?=\p{Lu})|(?<=\p{Lu})(?=\p{Lu}(?!s(?:\P{Ll}|$))\p{Ll})|(?<=\p{L}\p{L})(?=\p{N})|(?<=\p{N})(?=\p{L}\p{L})/u;

/** ASCII without anything that divides a word: no digits, capitals at the start only. */
// deno-lint-ignore no-control-regex
const PLAIN = /^(?:[\x00-/:-@[-\x7f]|(?<![A-Za-z])[A-Z](?![A-Z]))*$/;

/** Longer ones are encoded data, and would only fill the index. */
const LONGEST_WORD = 40;

/** One piece of a text without spaces or punctuation. */
export interface Word {
  /** Lower case, not stemmed. */
  readonly whole: string;
  /** What camel case and digits divide it into, likewise; itself alone where nothing does. */
  readonly parts: readonly string[];
}

/** Splits a text into its words, in order, stop words included. */
export function words(text: string): Word[] {
  // deno-lint-ignore no-control-regex
  const isAscii = /^[\x00-\x7f]*$/.test(text);
  // Compatible forms are one (ﬁ, full width), and accents are what people leave out.
  const plain = isAscii
    ? text
    : text.normalize("NFKD").replace(/[\u0300-\u036f]/g, "").normalize("NFC");
  const found: Word[] = [];
  for (const [run] of plain.matchAll(isAscii ? ASCII_RUNS : RUNS)) {
    if (!isAscii && UNSPACED_START.test(run)) {
      for (const pair of pairs(run)) found.push({ whole: pair, parts: [pair] });
      continue;
    }
    if (run.length > LONGEST_WORD) continue;
    const whole = run.toLowerCase();
    const parts = /^(?:[a-z]+|[A-Z]?[a-z]+)$/.test(run)
      ? [whole]
      : run.split(PART_ENDS).map((part) => part.toLowerCase());
    found.push({ whole, parts });
  }
  return found;
}

/** What of a text is indexed: light stems without stop words; of divided words also the whole. */
export function terms(text: string): string[] {
  const found: string[] = [];
  if (PLAIN.test(text)) {
    // Most texts are, and most of the time of a build would go into the parts of their words.
    for (const word of text.toLowerCase().match(ASCII_RUNS) ?? []) {
      if (word.length <= LONGEST_WORD && !STOP_WORDS.has(word)) found.push(termOf(word));
    }
    return found;
  }
  for (const { whole, parts } of words(text)) {
    for (const part of parts) if (!STOP_WORDS.has(part)) found.push(termOf(part));
    if (parts.length > 1) found.push(termOf(whole));
  }
  return found;
}

const MOST_KNOWN = 20_000;
const known = new Map<string, string>();

/** The term a word is indexed as. */
export function termOf(word: string): string {
  let term = known.get(word);
  if (term === undefined) {
    term = lightStem(word);
    // Texts of servers come and go for months; the words of all of them are not to be kept.
    if (known.size >= MOST_KNOWN) known.clear();
    known.set(word, term);
  }
  return term;
}

function pairs(run: string): string[] {
  const characters = [...run];
  return characters.length === 1
    ? characters
    : characters.slice(1).map((character, index) => characters[index]! + character);
}
