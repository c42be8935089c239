/** A token that is had anew before it ends: what grants and a client's own credentials share. */

import { backOff } from "../../lib/time.ts";
import type { FetchDocument } from "../../protocol/issuer.ts";
import { LoginError, unavailable } from "../transport/failures.ts";
import type { ServerCredential } from "../transport/transport.ts";
import { challengeIn, type Token, TokenError } from "./token.ts";

/** Whom tokens are for, and what is needed to get them. */
export interface TokensOptions {
  readonly server: string;
  /** Of the server. */
  readonly url: string;
  /** See `guardedFetch()`. */
  readonly fetchFor: (trusted: readonly string[]) => FetchDocument;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** The end of a token's life in which it is renewed: this long, in ms, or a tenth of it. */
const LAST = 60_000;
/** Between two renewals because the server refuses what should still be good, in ms. */
const FORCED = 60_000;
const FIRST_PAUSE = 10_000;
const LONGEST_PAUSE = 300_000;

/** Holds the token; subclasses know where the next one comes from. */
export abstract class Tokens implements ServerCredential {
  protected token: Token | undefined;
  #header: string | undefined;
  #renewAt = -Infinity;
  #renewing: Promise<void> | undefined;
  #forcedAt = -Infinity;
  #failures = 0;
  #pausedUntil = -Infinity;
  #lastFailure: unknown;

  constructor(protected readonly options: TokensOptions) {}

  /**
   * Gets the next token; `refused` is the one that the server did not take.
   * @throws {LoginError}
   * @throws {TokenError}
   */
  protected abstract obtain(refused: Token | undefined): Promise<Token | undefined>;

  /** The server did not take the new one either: whether something is left to be tried. */
  protected abstract rejected(challenge: string | null): Promise<boolean>;

  header(): string | undefined | Promise<string | undefined> {
    return this.options.now() < this.#renewAt ? this.#header : this.#due();
  }

  async refused(header: string | undefined, challenge: string | null): Promise<boolean> {
    const { now } = this.options;
    // What came with an older token says nothing of this one.
    if (header !== this.#header && this.#header !== undefined) return true;
    if (this.#renewing === undefined && now() < this.#forcedAt + FORCED) {
      return await this.rejected(challenge);
    }
    if (now() < this.#pausedUntil) throw this.#lastFailure;
    await this.#renew(this.token);
    if (header !== undefined) this.#forcedAt = now();
    return this.#header !== undefined;
  }

  lacks(challenge: string | null): LoginError | undefined {
    const { error, scope = "" } = challengeIn(challenge);
    if (error !== "insufficient_scope") return undefined;
    // It stands in a command that people copy.
    const wanted = `${this.token?.scope ?? ""} ${scope}`.split(" ")
      .filter((one) => /^[\w:./+*@-]{1,200}$/.test(one) && !one.startsWith("-"));
    return this.lacking([...new Set(wanted)].slice(0, 50).join(" "));
  }

  /** What a call is told whose rights do not do; these would, as far as it is known. */
  protected abstract lacking(scopes: string): LoginError;

  /** From now on it is this one, or none. */
  protected hold(token: Token | undefined): void {
    this.token = token;
    this.#header = token && `Bearer ${token.accessToken}`;
    const { issuedAt = 0, expiresAt = Infinity } = token ?? {};
    const last = Math.min(LAST, (expiresAt - issuedAt) / 10);
    this.#renewAt = token === undefined ? -Infinity : expiresAt - last;
    this.#pausedUntil = -Infinity;
  }

  /** Whether a token needs no renewal yet. */
  protected isFresh({ issuedAt, expiresAt = Infinity }: Token): boolean {
    return this.options.now() < expiresAt - Math.min(LAST, (expiresAt - issuedAt) / 10);
  }

  async #due(): Promise<string | undefined> {
    const { now } = this.options;
    if (now() >= this.#pausedUntil) {
      try {
        await this.#renew(undefined);
        return this.#header;
      } catch (error) {
        if (error instanceof LoginError && error.granted !== undefined) throw error;
      }
    }
    if (this.token !== undefined && now() < (this.token.expiresAt ?? Infinity)) return this.#header;
    throw this.#lastFailure;
  }

  /** One for all who ask meanwhile. */
  #renew(refused: Token | undefined): Promise<void> {
    return this.#renewing ??= this.#renewOnce(refused).finally(() => this.#renewing = undefined);
  }

  async #renewOnce(refused: Token | undefined): Promise<void> {
    try {
      this.hold(await this.obtain(refused));
      this.#failures = 0;
    } catch (error) {
      const { server, now } = this.options;
      const failure = this.#lastFailure = error instanceof TokenError
        ? unavailable(server, `gets no token: ${error.message}`, { cause: error })
        : error;
      // Nobody asks the issuer again who waits for a person.
      if (!(error instanceof LoginError) || error.granted === undefined) {
        const pause = backOff(++this.#failures, FIRST_PAUSE, LONGEST_PAUSE);
        this.#pausedUntil = now() + pause;
      }
      throw failure;
    }
  }
}
