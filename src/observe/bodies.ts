/**
 * What calls said and were answered, for as long as somebody wants it kept. Secrets go before it is
 * kept: known ones by their values, and whatever stands under a telling key, in JSON inside of
 * strings as well.
 */

import type { CallRecord } from "../gateway/events.ts";
import type { Gateway } from "../gateway/gateway.ts";
import { attempt } from "../lib/json.ts";
import { rawAt } from "../lib/json-edit.ts";
import { withoutKeyed } from "../lib/keyed-secrets.ts";
import { cut } from "../lib/text.ts";
import { nextTurn, systemClock, takingTurns } from "../lib/time.ts";
import { replyText } from "../registry/answers.ts";
import { hasFailed } from "./call.ts";

/** Which calls it is kept of: none, those that failed, or all. */
export type BodyMode = "off" | "errors" | "all";

/** One call's; JSON, where it was not cut. */
export interface Body {
  /** The `params` of the request. */
  readonly request: string;
  /** The `result` of the answer, or its `error`. */
  readonly result: string;
  /** Whether either of them is longer. */
  readonly cut: boolean;
  /** Whether something of either stands no more in it but as `[redacted]`. */
  readonly redacted: boolean;
}

/** What is to be kept for a time. */
export interface Recording {
  /** How long, ms; 0 ends it. */
  readonly ms: number;
  /** Only of this server. */
  readonly server?: string | undefined;
  readonly mode: BodyMode;
}

/** Characters and bytes of a side, bytes of all that is kept, and how many may wait for their turn. */
const MOST_OF_BODY = 64 * 1024;
const MOST_IN_ALL = 4 * 1024 * 1024;
const MOST_WAITING = 64;
/** No secret is longer, but by its end. */
const MARGIN = 8 * 1024;
/** Of a message so much is looked at: what stands before the part that is kept is short. */
const HEAD = MOST_OF_BODY + MARGIN + 1_024;

/** What waits to be looked at; the reply is empty where there was none. */
interface Talk extends Readonly<Record<"id" | "request" | "reply", string>> {
  readonly isLong: boolean;
}

type Kept = Pick<Body, "cut" | "redacted"> & Readonly<Record<"request" | "result", Uint8Array>>;

/** Told of each one that is kept, for whoever keeps it longer. */
export type BodyListener = (id: string, body: Body) => unknown;

/** Keeps the latest in memory. Listens to calls only while it has to. */
export class Bodies {
  /** How many were not kept because too many came at once. */
  left = 0;
  readonly #kept = new Map<string, Kept>();
  readonly #waiting: Talk[] = [];
  #size = 0;
  #isWorking = false;
  #recording: Recording & { readonly until: number } | undefined;
  #deaf: (() => void) | undefined;
  readonly #off: () => void;

  constructor(
    private readonly gateway: Pick<Gateway, "config" | "events" | "redact">,
    private readonly onBody?: BodyListener,
  ) {
    this.#off = gateway.events.on("config", () => this.#listen());
    this.#listen();
  }

  /** Keeps them for a time, whatever is configured. Until when; ms since the epoch. */
  record(recording: Recording): number {
    this.#recording = { ...recording, until: systemClock.now() + recording.ms };
    this.#listen();
    return Math.round(Date.now() + recording.ms);
  }

  /** What is kept of the call with this id. */
  async find(id: string): Promise<Body | undefined> {
    while (this.#waiting.some((one) => one.id === id)) await nextTurn();
    const kept = this.#kept.get(id);
    return kept && bodyOf(kept);
  }

  close(): void {
    this.#off();
    this.#deaf?.();
    this.#waiting.length = 0;
  }

  get #configured(): BodyMode {
    const { history } = this.gateway.config.settings;
    return history === "off" ? "off" : history.bodies;
  }

  get #isWanted(): boolean {
    if (this.#recording && systemClock.now() >= this.#recording.until) this.#recording = undefined;
    return this.#recording !== undefined || this.#configured !== "off";
  }

  #listen(): void {
    if (this.#isWanted) this.#deaf ??= this.gateway.events.on("call", (call) => this.#hear(call));
    else {
      this.#deaf?.();
      this.#deaf = undefined;
    }
  }

  /** Takes it on; what takes time is done in turns of its own, after the call has been answered. */
  #hear(record: CallRecord): void {
    // Lists are nobody's own.
    if (record.name === undefined) return;
    if (!this.#isWanted) return this.#listen();
    const { mode = "off", server = record.server } = this.#recording ?? {};
    const modes = [this.#configured, server === record.server ? mode : "off"];
    if (!modes.includes("all") && !(modes.includes("errors") && hasFailed(record))) return;
    if (this.#waiting.length >= MOST_WAITING) return void this.left++;
    const request = record.request.raw;
    const reply = record.reply === undefined ? "" : replyText(record.reply);
    const isLong = Math.max(request.length, reply.length) > HEAD;
    const texts = { request: request.slice(0, HEAD), reply: reply.slice(0, HEAD) };
    this.#waiting.push({ id: record.rid, ...texts, isLong });
    if (!this.#isWorking) void this.#work();
  }

  async #work(): Promise<void> {
    this.#isWorking = true;
    await nextTurn();
    for await (const talk of takingTurns(this.#taken())) {
      await this.#keep(talk).catch(() => void this.left++);
    }
    this.#isWorking = false;
  }

  *#taken(): Generator<Talk> {
    while (this.#waiting.length > 0) yield this.#waiting.shift()!;
  }

  async #keep({ id, request: sent, reply, isLong }: Talk): Promise<void> {
    const part = (name: string) => attempt(() => rawAt(reply, [name]));
    const params = attempt(() => rawAt(sent, ["params"])) ?? "{}";
    const request = this.#side(params, sent.length === HEAD);
    const result = this.#side(part("result") ?? part("error") ?? "", reply.length === HEAD);
    const kept = {
      ...{ request: request.bytes, result: result.bytes },
      cut: isLong || request.cut || result.cut,
      redacted: request.redacted || result.redacted,
    };
    this.#kept.set(id, kept);
    this.#size += sizeOf(kept);
    for (const [oldest, one] of this.#kept) {
      if (this.#size <= MOST_IN_ALL) break;
      this.#size -= sizeOf(one);
      this.#kept.delete(oldest);
    }
    await this.onBody?.(id, bodyOf(kept));
  }

  /** `isHead`: it goes on, and the secret that it may end in is not known by its beginning. */
  #side(whole: string, isHead: boolean) {
    const safe = this.gateway.redact(withoutKeyed(whole));
    const shown = cut(isHead ? safe.slice(0, -MARGIN) : safe, MOST_OF_BODY);
    const buffer = new Uint8Array(MOST_OF_BODY);
    const { read, written } = new TextEncoder().encodeInto(shown, buffer);
    const isCut = isHead || safe.length > MOST_OF_BODY || read < shown.length;
    return { bytes: buffer.slice(0, written), cut: isCut, redacted: safe !== whole };
  }
}

/** Also what an entry takes besides. */
function sizeOf({ request, result }: Kept): number {
  return request.length + result.length + 256;
}

function bodyOf(kept: Kept): Body {
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { ...kept, request: text(kept.request), result: text(kept.result) };
}
