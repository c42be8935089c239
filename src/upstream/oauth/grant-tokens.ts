import { messageOf, shellWord } from "../../lib/text.ts";
import { getLogger } from "../../log/mod.ts";
import { LoginError } from "../transport/failures.ts";
import type { Grant, GrantFile, GrantKey } from "./grants.ts";
import { requestToken, type Token, TokenError, wantsBearer } from "./token.ts";
import { resourceOf, Tokens, type TokensOptions } from "./tokens.ts";

const log = getLogger("mcproxy", "upstream");

/** What has become of a grant. */
export type GrantNews = "received" | "refreshed" | "dead" | "removed";
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

  get status(): LoginStatus {
    const { server, principal } = this.options;
    const { expiresAt, scope, dead } = this.#grant ?? {};
    const state = dead ? "dead" : this.#grant ? "valid" : this.#isWanted ? "needed" : "none";
    return { server, principal, state, expiresAt, scope, reason: dead?.reason, since: dead?.at };
  }

  /** Takes on what the file has now. */
  reload(found: Grant | undefined): void {
    const kept = this.#usable(found);
    const isSame = kept !== undefined && kept.accessToken === this.#grant?.accessToken;
    if (!isSame || kept.dead !== undefined) this.#adopt(kept);
  }

  override header(): string | undefined | Promise<string | undefined> {
    return this.#isWanted ? super.header() : undefined;
  }

  override async refused(header: string | undefined, challenge: string | null): Promise<boolean> {
    if (wantsBearer(challenge)) this.#isWanted = true;
    // It may want something else than a token, unless there is one.
    if (!this.#isWanted) this.#adopt(await this.#kept().catch(() => undefined));
    return this.#isWanted && await super.refused(header, challenge);
  }

  protected async obtain(refused: Token | undefined): Promise<void> {
    if (await this.#due(refused) === undefined) return;
    await this.options.file?.exclusively(this.options, async () => {
      // Another process may have been quicker.
      const grant = await this.#due(refused);
      if (grant !== undefined) await this.#refresh(grant, refused ? "HTTP 401" : "expired");
    });
  }

  /** The grant there is, where it is to be renewed. @throws {LoginError} where there is none */
  async #due(refused: Token | undefined): Promise<Grant | undefined> {
    const kept = await this.#kept();
    this.#adopt(kept);
    if (kept === undefined || kept.dead !== undefined) throw this.#needed();
    return this.isFresh(kept) && kept.accessToken !== refused?.accessToken ? undefined : kept;
  }

  async #refresh(grant: Grant, why: string): Promise<void> {
    const { now, fetch } = this.options;
    const { refreshToken, tokenEndpoint: endpoint, client, resource } = grant;
    if (refreshToken === undefined) throw await this.#die(grant, why);
    const params = { grant_type: "refresh_token", refresh_token: refreshToken, resource };
    let token: Token;
    try {
      token = await requestToken({ endpoint, client, params }, fetch, now);
    } catch (error) {
      if (!(error instanceof TokenError) || !error.isFinal) throw error;
      // Somebody may have logged in meanwhile.
      const other = await this.#kept();
      if (other === undefined || other.dead || other.issuedAt <= grant.issuedAt) {
        throw await this.#die(grant, error.code);
      }
      return this.#adopt(other);
    }
    const { refreshToken: next = refreshToken, scope = grant.scope } = token;
    await this.#keep({ ...grant, ...token, refreshToken: next, scope }, "refreshed");
  }

  protected async rejected(): Promise<boolean> {
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

  /** The grant as the file has it. @throws {LoginError} where the file is of no use */
  async #kept(): Promise<Grant | undefined> {
    try {
      return this.#usable(await this.options.file?.find(this.options));
    } catch (error) {
      this.#adopt(undefined);
      throw new LoginError(this.options.server, messageOf(error), this.#granted.promise);
    }
  }

  /** It is for this very address, or it is none; one that could not be written may be newer. */
  #usable(found: Grant | undefined): Grant | undefined {
    if (found === undefined || !isSamePlace(found.url, this.options.url)) return undefined;
    return this.#grant !== undefined && this.#grant.issuedAt > found.issuedAt ? this.#grant : found;
  }

  #adopt(grant: Grant | undefined): void {
    this.#grant = grant;
    if (grant !== undefined) this.#isWanted = true;
    const living = grant?.dead === undefined ? grant : undefined;
    this.hold(living);
    if (living === undefined) return;
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
