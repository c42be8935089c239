/** How long builds and queries take, on 3 000 real tools and with queries of people. */

import process from "node:process";
import type { ToolDocument } from "../../src/gating/words/document.ts";
import type { LabelledQuery } from "./dataset.ts";
import type { Search } from "./measures.ts";

/**
 * Milliseconds. Builds are processor time of all threads, which other programs do not lengthen;
 * queries, too short for that, are each the best of three.
 */
export interface Timing {
  /** The first of the process, when no code is compiled yet. */
  readonly firstBuild: number;
  readonly build: number;
  /** A build after which everything of the tools themselves is known from before. */
  readonly rebuild: number;
  readonly p50: number;
  readonly p95: number;
  readonly slowest: number;
  /** The slowest of the hostile queries. */
  readonly hostile: number;
}

/** What of a hostile client's making is asked beside the queries of people. */
const HOSTILE: readonly string[] = [
  "",
  "weather ".repeat(12_500),
  "x".repeat(100_000),
  "aB".repeat(50_000),
  Array.from({ length: 12_000 }, (_, index) => `thnig${index} waether`).join(" "),
  String.fromCharCode(...Array.from({ length: 50_000 }, (_, index) => (index * 7919) % 65_536)),
  String.fromCharCode(...Array.from({ length: 50_000 }, (_, index) => 0x4e00 + index % 20_000)),
];

/** Measures one way to search; `build` makes an index. */
export function time(
  documents: readonly ToolDocument[],
  queries: readonly LabelledQuery[],
  build: (documents: readonly ToolDocument[]) => Search,
): Timing {
  const builds = Array.from({ length: 7 }, () => {
    // New objects: nothing is known of them yet.
    const fresh = documents.map((one) => ({
      ...one,
      text: { ...one.text },
      server: { ...one.server },
    }));
    const first = processorTime(() => build(fresh));
    return { first, again: processorTime(() => build(fresh)) };
  });
  const search = build(documents);
  for (const { query } of queries.slice(0, 200)) search(query);
  const bestOf = (query: string) =>
    Math.min(...Array.from({ length: 3 }, () => timed(() => search(query))));
  const times = queries.map(({ query }) => bestOf(query)).sort((a, b) => a - b);
  const hostile = HOSTILE.map(bestOf);
  return {
    firstBuild: builds[0]!.first,
    build: median(builds.map(({ first }) => first)),
    rebuild: median(builds.map(({ again }) => again)),
    p50: times[times.length >> 1]!,
    p95: times[Math.floor(times.length * 0.95)]!,
    slowest: times.at(-1)!,
    hostile: Math.max(...hostile),
  };
}

function median(times: readonly number[]): number {
  return times.toSorted((a, b) => a - b)[times.length >> 1]!;
}

function processorTime(work: () => unknown): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

function timed(work: () => unknown): number {
  const start = performance.now();
  work();
  return performance.now() - start;
}
