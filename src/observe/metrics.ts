/**
 * Every metric there is, in one table: for Prometheus and OpenTelemetry alike. What calls are
 * counted in is the recorder's; the rest is looked up when somebody asks.
 */

import process from "node:process";
import type { Gateway } from "../gateway/gateway.ts";
import type { TokenTally } from "../gateway/offers.ts";
import { systemClock } from "../lib/time.ts";
import { VERSION } from "../lib/version.ts";
import type { UpstreamStatus } from "../upstream/status.ts";
import type { Recorder } from "./recorder.ts";
import { Counter, Family, Histogram, type Series, type SeriesLabels } from "./series.ts";

/** By the names of OpenTelemetry; those that are undefined are none. */
export type Attributes = Readonly<Record<string, string | undefined>>;

/** The value of one series. */
export type Point = readonly [attributes: Attributes, value: number | Histogram];

/** A metric with what it is made of. */
export interface Metric {
  /** With dots, where it has one for OpenTelemetry. */
  readonly name: string;
  readonly kind: "histogram" | "counter" | "gauge";
  readonly unit: "s" | "By" | undefined;
  readonly help: string;
  /** Read from what is counted while it is gone through. */
  readonly points: Iterable<Point>;
}

/** What it is gathered from. */
export interface MetricSources {
  readonly gateway: Gateway;
  readonly recorder: Pick<Recorder, "series">;
  /** Configurations since the start, by what became of them. */
  readonly reloads: Counts;
  /** What was neither kept nor sent, by what it is about. */
  dropped(): Promise<Counts>;
  /** Those that are firing, by rule. */
  readonly alerts: Promise<{ readonly firing: Counts }> | undefined;
}

/** One enabled server. */
interface Server {
  readonly name: string;
  readonly status: UpstreamStatus;
  readonly isUp: boolean;
  readonly tools: number;
  readonly tokens: number;
}

type Counts = Readonly<Record<string, number>>;

/** All that is known at one moment. */
interface Found {
  readonly series: Series;
  readonly servers: readonly Server[];
  readonly sessions: Family<Histogram>;
  readonly open: Counts;
  readonly cache: Counts;
  readonly reloads: Counts;
  readonly dropped: Counts;
  readonly firing: Counts;
}

/** What a row of the table says besides the name. */
interface Row extends Pick<Metric, "kind" | "unit" | "help"> {
  readonly points: (found: Found) => Iterable<Point>;
}

/** How long something took. */
function times(help: string, family: (found: Found) => Family<Histogram>): Row {
  return { kind: "histogram", unit: "s", help, points: (found) => pointsOf(family(found)) };
}

/** One number of every server. */
function ofServers(kind: Row["kind"], help: string, valueOf: (server: Server) => number): Row {
  const points = ({ servers }: Found) =>
    servers.map((server): Point => [{ "mcproxy.server.name": server.name }, valueOf(server)]);
  return { kind, unit: undefined, help, points };
}

/** One number for every value of an attribute. */
function by(kind: Row["kind"], key: string, help: string, valuesOf: (found: Found) => Counts): Row {
  const points = (found: Found) =>
    Object.entries(valuesOf(found)).map(([name, value]): Point => [{ [key]: name }, value]);
  return { kind, unit: undefined, help, points };
}

/** One number of the process. */
function own(kind: Row["kind"], help: string, valueOf: () => number, attributes: Attributes = {}) {
  return { kind, unit: undefined, help, points: (): Point[] => [[attributes, valueOf()]] };
}

const BUILD = { version: VERSION, runtime: "bun" in process.versions ? "bun" : "deno" };

const TABLE: Readonly<Record<string, Row>> = {
  "mcp.server.operation.duration": times("Requests of clients.", ({ series }) => series.operations),
  "mcp.client.operation.duration": times("Requests to servers.", ({ series }) => series.requests),
  "mcp.server.session.duration": times("Sessions that ended.", ({ sessions }) => sessions),
  "mcproxy.gateway.duration": times("The gateway's own part.", ({ series }) => series.gateway),
  "mcproxy.queue.duration": times("Waiting for other calls.", ({ series }) => series.queue),
  "mcproxy.result.size": {
    ...{ kind: "counter", unit: "By", help: "What servers answered." },
    points: ({ series }) => pointsOf(series.resultSize),
  },
  "mcproxy.requests.active": ofServers("gauge", "Calls there.", ({ status }) => status.inFlight),
  "mcproxy.requests.queued": ofServers("gauge", "Calls that wait.", ({ status }) => status.queued),
  "mcproxy.server.up": ofServers("gauge", "1 if ready or at rest.", (one) => Number(one.isUp)),
  "mcproxy.server.tools": ofServers("gauge", "Tools that are listed.", ({ tools }) => tools),
  "mcproxy.server.tokens": ofServers("gauge", "Of all its tools.", ({ tokens }) => tokens),
  "mcproxy.server.restarts": ofServers("counter", "After failures.", (one) => one.status.restarts),
  "mcproxy.sessions": by("gauge", "kind", "Open ones of legacy clients.", ({ open }) => open),
  "mcproxy.cache.requests": by("counter", "result", "Of cached results.", ({ cache }) => cache),
  "mcproxy.config.reloads": by("counter", "result", "While it runs.", ({ reloads }) => reloads),
  "mcproxy.dropped": by("counter", "signal", "Neither kept nor sent.", ({ dropped }) => dropped),
  "mcproxy.alerts.firing": by("gauge", "rule", "Alerts that fire.", ({ firing }) => firing),
  "process_resident_memory_bytes": own(
    "gauge",
    "Resident memory.",
    () => process.memoryUsage().rss,
  ),
  "process_cpu_seconds": own("counter", "Processor time.", processorSeconds),
  "process_start_time_seconds": own("gauge", "Since the epoch.", () => STARTED),
  "mcproxy_build_info": own("gauge", "What runs here.", () => 1, BUILD),
};

const STARTED = Math.round(performance.timeOrigin) / 1e3;

function processorSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

/** Whether a server does what it is asked; one that rests will. */
function isUp({ state, health }: Pick<UpstreamStatus, "state" | "health">): boolean {
  return (state === "ready" || state === "idle") && health !== "degraded";
}

/** Gathers them, and counts what nobody else does: how long sessions last. */
export class Metrics {
  readonly #sessions = new Family(Histogram);
  /** When those that are open began. */
  readonly #since = new Map<string, number>();
  readonly #off: () => void;
  #tally: TokenTally | undefined;

  constructor(private readonly sources: MetricSources) {
    const { sessions, events } = sources.gateway;
    for (const { label } of sessions) this.#since.set(label, systemClock.now());
    this.#off = events.on("client", ({ client, transport, left }) => {
      const { label, protocolVersion: version } = client;
      if (left === undefined) return void this.#since.getOrInsert(label, systemClock.now());
      const since = this.#since.get(label);
      if (since === undefined) return;
      this.#since.delete(label);
      const labels = { transport: transport === "stdio" ? "pipe" : "tcp", version };
      this.#sessions.of(labels).observe(systemClock.now() - since);
    });
  }

  /** All of them as they are now, those without a series included. */
  async gather(): Promise<readonly Metric[]> {
    const { gateway, recorder, reloads } = this.sources;
    gateway.snapshots.flush();
    const { registry } = gateway.snapshots;
    const { TokenTally } = await import("../gateway/offers.ts");
    this.#tally ??= new TokenTally();
    const [cost, dropped, alerts] = await Promise.all([
      this.#tally.of(registry),
      this.sources.dropped(),
      this.sources.alerts,
    ]);
    const { firing = {} } = alerts ?? {};
    const servers = gateway.members.all.map(({ config: { name }, upstream }) => {
      const status = upstream.status();
      const tools = registry.servers.get(name)?.counts.tools ?? 0;
      return { name, status, isUp: isUp(status), tools, tokens: cost.servers.get(name) ?? 0 };
    });
    const { hits: hit, misses: miss } = gateway.chains.cache.stats;
    const open = { http: 0, sse: 0, stdio: 0 };
    for (const { kind } of gateway.sessions) open[kind]++;
    const counts = { open, cache: { hit, miss }, reloads, dropped, firing };
    const found = { series: recorder.series, servers, sessions: this.#sessions, ...counts };
    return Object.entries(TABLE).map(([name, { points, ...row }]) => ({
      ...{ name, ...row },
      points: points(found),
    }));
  }

  close(): void {
    this.#off();
  }
}

function* pointsOf(family: Family<Histogram> | Family<Counter>): Generator<Point> {
  for (const [labels, value] of family) {
    yield [attributesOf(labels), value instanceof Counter ? value.value : value];
  }
}

function attributesOf(labels: SeriesLabels): Attributes {
  const { method, name, server, transport, version, errorType, overflow } = labels;
  return {
    "mcp.method.name": method,
    [method === "prompts/get" ? "gen_ai.prompt.name" : "gen_ai.tool.name"]: name,
    "mcproxy.server.name": server,
    "network.transport": transport,
    "mcp.protocol.version": version,
    "error.type": errorType,
    "otel.metric.overflow": overflow && "true",
  };
}
