import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ObservedCall } from "../../../src/observe/call.ts";
import { History, type HistoryParts } from "../../../src/observe/history/history.ts";
import { FakeClock } from "../../upstream/fakes/clock.ts";

/** Noon of some day, ms since the epoch. */
export const NOON = Date.UTC(2026, 10, 30, 12);

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
  open(more?: Partial<HistoryParts>): History;
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
      return history;
    },
    async [Symbol.asyncDispose]() {
      for (const history of opened) await history.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
