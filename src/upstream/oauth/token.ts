/** A request for a token (RFC 6749): one POST, and what servers make of the answer to it. */

import { type JsonObject, parsedObject } from "../../lib/json.ts";
import { messageOf, printable, quoted, snippet } from "../../lib/text.ts";
import type { FetchDocument } from "../../protocol/issuer.ts";
import { ACCESS_TOKEN, type Grant, type GrantKey, hideSecrets } from "./grants.ts";

/** What is given. Where the end of its life is not said, it holds until it is refused. */
export type Token = Pick<
  Grant,
  "accessToken" | "issuedAt" | "expiresAt" | "refreshToken" | "scope"
>;

/** What is asked for, for which login, and of whom. */
export interface TokenRequest
  extends Pick<Grant, "issuer" | "tokenEndpoint" | "client">, Partial<GrantKey> {
  /** Of the server. */
  readonly url?: string;
  /** Without the client. */
  readonly params: Readonly<Record<string, string | undefined>>;
  readonly fetch: FetchDocument;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

const FINAL = ["invalid_grant", "invalid_client", "unauthorized_client", "invalid_key"];

/** No token is given. The message is the end of a sentence, foreign text in it cut and quoted. */
export class TokenError extends Error {
  override readonly name = "TokenError";
  /** `code` is the `error` of the answer, where there is one. */
  constructor(message: string, readonly code = "", options?: ErrorOptions) {
    super(message, options);
  }

  /** Asking again would change nothing (the rest passes, perhaps). */
  get isFinal(): boolean {
    return FINAL.includes(this.code);
  }
}

/** Characters of an answer. */
const MOST_ANSWER = 64 * 1024;
/** No token lives longer, in ms. */
export const LONGEST_LIFE = 10 * 365 * 86_400_000;

/** @throws {TokenError} */
export async function requestToken(request: TokenRequest): Promise<Token> {
  const { origin } = new URL(request.tokenEndpoint);
  const response = await postForm(request);
  const text = await response.text();
  const answer = text.length > MOST_ANSWER ? {} : parsedObject(text) ?? {};
  const said = (name: string) => typeof answer[name] === "string" && answer[name] || undefined;
  const [error, why] = [said("error"), said("error_description")];
  if (error !== undefined) {
    const words = why === undefined ? "" : `: ${quoted(why)}`;
    throw new TokenError(`${origin} answered ${quoted(error)}${words}`, printable(snippet(error)));
  }
  if (!response.ok) throw new TokenError(`${origin} answered HTTP ${response.status}`);
  const [accessToken = "", refreshToken] = [said("access_token"), said("refresh_token")];
  if (!ACCESS_TOKEN.test(accessToken)) throw new TokenError(`${origin} answered without a token`);
  const type = said("token_type") ?? "bearer";
  if (type.toLowerCase() !== "bearer") {
    throw new TokenError(`${origin} gives tokens of another type, ${quoted(type)}`);
  }
  hideSecrets({ ...request, accessToken, refreshToken });
  const life = Math.min(Number(answer.expires_in ?? 0) * 1_000, LONGEST_LIFE);
  const issuedAt = request.now();
  const expiresAt = life > 0 ? issuedAt + life : undefined;
  return { accessToken, issuedAt, expiresAt, refreshToken, scope: said("scope") };
}

/** What is answered to a form that says who sends it. @throws {TokenError} where nobody answers */
export async function postForm(request: TokenRequest): Promise<Response> {
  const { issuer, tokenEndpoint, client: { id, secret = "", auth }, params, now } = request;
  const form = new URLSearchParams(params as Record<string, string>);
  for (const name in params) if (params[name] === undefined) form.delete(name);
  const headers: Record<string, string> = {
    accept: "application/json",
    "content-type": "application/x-www-form-urlencoded",
  };
  if (auth === "basic") {
    // RFC 6749, section 2.3.1: encoded first, though not as strictly as in forms.
    const pair = `${encodeURIComponent(id)}:${encodeURIComponent(secret)}`;
    headers["authorization"] = `Basic ${new TextEncoder().encode(pair).toBase64()}`;
  } else form.set("client_id", id);
  if (auth === "post") form.set("client_secret", secret);
  if (auth === "private_key_jwt") {
    form.set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    form.set("client_assertion", await assertion(issuer, id, secret, now()));
  }
  try {
    return await request.fetch(tokenEndpoint, { method: "POST", headers, body: String(form) });
  } catch (cause) {
    const { origin } = new URL(tokenEndpoint);
    throw new TokenError(`${origin} could not be reached: ${messageOf(cause)}`, "", { cause });
  }
}

/** Seconds an assertion holds. */
const ASSERTION_LIFE = 60;
const CURVES = { "P-256": "ES256", "P-384": "ES384", "P-521": "ES512", Ed25519: "EdDSA" };

/** RFC 7523: who holds the key has signed that this client asks there. */
async function assertion(aud: string, id: string, key: string, now: number): Promise<string> {
  const { SignJWT } = await import("jose/jwt/sign");
  const { createPrivateKey } = await import("node:crypto");
  let jwk: JsonObject;
  try {
    jwk = parsedObject(key) ?? createPrivateKey(key).export({ format: "jwk" }) as JsonObject;
  } catch (cause) {
    throw new TokenError('"privateKey" is neither PEM nor JWK', "invalid_key", { cause });
  }
  const { kid, crv, alg = CURVES[crv as keyof typeof CURVES] ?? "RS256" } = jwk;
  const iat = Math.floor(now / 1_000);
  const claims = { iss: id, sub: id, aud, iat, exp: iat + ASSERTION_LIFE };
  return await new SignJWT({ ...claims, jti: crypto.randomUUID() })
    .setProtectedHeader({ alg, kid } as never).sign(jwk as never);
}
