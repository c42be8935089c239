import type { JWTPayload, JWTVerifyOptions, JWTVerifyResult } from "jose";
import type { IssuerConfig } from "../../config/types.ts";
import { attempt, type Json, type JsonObject, parsedObject, valueAt } from "../../lib/json.ts";
import { codeOf, messageOf, quotedNames } from "../../lib/text.ts";
import { getLogger } from "../../log/mod.ts";
import type { FetchDocument } from "../../protocol/issuer.ts";
import { Pass, principalOf, WrongCredential } from "./admission.ts";
import { type FetchedKeys, KeySet, PAUSE } from "./key-set.ts";

const log = getLogger("mcproxy", "front");

/** Signatures by a key that only the issuer has. */
const ALGORITHMS = ["RS", "PS", "ES"].flatMap((kind) => [`${kind}256`, `${kind}384`, `${kind}512`])
  .concat("EdDSA");

/** How far clocks may differ, in seconds. */
const TOLERANCE = 30;

/** Tokens of other uses that say so (RFC 8725, section 3.11): a logout, a proof. */
const OTHER_USE = /^(?!(application\/)?at\+jwt$).*\+jwt$/i;

/** What a token was found to be. */
export interface VerifiedToken {
  readonly pass: Pass;
  /** Milliseconds since the epoch until which it need not be looked at again. */
  readonly until: number;
  /** The URLs it is for, where it is not for all of the gateway. */
  readonly audience: readonly string[] | undefined;
}

/** Somebody whose tokens let in. */
export class Issuer {
  gone = false;
  readonly #keys: KeySet;

  /** @param address `publicUrl`, without a slash at its end */
  constructor(
    readonly config: IssuerConfig,
    private readonly address: string,
    private readonly now: () => number,
    fetch: FetchDocument,
  ) {
    this.#keys = new KeySet(config, now, fetch);
  }

  /**
   * Whom a token lets in.
   * @throws {WrongCredential}
   * @throws {UndecidableError} where its keys cannot be had
   */
  async verify(token: string): Promise<VerifiedToken> {
    // The keys first: what fails here is no fault of the token, and what fails below is.
    let keys = await this.#keys.current();
    for (;;) {
      const result = await this.#check(token, keys);
      if (typeof result === "object") return this.#admitted(result);
      const newer = await this.#keys.newer(keys).catch((error) => {
        // A key that is not there may be a new one; a signature that is wrong is most likely that.
        throw result === "no key" ? error : new WrongCredential({ why: "invalid", genuine: false });
      });
      // Keys as fresh as these are not fetched again: the token may be of the next ones.
      if (newer === undefined) {
        throw new WrongCredential({ why: "invalid", genuine: false, until: keys.at + PAUSE });
      }
      keys = newer;
    }
  }

  async #check(
    token: string,
    { find, verify }: FetchedKeys,
  ): Promise<JWTVerifyResult | "no key" | "no match"> {
    const options: JWTVerifyOptions = {
      algorithms: ALGORITHMS,
      issuer: this.config.issuer,
      requiredClaims: ["exp", "sub"],
      clockTolerance: TOLERANCE,
      currentDate: new Date(this.now()),
    };
    try {
      return await verify(token, find, options);
    } catch (error) {
      const code = codeOf(error);
      if (code === "ERR_JWKS_NO_MATCHING_KEY") return "no key";
      if (code === "ERR_JWS_SIGNATURE_VERIFICATION_FAILED") return "no match";
      if (code !== "ERR_JWKS_MULTIPLE_MATCHING_KEYS") throw wrong(error);
      // Without the name of a key it may be any.
      for await (const key of error as unknown as AsyncIterable<CryptoKey>) {
        try {
          return await verify(token, key, options);
        } catch (error) {
          if (codeOf(error) !== "ERR_JWS_SIGNATURE_VERIFICATION_FAILED") throw wrong(error);
        }
      }
      return "no match";
    }
  }

  #admitted({ payload, protectedHeader }: JWTVerifyResult): VerifiedToken {
    const { sub, exp } = payload;
    if (typeof sub !== "string" || sub === "" || OTHER_USE.test(protectedHeader.typ ?? "")) {
      throw new WrongCredential({ why: "invalid", genuine: false });
    }
    const pass = new Pass(this.#principal(payload, sub), (exp! + TOLERANCE) * 1_000, this);
    return { pass, until: exp! * 1_000, audience: this.#audience(payload) };
  }

  #audience({ aud = [] }: JWTPayload): readonly string[] | undefined {
    const { audience } = this.config;
    const given = (typeof aud === "string" ? [aud] : aud).filter((one) => typeof one === "string");
    if (audience !== undefined) {
      if (given.some((one) => audience.includes(one))) return undefined;
      throw forElsewhere(given);
    }
    // Clients write a bare origin with its slash.
    const urls = given.map((one) => one.replace(/\/+$/, ""));
    if (urls.includes(this.address)) return undefined;
    const below = urls.filter((url) => url.startsWith(`${this.address}/`));
    if (below.length === 0) throw forElsewhere(given);
    return below;
  }

  #principal(payload: JWTPayload, sub: string) {
    const { issuer, as = "", name: nameClaim = "sub", groups } = this.config;
    const claims = payload as JsonObject;
    const isVoid = nameClaim === "email" && /^false$/i.test(String(claims.email_verified));
    const name = isVoid ? undefined : claimOf(claims, nameClaim);
    const more = [
      ...(groups === undefined ? [] : textsOf(claimOf(claims, groups)))
        .map((group) => `group:${as}${group}`),
      ...[claims.scope, claims.scp].flatMap(textsOf).flatMap((text) => text.split(" "))
        .filter((scope) => scope !== "")
        .map((scope) => `scope:${as}${scope}`),
    ];
    const called = typeof name === "string" && name !== "" ? as + name : undefined;
    return principalOf(`${issuer} ${sub}`, called, more, as + sub);
  }
}

/** What is wrong with a token, whoever found it: jose, or the runtime beneath it. */
function wrong(error: unknown): WrongCredential {
  log.debug("A token was refused: {reason}", { reason: messageOf(error) });
  const isOld = codeOf(error) === "ERR_JWT_EXPIRED";
  return new WrongCredential({ why: isOld ? "expired" : "invalid", genuine: isOld });
}

/** For a token that is for another place. */
export function forElsewhere(audience: readonly string[] = []): WrongCredential {
  log.debug("A token was refused: it is for {audience}", { audience: quotedNames(audience) });
  return new WrongCredential({ why: "invalid", genuine: true });
}

/** Some claims have URLs for their names, and others are inside of others. */
function claimOf(claims: JsonObject, name: string): Json | undefined {
  return Object.hasOwn(claims, name) ? claims[name] : valueAt(claims, name.split("."));
}

function textsOf(value: Json | undefined): string[] {
  return (Array.isArray(value) ? value : [value]).filter((one) => typeof one === "string");
}

/** The issuer that a token names, before anybody has looked whether that is true. */
export function issuerIn(token: string): Json | undefined {
  const [, payload = ""] = /^[\w-]+\.([\w-]+)\.[\w-]+$/.exec(token) ?? [];
  const bytes = attempt(() => Uint8Array.fromBase64(payload, { alphabet: "base64url" }));
  return bytes && parsedObject(new TextDecoder().decode(bytes))?.iss;
}
