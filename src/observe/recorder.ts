/** Sees every call that ends: keeps the last ones, and tells those who follow. */

import type { CallRecord, Facts } from "../gateway/events.ts";
import { cut, printable } from "../lib/text.ts";
import { methodRule } from "../protocol/methods.ts";
import type { ObservedCall, ObservedOutcome } from "./call.ts";

/** Calls that are kept. */
const MOST = 1_000;
/** Characters of what a client calls itself, and of a name or URI. */
const [MOST_OF_CLIENT, MOST_OF_NAME] = [64, 1_000];

/** What is asked of the calls that are kept. */
export interface RecentOptions {
  readonly filter?: ((call: ObservedCall) => boolean) | undefined;
  /** Only those received before, ms since the epoch. */
  readonly before?: number | undefined;
  readonly limit?: number | undefined;
}

/** Listens from its making on. */
export class Recorder {
  /** Tells the calls of this process from those of others: ids are counted anew in each. */
  readonly process: string = crypto.randomUUID().slice(0, 8);
  readonly #listeners = new Set<(call: ObservedCall) => void>();
  readonly #off: () => void;
  #calls: ObservedCall[] = [];

  constructor(events: Facts) {
    this.#off = events.on("call", (record) => this.#record(record));
  }

  /** The calls that are kept, the latest first. */
  recent({ filter, before = Infinity, limit = MOST }: RecentOptions = {}): ObservedCall[] {
    return this.#calls.toReversed()
      .filter((call) => call.at < before && (filter?.(call) ?? true))
      .slice(0, limit);
  }

  /** The call with this id, while it is kept. */
  find(id: string): ObservedCall | undefined {
    return this.#calls.find((call) => call.id === id);
  }

  /** Calls `listener` with every call that ends, until the returned function is called. */
  onCall(listener: (call: ObservedCall) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  close(): void {
    this.#off();
    this.#listeners.clear();
  }

  #record(record: CallRecord): void {
    if (methodRule(record.method, record.client.era)?.handling.by === "list") return;
    const call = observed(record);
    this.#calls.push(call);
    if (this.#calls.length > MOST) this.#calls.shift();
    for (const listener of this.#listeners) listener(call);
  }
}

const OUTCOMES: Readonly<Record<CallRecord["outcome"], ObservedOutcome>> = {
  ok: "ok",
  toolError: "tool_error",
  unfinished: "input_required",
  error: "error",
  cancelled: "cancelled",
};

function observed(record: CallRecord): ObservedCall {
  const { rid, client, method, server, name, tool, endpoint, outcome, code, duration } = record;
  const { name: own, version } = client.info;
  const words = [own, version].filter((word) => typeof word === "string");
  return {
    id: rid,
    at: Date.now() - duration,
    method,
    server,
    name: name === undefined ? undefined : cut(name, MOST_OF_NAME),
    ownName: tool?.name,
    client: cut(printable(words.join(" ")), MOST_OF_CLIENT),
    session: client.session,
    endpoint,
    outcome: OUTCOMES[outcome],
    code,
    ms: duration,
    queueMs: 0,
    serverMs: 0,
    gatewayMs: duration,
    bytesIn: 0,
    bytesOut: 0,
    attempts: server === "" ? 0 : 1,
    who: client.principal?.who,
  };
}
