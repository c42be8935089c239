/** Tokens that are had anew before they end: by a grant, or by the gateway's own credentials. */

import type { ClientConfig, LoginConfig } from "../../config/types.ts";
import { messageOf, shellWord } from "../../lib/text.ts";
import { backOff } from "../../lib/time.ts";
import { getLogger } from "../../log/mod.ts";
import { RpcError } from "../../protocol/errors.ts";
import { type FetchDocument, issuerMetadata, resourceOf } from "../../protocol/issuer.ts";
import { challengeIn, wantsBearer } from "../transport/challenge.ts";
import { LoginError, unavailable } from "../transport/failures.ts";
import type { ServerCredential } from "../transport/transport.ts";
import { byAge, type Grant, type GrantFile, type GrantKey, hideSecrets } from "./grants.ts";
import { requestToken, type Token, TokenError } from "./token.ts";

const log = getLogger("mcproxy", "upstream");

/** Whom tokens are for, and what is needed to get them. */
export interface TokensOptions extends GrantKey {
  /** Of the server. */
  readonly url: string;
  /** Undefined where nobody has said that the server wants one. */
  readonly login?: LoginConfig | undefined;
  /** What reaches who gives the tokens. */
  readonly fetch: FetchDocument;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Where logins are kept; without it nobody can be logged in. */
  readonly file?: GrantFile | undefined;
  /** Of what becomes of a login here; what others write into the file is no news. */
  readonly onGrant?: ((what: "refreshed" | "dead", key: GrantKey) => void) | undefined;
}

/** The end of a token's life in which it is renewed: this long, in ms, or a tenth of it. */
const LAST = 60_000;
/** Between two renewals because the server refuses what should still be good, in ms. */
const FORCED = 60_000;
/** The first pause and the longest before an issuer is asked again, in ms. */
const PAUSES = [10_000, 300_000] as const;

/** Holds the token; subclasses know where the next one comes from. */
abstract class Tokens implements ServerCredential {
  protected token: Token | undefined;
  #header: string | undefined;
  #renewAt = -Infinity;
  #renewing: Promise<void> | undefined;
  #forcedAt = -Infinity;
  /** Nobody tells it any more of what becomes of its login: it looks itself, each time. */
  isLetGo = false;
  /** What the next token was last asked for in vain with; nobody asks again `until` then. */
  #failure: { error: RpcError; count: number; until: number } | undefined;

  constructor(readonly options: TokensOptions) {}

  /**
   * Gets the next token and holds it; `refused` is the one that the server did not take.
   * @throws {RpcError}
   * @throws {Error} which is the reason why there is none
   */
  protected abstract obtain(refused: Token | undefined): Promise<void>;

  /** The server did not take the new one either: whether something is left to be tried. */
  protected rejected?(): Promise<boolean>;

  /** Resolves when somebody has logged in; undefined where nobody can. */
  protected granted: PromiseWithResolvers<void> | undefined;

  /** What a call is told whose rights do not do; these would, as far as it is known. */
  protected abstract lacking(scopes: string): string;

  header(): string | undefined | Promise<string | undefined> {
    return this.isFresh() && !this.isLetGo ? this.#header : this.#due();
  }

  async refused(header: string | undefined, _challenge: string | null): Promise<boolean> {
    const { now } = this.options;
    // What came with an older token says nothing of this one.
    if (header !== this.#header && this.#header !== undefined) return true;
    if (this.#renewing === undefined && now() < this.#forcedAt + FORCED) {
      return await this.rejected?.() ?? false;
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
    return new LoginError(this.options.server, this.lacking(scopes), this.granted?.promise, true);
  }

  /** From now on it is this one, or none. */
  protected hold(token: Token | undefined): void {
    this.token = token;
    this.#header = token && `Bearer ${token.accessToken}`;
    const { issuedAt = 0, expiresAt = Infinity } = token ?? { expiresAt: 0 };
    this.#renewAt = expiresAt - Math.min(LAST, (expiresAt - issuedAt) / 10);
    this.#failure = undefined;
  }

  /** Whether the next token is asked for, or was in vain. */
  protected readonly isLate = () => (this.#renewing ?? this.#failure) !== undefined;

  /** Whether the token needs no renewal yet. */
  protected readonly isFresh = () => this.options.now() < this.#renewAt;

  async #due(): Promise<string | undefined> {
    try {
      await this.#renew(undefined);
    } catch (error) {
      const { expiresAt = Infinity } = this.token ?? { expiresAt: 0 };
      if (this.options.now() >= expiresAt) throw error;
    }
    return this.#header;
  }

  /** One for all who ask meanwhile. */
  #renew(refused: Token | undefined): Promise<void> {
    return this.#renewing ??= this.#renewOnce(refused).finally(() => this.#renewing = undefined);
  }

  async #renewOnce(refused: Token | undefined): Promise<void> {
    const { server, now } = this.options;
    const { error: before, count = 0, until = -Infinity } = this.#failure ?? {};
    if (now() < until) throw before;
    try {
      await this.obtain(refused);
    } catch (cause) {
      const error = failureOf(server, cause);
      // Nobody asks the issuer again who waits for a person.
      const isForPerson = error instanceof LoginError && error.isForAll;
      const pause = backOff(count + 1, ...PAUSES);
      if (!isForPerson) this.#failure = { error, count: count + 1, until: now() + pause };
      throw error;
    }
  }
}

/** What callers are told of it. */
function failureOf(server: string, cause: unknown): RpcError {
  if (cause instanceof RpcError) return cause;
  const why = `gets no token: ${messageOf(cause)}`;
  const isFinal = cause instanceof TokenError && cause.isFinal;
  return isFinal ? new LoginError(server, why) : unavailable(server, why, { cause });
}

/** The tokens of a gateway that an issuer knows by name: in memory only. */
export class ClientTokens extends Tokens {
  readonly isOwn = true;

  protected async obtain(): Promise<void> {
    const { url, fetch, login } = this.options;
    const { issuer, clientId: id, clientSecret, privateKey, scope, resource = resourceOf(url) } =
      login as ClientConfig;
    const { token_endpoint: tokenEndpoint, ...more } = await issuerMetadata(issuer, fetch);
    if (typeof tokenEndpoint !== "string" || !URL.canParse(tokenEndpoint)) {
      throw new TokenError(`the metadata of ${issuer} name no token endpoint`);
    }
    const ways = String(more.token_endpoint_auth_methods_supported);
    const isPosted = ways.includes("client_secret_post") && !ways.includes("client_secret_basic");
    const auth = privateKey !== undefined ? "private_key_jwt" : isPosted ? "post" : "basic";
    const client = { id, secret: privateKey ?? clientSecret, auth } as const;
    const params = { grant_type: "client_credentials", scope, resource: resource || undefined };
    this.hold(await requestToken({ ...this.options, issuer, tokenEndpoint, client, params }));
  }

  protected lacking(): string {
    return 'needs more rights than its token gives: see "scope" in its "auth"';
  }
}

/** What there is to be known of a login; nothing in it is secret. */
export interface LoginStatus extends Pick<Grant, "expiresAt" | "scope" | "dead"> {
  /** `none`: nobody has asked for one. `needed`: there is none, or it has ended and is not renewed. */
  readonly state: "none" | "needed" | "dead" | "valid";
}

/** The tokens of a login, by a grant that is written before it is used. */
export class GrantTokens extends Tokens {
  #grant: Grant | undefined;
  protected override granted = Promise.withResolvers<void>();
  replaced = new AbortController();
  #loginAt: number | undefined;
  /** Somebody has said that it takes a login: the configuration, the server, or who has made one. */
  #isWanted = this.options.login !== undefined;

  /** As the file has it now. Never rejects. */
  async status(): Promise<LoginStatus> {
    await this.#living().catch(() => {});
    const { expiresAt, scope, dead, refreshToken } = this.#grant ?? {};
    const mayBeRenewed = refreshToken !== undefined && !this.isLate();
    const isGood = this.#grant && (mayBeRenewed || this.options.now() < (expiresAt ?? Infinity));
    const state = dead ? "dead" : isGood ? "valid" : this.#isWanted ? "needed" : "none";
    return { state, expiresAt, scope, dead };
  }

  /** Lets go of what is that of nobody any more, or of another than it was. */
  review(): void {
    if (this.#grant !== undefined && !this.options.file?.counts(this.#grant)) this.reload();
  }

  /**
   * Takes on what the file has: for this very address, of somebody who is let in, or it is none.
   * What could not be written may be newer.
   */
  reload(found?: Grant): void {
    const { file, url } = this.options;
    const grant = found && file?.serves(found, url) ? found : undefined;
    const before = this.#grant;
    if (grant && before && byAge(before, grant) > 0) return;
    if (grant !== undefined) hideSecrets(grant);
    this.#isWanted ||= grant !== undefined;
    this.#grant = grant;
    // What is known wakes nobody, and ends no pause.
    const isKnown = grant?.issuedAt === before?.issuedAt && !grant?.dead === !before?.dead;
    if (isKnown && grant?.accessToken === before?.accessToken) return;
    this.hold(grant?.dead ? undefined : grant);
    if (grant === undefined || this.token === undefined) return;
    this.granted.resolve();
    this.granted = Promise.withResolvers();
    const { loginAt = 0 } = grant;
    if ((this.#loginAt ??= loginAt) === loginAt) return;
    this.#loginAt = loginAt;
    this.replaced.abort();
    this.replaced = new AbortController();
  }

  override header(): string | undefined | Promise<string | undefined> {
    return this.#isWanted ? super.header() : undefined;
  }

  override async refused(header: string | undefined, challenge: string | null): Promise<boolean> {
    if (wantsBearer(challenge)) this.#isWanted = true;
    // It may want something else than a token, unless there is one.
    if (!this.#isWanted) await this.#living().catch(() => {});
    return this.#isWanted && await super.refused(header, challenge);
  }

  protected async obtain(refused: Token | undefined): Promise<void> {
    const isGood = ({ accessToken }: Grant) =>
      this.isFresh() && accessToken !== refused?.accessToken;
    if (isGood(await this.#living())) return;
    await this.options.file?.exclusively(this.options, async () => {
      // Another process may have been quicker.
      const grant = await this.#living();
      if (!isGood(grant)) await this.#refresh(grant, refused ? "HTTP 401" : "expired");
    });
    // Whose it is may have been let in no more meanwhile.
    if (this.token === undefined) throw this.#needed();
  }

  /** The grant there is. @throws {LoginError} where there is none, or the file is of no use */
  async #living(): Promise<Grant> {
    const { file, server } = this.options;
    try {
      this.reload(await file?.find(this.options));
    } catch (error) {
      this.reload();
      throw new LoginError(server, messageOf(error), this.granted.promise);
    }
    if (this.#grant === undefined || this.#grant.dead) throw this.#needed();
    return this.#grant;
  }

  async #refresh(grant: Grant, why: string): Promise<void> {
    const { now, fetch } = this.options;
    const { refreshToken, resource } = grant;
    if (refreshToken === undefined) throw await this.#die(grant, why);
    const params = { grant_type: "refresh_token", refresh_token: refreshToken, resource };
    const token = await requestToken({ ...grant, params, fetch, now }).catch(async (error) => {
      if (!(error instanceof TokenError) || !error.isFinal) throw error;
      // Somebody may have logged in meanwhile.
      if (byAge(await this.#living(), grant) <= 0) throw await this.#die(grant, error.code);
    });
    if (token === undefined) return;
    const { refreshToken: next = refreshToken, scope = grant.scope } = token;
    await this.#keep({ ...grant, ...token, refreshToken: next, scope }, "refreshed");
  }

  protected override async rejected(): Promise<boolean> {
    throw await this.#die(this.#grant, "HTTP 401");
  }

  protected lacking(scopes: string): string {
    return `needs more rights: ${this.#remedy(` --scope '${scopes}'`)}`;
  }

  /** What a person has to do; without the key it would be a login of somebody else. */
  #remedy(more = ""): string {
    const { server, principal } = this.options;
    const [, key] = /^key:(.+)$/.exec(principal) ?? [];
    const run = `run "mcproxy login ${shellWord(server)}${more}"`;
    return key === undefined ? run : `${run} with the key "${key}" in MCPROXY_KEY`;
  }

  /** What to throw. What has ended before did so for a reason of its own. */
  async #die(grant: Grant | undefined, reason: string): Promise<LoginError> {
    const dead = { reason, at: this.options.now() };
    if (grant !== undefined && !grant.dead) await this.#keep({ ...grant, dead }, "dead");
    return this.#needed();
  }

  /** What cannot be written is used all the same: the token before it is spent. */
  async #keep(grant: Grant, what: "refreshed" | "dead"): Promise<void> {
    const { file, server, principal, onGrant } = this.options;
    await file?.replace(grant).catch((error) => {
      const reason = messageOf(error);
      log.error('Cannot keep the login of server "{server}": {reason}', { server, reason });
    });
    // Somebody may have logged in meanwhile.
    this.reload(grant);
    onGrant?.(what, { server, principal });
  }

  #needed(): LoginError {
    const { dead } = this.#grant ?? {};
    const day = new Date(dead?.at ?? 0).toISOString().slice(0, 10);
    const why = dead ? `refused its login on ${day} (${dead.reason})` : "needs a login";
    return new LoginError(this.options.server, `${why}: ${this.#remedy()}`, this.granted.promise);
  }
}
