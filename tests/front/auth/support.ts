/** A door in memory: its clock is turned by hand, and its issuer answers what a test wants. */

import { createHash } from "node:crypto";
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from "jose";
import type { AuthConfig } from "../../../src/config/types.ts";
import { createDoor } from "../../../src/front/auth/door.ts";
import type { Admission } from "../../../src/protocol/exchange.ts";
import { Refusal } from "../../../src/front/reply.ts";

export const PUBLIC_URL = "https://mcp.example.com";
export const ISSUER = "https://id.example.com";
export const NOW = Date.parse("2026-11-30T12:00:00Z");

export const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

/** Settings of a file as the schema leaves them. */
export const key = (name: string, text: string, expires?: number) => ({
  name,
  hash: sha256(text),
  expires,
});

export const issuerOf = (more: Partial<NonNullable<AuthConfig["issuers"]>[number]> = {}) => ({
  issuer: ISSUER,
  scopes: [],
  ...more,
});

/** An issuer: its keys, and what is asked of it. */
export class FakeIssuer {
  readonly asked: string[] = [];
  keys: unknown[] = [];
  /** Instead of the documents. */
  answer: ((url: string) => Response | Promise<Response>) | undefined;
  readonly #waiting = new Map<number, () => void>();
  #private = new Map<string, Parameters<SignJWT["sign"]>[0]>();

  constructor(readonly issuer = ISSUER) {}

  /** A new key pair in the set, beside or instead of those there. */
  async rotate(kid: string, { keep = false, alg = "ES256" } = {}): Promise<void> {
    const { publicKey, privateKey } = await generateKeyPair(alg);
    this.#private.set(kid, privateKey);
    this.keys = [...keep ? this.keys : [], { ...await exportJWK(publicKey), kid, alg, use: "sig" }];
  }

  readonly fetch = async (url: string): Promise<Response> => {
    this.asked.push(url);
    this.#waiting.get(this.asked.length)?.();
    if (this.answer !== undefined) return await this.answer(url);
    if (url === `${this.issuer}/keys`) return Response.json({ keys: this.keys });
    if (url !== `${this.issuer}/.well-known/openid-configuration`) {
      return new Response("none", { status: 404 });
    }
    return Response.json({ issuer: this.issuer, jwks_uri: `${this.issuer}/keys` });
  };

  /** Resolves when it has been asked so many times. */
  askedTimes(count: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.set(count, resolve);
    if (this.asked.length >= count) resolve();
    return promise;
  }

  sign(
    payload: JWTPayload = {},
    { kid = "a", alg = "ES256", typ = "JWT", named = true }: {
      readonly kid?: string;
      readonly alg?: string;
      readonly typ?: string;
      /** Whether the token says by which key. */
      readonly named?: boolean;
    } = {},
  ): Promise<string> {
    const claims = { iss: this.issuer, aud: PUBLIC_URL, sub: "u1", exp: NOW / 1_000 + 3_600 };
    return new SignJWT({ ...claims, ...payload })
      .setProtectedHeader({ alg, typ, ...(named && { kid }) }).sign(this.#private.get(kid)!);
  }
}

/** A door and its clock; `enter` is a request with headers. */
export function doorOf(auth: AuthConfig, issuer = new FakeIssuer(), localKey?: string) {
  const clock = { now: NOW };
  const settings = { auth, publicUrl: PUBLIC_URL };
  const door = createDoor({ settings, localKey, now: () => clock.now, fetch: issuer.fetch });
  const enter = async (
    headers: Readonly<Record<string, string>>,
    { peer = "192.0.2.1", path = "/mcp" } = {},
  ): Promise<Admission> => {
    const request = new Request("http://127.0.0.1:1/mcp?key=mcproxy_url", { headers });
    return await door.admit(request, { remoteAddr: { hostname: peer } }, path);
  };
  /** What is answered to whom is not let in: status, and the header that goes with it. */
  const refused = async (...asked: Parameters<typeof enter>): Promise<string> => {
    try {
      const { principal } = await enter(...asked);
      return `in as ${principal.id}`;
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const { status, headers } = error.toResponse();
      return [status, headers.get("www-authenticate") ?? headers.get("retry-after")].join(" ");
    }
  };
  return { door, clock, enter, refused };
}

export const bearer = (text: string) => ({ authorization: `Bearer ${text}` });
