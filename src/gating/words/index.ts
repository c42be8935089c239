/** Tools, ready to be searched. */

import { editDistance } from "../../lib/suggest.ts";
import type { ToolDocument } from "./document.ts";
import { finish, type Postings, postingSteps, RANKING, type Ranking } from "./postings.ts";
import { synonyms } from "./synonyms.ts";
import { family, STOP_WORDS, termOf, words } from "./words.ts";

/** Which tools are searched at all. */
export interface Narrowing {
  /** Only tools of this server: its config key. */
  readonly server?: string | undefined;
  /** Only tools that have all of these tags. */
  readonly tags?: readonly string[] | undefined;
}

/** How a search is narrowed. */
export interface SearchOptions extends Narrowing {
  /** How many hits at most. @default {8} */
  readonly limit?: number;
  /**
   * What the score of a tool is multiplied by for other reasons than its words, positive. It does
   * not count for tools that the query names.
   */
  readonly prior?: ((document: ToolDocument) => number) | undefined;
  /** Where in {@link SearchIndex.documents} others found hits, each once: `more` counts them, too. */
  readonly also?: readonly number[] | undefined;
}

/** One tool that was found. */
export interface Hit {
  readonly document: ToolDocument;
  /** Greater is better; comparable within one search only. */
  readonly score: number;
  /** The query is, or contains, the name of this tool. */
  readonly isNamed?: true;
}

/** What a search gives. */
export interface SearchResult {
  /** By score, then by id. */
  readonly hits: readonly Hit[];
  /** How many more there would have been without the limit. */
  readonly more: number;
}

/** Hits, where nothing is said. */
export const DEFAULT_LIMIT = 8;

/** Only so many words of one query are corrected: each costs a look at a part of the vocabulary. */
const MOST_CORRECTED = 8;

/** Candidates that count less are guesses, and do not show that a tool's name is meant. */
const LEAST_NAMED = 0.3;

/** Whether a tool is among those that are searched. */
export function fits(document: ToolDocument, { server, tags = [] }: Narrowing): boolean {
  return (server === undefined || document.server.name === server) &&
    tags.every((tag) => document.tags.includes(tag));
}

/** Indexes the documents; their ids are unique. Pure: the same documents give the same hits. */
export function buildIndex(
  documents: readonly ToolDocument[],
  ranking: Ranking = RANKING,
): SearchIndex {
  return finish(indexSteps(documents, ranking));
}

/** The same in steps of a few milliseconds, for whoever has other things to do meanwhile. */
export function* indexSteps(
  documents: readonly ToolDocument[],
  ranking: Ranking = RANKING,
): Generator<void, SearchIndex> {
  const postings = yield* postingSteps(documents, ranking);
  yield;
  const vocabulary = new Vocabulary(postings.byTerm);
  yield;
  return new SearchIndex(documents, ranking, postings, vocabulary);
}

/** An immutable index. */
export class SearchIndex {
  readonly #byIdentifier: ReadonlyMap<string, readonly number[]>;

  constructor(
    /** What it was built from, in that order. */
    readonly documents: readonly ToolDocument[],
    private readonly ranking: Ranking,
    private readonly postings: Postings,
    private readonly vocabulary: Vocabulary,
  ) {
    this.#byIdentifier = byIdentifier(documents);
  }

  /** The best tools for a query, which may be any text. Tools with none of its words are no hits. */
  search(query: string, options: SearchOptions = {}): SearchResult {
    const { limit = DEFAULT_LIMIT, prior, also = [] } = options;
    const scores = this.#scores(query);
    const named = this.#named(query);
    if (prior !== undefined) {
      for (const [index, document] of this.documents.entries()) {
        if (scores[index]! > 0 && !named.has(index)) scores[index]! *= prior(document);
      }
    }
    let highest = 0;
    for (const score of scores) if (score > highest) highest = score;
    // Who writes a tool's name means that tool, whatever its words say.
    for (const index of named) scores[index]! += highest + 1;
    const found: number[] = [];
    for (let index = 0; index < scores.length; index++) {
      if (scores[index]! > 0 && fits(this.documents[index]!, options)) found.push(index);
    }
    const hits = best(found, limit, scores)
      .map((index): Hit => ({
        document: this.documents[index]!,
        score: scores[index]!,
        ...(named.has(index) ? { isNamed: true } : {}),
      }))
      .sort((one, other) =>
        other.score - one.score || (one.document.id < other.document.id ? -1 : 1)
      )
      .slice(0, limit);
    const others = also.filter((index) => scores[index] === 0);
    return { hits, more: found.length + others.length - hits.length };
  }

  /** The tools whose names are written in the query. */
  #named(query: string): ReadonlySet<number> {
    return new Set(identifiers(query).flatMap((key) => this.#byIdentifier.get(key) ?? []));
  }

  #scores(query: string): Float64Array {
    const { others, further, synonymWords, nameCoverage, queryCoverage } = this.ranking;
    const count = this.documents.length;
    const scores = new Float64Array(count);
    const matched = new Uint16Array(count);
    const ofTerm: TermScores = {
      best: new Float64Array(count),
      sum: new Float64Array(count),
      named: new Uint16Array(count),
      seen: new Set(),
    };
    const terms = queryTerms(query, this.vocabulary);
    const synonym = others * Math.min(1, synonymWords / terms.length);
    let corrected = 0;
    for (const term of terms) {
      const correct = corrected < MOST_CORRECTED;
      const candidates = this.vocabulary.candidates(term, others, synonym, correct);
      if (!this.vocabulary.has(term)) corrected++;
      for (const index of this.#scoreTerm(candidates, ofTerm)) {
        const best = ofTerm.best[index]!;
        scores[index]! += best + further * (ofTerm.sum[index]! - best);
        matched[index]! += 1;
        ofTerm.best[index] = ofTerm.sum[index] = 0;
      }
    }
    for (let index = 0; index < count; index++) {
      if (matched[index] === 0) continue;
      scores[index]! *= 1 + queryCoverage * matched[index]! / terms.length;
      const words = this.postings.nameSizes[index]!;
      if (words > 0) scores[index]! *= 1 + nameCoverage * ofTerm.named[index]! / words;
    }
    return scores;
  }

  /** Scores the candidates of one term of the query; says which tools have any. */
  #scoreTerm(
    candidates: readonly WordCandidate[],
    { best, sum, named, seen }: TermScores,
  ): readonly number[] {
    const { saturation } = this.ranking;
    const touched: number[] = [];
    for (const [term, weight] of candidates) {
      const posting = this.postings.byTerm.get(term)!;
      const { documents, weights, rarity } = posting;
      const factor = weight * rarity * (saturation + 1);
      const isNew = weight >= LEAST_NAMED && !seen.has(term);
      if (isNew) seen.add(term);
      for (let at = 0; at < documents.length; at++) {
        const index = documents[at]!;
        const frequency = weights[at]!;
        const score = factor * frequency / (saturation + frequency);
        if (sum[index] === 0) touched.push(index);
        sum[index]! += score;
        if (score > best[index]!) best[index] = score;
        if (isNew) named[index]! += posting.named[at]!;
      }
    }
    return touched;
  }
}

/** What is known of each tool while the terms of a query are scored one after the other. */
interface TermScores {
  /** Of one term: that of its best candidate, and that of all together. */
  readonly best: Float64Array;
  readonly sum: Float64Array;
  /** How many terms of its name have been met. */
  readonly named: Uint16Array;
  /** The terms that names have been looked through for. */
  readonly seen: Set<string>;
}

function byIdentifier(documents: readonly ToolDocument[]): ReadonlyMap<string, readonly number[]> {
  const found = new Map<string, number[]>();
  for (const [index, { id, name, server, text: { title } }] of documents.entries()) {
    for (const key of new Set([id, name, server.name + name, title].map(identifierKey))) {
      const known = found.get(key);
      if (known === undefined) found.set(key, [index]);
      else known.push(index);
    }
  }
  return found;
}

// Tool calls can be of any size; what is meant is said before this.
const LONGEST_QUERY = 4000;
// A task that is described in full has nearly so many, and may ask for something in the last of them.
const MOST_TERMS = 96;

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

/** A term of the index that may be meant, and how much it counts: 1 for the very word. */
export type WordCandidate = readonly [term: string, weight: number];

// They bound what one word costs, whatever the index has.
const MOST_CANDIDATES = 16;
const MOST_PREFIXED = 6;
const MOST_TYPOS = 3;
/** Few words look alike enough to be compared letter by letter, unless a server made them to. */
const MOST_COMPARED = 200;

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
   *
   * @param others what all but the term itself and its synonyms count
   */
  candidates(
    term: string,
    others: number,
    synonym: number,
    correct: boolean,
  ): readonly WordCandidate[] {
    const found = new Map<string, number>();
    const add = (other: string, weight: number) => {
      if (weight > 0 && found.size < MOST_CANDIDATES && !found.has(other) && this.#has(other)) {
        found.set(other, weight);
      }
    };
    add(term, 1);
    for (const relative of this.#relatives(term)) add(relative, others);
    const isKnown = found.size > 0;
    for (const other of synonyms(term)) add(other, synonym);
    if (!isKnown && term.length >= SHORTEST_MISSPELT) {
      for (const other of this.#startingWith(term)) add(other, others);
      if (found.size === 0 && correct) {
        for (const other of this.#misspelt(term)) add(other, others);
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
      .slice(0, MOST_COMPARED)
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

/**
 * Those of the indexes that can be among the best by score, in no order, and all that are as good as
 * the last of them: sorting thousands would cost more than finding them.
 */
export function best(
  indexes: readonly number[],
  limit: number,
  scores: Float64Array,
): readonly number[] {
  if (indexes.length <= limit) return indexes;
  const sorted = Float64Array.from(indexes, (index) => scores[index]!).sort();
  const least = sorted[Math.max(0, sorted.length - Math.max(1, limit))]!;
  return indexes.filter((index) => scores[index]! >= least);
}

/** One thing and what its ranks are worth. */
export interface Fused {
  readonly id: string;
  readonly score: number;
}

/** How little the difference between neighbouring ranks counts; the usual number. */
const FLATNESS = 60;

/**
 * Joins rankings of ids, each best first, by reciprocal rank: what several of them have near the top
 * comes first, however different their scores are. By score, then by id; ids count once a ranking.
 */
export function fuse(...rankings: readonly (readonly string[])[]): readonly Fused[] {
  const scores = new Map<string, number>();
  for (const ranking of rankings) {
    for (const [rank, id] of [...new Set(ranking)].entries()) {
      scores.set(id, (scores.get(id) ?? 0) + 1 / (FLATNESS + rank + 1));
    }
  }
  return [...scores].map(([id, score]) => ({ id, score }))
    .sort((one, other) => other.score - one.score || (one.id < other.id ? -1 : 1));
}
