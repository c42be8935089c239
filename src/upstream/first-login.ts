/** What the lists of a server are asked by to which each of its users logs in: one of their logins. */

import { messageOf, shellWord } from "../lib/text.ts";
import { ErrorCode, RpcError } from "../protocol/errors.ts";
import type { Grant, GrantFile } from "./oauth/grants.ts";
import { HttpStatusError, isUnreached, LoginError, serverLabel } from "./transport/failures.ts";
import type { ServerCredential } from "./transport/transport.ts";

/** What a {@link FirstLogin} is made of. */
interface FirstLoginOptions {
  readonly server: string;
  readonly url: string;
  /** Where the logins are kept. */
  readonly file: GrantFile | undefined;
  /** All that are kept now, the first to be tried first. @throws {Error} where they cannot be had */
  readonly kept: () => Promise<readonly Grant[]>;
  readonly of: (principal: string) => ServerCredential;
}

/** Finds the first login that works, for each connection anew. */
export class FirstLogin {
  /** Those that did not do, for as long as nothing is known to have changed. */
  readonly #tried = new Set<string>();
  /** Those whose connection failed: they come last, the latest at the very end. */
  readonly #aside = new Set<string>();
  /** Whose login the latest connection goes by. */
  #user: string | undefined;
  #granted = Promise.withResolvers<void>();

  constructor(readonly options: FirstLoginOptions) {}

  /** What one connection asks by. */
  open(): ServerCredential {
    return new ConnectionLogin(this);
  }

  /** Takes on that somebody may have logged in. */
  reload(kept: readonly Grant[]): void {
    this.#tried.clear();
    this.#aside.clear();
    if (this.#usersIn(kept).length === 0) return;
    this.#granted.resolve();
    this.#granted = Promise.withResolvers();
  }

  /** @throws {RpcError} where there is none */
  async find(): Promise<string> {
    const { server, kept, of } = this.options;
    let failure: unknown;
    this.#user = undefined;
    const all = await kept().catch((error) => {
      throw new LoginError(server, messageOf(error), this.#granted.promise);
    });
    // Who logs in from here on is not looked at any more.
    const { promise: granted } = this.#granted;
    const known = new Set(this.#usersIn(all));
    for (const user of [...known.difference(this.#aside), ...this.#aside]) {
      if (this.#tried.has(user) || !known.has(user)) continue;
      try {
        await of(user).header();
        return this.#user = user;
      } catch (error) {
        if (error instanceof LoginError) this.#tried.add(user);
        else {
          failure ??= error;
          this.#aside.add(user);
        }
      }
    }
    const run = `run "mcproxy login ${shellWord(server)}"`;
    throw failure ?? new LoginError(server, `needs a login: ${run}`, granted);
  }

  /**
   * What a connection failed with that one of them has opened. It may work for another, who is tried
   * at once: unless the server itself is away, or all have been tried.
   */
  async failed(error: unknown): Promise<unknown> {
    const { server, kept } = this.options;
    const { promise: granted } = this.#granted;
    if (this.#user === undefined) return error;
    this.#aside.delete(this.#user);
    this.#aside.add(this.#user);
    const isAway = isUnreached(error) ||
      error instanceof HttpStatusError && error.status >= 500 ||
      error instanceof RpcError && error.code === ErrorCode.UpstreamTimeout;
    const known = isAway ? [] : this.#usersIn(await kept().catch(() => []));
    const isLeft = known.some((one) => !this.#aside.has(one) && !this.#tried.has(one));
    const why = messageOf(error).replace(`${serverLabel(server)} `, "");
    if (isLeft) return new LoginError(server, why, Promise.resolve());
    const isOfRights = error instanceof LoginError && error.isOfRequest;
    return isOfRights ? new LoginError(server, why, granted, true) : error;
  }

  /** The principals that are logged in. */
  #usersIn(kept: readonly Grant[]): readonly string[] {
    const { server, url, file } = this.options;
    return kept.filter((grant) =>
      grant.server === server && grant.principal !== "" && grant.dead === undefined &&
      file?.serves(grant, url)
    ).map(({ principal }) => principal);
  }

  /** What to throw: where a login has ended, the next one is tried at once. */
  ended(user: string, error: unknown): unknown {
    if (!(error instanceof LoginError)) return error;
    this.#tried.add(user);
    return new LoginError(this.options.server, error.why, Promise.resolve());
  }
}

/**
 * Keeps to one user, and ends the connection with that login: the next may be shown other lists, and
 * a session that one has opened must not be asked for another.
 */
class ConnectionLogin implements ServerCredential {
  #finding: Promise<string> | undefined;
  #user: string | undefined;

  constructor(private readonly first: FirstLogin) {}

  header(): Promise<string | undefined> {
    return this.#ask((login) => login.header());
  }

  refused(header: string | undefined, challenge: string | null): Promise<boolean> {
    return this.#ask((login) => login.refused(header, challenge));
  }

  lacks(challenge: string | null): RpcError | undefined {
    return this.#login?.lacks(challenge);
  }

  get replaced(): ServerCredential["replaced"] {
    return this.#login?.replaced;
  }

  failed(error: unknown): Promise<unknown> {
    return this.first.failed(error);
  }

  get #login(): ServerCredential | undefined {
    return this.#user === undefined ? undefined : this.first.options.of(this.#user);
  }

  async #ask<T>(ask: (login: ServerCredential) => T | Promise<T>): Promise<T> {
    const user = this.#user ??= await (this.#finding ??= this.first.find());
    try {
      return await ask(this.first.options.of(user));
    } catch (error) {
      throw this.first.ended(user, error);
    }
  }
}
