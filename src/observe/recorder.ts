/** Sees every call that ends: keeps the last ones, counts all, and tells those who follow. */

import { type CallRecord, isLimited } from "../gateway/events.ts";
import type { Gateway } from "../gateway/gateway.ts";
import type { JsonObject } from "../lib/json.ts";
import { withoutKeyed } from "../lib/keyed-secrets.ts";
import { cut, printable } from "../lib/text.ts";
import { getLogger } from "../log/mod.ts";
import { methodRule } from "../protocol/methods.ts";
import type { NamedKind, Route } from "../registry/types.ts";
import { errorTypeOf, hasFailed, type ObservedCall } from "./call.ts";
import { CallRing, EndedCall } from "./ring.ts";
import { type Counter, type Histogram, Series, UNKNOWN } from "./series.ts";

/** Calls that are kept. */
const MOST = 1_000;
/** Characters of what a client calls itself, and of a name, a URI or a method. */
const [MOST_OF_CLIENT, MOST_OF_NAME] = [64, 1_000];
const MOST_OF_ERROR = 300;
/** Names of clients that are remembered. */
const MOST_CLIENTS = 500;

/** What is asked of the calls that are kept. */
export interface RecentOptions {
  readonly filter?: ((call: ObservedCall) => boolean) | undefined;
  /** Only those received before, ms since the epoch. */
  readonly before?: number | undefined;
  readonly limit?: number | undefined;
}

/** Told of a call that has ended. */
export type CallListener = (ended: EndedCall) => void;

/** The series that a call is counted in. */
interface Counted {
  readonly method: string;
  readonly operations: Histogram;
  readonly gateway: Histogram;
  /** Of the server that was asked. */
  readonly requests: Histogram | undefined;
  readonly queue: Histogram | undefined;
  readonly resultSize: Counter | undefined;
}

const log = getLogger("mcproxy", "calls");

/** Listens from its making on. */
export class Recorder {
  /** Tells the calls of this process from those of others: ids are counted anew in each. */
  readonly process: string = crypto.randomUUID().slice(0, 8);
  readonly series = new Series();
  readonly #ring = new CallRing(MOST);
  readonly #clients: ClientNames;
  readonly #listeners = new Set<CallListener>();
  readonly #off: readonly (() => void)[];
  /** The series of calls that went well, by where they went: no key is made for most calls. */
  #counted = new WeakMap<Route, Counted>();
  /** Whether the log takes more than failures. To ask takes as long as anything here: once a second. */
  #logsAll = false;
  #asksAgain = 0;
  /** Somebody who follows has failed. */
  #hasFailed = false;

  constructor(private readonly gateway: Pick<Gateway, "events" | "members" | "redact">) {
    const { events, members } = gateway;
    this.#clients = new ClientNames(gateway);
    this.#off = [
      events.on("call", (record) => this.#record(record)),
      events.on("served", ({ method, duration }) => {
        this.series.operations.of({ method }).observe(duration);
      }),
      events.on("config", ({ refused }) => {
        if (refused !== undefined) return;
        this.series.keepServers((server) => members.get(server) !== undefined);
        this.#counted = new WeakMap();
      }),
    ];
  }

  /** The calls that are kept, the latest first. */
  recent({ filter, before = Infinity, limit = MOST }: RecentOptions = {}): ObservedCall[] {
    const found: ObservedCall[] = [];
    for (const call of this.#ring) {
      if (found.length >= limit) break;
      if (call.at < before && (filter?.(call) ?? true)) found.push(call);
    }
    return found;
  }

  /** The call with this id, while it is kept. */
  find(id: string): ObservedCall | undefined {
    return this.#ring.find(id);
  }

  /** Calls `listener` with every call that ends, until the returned function is called. */
  onCall(listener: CallListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** What the client of a failed call was told, secrets masked. */
  failureText({ error }: CallRecord): string | undefined {
    return error && cut(this.gateway.redact(cut(error, 10 * MOST_OF_ERROR)), MOST_OF_ERROR);
  }

  close(): void {
    for (const off of this.#off) off();
    this.#listeners.clear();
  }

  #record(record: CallRecord): void {
    const { duration, queueMs, serverMs, outcome, route } = record;
    const isList = methodRule(record.method, record.client.era)?.handling.by === "list";
    const isPlain = outcome === "ok" && route !== undefined;
    let counted = isPlain ? this.#counted.get(route) : undefined;
    if (counted === undefined) {
      counted = this.#seriesOf(record);
      if (isPlain) this.#counted.set(route, counted);
    }
    counted.operations.observe(duration);
    // A list is no call: it is counted, and that is all.
    if (isList) return;
    counted.gateway.observe(duration - queueMs - serverMs);
    if (record.attempts > 0) {
      counted.requests?.observe(serverMs);
      counted.queue?.observe(queueMs);
    }
    if (counted.resultSize !== undefined) counted.resultSize.value += record.bytesOut;
    const at = Date.now() - duration;
    const { traceId } = record;
    if (traceId !== undefined) {
      counted.operations.exemplar = { traceId, value: duration / 1_000, at };
    }
    const method = counted.method === UNKNOWN ? shortened(record.method) : counted.method;
    // What nobody has listed may be anything, a secret as well.
    const name = route?.exposed ??
      (record.name && this.gateway.redact(shortened(record.name)));
    const client = this.#clients.of(record.client.info);
    const place = this.#ring.add(record, at, method, name, client);
    const level = hasFailed(record) ? "info" : "debug";
    if (record.started >= this.#asksAgain) {
      this.#logsAll = log.isEnabledFor("debug");
      this.#asksAgain = record.started + 1_000;
    }
    const isTold = this.#logsAll || (level === "info" && log.isEnabledFor(level));
    if (!isTold && this.#listeners.size === 0) return;
    const make = () => this.#ring.at(place);
    const ended = new EndedCall(record, at, method, name, client, make);
    if (isTold) logCall(level, ended.whole, record);
    for (const listener of this.#listeners) {
      try {
        listener(ended);
      } catch (error) {
        if (!this.#hasFailed) {
          log.error("Who was told of a {kind} failed: {error}", { kind: "call", error });
        }
        this.#hasFailed = true;
      }
    }
  }

  #seriesOf(record: CallRecord): Counted {
    const { client: { era }, server: asked, route } = record;
    const handling = methodRule(record.method, era)?.handling;
    const method = handling === undefined ? UNKNOWN : record.method;
    const kind = handling?.by === "owner" ? handling.of : undefined;
    const name = kind === "tool" || kind === "prompt" ? this.#nameOf(kind, route) : undefined;
    const server = this.gateway.members.get(asked) === undefined ? undefined : asked;
    const errorType = errorTypeOf(record);
    const { operations, requests, gateway, queue, resultSize } = this.series;
    return {
      method,
      operations: operations.of({ method, name, server, errorType }),
      gateway: gateway.of({ method }),
      requests: server === undefined
        ? undefined
        : requests.of({ method, server, transport: this.transportOf(server), errorType }),
      queue: server === undefined ? undefined : queue.of({ server }),
      resultSize: server === undefined ? undefined : resultSize.of({ server }),
    };
  }

  /** The URL of a server leads to it with any name: it counts where the server has listed it. */
  #nameOf(kind: NamedKind, route: Route | undefined): string {
    if (route === undefined) return UNKNOWN;
    const { server, name, exposed } = route;
    const { items } = this.gateway.members.get(server)?.offered.lists[`${kind}s`] ?? { items: [] };
    return server === "" || items.some(({ key }) => key === name) ? exposed : UNKNOWN;
  }

  /** `network.transport` of the semantic conventions; undefined for a server that is gone. */
  transportOf(server: string): string | undefined {
    const target = this.gateway.members.get(server)?.config.instances[0];
    return target === undefined ? undefined : target.kind === "stdio" ? "pipe" : "tcp";
  }
}

function logCall(level: "info" | "debug", call: ObservedCall, record: CallRecord): void {
  // These have a line already: one with a stack, or one for many.
  if (record.isLogged || isLimited(record)) return;
  const { id: rid, server, outcome, code, ms, queueMs, serverMs, bytesIn, bytesOut, via } = call;
  const { client: { label: client, principal }, error } = record;
  const method = cut(call.method, 100);
  // What a tool says of its failure is a result.
  const told = outcome === "tool_error" || error === undefined
    ? undefined
    : withoutKeyed(cut(error, 1_000));
  const text = outcome === "ok"
    ? "{method} was answered"
    : told === undefined
    ? "{method} ended: {outcome}"
    : "{method} failed: {error}";
  log[level](text, {
    ...{ rid, client, who: principal?.who, method, server: server || undefined, name: call.name },
    ...{ outcome, code, ms: tenth(ms), queueMs: tenth(queueMs), serverMs: tenth(serverMs) },
    ...{ bytesIn, bytesOut, via, trace_id: call.traceId },
    error: told,
  });
}

function tenth(ms: number): number {
  return Math.round(ms * 10) / 10;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A copy of a text: a part of another one would keep that in memory. */
function ownText(text: string): string {
  return decoder.decode(encoder.encode(text));
}

function shortened(text: string): string {
  return text.length <= MOST_OF_NAME ? text : ownText(cut(text, MOST_OF_NAME));
}

/** What clients call themselves, with their versions: one text for all calls of a client. */
class ClientNames {
  readonly #known = new Map<string, Map<string, string>>();
  #size = 0;

  constructor(private readonly by: Pick<Gateway, "redact">) {}

  of({ name, version }: JsonObject): string {
    const own = typeof name === "string" ? name : "";
    const its = typeof version === "string" ? version : "";
    const isLong = own.length + its.length > MOST_OF_CLIENT;
    const found = isLong ? undefined : this.#known.get(own)?.get(its);
    if (found !== undefined) return found;
    // It may be anything, a secret as well: masked before it is too short to be known.
    const said = printable(this.by.redact(`${cut(own, 256)} ${cut(its, 256)}`));
    const label = cut(said.trim(), MOST_OF_CLIENT - 1);
    if (isLong) return ownText(label);
    if (this.#size++ === MOST_CLIENTS) {
      this.#known.clear();
      this.#size = 1;
    }
    this.#known.getOrInsertComputed(own, () => new Map()).set(its, label);
    return label;
  }
}
