/** A token that is had anew before it ends: what grants and a client's own credentials share. */

import type { ClientConfig, LoginConfig } from "../../config/types.ts";
import { messageOf } from "../../lib/text.ts";
import { backOff } from "../../lib/time.ts";
import { RpcError } from "../../protocol/errors.ts";
import { type FetchDocument, issuerMetadata } from "../../protocol/issuer.ts";
import { LoginError, unavailable } from "../transport/failures.ts";
import type { ServerCredential } from "../transport/transport.ts";
import { challengeIn, requestToken, type Token, TokenError } from "./token.ts";

/** Whom tokens are for, and what is needed to get them. */
export interface TokensOptions {
  readonly server: string;
  /** Of the server. */
  readonly url: string;
  /** Undefined where nobody has said that the server wants one. */
  readonly login?: LoginConfig | undefined;
  /** What reaches who gives the tokens. */
  readonly fetch: FetchDocument;
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
export abstract class Tokens<Options extends TokensOptions = TokensOptions>
  implements ServerCredential {
  protected token: Token | undefined;
  #header: string | undefined;
  #renewAt = -Infinity;
  #renewing: Promise<void> | undefined;
  #forcedAt = -Infinity;
  #failures = 0;
  #pausedUntil = -Infinity;
  #lastFailure: unknown;

  constructor(readonly options: Options) {}

  /**
   * Gets the next token and holds it; `refused` is the one that the server did not take.
   * @throws {RpcError}
   * @throws {Error} which is the reason why there is none
   */
  protected abstract obtain(refused: Token | undefined): Promise<void>;

  /** The server did not take the new one either: whether something is left to be tried. */
  protected rejected(): Promise<boolean> {
    return Promise.resolve(false);
  }

  /** What a call is told whose rights do not do; these would, as far as it is known. */
  protected abstract lacking(scopes: string): string;

  header(): string | undefined | Promise<string | undefined> {
    return this.isFresh ? this.#header : this.#due();
  }

  async refused(header: string | undefined, _challenge: string | null): Promise<boolean> {
    const { now } = this.options;
    // What came with an older token says nothing of this one.
    if (header !== this.#header && this.#header !== undefined) return true;
    if (this.#renewing === undefined && now() < this.#forcedAt + FORCED) {
      return await this.rejected();
    }
    await this.#renew(this.token);
    if (header !== undefined) this.#forcedAt = now();
    return this.#header !== undefined;
  }

  lacks(challenge: string | null): LoginError | undefined {
    const { error, scope = "" } = challengeIn(challenge);
    if (error !== "insufficient_scope") return undefined;
    // It stands in a command that people copy.
    const wanted = `${this.token?.scope ?? ""} ${scope}`.split(" ")
      .filter((one) => /^(?!-)[\w:./+*@-]{1,200}$/.test(one));
    const scopes = [...new Set(wanted)].slice(0, 50).join(" ");
    return new LoginError(this.options.server, this.lacking(scopes));
  }

  /** From now on it is this one, or none. */
  protected hold(token: Token | undefined): void {
    this.token = token;
    this.#header = token && `Bearer ${token.accessToken}`;
    const { issuedAt = 0, expiresAt = Infinity } = token ?? { expiresAt: 0 };
    this.#renewAt = expiresAt - Math.min(LAST, (expiresAt - issuedAt) / 10);
    this.#pausedUntil = -Infinity;
  }

  /** Whether the token needs no renewal yet. */
  protected get isFresh(): boolean {
    return this.options.now() < this.#renewAt;
  }

  async #due(): Promise<string | undefined> {
    try {
      await this.#renew(undefined);
    } catch (error) {
      const { expiresAt = Infinity } = this.token ?? { expiresAt: 0 };
      if (isForPerson(error) || this.options.now() >= expiresAt) throw error;
    }
    return this.#header;
  }

  /** One for all who ask meanwhile. */
  #renew(refused: Token | undefined): Promise<void> {
    return this.#renewing ??= this.#renewOnce(refused).finally(() => this.#renewing = undefined);
  }

  async #renewOnce(refused: Token | undefined): Promise<void> {
    const { server, now } = this.options;
    if (now() < this.#pausedUntil) throw this.#lastFailure;
    try {
      await this.obtain(refused);
      this.#failures = 0;
    } catch (error) {
      const why = `gets no token: ${messageOf(error)}`;
      if (error instanceof RpcError) this.#lastFailure = error;
      else if (error instanceof TokenError && error.isFinal) {
        this.#lastFailure = new LoginError(server, why);
      } else this.#lastFailure = unavailable(server, why, { cause: error });
      if (!isForPerson(error)) {
        this.#pausedUntil = now() + backOff(++this.#failures, FIRST_PAUSE, LONGEST_PAUSE);
      }
      throw this.#lastFailure;
    }
  }
}

/** Nobody asks the issuer again who waits for a person. */
function isForPerson(error: unknown): boolean {
  return error instanceof LoginError && error.granted !== undefined;
}

/** The tokens of a gateway that an issuer knows by name: in memory only. */
export class ClientTokens extends Tokens<TokensOptions & { readonly login: ClientConfig }> {
  protected async obtain(): Promise<void> {
    const { url, now, fetch, login } = this.options;
    const { issuer, clientId: id, clientSecret, privateKey, scope, resource } = login;
    const found = await issuerMetadata(issuer, fetch)
      .catch((error) => `${issuer} could not be reached: ${messageOf(error)}`);
    if (typeof found === "string") throw new TokenError(found);
    const { token_endpoint: tokenEndpoint, token_endpoint_auth_methods_supported: methods } = found;
    if (typeof tokenEndpoint !== "string" || !URL.canParse(tokenEndpoint)) {
      throw new TokenError(`the metadata of ${issuer} name no token endpoint`);
    }
    const ways = String(methods);
    const isPosted = ways.includes("client_secret_post") && !ways.includes("client_secret_basic");
    const auth = privateKey !== undefined ? "private_key_jwt" : isPosted ? "post" : "basic";
    const client = { id, secret: privateKey ?? clientSecret, auth } as const;
    const params = {
      grant_type: "client_credentials",
      scope,
      resource: resource === false ? undefined : resource ?? resourceOf(url),
    };
    this.hold(await requestToken({ issuer, tokenEndpoint, client, params, fetch, now }));
  }

  protected lacking(): string {
    return 'needs more rights than its token gives: see "scope" in its "auth"';
  }
}

/** The address of a server as its tokens name it: what is secret in it is nobody's business. */
export function resourceOf(url: string): string {
  const { origin, pathname } = new URL(url);
  return origin + (pathname === "/" ? "" : pathname);
}
