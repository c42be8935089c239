/**
 * Plain BM25F, as anybody would write it after a day with the literature: the same words of the same
 * texts, weighted fields, and nothing else. What the search of the gateway has beyond it must earn its
 * place on sets that it was not chosen on.
 */

import type { ToolDocument } from "../../src/gating/words/document.ts";
import { terms } from "../../src/gating/words/words.ts";
import type { Search } from "./measures.ts";

/** Tuned on five other sets of MCP tools than those here. */
const WEIGHTS = [2, 0.75, 0.75, 0.2, 0.75, 3, 0.3];
const SATURATION = 2;
const LENGTH = 0.75;

/** Indexes the documents. */
export function plainBm25f(documents: readonly ToolDocument[]): Search {
  const read = documents.map((document) => fieldsOf(document).map(terms));
  const means = WEIGHTS.map((_, field) =>
    Math.max(1, read.reduce((sum, one) => sum + one[field]!.length, 0) / read.length)
  );
  const postings = new Map<string, Map<number, number>>();
  for (const [index, fields] of read.entries()) {
    for (const [field, words] of fields.entries()) {
      const each = WEIGHTS[field]! / (1 - LENGTH + LENGTH * words.length / means[field]!);
      for (const word of words) {
        let posting = postings.get(word);
        if (posting === undefined) postings.set(word, posting = new Map());
        posting.set(index, (posting.get(index) ?? 0) + each);
      }
    }
  }
  return (query) => {
    const scores = new Map<number, number>();
    for (const word of new Set(terms(query))) {
      const posting = postings.get(word);
      if (posting === undefined) continue;
      const rarity = Math.log(1 + (read.length - posting.size + 0.5) / (posting.size + 0.5));
      for (const [index, frequency] of posting) {
        const score = rarity * frequency * (SATURATION + 1) / (SATURATION + frequency);
        scores.set(index, (scores.get(index) ?? 0) + score);
      }
    }
    return [...scores].sort(([one, more], [other, most]) => most - more || one - other)
      .slice(0, 10).map(([index]) => documents[index]!.id);
  };
}

function fieldsOf({ name, server, text }: ToolDocument): readonly string[] {
  const { title, description, parameters } = text;
  return [
    name,
    title,
    description,
    description.split(/(?<=[.!?])\s|\n/u)[0]!,
    parameters.map((one) => `${one.name} ${one.description} ${one.values.join(" ")}`).join(" "),
    server.name,
    `${server.title} ${server.description}`,
  ];
}
