/** How a server says that it has forgotten a session, where it does not say so with HTTP 404. */

import { isObject, parsedObject } from "../../lib/json.ts";
import type { Clock } from "../../lib/time.ts";
import { ErrorCode } from "../../protocol/errors.ts";
import { request } from "../../protocol/message.ts";

/** What a refusal comes to: its HTTP status, and of the JSON-RPC error with it, if any, code and words. */
export interface SessionRefusal {
  readonly status: number;
  readonly code?: unknown;
  readonly words?: unknown;
}

/** What a status of 300 and more came with. */
export interface ReadRefusal {
  readonly status: number;
  readonly text: string | undefined;
  readonly isForgotten: boolean;
  /** What else is known of it. */
  readonly why: string | undefined;
}

/** What a live session is not refused; its id is none of the channel's. */
export const SESSION_PROBE = request("0", "tools/list");
/** What error messages call the probe's method, and what is refused like that proves nothing. */
const PROBED = '"tools/list"';
/** How long the probe may take, in ms. */
export const PROBE_LIMIT = 5_000;
/** How long it is known of a refusal that it is about its request alone, in ms. */
const KNOWN_FOR = 1_000;
/** How long a forgotten session waits for what becomes of the requests on their way, in ms. */
const GRACE = 1_000;
/** "Session not found" of the SDKs, which some send with HTTP 200; and their "Request timed out". */
const SESSION_NOT_FOUND = -32001;
/** Statuses that are about one request, or about this moment. */
const ELSE = new Set([405, 406, 408, 413, 414, 415, 429, 431]);

/** Whether a refusal of what a session asks may mean that the session is gone. */
export function mayBeForgotten({ status, code }: SessionRefusal): boolean {
  if (code === ErrorCode.MethodNotFound) return false;
  return status < 300 ? code === SESSION_NOT_FOUND : status <= 500 && !ELSE.has(status);
}

/** The refusal in an answer of this status. */
export function refusalIn(status: number, text: string | undefined): SessionRefusal {
  const error = parsedObject(text ?? "")?.error;
  return isObject(error) ? { status, code: error.code, words: error.message } : { status };
}

/** What a {@link SessionWatch} is made of. */
interface SessionWatchOptions {
  readonly clock: Clock;
  /** Sends {@link SESSION_PROBE} in the session. */
  readonly ask: () => Promise<SessionRefusal>;
  /** The session is gone, and {@link SessionWatch.unsent} complete. */
  readonly onForgotten: () => void;
}

/**
 * Notices that a session was forgotten, and whom that has met: the requests on their way are
 * waited for, since what was refused for it has certainly not been carried out.
 */
export class SessionWatch {
  /** The requests that were refused because the session was gone, or never arrived. */
  readonly unsent = new Set<number>();
  /** The refusal that a live session was last asked about for, and when. */
  #harmless: SessionRefusal & { readonly at: number } | undefined;
  #asking: Promise<SessionRefusal | undefined> | undefined;
  /** Requests of which is not known yet whether the server takes or refuses them. */
  #undecided = 0;
  #gone: PromiseWithResolvers<void> | undefined;
  #stopGrace: (() => void) | undefined;

  constructor(private readonly options: SessionWatchOptions) {}

  /** Resolves when the connection of the forgotten session is given up; undefined before it is. */
  get gone(): Promise<void> | undefined {
    return this.#gone?.promise;
  }

  /**
   * Tells a forgotten session from a request that is refused for itself: whether something else is
   * refused like `what` was. One question for all who ask meanwhile.
   */
  async isForgotten(refusal: SessionRefusal, what: string): Promise<boolean> {
    if (what === PROBED || !mayBeForgotten(refusal)) return false;
    const { ask, clock } = this.options;
    const { status, code, words } = refusal;
    const known = this.#harmless;
    if (known?.status === status && known.code === code && known.words === words) {
      if (clock.now() - known.at < KNOWN_FOR) return false;
    }
    this.#asking ??= ask().catch(() => undefined).finally(() => this.#asking = undefined);
    const found = await this.#asking;
    const isForgotten = found !== undefined && found.status === status &&
      (status >= 300 && code === undefined || found.code === code);
    if (found !== undefined && !isForgotten) {
      this.#harmless = { status, code, words, at: clock.now() };
    }
    return isForgotten;
  }

  /** A request is on its way. */
  sent(): void {
    this.#undecided++;
  }

  /** It is known what became of one: taken, refused or broken off. */
  decided(): void {
    this.#undecided--;
    this.#end();
  }

  /** The session is gone; the request that was refused for it is `requestId`. */
  forget(requestId: number | undefined): void {
    if (requestId !== undefined) this.unsent.add(requestId);
    if (this.#gone === undefined) {
      this.#gone = Promise.withResolvers<void>();
      this.#stopGrace = this.options.clock.after(GRACE, () => this.options.onForgotten());
    }
    this.#end();
  }

  /** The connection is given up. */
  close(): void {
    this.#stopGrace?.();
    this.#gone?.resolve();
  }

  #end(): void {
    if (this.#gone !== undefined && this.#undecided <= 0) this.options.onForgotten();
  }
}
