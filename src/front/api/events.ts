/** What happens, as it happens. */

import type { Gateway } from "../../gateway/gateway.ts";
import { attentionOf, sentenceOf } from "../../gateway/attention.ts";
import { gatewayCondition } from "../../gateway/status.ts";
import { systemClock } from "../../lib/time.ts";
import { type LogLine, recentLines } from "../../log/mod.ts";
import type { ObservedCall } from "../../observe/call.ts";
import { EventStream } from "../streams.ts";
import { ApiError, type Asked, OWN_HEADERS, unreadable } from "./ask.ts";
import { filterIn } from "./calls.ts";
import { lineFilter, shownLine } from "./log.ts";

const TOPICS = ["status", "calls", "log", "alerts"] as const;

/** Streams at a time, ms between two events of a topic, and items of one. */
const [MOST_STREAMS, PAUSE, MOST_ITEMS] = [200, 200, 100];
/** Bytes that wait for a reader: of all streams together it is to be little. */
const MOST_UNREAD = 512 * 1024;

let open = 0;

/** Makes the JSON of an item once for all who are told of it: a stream is to cost calls nothing. */
function shared<Item extends object>(shown: (item: Item) => unknown): (item: Item) => string {
  const texts = new WeakMap<Item, string>();
  return (item) => texts.getOrInsertComputed(item, () => JSON.stringify(shown(item)));
}

/** Of what is told of calls, and of the lines of the log by the gateway that redacts them. */
const callText = shared((call: ObservedCall) => call);
const lineTexts = new WeakMap<Gateway, (line: LogLine) => string>();

/** Collects what comes faster than anybody reads, and tells what was left out. */
class Batches<Item> {
  #items: Item[] = [];
  #left = 0;
  #cancel: (() => void) | undefined;

  constructor(private readonly tell: (items: readonly Item[], left: number) => void) {}

  add(item: Item): void {
    if (this.#items.length < MOST_ITEMS) this.#items.push(item);
    else this.#left++;
    this.#cancel ??= systemClock.after(PAUSE, () => {
      const [items, left] = [this.#items, this.#left];
      [this.#items, this.#left, this.#cancel] = [[], 0, undefined];
      this.tell(items, left);
    }, true);
  }

  close(): void {
    this.#cancel?.();
  }
}

/** `GET /api/events`: what is told of each topic, batched; ends with the gateway. */
export function events(asked: Asked): Response {
  const { gateway, observatory, context: { keepAlive }, query, holds } = asked;
  const topics = new Set((query.get("topics") ?? TOPICS.join()).split(","));
  const known = TOPICS.join(", ");
  if (topics.difference(new Set<string>(TOPICS)).size > 0) {
    throw unreadable("topics", `some of ${known}`);
  }
  const [isCall, isLine] = [filterIn(query), lineFilter(query)];
  if (open >= MOST_STREAMS) throw new ApiError(503, "busy", "Too many streams are open");
  const stream = new EventStream(MOST_UNREAD);
  const ends: (() => void)[] = [];
  const leave = () => {
    if (ends.length > 0) open--;
    for (const end of ends.splice(0)) end();
  };
  const close = () => {
    leave();
    stream.close();
  };
  const follow = <Item>(
    tell: (items: readonly Item[], left: number) => void,
    listen: (add: (item: Item) => void) => readonly (() => void)[],
  ) => {
    const batches = new Batches(tell);
    ends.push(() => batches.close(), ...listen((item) => batches.add(item)));
  };
  const tell =
    <Item>(topic: string, textOf: (item: Item) => string) =>
    (items: readonly Item[], left: number) =>
      stream.event(topic, `{"items":[${items.map(textOf)}],"left":${left}}`);
  let last = "";
  const tellStatus = () => {
    const condition = gatewayCondition(gateway);
    const servers = condition.servers.map(({ name, state }) => ({ name, state }));
    const sentence = sentenceOf(condition);
    const data = JSON.stringify({ sentence, attention: attentionOf(condition), servers });
    if (data !== last) stream.event("status", last = data);
  };
  const silent = {
    tick: () => {
      if (!holds()) return close();
      stream.comment();
      // Whether a server does what it is asked changes without a fact.
      if (topics.has("status")) tellStatus();
    },
  };
  open++;
  keepAlive.add(silent);
  gateway.stopping.addEventListener("abort", close);
  ends.push(
    () => keepAlive.delete(silent),
    () => gateway.stopping.removeEventListener("abort", close),
  );
  // Both runtimes hold the headers back until the first byte.
  stream.comment();
  stream.whenGone(leave);
  if (topics.has("status")) {
    const kinds = ["server", "config", "pin", "lists"] as const;
    follow(tellStatus, (add) => kinds.map((kind) => gateway.events.on(kind, add)));
    tellStatus();
  }
  if (topics.has("calls")) {
    const { recorder } = observatory;
    follow(
      tell("calls", callText),
      (add) => [recorder.onCall(({ whole: call }) => isCall(call) && add(call))],
    );
  }
  if (topics.has("log")) {
    const textOf = lineTexts.getOrInsertComputed(
      gateway,
      () => shared((line: LogLine) => shownLine(line, gateway.redact)),
    );
    follow(tell("log", textOf), (add) => [recentLines.onLine((line) => isLine(line) && add(line))]);
  }
  if (topics.has("alerts")) {
    const tellAlerts = async () => {
      const { firing } = await observatory.alerts ?? {};
      stream.event("alerts", JSON.stringify({ firing }));
    };
    follow(tellAlerts, (add) => [gateway.events.on("alert", add)]);
  }
  return stream.response({ ...OWN_HEADERS, "cache-control": "no-store, no-transform" });
}
