/** By what the gateway is known to the servers that want a login, for as long as it runs. */

import { clearInterval, setInterval } from "node:timers";
import type { HttpTarget } from "../../config/types.ts";
import { canonicalJson } from "../../lib/json.ts";
import type { FetchDocument } from "../../protocol/issuer.ts";
import type { ServerCredential } from "../transport/transport.ts";
import { ClientTokens } from "./client-tokens.ts";
import { type GrantFile, grantFileIn, type GrantPlace } from "./grants.ts";
import { GrantTokens } from "./grant-tokens.ts";
import { guardedFetch } from "./guard.ts";

/** What {@link Logins} are made of. */
export interface LoginsOptions {
  /** Without a file nobody can be logged in. */
  readonly file?: GrantFile | undefined;
  /** What reaches who gives the tokens; it may lead where the URLs it is given lead. @default {@link guardedFetch} */
  readonly fetchFor?: (trusted: readonly string[]) => FetchDocument;
  /** Milliseconds since the epoch. @default Date.now */
  readonly now?: () => number;
}

/** Those of a gateway with these variables. */
export function openLogins(place: GrantPlace | undefined): Logins {
  return new Logins(place && { file: grantFileIn(place) });
}

/** How often it is looked whether somebody has logged in, in ms. */
const LOOK = 1_000;
/** Each reload may bring others; those of long ago are let go. */
const MOST = 4_096;

/** The credentials of all servers that want a login, each for all connections to it. */
export class Logins {
  readonly #file: GrantFile | undefined;
  readonly #all = new Map<string, ServerCredential>();
  readonly #grants = new Set<GrantTokens>();
  #version = "";
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(private readonly options: LoginsOptions = {}) {
    this.#file = options.file;
  }

  /** How the server at this address is told who asks. */
  of(server: string, target: HttpTarget): ServerCredential {
    const { url, login } = target;
    const key = canonicalJson([server, url, login]);
    const known = this.#all.get(key);
    if (known !== undefined) return known;
    const { fetchFor = guardedFetch, now = Date.now } = this.options;
    const common = { server, url, now, fetchFor };
    let made: ServerCredential;
    if (login?.type === "client-credentials") made = new ClientTokens(common, login);
    else {
      made = new GrantTokens(common, this.#file, login);
      this.#grants.add(made as GrantTokens);
      this.#watch();
    }
    this.#all.set(key, made);
    if (this.#all.size > MOST) {
      const [oldest = "", gone] = this.#all.entries().next().value ?? [];
      this.#all.delete(oldest);
      this.#grants.delete(gone as GrantTokens);
    }
    return made;
  }

  /** Takes on what has changed in the file since. Never rejects. */
  async look(): Promise<void> {
    const version = await this.#file?.version() ?? "";
    if (version === this.#version) return;
    this.#version = version;
    await Promise.all([...this.#grants].map((one) => one.reload()));
  }

  /** Looks no more. */
  close(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #watch(): void {
    if (this.#file === undefined || this.#timer !== undefined) return;
    this.#timer = setInterval(() => void this.look(), LOOK);
    // It keeps no process alive.
    this.#timer.unref();
  }
}
