import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ObservedCall } from "../../../src/observe/call.ts";
import { History, type HistoryParts } from "../../../src/observe/history/history.ts";
import {
  callBody,
  callById,
  type CallQuery,
  callsOf,
  innerCalls,
  markProblem,
  problemsIn,
  RANGES,
  trafficOf,
  type UsageBy,
  usageIn,
} from "../../../src/observe/history/queries.ts";
import type { ProblemState } from "../../../src/observe/problems.ts";
import { FakeClock } from "../../upstream/fakes/clock.ts";

/** Noon of some day, ms since the epoch. */
export const NOON = Date.UTC(2026, 10, 30, 12);

/** What is asked of a history, as short as tests want it. */
export function questions(history: History, now: () => number = Date.now) {
  const nothing = { from: 0, items: [] };
  return {
    calls: async (query: CallQuery) =>
      await history.ask((store) => callsOf(store, query)) ?? { items: [], next: null },
    call: (id: string) => history.ask((store) => callById(store, id)),
    inner: async (call: ObservedCall) =>
      await history.ask((store) => innerCalls(store, call)) ?? [],
    body: (id: string) => history.ask((store) => callBody(store, id)),
    usage: async ({ by, range }: { by: UsageBy; range: string }) =>
      await history.ask((store) => usageIn(store, by, RANGES[range]!, now())) ?? nothing,
    traffic: (range: string) => history.ask((store) => trafficOf(store, RANGES[range]!, now())),
    problems: async ({ state }: { state?: ProblemState }) =>
      await history.ask((store) => problemsIn(store, state)) ?? [],
    setProblem: (fingerprint: string, state: ProblemState) =>
      history.ask((store) => markProblem(store, fingerprint, state)),
  };
}

let ids = 0;

export function callOf(more: Partial<ObservedCall> = {}): ObservedCall {
  return {
    id: `c${ids++}`,
    at: NOON,
    method: "tools/call",
    server: "s",
    name: "tool",
    client: "tester 1",
    endpoint: "*",
    outcome: "ok",
    ms: 7,
    queueMs: 1,
    serverMs: 4,
    gatewayMs: 2,
    bytesIn: 100,
    bytesOut: 200,
    attempts: 1,
    ...more,
  };
}

export interface Kept extends AsyncDisposable {
  readonly directory: string;
  readonly path: string;
  readonly clock: FakeClock;
  /** Another one with the same file. */
  open(more?: Partial<HistoryParts>): History & ReturnType<typeof questions>;
}

/** A directory for a history; all that are opened in it are closed with it. */
export function kept(): Kept {
  const directory = mkdtempSync(join(tmpdir(), "mcproxy-history-"));
  const clock = new FakeClock();
  const opened: History[] = [];
  return {
    directory,
    path: join(directory, "history.db"),
    clock,
    open(more) {
      const process = `p${opened.length}`;
      const parts = { directory, clock, process, days: 30, maxSize: 2 ** 26, now: () => NOON };
      const history = new History({ ...parts, ...more });
      opened.push(history);
      return Object.assign(history, questions(history, more?.now ?? parts.now));
    },
    async [Symbol.asyncDispose]() {
      for (const history of opened) await history.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
