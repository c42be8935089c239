/** What is told of a gateway by OpenTelemetry, as its configuration says, or its environment. */

import process from "node:process";
import type { OtelConfig } from "../../config/schema-observe.ts";
import type { CallRecord } from "../../gateway/events.ts";
import type { Gateway } from "../../gateway/gateway.ts";
import { TokenBucket } from "../../lib/rate-limit.ts";
import { cut } from "../../lib/text.ts";
import { takingTurns } from "../../lib/time.ts";
import { VERSION } from "../../lib/version.ts";
import type { Entry } from "../../log/entry.ts";
import { getLogger, recentLines } from "../../log/mod.ts";
import { idTextOf } from "../../protocol/message.ts";
import { withoutCredentials } from "../../upstream/transport/http-client.ts";
import type { ObservedCall } from "../call.ts";
import type { Recorder } from "../recorder.ts";
import type { Metrics } from "../metrics.ts";
import { type AttributeValues, otlpBody, spansOf, type TracedEnd } from "./encode.ts";
import { type Destination, Exporter } from "./exporter.ts";
import { isSent, logRecord, logsBody } from "./logs.ts";
import { metricsBody } from "./metrics-body.ts";
import { beginTrace, TracedCall } from "./trace.ts";

/** The environment of a process. */
type Env = Readonly<Record<string, string | undefined>>;
type Signal = OtelConfig["signals"][number];

const log = getLogger("mcproxy", "otlp");
/** One line in ten minutes. */
const SELDOM = { ratePerSecond: 1 / 600, burst: 1 };
/** Milliseconds between two times that metrics are sent. */
const EVERY = 60_000;
/** Characters of the id of a request. */
const MOST_OF_ID = 64;

/** What it tells of. */
export interface OtlpSources {
  readonly gateway: Gateway;
  readonly recorder: Recorder;
  metrics(): Promise<Pick<Metrics, "gather">>;
}

/** Sends while the configuration, or the environment, says where to; made for the first that does. */
export class Otlp {
  /** What was not sent. */
  readonly dropped: Record<Signal, number> = { traces: 0, logs: 0, metrics: 0 };
  readonly #complaints = new TokenBucket({ ...SELDOM, now: performance.now() });
  readonly #off: () => void;
  /** What it does by now, as text. */
  #doing = "";
  #stop: () => Promise<unknown> = () => Promise.resolve();

  constructor(private readonly sources: OtlpSources, private readonly env: Env = process.env) {
    this.#off = sources.gateway.events.on("config", () => this.#adjust());
    this.#adjust();
  }

  /** Sends what is left, for a second at most. Never rejects. */
  async close(): Promise<void> {
    this.#off();
    await this.#stop();
  }

  #adjust(): void {
    const config = this.sources.gateway.config.settings.otel ?? configIn(this.env);
    const doing = JSON.stringify(config ?? null);
    if (doing === this.#doing) return;
    this.#doing = doing;
    void this.#stop();
    this.#stop = () => Promise.resolve();
    if (config === undefined) return;
    const stops = config.signals.map((signal) => this.#start(signal, config));
    this.#stop = () => Promise.all(stops.map((stop) => stop()));
  }

  /** Begins to send a signal, and returns how that ends. */
  #start(signal: Signal, config: OtelConfig): () => Promise<void> {
    const { gateway, recorder } = this.sources;
    const resource = resourceOf(this.env, recorder.process);
    if (signal === "traces") {
      const exporter = this.#exporter<TracedEnd>(signal, config, async (ends) => {
        const spans: string[] = [];
        for await (const end of takingTurns(ends)) {
          for (const span of this.#spansOf(end)) spans.push(JSON.stringify(span));
        }
        return otlpBody("Spans", "spans", resource, spans);
      });
      const traceOf = gateway.traceOf = (exchange) => beginTrace(exchange, config.sample);
      const off = recorder.onCall((call, record) => {
        const end = endOf(call, record);
        if (end !== undefined) exporter.push(end);
      });
      return () => {
        off();
        if (gateway.traceOf === traceOf) gateway.traceOf = undefined;
        return exporter.close();
      };
    }
    if (signal === "logs") {
      const traceOf = (rid: string) => recorder.find(rid)?.traceId;
      const exporter = this.#exporter<Entry>(signal, config, async (entries) => {
        const lines: string[] = [];
        for await (const entry of takingTurns(entries)) {
          lines.push(JSON.stringify(logRecord(entry, traceOf)));
        }
        return logsBody(resource, lines);
      });
      const off = recentLines.onLine((_line, entry) => {
        if (isSent(entry)) exporter.push(entry);
      });
      return () => {
        off();
        return exporter.close();
      };
    }
    // What is sent is what is known by then: a moment that waits is as good as two.
    const exporter = this.#exporter<"now">(signal, config, async () => {
      return await metricsBody(resource, await (await this.sources.metrics()).gather());
    });
    const timer = setInterval(() => exporter.push("now"), EVERY);
    timer.unref();
    return () => {
      clearInterval(timer);
      exporter.push("now");
      return exporter.close();
    };
  }

  #spansOf(end: TracedEnd) {
    const { members, redact } = this.sources.gateway;
    const transportOf = (server: string) => {
      const target = members.get(server)?.config.instances[0];
      return target === undefined ? undefined : target.kind === "stdio" ? "pipe" : "tcp";
    };
    return spansOf(end, transportOf, redact);
  }

  #exporter<Item>(
    signal: Signal,
    { endpoint, headers }: OtelConfig,
    encode: (items: readonly Item[]) => Promise<string>,
  ): Exporter<Item> {
    const { url, headers: credentials } = withoutCredentials(`${endpoint}/v1/${signal}`);
    const to: Destination = { url, headers: { ...credentials, ...headers } };
    const onDropped = (count: number, why: string) => {
      this.dropped[signal] += count;
      if (!this.#complaints.take(performance.now()).allowed) return;
      const dropped = this.dropped[signal];
      log.warn("Cannot send {signal} to {host}: {why}", { signal, host: url.host, why, dropped });
    };
    return new Exporter<Item>({ to, encode, onDropped });
  }
}

function endOf(call: ObservedCall, { trace, received, client }: CallRecord): TracedEnd | undefined {
  if (!(trace instanceof TracedCall)) return undefined;
  const { id } = received;
  const requestId = cut(typeof id === "string" ? id : idTextOf(received), MOST_OF_ID);
  return { call, trace, requestId, protocolVersion: client.protocolVersion };
}

/** What the environment says where the configuration says nothing; the names are the standard's. */
function configIn(env: Env): OtelConfig | undefined {
  const endpoint = env["OTEL_EXPORTER_OTLP_ENDPOINT"]?.replace(/\/+$/, "");
  if (!endpoint || !/^https?:$/.test(URL.parse(endpoint)?.protocol ?? "")) return undefined;
  const headers = pairsIn(env["OTEL_EXPORTER_OTLP_HEADERS"]);
  return { endpoint, headers, sample: 1, signals: ["traces", "logs", "metrics"] };
}

function resourceOf(env: Env, instance: string): AttributeValues {
  return {
    "service.name": "mcproxy",
    "service.version": VERSION,
    "service.instance.id": instance,
    ...pairsIn(env["OTEL_RESOURCE_ATTRIBUTES"]),
    ...(env["OTEL_SERVICE_NAME"] ? { "service.name": env["OTEL_SERVICE_NAME"] } : {}),
  };
}

/** `a=1,b=2`, each as in a URL. What is none of these is passed over. */
function pairsIn(text = ""): Record<string, string> {
  const pairs = text.split(",").flatMap((pair) => {
    const [, key, value] = /^\s*([^=\s]+)\s*=\s*(.*?)\s*$/.exec(pair) ?? [];
    return key === undefined ? [] : [[decoded(key), decoded(value!)] as const];
  });
  return Object.fromEntries(pairs);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
