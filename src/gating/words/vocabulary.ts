/** The words of an index, and which of them a word of a query may mean. */

import { editDistance } from "../../lib/suggest.ts";
import type { Ranking } from "./ranking.ts";
import { family } from "./stem.ts";
import { synonyms } from "./synonyms.ts";

/** A term of the index that may be meant, and how much it counts: 1 for the very word. */
export type WordCandidate = readonly [term: string, weight: number];

// They bound what one word costs, whatever the index has.
const MOST_CANDIDATES = 16;
const MOST_PREFIXED = 6;
const MOST_TYPOS = 3;

/** Shorter words are one mistake away from everything. */
const SHORTEST_MISSPELT = 4;
const LONGEST_MISSPELT = 24;
/** Words as long as this may have two mistakes. */
const LONG = 8;

interface Spelt {
  readonly term: string;
  /** {@link lettersOf} */
  readonly letters: number;
}

/** Finds candidates. */
export class Vocabulary {
  readonly #has: (term: string) => boolean;
  readonly #families: ReadonlyMap<string, readonly string[]>;
  readonly #sorted: readonly string[];
  readonly #byInitial: ReadonlyMap<string, readonly Spelt[]>;

  constructor(byTerm: ReadonlyMap<string, unknown>) {
    this.#has = (term) => byTerm.has(term);
    this.#families = Map.groupBy(byTerm.keys(), family);
    this.#sorted = [...byTerm.keys()].sort();
    this.#byInitial = Map.groupBy(
      Array.from(byTerm.keys(), (term) => ({ term, letters: lettersOf(term) })),
      ({ term }) => term[0]!,
    );
  }

  /** Whether any tool has this term. */
  has(term: string): boolean {
    return this.#has(term);
  }

  /** Whether it is a term or stands for some. */
  knows(term: string): boolean {
    return this.#has(term) || synonyms(term).size > 0;
  }

  /**
   * What a term of the query may mean: itself, its family, its synonyms. Of a word nobody has, what
   * begins with it, and where nothing does and `correct` is set, what may be meant by the mistake.
   */
  candidates(term: string, ranking: Ranking, correct: boolean): readonly WordCandidate[] {
    const found = new Map<string, number>();
    const add = (other: string, weight: number) => {
      if (found.size < MOST_CANDIDATES && !found.has(other) && this.#has(other)) {
        found.set(other, weight);
      }
    };
    add(term, 1);
    for (const relative of this.#relatives(term)) add(relative, ranking.family);
    const isKnown = found.size > 0;
    const standsIn = isKnown ? ranking.synonym : ranking.substitute;
    for (const synonym of synonyms(term)) add(synonym, standsIn);
    if (!isKnown && term.length >= SHORTEST_MISSPELT) {
      const prefixed = this.#startingWith(term);
      for (const other of prefixed) add(other, ranking.prefix);
      if (found.size === 0 && correct) {
        for (const other of this.#misspelt(term)) add(other, ranking.typo);
      }
    }
    return [...found];
  }

  #relatives(term: string): readonly string[] {
    return this.#families.get(family(term)) ?? [];
  }

  #startingWith(prefix: string): readonly string[] {
    const sorted = this.#sorted;
    let [low, high] = [0, sorted.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (sorted[middle]! < prefix) low = middle + 1;
      else high = middle;
    }
    const end = Math.min(low + MOST_PREFIXED, sorted.length);
    return sorted.slice(low, end).filter((term) => term.startsWith(prefix));
  }

  /** The nearest words; the first letter is seldom the wrong one. */
  #misspelt(word: string): readonly string[] {
    if (word.length > LONGEST_MISSPELT) return [];
    const letters = lettersOf(word);
    const most = word.length >= LONG ? 2 : 1;
    return (this.#byInitial.get(word[0]!) ?? [])
      // Each mistake exchanges at most one letter for another: far cheaper to see than the distance.
      .filter(({ term, letters: others }) =>
        Math.abs(term.length - word.length) <= most && term.length >= SHORTEST_MISSPELT &&
        bits(letters ^ others) <= 2 * most
      )
      .map(({ term }) => ({ term, distance: editDistance(word, term) }))
      .filter(({ distance }) => distance <= most)
      .sort((one, other) => one.distance - other.distance || (one.term < other.term ? -1 : 1))
      .slice(0, MOST_TYPOS)
      .map(({ term }) => term);
  }
}

/** Which letters a word has, as bits. */
function lettersOf(word: string): number {
  let letters = 0;
  for (let index = 0; index < word.length; index++) letters |= 1 << (word.charCodeAt(index) & 31);
  return letters;
}

function bits(value: number): number {
  let count = 0;
  for (let rest = value; rest !== 0; rest &= rest - 1) count++;
  return count;
}
