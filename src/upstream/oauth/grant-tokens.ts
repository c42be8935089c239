import { messageOf, shellWord } from "../../lib/text.ts";
import { getLogger } from "../../log/mod.ts";
import { LoginError } from "../transport/failures.ts";
import type { Grant, GrantFile, GrantKey } from "./grants.ts";
import { requestToken, type Token, TokenError, wantsBearer } from "./token.ts";
import { resourceOf, Tokens, type TokensOptions } from "./tokens.ts";

const log = getLogger("mcproxy", "upstream");

/** What has become of a grant. */
export type GrantNews = "refreshed" | "dead";
/** Is told of it. */
export type OnGrant = (what: GrantNews, key: GrantKey) => void;

/** What {@link GrantTokens} are made of. */
export interface GrantTokensOptions extends TokensOptions, GrantKey {
  /** Without a file nobody can be logged in. */
  readonly file?: GrantFile | undefined;
  readonly onGrant?: OnGrant | undefined;
}

/** What there is to be known of a login; nothing in it is secret. */
export interface LoginStatus extends GrantKey, Pick<Grant, "expiresAt" | "scope"> {
  /** `none`: nobody has asked for one. */
  readonly state: "none" | "needed" | "dead" | "valid";
  /** Why it is dead, and since when, in ms since the epoch. */
  readonly reason?: string | undefined;
  readonly since?: number | undefined;
}

/** The tokens of a login, by a grant that is written before it is used. */
export class GrantTokens extends Tokens<GrantTokensOptions> {
  #grant: Grant | undefined;
  #granted = Promise.withResolvers<void>();
  /** Somebody has said that it takes a login: the configuration, the server, or who has made one. */
  #isWanted = this.options.login !== undefined;

  /** As the file has it now. Never rejects. */
  async status(): Promise<LoginStatus> {
    await this.#living().catch(() => {});
    const { server, principal } = this.options;
    const { expiresAt, scope, dead } = this.#grant ?? {};
    const state = dead ? "dead" : this.#grant ? "valid" : this.#isWanted ? "needed" : "none";
    return { server, principal, state, expiresAt, scope, reason: dead?.reason, since: dead?.at };
  }

  /**
   * Takes on what the file has: for this very address, or it is none; what could not be written may
   * be newer.
   */
  reload(found: Grant | undefined): void {
    if (found === undefined || !isSamePlace(found.url, this.options.url)) this.#adopt(undefined);
    else if (!this.#grant || this.#grant.issuedAt <= found.issuedAt) this.#adopt(found);
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
    const isGood = ({ accessToken }: Grant) => this.isFresh && accessToken !== refused?.accessToken;
    if (isGood(await this.#living())) return;
    await this.options.file?.exclusively(this.options, async () => {
      // Another process may have been quicker.
      const grant = await this.#living();
      if (!isGood(grant)) await this.#refresh(grant, refused ? "HTTP 401" : "expired");
    });
  }

  /** The grant there is. @throws {LoginError} where there is none, or the file is of no use */
  async #living(): Promise<Grant> {
    const { file, server } = this.options;
    try {
      this.reload(await file?.find(this.options));
    } catch (error) {
      this.#adopt(undefined);
      throw new LoginError(server, messageOf(error), this.#granted.promise);
    }
    if (this.#grant === undefined || this.#grant.dead) throw this.#needed();
    return this.#grant;
  }

  async #refresh(grant: Grant, why: string): Promise<void> {
    const { now, fetch } = this.options;
    const { refreshToken, resource } = grant;
    if (refreshToken === undefined) throw await this.#die(grant, why);
    const params = { grant_type: "refresh_token", refresh_token: refreshToken, resource };
    let token: Token;
    try {
      token = await requestToken({ ...grant, params, fetch, now });
    } catch (error) {
      if (!(error instanceof TokenError) || !error.isFinal) throw error;
      // Somebody may have logged in meanwhile.
      const { issuedAt } = await this.#living();
      if (issuedAt > grant.issuedAt) return;
      throw await this.#die(grant, error.code);
    }
    const { refreshToken: next = refreshToken, scope = grant.scope } = token;
    await this.#keep({ ...grant, ...token, refreshToken: next, scope }, "refreshed");
  }

  protected override async rejected(): Promise<boolean> {
    const grant = this.#grant;
    throw grant && !grant.dead ? await this.#die(grant, "HTTP 401") : this.#needed();
  }

  protected lacking(scopes: string): string {
    const server = shellWord(this.options.server);
    return `needs more rights: run "mcproxy login ${server} --scope '${scopes}'"`;
  }

  async #die(grant: Grant, reason: string): Promise<LoginError> {
    await this.#keep({ ...grant, dead: { reason, at: this.options.now() } }, "dead");
    return this.#needed();
  }

  /** What cannot be written is used all the same: the token before it is spent. */
  async #keep(grant: Grant, what: GrantNews): Promise<void> {
    const { file, server, principal, onGrant } = this.options;
    try {
      await file?.replace(grant);
    } catch (error) {
      const reason = messageOf(error);
      log.error('Cannot keep the login of server "{server}": {reason}', { server, reason });
    }
    this.#adopt(grant);
    onGrant?.(what, { server, principal });
  }

  #adopt(grant: Grant | undefined): void {
    const before = this.#grant;
    this.#grant = grant;
    if (grant !== undefined) this.#isWanted = true;
    // What is known wakes nobody, and ends no pause.
    if (grant?.accessToken === before?.accessToken && !grant?.dead === !before?.dead) return;
    this.hold(grant?.dead ? undefined : grant);
    if (this.token === undefined) return;
    this.#granted.resolve();
    this.#granted = Promise.withResolvers();
  }

  #needed(): LoginError {
    const { server } = this.options;
    const { dead } = this.#grant ?? {};
    const run = `run "mcproxy login ${shellWord(server)}"`;
    const day = new Date(dead?.at ?? 0).toISOString().slice(0, 10);
    const why = dead === undefined
      ? `needs a login: ${run}`
      : `refused its login on ${day} (${dead.reason}): ${run}`;
    return new LoginError(server, why, this.#granted.promise);
  }
}

/** Whether what was made for one address may go to another: it says nothing of a query. */
export function isSamePlace(one: string, other: string): boolean {
  const [a, b] = [one, other].map((url) => resourceOf(url).replace(/\/+$/, ""));
  return a === b;
}
