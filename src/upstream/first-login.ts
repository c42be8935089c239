/** What the lists of a server are asked by to which each of its users logs in: one of their logins. */

import { messageOf, shellWord } from "../lib/text.ts";
import type { RpcError } from "../protocol/errors.ts";
import { LoginError } from "./transport/failures.ts";
import type { ServerCredential } from "./transport/transport.ts";

/** What a {@link FirstLogin} is made of. */
interface FirstLoginOptions {
  readonly server: string;
  /** The principals that are logged in, the first to be tried first. */
  readonly users: () => Promise<readonly string[]>;
  readonly of: (principal: string) => ServerCredential;
}

/** Finds the first login that works, for each connection anew. */
export class FirstLogin {
  /** Those that did not do, for as long as nothing is known to have changed. */
  readonly #tried = new Set<string>();
  /** Those whose rights did not do for something; they come last. */
  readonly #lacking = new Set<string>();
  #granted = Promise.withResolvers<void>();

  constructor(readonly options: FirstLoginOptions) {}

  /** What one connection asks by. */
  open(): ServerCredential {
    return new ConnectionLogin(this);
  }

  /** Takes on that somebody may have logged in. Never rejects. */
  async reload(): Promise<void> {
    this.#tried.clear();
    this.#lacking.clear();
    const users = await this.options.users().catch(() => []);
    if (users.length === 0) return;
    this.#granted.resolve();
    this.#granted = Promise.withResolvers();
  }

  /** @throws {RpcError} where there is none */
  async find(): Promise<string> {
    const { server, users, of } = this.options;
    // Who logs in from here on is not looked at any more.
    const { promise: granted } = this.#granted;
    let failure: unknown;
    const known = await users().catch((error) => {
      throw new LoginError(server, messageOf(error), granted);
    });
    const lacks = (user: string) => Number(this.#lacking.has(user));
    for (const user of known.toSorted((one, other) => lacks(one) - lacks(other))) {
      if (this.#tried.has(user)) continue;
      try {
        await of(user).header();
        return user;
      } catch (error) {
        if (error instanceof LoginError) this.#tried.add(user);
        else failure ??= error;
      }
    }
    const run = `run "mcproxy login ${shellWord(server)}"`;
    throw failure ?? new LoginError(server, `needs a login: ${run}`, granted);
  }

  /** The same for a request that takes more rights, where another user may have them. */
  lacks(user: string, { why }: LoginError): LoginError {
    this.#lacking.add(user);
    const { promise: granted } = this.#granted;
    const other = this.options.users().then((known) =>
      known.every((one) => this.#lacking.has(one)) ? granted : undefined
    );
    return new LoginError(this.options.server, why, other.catch(() => granted), true);
  }

  /** What to throw: where a login has ended, the next one is tried at once. */
  failed(user: string, error: unknown): unknown {
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
    if (this.#user === undefined) return undefined;
    const lack = this.first.options.of(this.#user).lacks(challenge);
    return lack instanceof LoginError ? this.first.lacks(this.#user, lack) : lack;
  }

  async #ask<T>(ask: (login: ServerCredential) => T | Promise<T>): Promise<T> {
    const user = this.#user ??= await (this.#finding ??= this.first.find());
    try {
      return await ask(this.first.options.of(user));
    } catch (error) {
      throw this.first.failed(user, error);
    }
  }
}
