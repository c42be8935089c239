import { readFile, stat } from "node:fs/promises";
import type { JSONWebKeySet, jwtVerify, JWTVerifyGetKey } from "jose";
import type { IssuerConfig } from "../../config/types.ts";
import { isObject, type Json, parsedObject } from "../../lib/json.ts";
import { messageOf } from "../../lib/text.ts";
import { getLogger } from "../../log/mod.ts";
import {
  type FetchDocument,
  issuerMetadata,
  MOST_DOCUMENT,
  readDocument,
} from "../../protocol/issuer.ts";
import { UndecidableError } from "./admission.ts";

/** Keys older than this are fetched anew, beside their use. Milliseconds. */
const FRESH = 600_000;
/** And are of no use when they are this old. */
const GOOD = 3_600_000;
/** Between two attempts, whatever is asked for; so long is a failure kept. */
export const PAUSE = 5_000;
/** Of one issuer. */
const MOST_KEYS = 100;

const log = getLogger("mcproxy", "front");

/** Keys as they were at a time. */
export interface FetchedKeys {
  readonly find: JWTVerifyGetKey;
  readonly verify: typeof jwtVerify;
  readonly at: number;
}

/** The keys of an issuer, which may change at any time, and may not be there. */
export class KeySet {
  #keys: FetchedKeys | undefined;
  #tried = -Infinity;
  #fetching: Promise<FetchedKeys> | undefined;

  constructor(
    private readonly config: Pick<IssuerConfig, "issuer" | "jwks">,
    private readonly now: () => number,
    private readonly fetch: FetchDocument,
  ) {}

  /** The keys. @throws {UndecidableError} where there are none, or none that are recent enough */
  async current(): Promise<FetchedKeys> {
    const age = this.now() - (this.#keys?.at ?? -Infinity);
    if (this.#keys === undefined || age >= GOOD) return await this.#fetch();
    if (age >= FRESH) this.#fetch().catch(() => {});
    return this.#keys;
  }

  /**
   * Others than these, in which something was not found; undefined where there can be none yet.
   * @throws {UndecidableError}
   */
  async newer(than: FetchedKeys): Promise<FetchedKeys | undefined> {
    if (this.#keys !== than) return this.#keys;
    return this.now() < than.at + PAUSE ? undefined : await this.#fetch();
  }

  #fetch(): Promise<FetchedKeys> {
    if (this.#fetching !== undefined) return this.#fetching;
    const now = this.now();
    // While an issuer is gone, every request would ask for it again.
    if (now < this.#tried + PAUSE) return Promise.reject(new UndecidableError());
    this.#tried = now;
    return this.#fetching = this.#load().catch((error) => {
      const { issuer } = this.config;
      const reason = messageOf(error);
      log.warning('Cannot get the keys of the issuer "{issuer}": {reason}', { issuer, reason });
      throw new UndecidableError();
    }).finally(() => this.#fetching = undefined);
  }

  async #load(): Promise<FetchedKeys> {
    const set = usable((await this.#read()).keys);
    const { createLocalJWKSet } = await import("jose/jwks/local");
    const { jwtVerify } = await import("jose/jwt/verify");
    return this.#keys = { find: createLocalJWKSet(set), verify: jwtVerify, at: this.now() };
  }

  async #read() {
    const { issuer, jwks } = this.config;
    if (jwks !== undefined && !/^https?:/.test(jwks)) return await readSetFile(jwks);
    const url = jwks ?? keysUrl(issuer, await issuerMetadata(issuer, this.fetch));
    return known(await readDocument(url, this.fetch));
  }
}

function known<Found extends object>(found: Found | string): Found {
  if (typeof found === "string") throw new Error(found);
  return found;
}

/** Keys that came in the clear could be anybody's. */
function keysUrl(issuer: string, { jwks_uri: uri }: { readonly jwks_uri?: Json }): string {
  const scheme = /^https:/.test(issuer) ? /^https:\/\// : /^https?:\/\//;
  if (typeof uri !== "string" || !scheme.test(uri)) {
    throw new Error("its metadata name no URL for them");
  }
  return uri;
}

async function readSetFile(path: string) {
  const { size } = await stat(path);
  if (size > MOST_DOCUMENT) throw new Error(`${path} has more than ${MOST_DOCUMENT} bytes`);
  return known(parsedObject(await readFile(path, "utf8")) ?? `${path} has no JSON object`);
}

/** Those that may have signed something; a set without any is as good as none. */
function usable(keys: Json | undefined): JSONWebKeySet {
  const found = (Array.isArray(keys) ? keys : []).filter((key) =>
    isObject(key) && /^(RSA|EC|OKP)$/.test(String(key.kty)) && key.use !== "enc"
  );
  if (found.length === 0) throw new Error("there are none that could have signed a token");
  return { keys: found.slice(0, MOST_KEYS) } as unknown as JSONWebKeySet;
}
