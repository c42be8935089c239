/** Tools, ready to be searched. */

import { best } from "./best.ts";
import type { ToolDocument } from "./document.ts";
import { type Postings, postingSteps } from "./postings.ts";
import { identifierKey, identifiers, queryTerms } from "./query.ts";
import { RANKING, type Ranking } from "./ranking.ts";
import { finish } from "./steps.ts";
import { Vocabulary, type WordCandidate } from "./vocabulary.ts";

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
  return new SearchIndex({ documents, ranking, postings, vocabulary });
}

/** What {@link indexSteps} builds of the documents. */
interface IndexParts {
  readonly documents: readonly ToolDocument[];
  readonly ranking: Ranking;
  readonly postings: Postings;
  readonly vocabulary: Vocabulary;
}

/** An immutable index. */
export class SearchIndex {
  readonly #documents: readonly ToolDocument[];
  readonly #ranking: Ranking;
  readonly #postings: Postings;
  readonly #vocabulary: Vocabulary;
  readonly #byIdentifier: ReadonlyMap<string, readonly number[]>;

  constructor({ documents, ranking, postings, vocabulary }: IndexParts) {
    this.#documents = documents;
    this.#ranking = ranking;
    this.#postings = postings;
    this.#vocabulary = vocabulary;
    this.#byIdentifier = byIdentifier(documents);
  }

  /** What it was built from, in that order. */
  get documents(): readonly ToolDocument[] {
    return this.#documents;
  }

  /** How many tools it has. */
  get size(): number {
    return this.#documents.length;
  }

  /** The best tools for a query, which may be any text. Tools with none of its words are no hits. */
  search(
    query: string,
    options: SearchOptions = {},
  ): SearchResult {
    const { limit = DEFAULT_LIMIT, prior, also = [] } = options;
    const scores = this.#scores(query);
    const named = this.#named(query);
    if (prior !== undefined) {
      for (const [index, document] of this.#documents.entries()) {
        if (scores[index]! > 0 && !named.has(index)) scores[index]! *= prior(document);
      }
    }
    const highest = scores.reduce((most, score) => Math.max(most, score), 0);
    // Who writes a tool's name means that tool, whatever its words say.
    for (const index of named) scores[index]! += highest + 1;
    const found = Array.from(this.#documents.keys())
      .filter((index) => scores[index]! > 0 && fits(this.#documents[index]!, options));
    const hits = best(found, limit, scores)
      .map((index): Hit => ({
        document: this.#documents[index]!,
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
    const { nameCoverage, queryCoverage, further } = this.#ranking;
    const count = this.#documents.length;
    const scores = new Float64Array(count);
    const matched = new Uint16Array(count);
    const ofTerm: TermScores = {
      best: new Float64Array(count),
      sum: new Float64Array(count),
      named: new Uint16Array(count),
      seen: new Set(),
    };
    const terms = queryTerms(query, this.#vocabulary);
    let corrected = 0;
    for (const term of terms) {
      const correct = corrected < MOST_CORRECTED;
      const candidates = this.#vocabulary.candidates(term, this.#ranking, correct);
      if (!this.#vocabulary.has(term)) corrected++;
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
      const words = this.#postings.nameSizes[index]!;
      if (words > 0) scores[index]! *= 1 + nameCoverage * ofTerm.named[index]! / words;
    }
    return scores;
  }

  /** Scores the candidates of one term of the query; says which tools have any. */
  #scoreTerm(
    candidates: readonly WordCandidate[],
    { best, sum, named, seen }: TermScores,
  ): readonly number[] {
    const { saturation } = this.#ranking;
    const touched: number[] = [];
    for (const [term, weight] of candidates) {
      const posting = this.#postings.byTerm.get(term)!;
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
