/** By what the gateway is known to the servers that want a login, for as long as it runs. */

import { clearInterval, setInterval } from "node:timers";
import { type HttpTarget, isPersonal } from "../../config/types.ts";
import { FileError } from "../../lib/lock-file.ts";
import { fileStamp } from "../../lib/own-file.ts";
import { putLast } from "../../lib/recent.ts";
import { within } from "../../lib/time.ts";
import { type FetchDocument, issuerMetadata, loginAddress } from "../../protocol/issuer.ts";
import { FirstLogin } from "../first-login.ts";
import type { ServerCredential } from "../transport/transport.ts";
import { type Grant, grantFileIn, grantId, type GrantKey, type GrantPlace } from "./grants.ts";
import { ForbiddenUrlError, guardedFetch, judgeUrl } from "./guard.ts";
import { LONGEST_LIFE, postForm } from "./token.ts";
import { ClientTokens, GrantTokens, type LoginStatus, type TokensOptions } from "./tokens.ts";

/** What {@link Logins} are made of. */
export interface LoginsOptions extends Partial<Pick<TokensOptions, "file" | "now" | "onGrant">> {
  /** What reaches who gives the tokens; it may lead where the URLs it is given lead. @default {@link guardedFetch} */
  readonly fetchFor?: (trusted: readonly string[]) => FetchDocument;
}

/** Those of a gateway with these variables. */
export function openLogins(place: GrantPlace | undefined, more: LoginsOptions = {}): Logins {
  return new Logins({ ...more, file: place && grantFileIn(place) });
}

/** How often it is looked whether somebody has logged in, in ms. */
const LOOK = 1_000;
/** How long it takes at most to tell an issuer of the end of a login, in ms. */
const REVOCATION = 10_000;
/** Each reload, and each principal, may bring others; who was not asked for longest is let go. */
const MOST = 4_096;

type Login = ClientTokens | GrantTokens | FirstLogin;

/** The credentials of all servers that want a login, each for all connections to it. */
export class Logins {
  /** The gateway's own, for which its connections wait, and others'; asked for last comes last. */
  readonly #own = new Map<string, Login>();
  readonly #theirs = new Map<string, Login>();
  /** What the file had when it was last read. */
  #kept: Promise<readonly Grant[]> = Promise.resolve([]);
  #version: string | undefined;
  #looked = Promise.resolve();
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(private readonly options: LoginsOptions = {}) {}

  /** How the server at this address is told who asks: everybody, or a principal of its own. */
  of(server: string, target: HttpTarget, principal = ""): ServerCredential {
    const all = principal === "" ? this.#own : this.#theirs;
    const key = JSON.stringify([server, target.url, target.login, principal]);
    const found = all.get(key) ?? this.#create(server, target, principal);
    const gone = putLast(all, key, found, MOST);
    if (gone instanceof GrantTokens) gone.isLetGo = true;
    return found instanceof FirstLogin ? found.open() : found;
  }

  /** What there is to be known of one, as the file has it now. */
  async status(server: string, target: HttpTarget, principal = ""): Promise<LoginStatus> {
    const found = this.of(server, target, principal);
    return found instanceof GrantTokens ? await found.status() : { state: "none" };
  }

  /** Where they are kept. @throws {FileError} where there is no place for them */
  get file() {
    if (this.options.file !== undefined) return this.options.file;
    throw new FileError("no place for logins; set STATE_DIRECTORY");
  }

  /**
   * Takes a grant that somebody has brought for this server, and uses it at once.
   * @throws {ForbiddenUrlError} where it is for elsewhere, or leads there
   * @throws {Error} where it cannot be kept; the message is a sentence
   */
  async receive(grant: Grant, target: HttpTarget): Promise<void> {
    const { file } = this;
    if (loginAddress(grant.url) !== loginAddress(target.url)) {
      throw new ForbiddenUrlError(`"url" is not the address of the server`);
    }
    const urls = [grant.issuer, grant.tokenEndpoint].map((url) => new URL(url));
    await Promise.all(urls.map((url) => judgeUrl(url, trustedBy(target))));
    // By our own clock, whoever has brought it.
    const issuedAt = (this.options.now ?? Date.now)();
    const life = Math.min(Math.max(0, (grant.expiresAt ?? 0) - grant.issuedAt), LONGEST_LIFE);
    const expiresAt = grant.expiresAt && issuedAt + life;
    await file.put({ ...grant, issuedAt, loginAt: issuedAt, expiresAt, dead: undefined });
    await this.look();
  }

  /**
   * Ends a login; whether there was one. Its issuer is told where that is possible (RFC 7009); of
   * a server that is none of the configuration's any more, only a public one. That is waited for
   * `patience` ms, since the login has ended whether or not its issuer hears of it.
   * @throws {Error} where it cannot be taken out of the file; the message is a sentence
   */
  async forget(key: GrantKey, target?: HttpTarget, patience = REVOCATION): Promise<boolean> {
    const { file } = this.options;
    // Nobody must renew it meanwhile.
    const grant = await file?.exclusively(key, async () => {
      const found = await file.find(key);
      if (found !== undefined) await file.remove(key);
      return found;
    });
    if (grant === undefined) return false;
    await this.look();
    await within(patience, this.revoke(grant, target && trustedBy(target)).catch(() => {}));
    return true;
  }

  /** Tells who has given it, where that is possible. @throws {Error} where it does not answer */
  async revoke(grant: Omit<Grant, keyof GrantKey>, trusted: readonly string[] = []): Promise<void> {
    const { fetchFor = guardedFetch, now = Date.now } = this.options;
    const fetch = fetchFor(trusted);
    const { revocation_endpoint: tokenEndpoint } = await issuerMetadata(grant.issuer, fetch);
    if (typeof tokenEndpoint !== "string") return;
    const params = { token: grant.refreshToken ?? grant.accessToken };
    await postForm({ ...grant, tokenEndpoint, params, fetch, now });
  }

  /** Takes on what has changed in the file since, or, `anew`, who may use it. Never rejects. */
  look(anew = false): Promise<void> {
    // At once: who comes next may be another of the same name.
    for (const one of this.#all()) if (one instanceof GrantTokens) one.review();
    return this.#looked = this.#looked.then(() => this.#read(anew));
  }

  async #read(anew: boolean): Promise<void> {
    const { file } = this.options;
    const version = file && await fileStamp(file.path);
    if (version === this.#version && !anew) return;
    this.#version = version;
    this.#kept = Promise.resolve(file?.read() ?? []);
    const kept = await this.#kept.catch(() => {
      // It is read again the next time: the key to it lies elsewhere.
      this.#version = undefined;
      return [];
    });
    const byKey = new Map(kept.map((grant) => [grantId(grant), grant]));
    for (const one of this.#all()) {
      if (one instanceof GrantTokens) one.reload(byKey.get(grantId(one.options)));
      if (one instanceof FirstLogin) one.reload(kept);
    }
  }

  readonly #all = (): readonly Login[] => [...this.#own.values(), ...this.#theirs.values()];

  /** Looks no more. */
  close(): void {
    clearInterval(this.#timer);
  }

  #create(server: string, target: HttpTarget, principal: string): Login {
    const { file, fetchFor = guardedFetch, now = Date.now, onGrant } = this.options;
    const { url, login } = target;
    const fetch = fetchFor(trustedBy(target));
    const options = { server, principal, url, login, fetch, now, file, onGrant };
    if (login?.type === "client-credentials") return new ClientTokens(options);
    // It keeps no process alive.
    if (file !== undefined) this.#timer ??= setInterval(() => void this.look(), LOOK).unref();
    if (principal !== "" || !isPersonal(target)) return new GrantTokens(options);
    const kept = () => this.look().then(() => this.#kept);
    return new FirstLogin({ server, url, file, kept, of: (user) => this.of(server, target, user) });
  }
}

/** What the configuration says of a server, by which is judged what others say of it. */
function trustedBy({ url, login }: HttpTarget): readonly string[] {
  return login?.issuer === undefined ? [url] : [url, login.issuer];
}
