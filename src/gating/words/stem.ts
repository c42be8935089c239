/**
 * English endings, cut off in two depths. The light stem is what is indexed: it only joins singular
 * and plural, and so makes few mistakes. The family joins what grew from one word (`translate`,
 * `translator`, `translation`); it makes more, and counts less.
 */

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
const ENDINGS = [
  "izational",
  "isation",
  "ization",
  "ational",
  "ication",
  "ation",
  "ising",
  "izing",
  "ating",
  "ative",
  "ement",
  "ator",
  "ated",
  "ible",
  "able",
  "ance",
  "ence",
  "ical",
  "ally",
  "izer",
  "iser",
  "ment",
  "ized",
  "ised",
  "ific",
  "ness",
  "ing",
  "ion",
  "ate",
  "ive",
  "ity",
  "ize",
  "ise",
  "ify",
  "ied",
  "ful",
  "er",
  "or",
  "ed",
  "al",
  "ic",
  "ly",
  "e",
  "y",
];

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
