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

type ToolField = Exclude<Field, "id" | "name" | "server" | "serverText" | "tags">;
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
  const fields = Object.entries(ranking.fields) as [Field, Ranking["fields"][Field]][];
  const rules = fields.filter(([, { weight }]) => weight > 0).map(([field, rule]): FieldInUse => {
    const sum = read.reduce((total, one) => total + one[field].length, 0);
    return { field, ...rule, mean: Math.max(1, sum / Math.max(1, read.length)) };
  });
  const byTerm = new Map<string, Building>();
  for (const [index, tool] of read.entries()) {
    weigh(tool, index, rules, byTerm);
    if (index % SLICE === SLICE - 1) yield;
  }
  for (const posting of byTerm.values()) {
    const frequency = posting.documents.length;
    posting.rarity = Math.log(1 + (documents.length - frequency + 0.5) / (frequency + 0.5));
  }
  return { byTerm, nameSizes: read.map(({ name }) => name.counts.size) };
}

/** A field that counts, and how long it is on average. */
interface FieldInUse extends FieldRule {
  readonly field: Field;
  readonly mean: number;
}

function weigh(
  tool: Record<Field, Counted>,
  index: number,
  rules: readonly FieldInUse[],
  byTerm: Map<string, Building>,
): void {
  for (const { field, weight, length: penalty, mean } of rules) {
    const { counts, length } = tool[field];
    if (length === 0) continue;
    const each = weight / (1 - penalty + penalty * length / mean);
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

function fieldsOf({ id, name, server, text, tags }: ToolDocument): Record<Field, Counted> {
  return {
    id: count(id),
    name: count(name),
    tags: tags.length === 0 ? NOTHING : count(tags.join(" ")),
    ...memoised(toolFields, text, () => ({
      title: count(text.title),
      description: count(text.description),
      sentence: count(firstSentence(text.description)),
      parameterNames: count(text.parameters.map((one) => one.name).join(" ")),
      parameterTexts: count(text.parameters.map((one) => one.description).join(" ")),
      values: count(text.parameters.flatMap((one) => one.values).join(" ")),
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
  | "id"
  | "name"
  | "title"
  | "description"
  | "sentence"
  | "parameterNames"
  | "parameterTexts"
  | "values"
  | "server"
  | "serverText"
  | "tags";

/** How one field counts. */
export interface FieldRule {
  /** How many occurrences elsewhere one here is worth. */
  readonly weight: number;
  /** How much a long text is held against its words: 0 not at all, 1 in full proportion (BM25's b). */
  readonly length: number;
}

/** All that can be tuned. */
export interface Ranking {
  readonly fields: Readonly<Record<Field, FieldRule>>;
  /** How much a second occurrence adds; BM25's k1. */
  readonly saturation: number;
  /** What words count that stand for a word of the query, which itself counts 1. */
  readonly family: number;
  readonly synonym: number;
  /** The same where no tool has the word itself or its family, so that nothing else can be meant. */
  readonly substitute: number;
  /** Words that begin with one nobody has. */
  readonly prefix: number;
  /** Words that differ from one nobody has by a typing mistake. */
  readonly typo: number;
  /** What the other words for a word of the query add in a tool that has several of them. */
  readonly further: number;
  /** How much more a tool counts whose name the query covers completely. */
  readonly nameCoverage: number;
  /** How much more a tool counts that has all words of the query. */
  readonly queryCoverage: number;
}

/**
 * Found with `bench/search/tune.ts` on the tuned halves, from the numbers that five other sets of MCP
 * tools had given (server, values, tags, texts of servers: the sets here say little about these).
 * Half or twice of nearly any of them changes little. `docs/search.md` has the figures.
 */
export const RANKING: Ranking = {
  fields: {
    id: { weight: 0, length: 0 },
    name: { weight: 1.5, length: 0.2 },
    title: { weight: 0.5, length: 0.75 },
    description: { weight: 1, length: 0.75 },
    sentence: { weight: 0.4, length: 0.75 },
    parameterNames: { weight: 0.75, length: 0.75 },
    parameterTexts: { weight: 0.75, length: 0.5 },
    values: { weight: 0.75, length: 0.75 },
    server: { weight: 3, length: 0.75 },
    serverText: { weight: 0.3, length: 0.9 },
    tags: { weight: 1, length: 0.75 },
  },
  saturation: 1.5,
  family: 0.5,
  synonym: 0.35,
  substitute: 0.7,
  prefix: 0.2,
  typo: 0.5,
  further: 0.4,
  nameCoverage: 0.1,
  queryCoverage: 0.5,
};

/** Does all steps at once, and returns what they end with. */
export function finish<T>(steps: Generator<void, T>): T {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}
