/** Looks every ten seconds whether something is wrong, and tells when that changes. */

import process from "node:process";
import type { AlertRule } from "../../config/types.ts";
import type { Gateway } from "../../gateway/gateway.ts";
import { gatewayCondition } from "../../gateway/status.ts";
import { cut, hostInUrl } from "../../lib/text.ts";
import { systemClock } from "../../lib/time.ts";
import { getLogger } from "../../log/mod.ts";
import type { History } from "../history/history.ts";
import type { AlertRow } from "../history/pending.ts";
import type { Recorder } from "../recorder.ts";
import { type AlertMessage, type ChannelParts, ChannelQueue, type Told } from "./channels.ts";
import { findingsOf } from "./rules.ts";
import { type AlertState, AlertWatch, type Step } from "./state.ts";
import { totalsOf, Window } from "./window.ts";

/** Milliseconds between two looks. What changes between them is one message. */
const EVERY = 10_000;
/** How long after the start of the gateway nothing begins, ms: much is not there yet. */
const QUIET = 60_000;
/** Alerts that are over, and are remembered here. */
const MOST_REMEMBERED = 100;

/** What alerts stand on. */
export interface AlertsParts extends Pick<ChannelParts, "runtime"> {
  readonly gateway: Gateway;
  readonly recorder: Pick<Recorder, "process" | "series">;
  history(): Promise<Pick<History, "addAlert" | "alerts"> | undefined>;
}

/** One rule about one subject. */
interface Watched {
  readonly watch: AlertWatch;
  readonly id: string;
  /** From its last begin on. */
  span: AlertRow;
}

const WORDS = { firing: "", resolved: "Over: ", flapping: "Comes and goes: " } as const;

const log = getLogger("mcproxy", "alerts");

/** Works from its making on; what stays in another configuration goes on as it was. */
export class Alerts {
  /** Messages that nobody was told. */
  dropped = 0;
  /** By the text of the rule. */
  #rules: ReadonlyMap<string, { readonly rule: AlertRule; readonly window: Window }> = new Map();
  /** By the text of the channel. */
  #channels: ReadonlyMap<string, ChannelQueue> = new Map();
  readonly #watched = new Map<string, Watched>();
  readonly #over: AlertRow[] = [];
  readonly #off: () => void;
  /** Ends the wait for the next look. */
  #stop: (() => void) | undefined;

  constructor(private readonly parts: AlertsParts) {
    this.#off = parts.gateway.events.on("config", () => this.configure());
    this.configure();
  }

  /** Takes on the configuration in force. */
  configure(): void {
    const { to = [], rules = [] } = this.parts.gateway.config.settings.alerts ?? {};
    this.#rules = new Map(rules.map((rule) => {
      const key = JSON.stringify(rule);
      const window = new Window("in" in rule ? rule.in : 0);
      return [key, this.#rules.get(key) ?? { rule, window }];
    }));
    const before = this.#channels;
    const parts = { ...this.parts, onEnd: this.#ended };
    this.#channels = new Map(to.map((channel) => {
      const key = JSON.stringify(channel);
      return [key, before.get(key) ?? new ChannelQueue(channel, parts)];
    }));
    for (const [key, channel] of before) if (!this.#channels.has(key)) channel.close();
    // The wait goes on: a file that is written every few seconds is not to put off every look.
    if (this.#stop === undefined) this.#begin();
  }

  /** How many alerts of each rule fire. */
  get firing(): Readonly<Record<string, number>> {
    const counts: Record<string, number> = {};
    for (const { rule: { when } } of this.#rules.values()) counts[when] = 0;
    for (const { rule } of this.#firing) counts[rule] = (counts[rule] ?? 0) + 1;
    return counts;
  }

  /** What fires, and what is over, the latest first. */
  async report() {
    const older = await (await this.parts.history())?.alerts() ?? [];
    const firing = this.#firing;
    const keys = new Set([...firing, ...this.#over].map(keyOf));
    const over = [...this.#over, ...older.filter((row) => !keys.has(keyOf(row)))];
    return {
      firing: firing.map(({ until: _, told: __, ...shown }) => shown),
      history: over.sort((a, b) => b.since - a.since).slice(0, 500),
    };
  }

  /** What the timer does. */
  look(): void {
    const { gateway, recorder } = this.parts;
    const now = systemClock.now();
    const isQuiet = now - gateway.startedAt < QUIET;
    const reading = { ...gatewayCondition(gateway), memory: process.memoryUsage().rss };
    const totals = totalsOf(recorder.series.operations);
    const gone = new Map(this.#watched);
    const told: Told[] = [];
    const take = (one: Watched, { changed, told: state }: Step, text = one.span.text) => {
      if (changed !== undefined) this.#changed(one, text);
      // What it says at the end is how it was.
      else if (one.watch.isFiring) one.span = { ...one.span, text };
      if (state !== undefined) told.push(this.#toldOf(one, state));
    };
    for (const [key, { rule, window }] of this.#rules) {
      for (const finding of findingsOf(rule, reading, window.look(now, totals))) {
        const { subject } = finding;
        const place = `${key} ${subject}`;
        gone.delete(place);
        const one = this.#watched.getOrInsertComputed(place, () => ({
          id: `${recorder.process}-${crypto.randomUUID().slice(0, 8)}`,
          watch: new AlertWatch("for" in rule ? rule.for : 0),
          span: { rule: rule.when, subject, since: 0, until: null, told: null, text: "" },
        }));
        take(one, one.watch.look(finding, now, isQuiet), gateway.redact(finding.text));
      }
    }
    for (const [place, one] of gone) {
      this.#watched.delete(place);
      take(one, one.watch.end(now));
    }
    for (const some of Map.groupBy(told, ({ state }) => state).values()) this.#tell(some);
  }

  close(): void {
    this.#off();
    this.#stop?.();
    for (const channel of this.#channels.values()) channel.close();
  }

  get #firing(): readonly AlertRow[] {
    const firing = [...this.#watched.values()].filter(({ watch }) => watch.isFiring);
    return firing.map(({ span }) => span);
  }

  #begin(): void {
    try {
      this.look();
    } catch (error) {
      log.error("Cannot look for alerts: {error}", { error });
    }
    // What has just been taken out is over, and that is to be told as well.
    const isNeeded = this.#rules.size + this.#watched.size > 0;
    this.#stop = isNeeded ? systemClock.after(EVERY, () => this.#begin(), true) : undefined;
  }

  #changed(one: Watched, text: string): void {
    const { span: { rule, subject }, watch: { isFiring } } = one;
    const now = Date.now();
    if (isFiring) {
      one.span = { rule, subject, since: now, until: null, told: null, text };
      log.warn("Alert {rule} for {subject}: {text}", { rule, subject, text });
    } else {
      one.span = { ...one.span, until: now };
      log.info("Alert {rule} for {subject} is over", { rule, subject });
      this.#over.unshift(one.span);
      this.#over.splice(MOST_REMEMBERED);
    }
    this.#keep(one.span);
    this.parts.gateway.events.emit({ kind: "alert", rule, subject, isFiring });
  }

  #toldOf({ id, span: { rule, subject, since, text } }: Watched, state: AlertState): Told {
    const { publicUrl, host, port } = this.parts.gateway.config.settings;
    const url = `${publicUrl ?? `http://${hostInUrl(host)}:${port}`}/#/alerts`;
    return { id, rule, subject, state, since, text: WORDS[state] + text, url };
  }

  #tell(alerts: readonly Told[]): void {
    const all = (key: "rule" | "subject" | "text", between: string) =>
      cut([...new Set(alerts.map((one) => one[key]))].join(between), 2_000);
    const message = alerts.length === 1 ? alerts[0]! : {
      ...alerts[0]!,
      ...{ rule: all("rule", ", "), subject: all("subject", ", "), text: all("text", "\n") },
      alerts: alerts.slice(0, MOST_REMEMBERED),
    };
    for (const channel of this.#channels.values()) channel.push(message);
  }

  readonly #ended = (message: AlertMessage, isTold: boolean): void => {
    if (!isTold) return void this.dropped++;
    const ids = new Set((message.alerts ?? [message]).map(({ id }) => id));
    for (const one of this.#watched.values()) {
      if (!ids.has(one.id) || one.span.told !== null || !one.watch.isFiring) continue;
      this.#keep(one.span = { ...one.span, told: Date.now() });
    }
  };

  #keep(row: AlertRow): void {
    void this.parts.history().then((history) => history?.addAlert(row));
  }
}

function keyOf({ rule, subject, since }: AlertRow): string {
  return JSON.stringify([rule, subject, since]);
}
