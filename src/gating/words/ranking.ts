/** The numbers that decide about ranks, apart from the code so that the benchmark can vary them. */

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
