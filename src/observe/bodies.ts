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
import { nextTurn, systemClock, TURN } from "../lib/time.ts";
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
/** Of a message so much is looked at: what stands before the part that is kept is short. */
const HEAD = MOST_OF_BODY + 1_024;

/** What waits to be looked at. */
interface Talk {
  readonly id: string;
  readonly request: string;
  /** Empty where there was none. */
  readonly reply: string;
  readonly isLong: boolean;
}

type Kept = Pick<Body, "cut" | "redacted"> & Readonly<Record<"request" | "result", Uint8Array>>;

/** Told of each one that is kept, for whoever keeps it longer. */
export type BodyListener = (id: string, body: Body) => void;

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

  #listen(): void {
    if (this.#isWanted) this.#deaf ??= this.gateway.events.on("call", (call) => this.#hear(call));
    else {
      this.#deaf?.();
      this.#deaf = undefined;
    }
  }

  get #isWanted(): boolean {
    if (this.#recording && systemClock.now() >= this.#recording.until) this.#recording = undefined;
    return this.#recording !== undefined || this.#configured !== "off";
  }

  /** Takes it on; what takes time is done in turns of its own, after the call has been answered. */
  #hear(record: CallRecord): void {
    // Lists are nobody's own.
    if (record.name === undefined) return;
    if (!this.#isWanted) return this.#listen();
    const { mode, server = record.server } = this.#recording ?? {};
    const isIn = (mode: BodyMode | undefined) =>
      mode === "all" || (mode === "errors" && hasFailed(record));
    if (!isIn(this.#configured) && !(server === record.server && isIn(mode))) return;
    if (this.#waiting.length >= MOST_WAITING) this.left++;
    else {
      const request = record.request.raw;
      const reply = record.reply === undefined ? "" : replyText(record.reply);
      const isLong = Math.max(request.length, reply.length) > HEAD;
      const texts = { request: request.slice(0, HEAD), reply: reply.slice(0, HEAD) };
      this.#waiting.push({ id: record.rid, ...texts, isLong });
      if (!this.#isWorking) void this.#work();
    }
  }

  async #work(): Promise<void> {
    this.#isWorking = true;
    let until = -Infinity;
    while (this.#waiting.length > 0) {
      if (systemClock.now() > until) {
        await nextTurn();
        until = systemClock.now() + TURN;
      }
      const talk = this.#waiting.shift();
      if (talk === undefined) break;
      const [request, result] = [this.#side(paramsOf(talk)), this.#side(resultOf(talk))];
      const isCut = talk.isLong || request.cut || result.cut;
      const redacted = request.redacted || result.redacted;
      this.#keep(talk.id, { request: request.bytes, result: result.bytes, cut: isCut, redacted });
    }
    this.#isWorking = false;
  }

  #side(whole: string) {
    const shown = cut(whole, MOST_OF_BODY);
    const safe = this.gateway.redact(withoutKeyed(shown));
    const buffer = new Uint8Array(MOST_OF_BODY);
    const { read, written } = new TextEncoder().encodeInto(safe, buffer);
    const isCut = whole.length > MOST_OF_BODY || read < safe.length;
    return { bytes: buffer.slice(0, written), cut: isCut, redacted: safe !== shown };
  }

  #keep(id: string, kept: Kept): void {
    this.#kept.set(id, kept);
    this.#size += sizeOf(kept);
    for (const [oldest, one] of this.#kept) {
      if (this.#size <= MOST_IN_ALL) break;
      this.#size -= sizeOf(one);
      this.#kept.delete(oldest);
    }
    this.onBody?.(id, bodyOf(kept));
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

function paramsOf({ request }: Talk): string {
  return attempt(() => rawAt(request, ["params"])) ?? "{}";
}

function resultOf({ reply }: Talk): string {
  const part = (name: string) => attempt(() => rawAt(reply, [name]));
  return part("result") ?? part("error") ?? "";
}
