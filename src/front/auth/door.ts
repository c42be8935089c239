/** The door: a request becomes somebody, or is refused. Loaded only where `auth` is configured. */

import type { Settings } from "../../config/types.ts";
import { canonicalJson } from "../../lib/json.ts";
import { TokenBucket } from "../../lib/rate-limit.ts";
import { getLogger } from "../../log/mod.ts";
import type { Admission } from "../../protocol/exchange.ts";
import type { FetchDocument } from "../../protocol/issuer.ts";
import { peerOf } from "../../runtime/listen.ts";
import type { PeerSource } from "../../runtime/types.ts";
import type { Refusal } from "../reply.ts";
import {
  type CredentialFault,
  digestOf,
  type Pass,
  remember,
  UndecidableError,
  WrongCredential,
} from "./admission.ts";
import { addressOf, Challenges, refusal } from "./challenge.ts";
import { forElsewhere, Issuer, issuerIn, type VerifiedToken } from "./issuers.ts";
import { Keys } from "./keys.ts";
import type { PageKeys } from "./page-keys.ts";
import { TrustedProxy } from "./proxy.ts";

/** Who stands before everything but the public paths. */
export interface Door {
  /**
   * Whoever asks; at once for a credential that was seen before. `peer` is what knows the address of
   * the socket (`peerOf()`, which is not to be asked for nothing), `path` that of the endpoint, below
   * `publicUrl`.
   * @throws {Refusal} 401, 429, 503 with their headers; rejects with it as well
   */
  admit(
    request: Request,
    peer: PeerSource | undefined,
    path: string,
  ): Admission | Promise<Admission>;
  /**
   * What is to be read below `/.well-known/oauth-protected-resource` for this path (RFC 9728);
   * undefined where no issuer is told, which stays 404.
   */
  metadata(path: string): Response | undefined;
  /** Where somebody comes from, behind a proxy that is trusted as well; empty where nobody knows. */
  addressOf(request: Request, peer: PeerSource | undefined): string;
  /** 403 for somebody to whom one more of these scopes would open `path`. */
  lacksScope(scopes: readonly string[], path: string): Refusal;
  readonly keys: Pick<Keys, "passes">;
  /** Another configuration: what is gone from it stops holding at once, and the rest goes on. */
  reload(settings: DoorSettings): void;
}

/** The settings a {@link Door} goes by. */
export type DoorSettings = Pick<Settings, "auth" | "publicUrl">;

/** What a {@link Door} is made from. */
export interface DoorOptions {
  readonly settings: DoorSettings;
  /** The key of this listener, which the gateway's own commands have. */
  readonly localKey?: string | undefined;
  /** Those of pages, which outlive a door. */
  readonly pageKeys?: PageKeys | undefined;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
  /** Told of each wrong credential: from where, and what is wrong with it. */
  readonly onWrong?: (address: string, why: string) => void;
  /** How the keys of issuers are fetched. */
  readonly fetch?: FetchDocument;
}

/** A door with nobody behind it yet. */
export function createDoor(options: DoorOptions): Door {
  return new Doorkeeper(options);
}

/** Characters of all that a request shows, and of what is remembered of it but by its digest. */
const LONGEST = 16_384;
const LONGEST_KEPT = 4_096;
/** Milliseconds that a token is taken for what it was, and a wrong one for wrong. */
const KEPT = 300_000;
const WRONG_KEPT = 30_000;
/** So many tokens are verified a second; addresses that fail too often leave so many to others. */
const VERIFIED = 100;
const LEFT_TO_OTHERS = 60;
/** So many failures an address has in so many milliseconds. */
const FAILURES = 20;
const FAILURES_IN = 60_000;

const log = getLogger("mcproxy", "front");

const TOO_MANY = "Cannot verify the token now: too many others are to be verified";

/** Other schemes are for others, such as a proxy. */
const BEARER = /^bearer(?: +|$)(.*)$/i;
/** How most clients spell that. */
const PLAIN = /^Bearer [^ ]/;

/** What went wrong for an address in a time: wrong credentials, and genuine ones verified in vain. */
interface Failures {
  count: number;
  genuine: number;
  readonly until: number;
}

/** A token, and who can tell whether it is right. */
type Unverified = readonly [token: string, issuer: Issuer];

class Doorkeeper implements Door {
  readonly #now: () => number;
  readonly #onWrong: DoorOptions["onWrong"];
  readonly #fetch: FetchDocument;
  readonly keys: Keys;
  #issuers = new Map<string, Issuer>();
  #proxy: TrustedProxy | undefined;
  /** Headers of issuers that have one of their own. */
  #headers: readonly string[] = [];
  #address = "";
  #challenges!: Challenges;
  /** By what is shown, however that is spelled: one credential is one entry. */
  readonly #right = new Map<string, VerifiedToken>();
  readonly #wrong = new Map<string, CredentialFault>();
  readonly #pending = new Map<string, Promise<VerifiedToken>>();
  readonly #failures = new Map<string, Failures>();
  readonly #turns: TokenBucket;

  constructor(
    { settings, localKey, pageKeys, onWrong, now = Date.now, fetch = globalThis.fetch }:
      DoorOptions,
  ) {
    this.#onWrong = onWrong;
    this.#now = now;
    this.#fetch = fetch;
    this.keys = new Keys(localKey, pageKeys ?? new Map());
    this.#turns = new TokenBucket({ ratePerSecond: VERIFIED, burst: VERIFIED, now: now() });
    this.reload(settings);
  }

  reload(settings: DoorSettings): void {
    const { keys = [], issuers = [], proxy } = settings.auth ?? {};
    this.#address = addressOf(settings);
    this.#challenges = new Challenges(settings);
    this.#headers = [...new Set(issuers.flatMap(({ header }) => header ?? []))];
    this.keys.reload(keys);
    const before = this.#issuers;
    this.#issuers = new Map(issuers.map((config) => {
      const text = canonicalJson([this.#address, config]);
      const issuer = before.get(text) ?? new Issuer(config, this.#address, this.#now, this.#fetch);
      before.delete(text);
      return [text, issuer];
    }));
    for (const issuer of before.values()) issuer.gone = true;
    if (canonicalJson(proxy) !== canonicalJson(this.#proxy?.config)) {
      if (this.#proxy !== undefined) this.#proxy.gone = true;
      this.#proxy = proxy && new TrustedProxy(proxy);
    }
    // What was wrong may be right now.
    this.#wrong.clear();
    this.#pending.clear();
  }

  metadata(path: string): Response | undefined {
    return this.#challenges.metadata(path);
  }

  lacksScope(scopes: readonly string[], path: string): Refusal {
    return this.#challenges.lacksScope(scopes, path);
  }

  admit(
    request: Request,
    source: PeerSource | undefined,
    path: string,
  ): Pass | Promise<Pass> {
    const { headers } = request;
    const authorization = spelledPlainly(headers.get("authorization") ?? "");
    const apiKey = headers.get("x-api-key");
    const shown = apiKey === null && this.#headers.length === 0
      ? authorization
      : [authorization, apiKey, ...this.#headers.map((name) => tokenIn(headers, name))].join("\n");
    const text = shown.length > LONGEST_KEPT ? digestOf(shown) : shown;
    const known = this.#right.get(text);
    const now = this.#now();
    const isKnown = known !== undefined && now < known.until && known.pass.holds(now);
    if (isKnown && this.#isFor(known, path)) {
      known.pass.usedAt = now;
      return known.pass;
    }
    const failed = (error: unknown) => this.#refuse(error, this.addressOf(request, source), path);
    try {
      if (isKnown) throw forElsewhere(known.audience);
      if (shown.length > LONGEST) throw new WrongCredential({ why: "invalid", genuine: false });
      const found = this.#judge(text, request, source);
      if (!(found instanceof Promise)) return found;
      return found.then((verified) => this.#enter(verified, path)).catch(failed);
    } catch (error) {
      return failed(error);
    }
  }

  addressOf(request: Request, source: PeerSource | undefined): string {
    const peer = peerOf(request, source) ?? "";
    return this.#proxy?.addressBehind(request.headers, peer) ?? peer;
  }

  #isFor({ audience }: VerifiedToken, path: string): boolean {
    if (audience === undefined) return true;
    // HTTP+SSE: what is sent there is for a session of whoever has the stream, at another path.
    if (path === "/messages") return audience.some((url) => url.endsWith("/sse"));
    return audience.includes(this.#address + path);
  }

  #enter(verified: VerifiedToken, path: string): Pass {
    // Its issuer may have gone meanwhile, or come back as another.
    if (!verified.pass.holds(this.#now())) throw new UndecidableError();
    if (!this.#isFor(verified, path)) throw forElsewhere(verified.audience);
    verified.pass.usedAt = this.#now();
    return verified.pass;
  }

  /** What is not remembered as right. All that is shown has to be right; the first of it counts. */
  #judge(
    text: string,
    request: Request,
    source: PeerSource | undefined,
  ): Pass | Promise<VerifiedToken> {
    const { headers } = request;
    const now = this.#now();
    const fault = this.#wrong.get(text);
    if (fault !== undefined && now < fault.until!) throw new WrongCredential(fault);
    const tokens: Unverified[] = [];
    let key: Pass | undefined;
    const [, bearer = null] = BEARER.exec(headers.get("authorization") ?? "") ?? [];
    for (const shown of [bearer, headers.get("x-api-key")]) {
      if (shown === null) continue;
      const found = this.keys.find(shown, now);
      if (found === undefined) tokens.push([shown, this.#issuerOf(shown)]);
      key ??= found;
    }
    for (const header of this.#headers) {
      const token = tokenIn(headers, header);
      if (token) tokens.push([token, this.#issuerOf(token, header)]);
    }
    if (tokens.length > 0) {
      // What is being verified is not verified twice at a time.
      return this.#pending.getOrInsertComputed(text, () => {
        const address = this.addressOf(request, source);
        this.#takeTurns(tokens.length, address);
        return this.#verify(text, tokens, key, address).finally(() => this.#pending.delete(text));
      });
    }
    if (key !== undefined) {
      key.usedAt = now;
      remember(this.#right, text, { pass: key, until: Infinity, audience: undefined });
      return key;
    }
    const named = this.#proxy?.admit(headers, peerOf(request, source));
    if (named === undefined) throw new WrongCredential();
    return named;
  }

  /** Which of those that use this header a token says it is from. @throws {WrongCredential} */
  #issuerOf(token: string, header?: string): Issuer {
    const name = this.#issuers.size === 0 ? undefined : issuerIn(token);
    for (const issuer of this.#issuers.values()) {
      if (issuer.config.issuer === name && issuer.config.header === header) return issuer;
    }
    throw new WrongCredential({ why: "invalid", genuine: false });
  }

  /** Whoever floods the gateway takes no others' turns. @throws {UndecidableError} */
  #takeTurns(count: number, address: string): void {
    const now = this.#now();
    const { count: wrong = 0, genuine = 0, until = 0 } = this.#failures.get(address) ?? {};
    const least = now < until && wrong + genuine > FAILURES ? LEFT_TO_OTHERS : 1;
    for (; count > 0; count--) {
      if (!this.#turns.take(now, least).allowed) throw new UndecidableError(TOO_MANY, 1);
    }
  }

  async #verify(
    text: string,
    tokens: readonly Unverified[],
    key: Pass | undefined,
    address: string,
  ): Promise<VerifiedToken> {
    try {
      let until = this.#now() + KEPT;
      const all: VerifiedToken[] = [];
      for (const [token, issuer] of tokens) {
        const verified = await issuer.verify(token);
        until = Math.min(until, verified.until);
        all.push(verified);
      }
      const first = key === undefined ? all[0]! : { pass: key, audience: undefined };
      const verified = { ...first, until };
      remember(this.#right, text, verified);
      return verified;
    } catch (error) {
      const fault = error instanceof WrongCredential ? error.fault : undefined;
      const isOld = tokens.some(([, issuer]) => issuer.gone);
      if (fault?.genuine) this.#failuresOf(address, this.#now()).genuine++;
      if (fault !== undefined && !isOld) {
        const until = Math.min(fault.until ?? Infinity, this.#now() + WRONG_KEPT);
        remember(this.#wrong, text, { ...fault, until });
      }
      throw error;
    }
  }

  /** @throws {Refusal} for what was thrown at the door */
  #refuse(error: unknown, address: string, path: string): never {
    if (error instanceof UndecidableError) {
      throw refusal(503, error.message, { "retry-after": String(error.seconds) });
    }
    if (!(error instanceof WrongCredential)) throw error;
    const { fault } = error;
    if (fault !== undefined) this.#onWrong?.(address, fault.why);
    const wait = fault?.genuine === false ? this.#failed(address) : 0;
    if (wait === 0) throw this.#challenges.unauthorized(path, fault);
    const message = `Too many wrong credentials; try again in ${wait} s`;
    throw refusal(429, message, { "retry-after": String(wait) });
  }

  /** Counts a failure. Seconds until an address may have one more; 0 where it may have this one. */
  #failed(address: string): number {
    const now = this.#now();
    const failures = this.#failuresOf(address, now);
    if (++failures.count === FAILURES + 1) {
      log.warning("More than {count} wrong credentials in a minute from {address}", {
        count: FAILURES,
        address,
      });
    }
    return failures.count > FAILURES ? Math.ceil((failures.until - now) / 1_000) : 0;
  }

  #failuresOf(address: string, now: number): Failures {
    let failures = this.#failures.get(address);
    if (failures === undefined || now >= failures.until) {
      this.#failures.delete(address);
      failures = { count: 0, genuine: 0, until: now + FAILURES_IN };
      remember(this.#failures, address, failures);
    }
    return failures;
  }
}

/** `Bearer`, one blank and what follows; nothing of a scheme that is for others. */
function spelledPlainly(authorization: string): string {
  if (PLAIN.test(authorization)) return authorization;
  const [, token] = BEARER.exec(authorization) ?? [];
  return token === undefined ? "" : `Bearer ${token}`;
}

function tokenIn(headers: Headers, name: string): string | undefined {
  return headers.get(name)?.replace(/^bearer +/i, "");
}
