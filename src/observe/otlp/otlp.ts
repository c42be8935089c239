/** What is told of a gateway by OpenTelemetry, as its configuration says, or its environment. */

import process from "node:process";
import type { OtelConfig } from "../../config/schema-observe.ts";
import type { Gateway } from "../../gateway/gateway.ts";
import { TokenBucket } from "../../lib/rate-limit.ts";
import { cut } from "../../lib/text.ts";
import { takingTurns } from "../../lib/time.ts";
import { VERSION } from "../../lib/version.ts";
import type { Entry } from "../../log/entry.ts";
import { getLogger, recentLines } from "../../log/mod.ts";
import { idTextOf } from "../../protocol/message.ts";
import { withoutCredentials } from "../../upstream/transport/http-client.ts";
import type { Metrics } from "../metrics.ts";
import type { Recorder } from "../recorder.ts";
import type { EndedCall } from "../ring.ts";
import { type AttributeValues, otlpBody, type Signal, spansOf, type TracedEnd } from "./encode.ts";
import { Exporter } from "./exporter.ts";
import { isSent, logRecord } from "./logs.ts";
import { metricTexts } from "./metrics-body.ts";
import { beginTrace, TracedCall } from "./trace.ts";

/** The environment of a process. */
type Env = Readonly<Record<string, string | undefined>>;
/** What is made of items, JSON each. */
type Texts<Item> = (items: readonly Item[]) => AsyncIterable<string>;

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
  /** What it does by now, as text; how each signal ends; and what has still to end. */
  #doing = "";
  #stops: readonly (() => Promise<void>)[] = [];
  #ending: Promise<unknown> = Promise.resolve();

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
    this.#stops = config?.signals.map((signal) => this.#start(signal, config)) ?? [];
  }

  /** Waits for what earlier configurations have left to be sent as well. */
  #stop(): Promise<unknown> {
    const stops = this.#stops.map((stop) => stop());
    this.#stops = [];
    return this.#ending = Promise.all([this.#ending, ...stops]);
  }

  /** Begins to send a signal, and returns how that ends. */
  #start(signal: Signal, config: OtelConfig): () => Promise<void> {
    if (signal === "traces") return this.#sendTraces(config);
    return signal === "logs" ? this.#sendLogs(config) : this.#sendMetrics(config);
  }

  #sendTraces(config: OtelConfig): () => Promise<void> {
    const { gateway, recorder } = this.sources;
    const exporter = this.#exporter<TracedEnd>(
      "traces",
      config,
      (ends) =>
        textsOf(
          ends,
          (end) => spansOf(end, (server) => recorder.transportOf(server), gateway.redact),
        ),
    );
    const traceOf = gateway.traceOf = (exchange) => beginTrace(exchange, config.sample);
    const off = recorder.onCall((ended) => {
      const end = endOf(ended);
      if (end !== undefined) exporter.push(end);
    });
    return () => {
      off();
      if (gateway.traceOf === traceOf) gateway.traceOf = undefined;
      return exporter.close();
    };
  }

  #sendLogs(config: OtelConfig): () => Promise<void> {
    const traceOf = (rid: string) => this.sources.recorder.find(rid)?.traceId;
    const exporter = this.#exporter<Entry>(
      "logs",
      config,
      (entries) => textsOf(entries, (entry) => [logRecord(entry, traceOf)]),
    );
    const off = recentLines.onLine((_line, entry) => {
      if (isSent(entry)) exporter.push(entry);
    });
    return () => {
      off();
      return exporter.close();
    };
  }

  #sendMetrics(config: OtelConfig): () => Promise<void> {
    const { sources } = this;
    // What is sent is what is known by then: a moment that waits is as good as two.
    const exporter = this.#exporter<"now">("metrics", config, async function* () {
      yield* metricTexts(await (await sources.metrics()).gather());
    });
    const timer = setInterval(() => exporter.push("now"), EVERY);
    timer.unref();
    return () => {
      clearInterval(timer);
      exporter.push("now");
      return exporter.close();
    };
  }

  #exporter<Item>(signal: Signal, config: OtelConfig, texts: Texts<Item>): Exporter<Item> {
    const { url, headers } = withoutCredentials(`${config.endpoint}/v1/${signal}`);
    const resource = resourceOf(this.env, this.sources.recorder.process);
    return new Exporter<Item>({
      url,
      headers: { ...headers, ...config.headers },
      encode: async (items) => otlpBody(signal, resource, await Array.fromAsync(texts(items))),
      onDropped: (count, why) => {
        const dropped = this.dropped[signal] += count;
        if (!this.#complaints.take(performance.now()).allowed) return;
        const { host } = url;
        log.warn("Cannot send {signal} to {host}: {why}", { signal, host, why, dropped });
      },
    });
  }
}

/** What is made of each item, in turns. */
async function* textsOf<Item>(
  items: readonly Item[],
  thingsOf: (item: Item) => readonly object[],
): AsyncGenerator<string> {
  for await (const item of takingTurns(items)) {
    for (const thing of thingsOf(item)) yield JSON.stringify(thing);
  }
}

function endOf(ended: EndedCall): TracedEnd | undefined {
  const { trace, received, client } = ended.record;
  if (!(trace instanceof TracedCall)) return undefined;
  const { id } = received;
  const shown = cut(typeof id === "string" ? id : idTextOf(received), MOST_OF_ID);
  // A copy: a part of a text keeps all of it, and a request may be long.
  const requestId = Buffer.from(shown).toString();
  return { call: ended.whole, trace, requestId, protocolVersion: client.protocolVersion };
}

/** What the environment says where the configuration says nothing; the names are the standard's. */
function configIn(env: Env): OtelConfig | undefined {
  const endpoint = env["OTEL_EXPORTER_OTLP_ENDPOINT"]?.replace(/\/+$/, "");
  if (!endpoint || !/^https?:$/.test(URL.parse(endpoint)?.protocol ?? "")) return undefined;
  const headers = pairsIn(env["OTEL_EXPORTER_OTLP_HEADERS"]);
  return { endpoint, headers, sample: 1, signals: ["traces", "logs", "metrics"] };
}

function resourceOf(env: Env, instance: string): AttributeValues {
  const { OTEL_RESOURCE_ATTRIBUTES: others, OTEL_SERVICE_NAME: name } = env;
  return {
    "service.name": "mcproxy",
    "service.version": VERSION,
    "service.instance.id": instance,
    ...pairsIn(others),
    ...(name ? { "service.name": name } : {}),
  };
}

/** `a=1,b=2`, each as in a URL. What is none of these is passed over. */
function pairsIn(text = ""): Record<string, string> {
  const query = text.replace(/[+&]/g, encodeURIComponent).replaceAll(",", "&");
  const pairs = [...new URLSearchParams(query)].map((pair) => pair.map((word) => word.trim()));
  return Object.fromEntries(pairs.filter(([key, value]) => key && value));
}
