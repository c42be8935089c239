/** Two rankings of tools, by words and by meaning, as one. */

import { best, fuse, type Hit, type ToolDocument } from "../../registry/search.ts";
import { similarity, type Vector } from "./vector.ts";

/** How far down each ranking is looked at. */
export const DEPTH = 50;

/** What is ranked by meaning. */
export interface Meant {
  readonly document: ToolDocument;
  readonly vector: Vector;
}

/** What both rankings together give. */
export interface Combined {
  readonly hits: readonly Hit[];
  /** How many more there would have been without the limit. */
  readonly more: number;
}

/** The tools nearest in meaning, nearest first, of equals by id. */
export function nearest(query: Vector, tools: readonly Meant[], limit = DEPTH): ToolDocument[] {
  const scores = Float64Array.from(tools, ({ vector }) => similarity(query, vector));
  return [...best([...tools.keys()], limit, scores)]
    .sort((one, other) =>
      scores[other]! - scores[one]! ||
      (tools[one]!.document.id < tools[other]!.document.id ? -1 : 1)
    )
    .slice(0, limit).map((index) => tools[index]!.document);
}

/**
 * Joins both by reciprocal rank; tools that the query names stay first. The scores are sums of
 * reciprocal ranks: at most 2/61, and 1 more for tools that are named.
 *
 * @param lexical all hits by words, best first
 * @param meant the nearest in meaning, nearest first
 */
export function combine(
  lexical: readonly Hit[],
  meant: readonly ToolDocument[],
  limit: number,
): Combined {
  const byId = new Map<string, Hit>(meant.map((document) => [document.id, { document, score: 0 }]));
  for (const hit of lexical) byId.set(hit.document.id, hit);
  const ids = (documents: readonly { readonly id: string }[]) => documents.map(({ id }) => id);
  const first = lexical.slice(0, Math.max(DEPTH, limit)).map(({ document }) => document);
  const fused = fuse(ids(first), ids(meant)).map(({ id, score }): Hit => {
    const hit = byId.get(id)!;
    return { ...hit, score: hit.isNamed === true ? 1 + score : score };
  });
  const hits = [
    ...fused.filter(({ isNamed }) => isNamed === true),
    ...fused.filter(({ isNamed }) => isNamed !== true),
  ].slice(0, limit);
  return { hits, more: byId.size - hits.length };
}
