/** Two rankings of tools, by words and by meaning, as one. */

import { best } from "../words/best.ts";
import type { ToolDocument } from "../words/document.ts";
import { fuse } from "../words/fuse.ts";
import type { Hit, SearchResult } from "../words/search-index.ts";
import { similarities, type Vector } from "./vector.ts";

/** How far down each ranking is looked at. */
export const DEPTH = 50;

/** What is ranked by meaning. */
export interface Meant {
  readonly document: ToolDocument;
  /** Where the document is in the index. */
  readonly index: number;
  readonly vector: Vector;
}

/** The tools nearest in meaning, nearest first, of equals by id. */
export function nearest(query: Vector, tools: readonly Meant[], limit = DEPTH): Meant[] {
  const scores = similarities(query, tools.map(({ vector }) => vector));
  return [...best([...tools.keys()], limit, scores)]
    .sort((one, other) =>
      scores[other]! - scores[one]! ||
      (tools[one]!.document.id < tools[other]!.document.id ? -1 : 1)
    )
    .slice(0, limit).map((index) => tools[index]!);
}

/**
 * Joins both by reciprocal rank; tools that the query names stay first. The scores are sums of
 * reciprocal ranks: at most 2/61, and 1 more for tools that are named.
 *
 * @param lexical the first by words, at least {@link DEPTH} and `limit`, and how many more are found
 * by either
 * @param meant the nearest in meaning, nearest first
 */
export function combine(
  lexical: SearchResult,
  meant: readonly Pick<Meant, "document">[],
  limit: number,
): SearchResult {
  const byId = new Map<string, Hit>(
    meant.map(({ document }) => [document.id, { document, score: 0 }]),
  );
  for (const hit of lexical.hits) byId.set(hit.document.id, hit);
  const ids = (found: readonly { readonly document: ToolDocument }[]) =>
    found.map(({ document }) => document.id);
  const fused = fuse(ids(lexical.hits), ids(meant)).map(({ id, score }): Hit => {
    const hit = byId.get(id)!;
    return { ...hit, score: hit.isNamed === true ? 1 + score : score };
  });
  const hits = [
    ...fused.filter(({ isNamed }) => isNamed === true),
    ...fused.filter(({ isNamed }) => isNamed !== true),
  ].slice(0, limit);
  return { hits, more: lexical.hits.length + lexical.more - hits.length };
}
