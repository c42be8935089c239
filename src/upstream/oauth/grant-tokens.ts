import type { LoginConfig } from "../../config/types.ts";
import { messageOf } from "../../lib/text.ts";
import { getLogger } from "../../log/mod.ts";
import { LoginError } from "../transport/failures.ts";
import { type Grant, type GrantFile, GrantFileError, type GrantKey } from "./grants.ts";
import { requestToken, type Token, TokenError, wantsBearer } from "./token.ts";
import { Tokens, type TokensOptions } from "./tokens.ts";

const log = getLogger("mcproxy", "upstream");

/** The tokens of a login, by a grant that is written before it is used. */
export class GrantTokens extends Tokens {
  #grant: Grant | undefined;
  #granted = Promise.withResolvers<void>();
  readonly #key: GrantKey;

  constructor(
    options: TokensOptions,
    private readonly file: GrantFile | undefined,
    /** Undefined where nobody has said that it needs one. */
    private readonly config: LoginConfig | undefined,
  ) {
    super(options);
    this.#key = { server: options.server, principal: "" };
  }

  /** Takes on what the file says now. Never rejects. */
  async reload(): Promise<void> {
    const kept = await this.#kept().catch(() => undefined);
    const isOther = kept === undefined || kept.issuedAt > (this.#grant?.issuedAt ?? -Infinity);
    if (!isOther && kept.dead === undefined) return;
    this.#adopt(kept);
  }

  /** Nobody has ever asked for a login. */
  #isUnknown = true;

  override header(): string | undefined | Promise<string | undefined> {
    // Who has not asked for a login so far is asked without.
    return this.config === undefined && this.#isUnknown ? undefined : super.header();
  }

  override async refused(header: string | undefined, challenge: string | null): Promise<boolean> {
    if (wantsBearer(challenge)) this.#isUnknown = false;
    try {
      return await super.refused(header, challenge);
    } catch (error) {
      // It may want something else than a token.
      const isElse = this.config === undefined && this.#isUnknown && error instanceof LoginError;
      if (isElse) return false;
      throw error;
    }
  }

  protected async obtain(refused: Token | undefined): Promise<Token | undefined> {
    const kept = await this.#kept();
    const isUsable = (grant: Grant) =>
      this.isFresh(grant) && grant.accessToken !== refused?.accessToken;
    if (kept === undefined || kept.dead !== undefined || this.file === undefined) {
      this.#adopt(kept);
      throw this.#needed();
    }
    // It may still be good for a while.
    if (this.#grant !== kept) this.#adopt(kept);
    if (isUsable(kept)) return kept;
    return await this.file.exclusively(this.#key, async () => {
      const now = await this.#kept();
      if (now !== undefined && (now.dead !== undefined || isUsable(now))) {
        if (this.#adopt(now) !== undefined) return now;
      }
      if (now === undefined || now.dead !== undefined) throw this.#needed();
      return await this.#refreshed(now, refused === undefined ? "expired" : "HTTP 401");
    });
  }

  async #refreshed(grant: Grant, why: string): Promise<Grant | undefined> {
    const { url, now, fetchFor } = this.options;
    const { refreshToken, tokenEndpoint: endpoint, client, resource } = grant;
    if (refreshToken === undefined) throw await this.#dies(grant, why);
    const params = { grant_type: "refresh_token", refresh_token: refreshToken, resource };
    const issuer = this.config?.type === "oauth" ? this.config.issuer : undefined;
    const fetch = fetchFor(issuer === undefined ? [url] : [url, issuer]);
    let token: Token;
    try {
      token = await requestToken({ endpoint, client, params }, fetch, now);
    } catch (error) {
      if (!(error instanceof TokenError) || !error.isFinal) throw error;
      // Somebody may have logged in meanwhile.
      const other = await this.#kept();
      if (other !== undefined && other.dead === undefined && other.issuedAt > grant.issuedAt) {
        return this.#adopt(other);
      }
      throw await this.#dies(grant, error.code ?? "refused");
    }
    const next = {
      ...grant,
      ...token,
      refreshToken: token.refreshToken ?? refreshToken,
      scope: token.scope ?? grant.scope,
    };
    await this.#write(next);
    return this.#adopt(next);
  }

  protected async rejected(): Promise<boolean> {
    const grant = this.#grant;
    if (grant !== undefined && grant.dead === undefined) throw await this.#dies(grant, "HTTP 401");
    throw this.#needed();
  }

  protected lacking(scopes: string): LoginError {
    const why = `needs more rights: run "mcproxy login ${this.#word} --scope '${scopes}'"`;
    return new LoginError(this.options.server, why);
  }

  async #dies(grant: Grant, reason: string): Promise<LoginError> {
    const dead = { ...grant, dead: { reason, at: this.options.now() } };
    await this.#write(dead);
    this.#adopt(dead);
    return this.#needed();
  }

  /** What cannot be written is used all the same: the token before it is spent. */
  async #write(grant: Grant): Promise<void> {
    try {
      await this.file?.replace(grant);
    } catch (error) {
      const { server } = this.options;
      log.error('Cannot keep the login of server "{server}": {reason}', {
        server,
        reason: messageOf(error),
      });
    }
  }

  /** The grant for this very address, as the file has it, or as it could not be written. */
  async #kept(): Promise<Grant | undefined> {
    let kept: Grant | undefined;
    try {
      kept = await this.file?.find(this.#key);
    } catch (error) {
      if (!(error instanceof GrantFileError)) throw error;
      this.#adopt(undefined);
      throw new LoginError(this.options.server, error.message, this.#granted.promise);
    }
    if (kept === undefined || placeOf(kept.url) !== placeOf(this.options.url)) return undefined;
    return this.#grant !== undefined && this.#grant.issuedAt > kept.issuedAt ? this.#grant : kept;
  }

  #adopt(grant: Grant | undefined): Grant | undefined {
    this.#grant = grant;
    const living = grant?.dead === undefined ? grant : undefined;
    if (grant !== undefined) this.#isUnknown = false;
    this.hold(living);
    if (living === undefined) return undefined;
    this.#granted.resolve();
    this.#granted = Promise.withResolvers();
    return living;
  }

  #needed(): LoginError {
    const { server } = this.options;
    const { dead } = this.#grant ?? {};
    const run = `run "mcproxy login ${this.#word}"`;
    if (dead === undefined) {
      return new LoginError(server, `needs a login: ${run}`, this.#granted.promise);
    }
    const day = new Date(dead.at).toISOString().slice(0, 10);
    const why = `refused its login on ${day} (${dead.reason}): ${run}`;
    return new LoginError(server, why, this.#granted.promise);
  }

  /** The name of the server as a shell takes it. */
  get #word(): string {
    const { server } = this.options;
    return /^[\w.:@%+][\w.:@%+-]*$/.test(server) ? server : `'${server.replaceAll("'", "'\\''")}'`;
  }
}

/** Where a grant may go: it says nothing of a query. */
function placeOf(url: string): string {
  const { origin, pathname } = new URL(url);
  return origin + pathname.replace(/\/+$/, "");
}
