/** What looks at the calls of a gateway, and what is loaded for it as the configuration says. */

import process from "node:process";
import type { Gateway } from "../gateway/gateway.ts";
import type { Runtime } from "../runtime/types.ts";
import type { Alerts } from "./alerts/alerts.ts";
import type { Bodies } from "./bodies.ts";
import type { History } from "./history/history.ts";
import type { Metrics } from "./metrics.ts";
import type { Otlp } from "./otlp/otlp.ts";
import { Recorder } from "./recorder.ts";
import type { EndedCall } from "./ring.ts";

/** A state, and when it began, ms since the epoch. */
export interface StateChange {
  readonly at: number;
  readonly state: string;
}

const MOST_STATES = 100;
/** Calls that may wait for the history to be loaded. */
const MOST_EARLY = 1_000;

/** What an {@link Observatory} stands on. */
export interface ObservatoryOptions {
  /** Where it is kept what outlives the process; without, nothing does. */
  readonly stateDirectory?: string | undefined;
  /** Starts the programs that are told of alerts; without, there are no alerts. */
  readonly runtime?: Pick<Runtime, "spawn"> | undefined;
}

/** Made beside a gateway, before that is started; to be closed after it. */
export class Observatory {
  readonly recorder: Recorder;
  /** Into which states servers came, the oldest first; at most so many of each. */
  readonly states = new Map<string, StateChange[]>();
  #bodies: Promise<Bodies> | undefined;
  #history: Promise<History | undefined> | undefined;
  #early: EndedCall[] = [];
  #endWait = () => {};
  #metrics: Promise<Metrics> | undefined;
  #otlp: Promise<Otlp> | undefined;
  #alerts: Promise<Alerts> | undefined;
  /** Configurations since the start, by what became of them. */
  readonly reloads = { accepted: 0, refused: 0 };
  readonly #off: readonly (() => void)[];

  constructor(readonly gateway: Gateway, readonly options: ObservatoryOptions = {}) {
    this.recorder = new Recorder(gateway);
    this.#off = [
      gateway.events.on("config", ({ refused }) => {
        this.reloads[refused === undefined ? "accepted" : "refused"]++;
        this.#configure();
        return this.#adjustHistory();
      }),
      // How long sessions last is counted from the first one on.
      gateway.events.on("client", () => {
        if (gateway.config.settings.metrics) void this.metrics();
      }),
      gateway.events.on("server", ({ server, phase: state }) => {
        const changes = this.states.getOrInsertComputed(server, () => []);
        changes.push({ at: Date.now(), state });
        if (changes.length > MOST_STATES) changes.shift();
      }),
    ];
    this.#configure();
    this.#awaitCall();
  }

  /** What calls have said, as far as it is kept; from the first time on that anybody asks. */
  bodies(): Promise<Bodies> {
    return this.#bodies ??= import("./bodies.ts").then(({ Bodies }) =>
      new Bodies(this.gateway, async (id, body) => (await this.history())?.addBody(id, body))
    );
  }

  /** All that is counted; loaded with the first session, or here. */
  metrics(): Promise<Metrics> {
    return this.#metrics ??= import("./metrics.ts").then(({ Metrics }) => new Metrics(this));
  }

  /** What was neither kept nor sent, by what it is about. */
  async dropped(): Promise<Readonly<Record<string, number>>> {
    const late = [this.#history, this.#bodies, this.#alerts, this.#otlp] as const;
    const [history, bodies, alerts, otlp] = await Promise.all(late);
    const left = { bodies: bodies?.left ?? 0, alerts: alerts?.dropped ?? 0, ...otlp?.dropped };
    return { history: history?.dropped ?? 0, ...left };
  }

  /** From the first configuration on that has some. */
  get alerts(): Promise<Alerts> | undefined {
    return this.#alerts;
  }

  /** Undefined where none is kept. It is loaded with the first call, or here. */
  history(): Promise<History | undefined> {
    return this.#history ??= this.#openHistory();
  }

  /** What is sent by OpenTelemetry; from the first configuration on that wants it. */
  otlp(): Promise<Otlp> {
    return this.#otlp ??= import("./otlp/otlp.ts").then(({ Otlp }) => new Otlp(this));
  }

  /** Nothing is recorded any more. Never rejects. */
  async close(): Promise<void> {
    for (const off of this.#off) off();
    const late = [this.#otlp, this.#alerts, this.#history, this.#bodies, this.#metrics];
    await Promise.all(late.map(async (part) => (await part)?.close()));
    this.recorder.close();
  }

  #configure(): void {
    const { gateway, recorder, options: { runtime } } = this;
    const { history, otel, alerts } = gateway.config.settings;
    if (otel ?? process.env["OTEL_EXPORTER_OTLP_ENDPOINT"]) void this.otlp();
    if (alerts && runtime) {
      this.#alerts ??= import("./alerts/alerts.ts").then(({ Alerts }) =>
        new Alerts({ gateway, recorder, runtime, history: () => this.history() })
      );
    }
    if (history !== "off" && history.bodies !== "off") void this.bodies();
  }

  /** The history is opened with the first call; those that come until it is there wait for it. */
  #awaitCall(): void {
    if (this.options.stateDirectory === undefined) return;
    this.#early = [];
    this.#endWait = this.recorder.onCall((ended) => {
      // Asked for later, it may be another one's.
      void ended.whole;
      if (this.#early.push(ended) === MOST_EARLY) this.#endWait();
      void this.history();
    });
  }

  async #openHistory(): Promise<History | undefined> {
    const { gateway, recorder, options: { stateDirectory: directory } } = this;
    const { history: wanted } = gateway.config.settings;
    const history = directory === undefined || wanted === "off"
      ? undefined
      : (await import("./history/keep.ts"))
        .keepHistory(gateway, recorder, { ...wanted, directory }, this.#early);
    this.#endWait();
    this.#early = [];
    return history;
  }

  async #adjustHistory(): Promise<void> {
    const open = await this.#history;
    const { history: wanted } = this.gateway.config.settings;
    if (open !== undefined && wanted !== "off") open.retention = wanted;
    else if (this.#history !== undefined && (open !== undefined || wanted !== "off")) {
      this.#history = undefined;
      this.#awaitCall();
      await open?.close();
    }
  }
}
