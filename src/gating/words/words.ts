/** From text to the words that are indexed and searched. */

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

// English endings, cut off in two depths. The light stem is what is indexed: it only joins singular
// and plural, and so makes few mistakes. The family joins what grew from one word (`translate`,
// `translator`, `translation`); it makes more, and counts less.

/** The singular of a regular plural; other words as they are. Expects lower case. */
export function lightStem(word: string): string {
  const length = word.length;
  if (length < 4 || !word.endsWith("s")) return word;
  if (word.endsWith("ies")) return length > 4 ? `${word.slice(0, -3)}y` : word.slice(0, -1);
  if (/(?:ss|us|is)$/.test(word)) return word;
  if (/(?:sses|shes|ches|xes|zes)$/.test(word)) return word.slice(0, -2);
  return word.slice(0, -1);
}

/** Longest first: the first that leaves enough of the word decides. */
const ENDINGS = `
izational isation ization ational ication ation ising izing ating ative ement ator ated ible able
ance ence ical ally izer iser ment ized ised ific ness ing ion ate ive ity ize ise ify ied ful er
or ed al ic ly e y
`.trim().split(/\s+/);

/** Fewer letters do not tell words apart. */
const SHORTEST_ROOT = 4;

/**
 * The root that a word shares with its relatives; the word itself where nothing can be cut off.
 * Expects a light stem.
 */
export function family(word: string): string {
  const ending = ENDINGS.find((one) =>
    word.endsWith(one) && word.length - one.length >= SHORTEST_ROOT
  );
  const root = ending === undefined ? word : word.slice(0, -ending.length);
  return root.length > SHORTEST_ROOT && /([bdfgmnprt])\1$/.test(root) ? root.slice(0, -1) : root;
}

/**
 * Words that say nothing about which tool is meant: grammar, politeness, and the talk around a wish.
 * Verbs such as `get` are not among them: they are common, and weigh little by themselves.
 */
const WORDS = `
a about above after again all also am an and any anything are around as ask at away
be because been before being below between both but by
can cannot could did do does doing don done down during each either else etc every everything
few for from further give gonna got had has have having he hello help her here hers hey hi him his how
i if in instead into is isn it its itself just
kindly know let like ll looking make many may me might mine more most much must my myself
need needed no nor not now of off ok on once one only onto or other our ours out over own
please quickly rather re really regarding same shall she should so some somebody someone something
specific such sure
tell than thank thanks that the their theirs them themselves then there these they thing this those
through to too under unless until up upon us use used using
various ve very via want wanted was wasn we well were what whatever when where whether which while who
whom whose why will with within without won would yeah yes yet you your yours yourself
way ways lot lots kind trouble interested currently possible possibly going go come best good great nice
able allow based enable given help including provide provided provides providing
`;

/** {@link WORDS} as they come out of splitting: lower case, without diacritics, not stemmed. */
export const STOP_WORDS: ReadonlySet<string> = new Set(WORDS.split(/\s+/).filter(Boolean));
