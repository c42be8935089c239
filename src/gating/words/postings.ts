/** Which term is in which tool, and how much it counts there: the part of BM25F that no query changes. */

import { memoised } from "../../registry/memo.ts";
import type { ServerText, ToolDocument, ToolText } from "./document.ts";
import type { Field, FieldRule, Ranking } from "./ranking.ts";
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
