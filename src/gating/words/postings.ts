/** Which term is in which tool, and how much it counts there: the part of BM25F that no query changes. */

import { memoised } from "../../registry/source.ts";
import type { ServerText, ToolDocument, ToolText } from "./document.ts";
import { terms } from "./words.ts";

/** The tools that have one term, in the order of the documents. */
export interface Posting {
  readonly documents: readonly number[];
  /** Occurrences, by weight and length of their fields. */
  readonly weights: readonly number[];
  /** 1 for tools that have the term in their name. */
  readonly named: readonly (0 | 1)[];
  /** Inverse document frequency. */
  readonly rarity: number;
}

/** All terms of the documents. */
export interface Postings {
  readonly byTerm: ReadonlyMap<string, Posting>;
  /** How many different terms each tool's name has. */
  readonly nameSizes: readonly number[];
}

/** How often each term is in a text, and how many there are in all. */
interface Counted {
  readonly counts: ReadonlyMap<string, number>;
  readonly length: number;
}

type ToolField = Exclude<Field, "name" | "server" | "serverText" | "tags">;
type ServerField = Extract<Field, "server" | "serverText">;

const toolFields = new WeakMap<ToolText, Readonly<Record<ToolField, Counted>>>();
const serverFields = new WeakMap<ServerText, Readonly<Record<ServerField, Counted>>>();

const NOTHING: Counted = { counts: new Map(), length: 0 };

/** After so many tools a build lets others have a turn: about a millisecond of work, known or not. */
const SLICE = 25;

/**
 * Counts and weighs, in steps of about a millisecond. What was read of a tool for another index is
 * not read again.
 */
export function* postingSteps(
  documents: readonly ToolDocument[],
  ranking: Ranking,
): Generator<void, Postings> {
  const read: Record<Field, Counted>[] = [];
  for (const document of documents) {
    read.push(fieldsOf(document));
    if (read.length % SLICE === 0) yield;
  }
  const fields = Object.keys(ranking.weights) as Field[];
  const rules = fields.map((field): FieldRule => {
    const sum = read.reduce((total, one) => total + one[field].length, 0);
    const mean = Math.max(1, sum / Math.max(1, read.length));
    return { field, weight: ranking.weights[field], penalty: ranking.length / mean };
  });
  const byTerm = new Map<string, Building>();
  for (const [index, tool] of read.entries()) {
    weigh(tool, index, rules, 1 - ranking.length, byTerm);
    if (index % SLICE === SLICE - 1) yield;
  }
  for (const posting of byTerm.values()) {
    const frequency = posting.documents.length;
    posting.rarity = Math.log(1 + (documents.length - frequency + 0.5) / (frequency + 0.5));
  }
  return { byTerm, nameSizes: read.map(({ name }) => name.counts.size) };
}

/** How one field counts. */
interface FieldRule {
  readonly field: Field;
  readonly weight: number;
  /** What each of its words is held against the others. */
  readonly penalty: number;
}

function weigh(
  tool: Record<Field, Counted>,
  index: number,
  rules: readonly FieldRule[],
  least: number,
  byTerm: Map<string, Building>,
): void {
  for (const { field, weight, penalty } of rules) {
    const { counts, length } = tool[field];
    if (length === 0) continue;
    const each = weight / (least + penalty * length);
    for (const [term, count] of counts) {
      let posting = byTerm.get(term);
      if (posting === undefined) {
        byTerm.set(term, posting = { documents: [], weights: [], named: [], rarity: 0 });
      }
      const { documents, weights, named } = posting;
      const last = documents.length - 1;
      if (documents[last] === index) weights[last]! += count * each;
      else {
        documents.push(index);
        weights.push(count * each);
        named.push(tool.name.counts.has(term) ? 1 : 0);
      }
    }
  }
}

interface Building extends Posting {
  readonly documents: number[];
  readonly weights: number[];
  readonly named: (0 | 1)[];
  rarity: number;
}

function fieldsOf({ name, server, text, tags }: ToolDocument): Record<Field, Counted> {
  return {
    name: count(name),
    tags: tags.length === 0 ? NOTHING : count(tags.join(" ")),
    ...memoised(toolFields, text, () => ({
      title: count(text.title),
      description: count(text.description),
      sentence: count(firstSentence(text.description)),
      parameters: count(
        text.parameters.map(({ name, description, values }) =>
          `${name} ${description} ${values.join(" ")}`
        ).join(" "),
      ),
    })),
    ...memoised(serverFields, server, () => ({
      server: count(server.name),
      serverText: count(`${server.title} ${server.description}`),
    })),
  };
}

/** The first sentence or line. */
function firstSentence(text: string): string {
  return /^.*?(?:[.!?。](?=\s|$)|$)/mu.exec(text.trimStart())?.[0] ?? "";
}

function count(text: string): Counted {
  if (text === "") return NOTHING;
  const counts = new Map<string, number>();
  const all = terms(text);
  for (const term of all) counts.set(term, (counts.get(term) ?? 0) + 1);
  return { counts, length: all.length };
}

// The numbers that decide about ranks, apart from the code so that the benchmark can vary them.

/** The parts of a tool that are searched. */
export type Field =
  | "name"
  | "title"
  | "description"
  | "sentence"
  | "parameters"
  | "server"
  | "serverText"
  | "tags";

/** All that can be tuned. */
export interface Ranking {
  /** What one occurrence in a field is worth. */
  readonly weights: Readonly<Record<Field, number>>;
  /** How much a second occurrence adds; BM25's k1. */
  readonly saturation: number;
  /** How much a long text is held against its words, 0 to 1; BM25's b. */
  readonly length: number;
  /** What words count that stand for a word of the query, which itself counts 1. */
  readonly others: number;
  /** What the other words for a word of the query add in a tool that has several of them. */
  readonly further: number;
  /** In queries of more words synonyms count less, in proportion. */
  readonly synonymWords: number;
  /** How much more a tool counts whose name the query covers completely. */
  readonly nameCoverage: number;
  /** How much more a tool counts that has all words of the query. */
  readonly queryCoverage: number;
}

/**
 * Round numbers: nearly any beside them are as good. How good they are on a set that had no part in
 * the choice says `bench/search/leave-out.ts`; `docs/search.md` has the figures.
 */
export const RANKING: Ranking = {
  weights: {
    // Names are short, and each of their words was chosen.
    name: 2,
    title: 0.75,
    description: 0.75,
    // Says what the tool does; what follows says how. Counts beside the description it is part of.
    sentence: 0.25,
    parameters: 0.75,
    // Who names a service wants its tools; a word of it says little else.
    server: 3,
    // All tools of a server share it: it does not tell them apart.
    serverText: 0.25,
    tags: 0.75,
  },
  // Several fields are one here, so that a second occurrence is often another field's.
  saturation: 2,
  // The usual one; a number for each field changes nothing.
  length: 0.75,
  // Relatives, synonyms and corrections are guesses; which kind of guess changes nothing.
  others: 0.5,
  // Less prefers tools with the very word too much, more those that say everything twice.
  further: 0.5,
  // Who writes much says it in several ways already, and each guess is a chance to be wrong.
  synonymWords: 12,
  // `delete_file` before `delete_file_version` for "delete a file".
  nameCoverage: 0.2,
  // Several words of a query before one that is rare.
  queryCoverage: 0.5,
};

/** Does all steps at once, and returns what they end with. */
export function finish<T>(steps: Generator<void, T>): T {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}
