/** Which term is in which tool, and how much it counts there: the part of BM25F that no query changes. */

import { memoised } from "../memo.ts";
import type { ServerText, ToolDocument, ToolText } from "./document.ts";
import type { Field, Ranking } from "./ranking.ts";
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

/** Counts and weighs. What was read of a tool for another index is not read again. */
export function buildPostings(documents: readonly ToolDocument[], ranking: Ranking): Postings {
  const read = documents.map(fieldsOf);
  const fields = Object.entries(ranking.fields) as [Field, Ranking["fields"][Field]][];
  const byTerm = new Map<string, Building>();
  const means = new Map(fields.map(([field]) => {
    const sum = read.reduce((total, one) => total + one[field].length, 0);
    return [field, Math.max(1, sum / Math.max(1, read.length))];
  }));
  for (const [index, tool] of read.entries()) {
    for (const [field, { weight, length: penalty }] of fields) {
      const { counts, length } = tool[field];
      if (weight === 0 || length === 0) continue;
      const each = weight / (1 - penalty + penalty * length / means.get(field)!);
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
  for (const posting of byTerm.values()) {
    const frequency = posting.documents.length;
    posting.rarity = Math.log(1 + (documents.length - frequency + 0.5) / (frequency + 0.5));
  }
  return { byTerm, nameSizes: read.map(({ name }) => name.counts.size) };
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
