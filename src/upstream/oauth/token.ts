/** A request for a token (RFC 6749): one POST, and what servers make of the answer to it. */

import { type JsonObject, parsedObject } from "../../lib/json.ts";
import { expandSecrets, LATE_SECRETS } from "../../lib/secrets.ts";
import { messageOf, printable, snippet } from "../../lib/text.ts";
import type { FetchDocument } from "../../protocol/issuer.ts";

/** Who asks, as the token endpoint knows them. */
export interface TokenClient {
  readonly id: string;
  readonly secret?: string | undefined;
  /** How the secret is shown; with `private_key_jwt` it is a key, PEM or JWK. */
  readonly auth: "basic" | "post" | "none" | "private_key_jwt";
}

/** What is asked for. */
export interface TokenRequest {
  readonly endpoint: string;
  readonly client: TokenClient;
  /** Without the client. */
  readonly params: Readonly<Record<string, string | undefined>>;
}

/** The oldest first, with their forms. */
const SECRETS = new Map<string, readonly string[]>();
const MOST_SECRETS = 400;

/** From now on no log, error or status has this text in it. */
export function keepSecret(secret: string): void {
  const forms = SECRETS.get(secret) ?? expandSecrets([secret]);
  SECRETS.delete(secret);
  SECRETS.set(secret, forms);
  for (const oldest of SECRETS.keys()) {
    if (SECRETS.size <= MOST_SECRETS) break;
    SECRETS.delete(oldest);
  }
  LATE_SECRETS.forms = [...SECRETS.values()].flat();
}

/** What is given. */
export interface Token {
  readonly accessToken: string;
  /** Milliseconds since the epoch; where they are not said, it holds until it is refused. */
  readonly issuedAt: number;
  readonly expiresAt?: number | undefined;
  readonly refreshToken?: string | undefined;
  readonly scope?: string | undefined;
}

/** Bytes of an answer. */
export const MOST_TOKEN_ANSWER = 64 * 1024;

/** No token is given. The message is the end of a sentence, foreign text in it cut and quoted. */
export class TokenError extends Error {
  override readonly name = "TokenError";
  constructor(
    message: string,
    /** The `error` of the answer, where there is one. */
    readonly code?: string,
    /** Asking again would change nothing (the rest passes, perhaps). */
    readonly isFinal: boolean = false,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

const FINAL: readonly string[] = ["invalid_grant", "invalid_client", "unauthorized_client"];

/** No token lives longer, in seconds. */
const LONGEST = 10 * 365 * 86_400;

/** @throws {TokenError} */
export async function requestToken(
  { endpoint, client, params }: TokenRequest,
  fetch: FetchDocument,
  now: () => number = Date.now,
): Promise<Token> {
  const headers: Record<string, string> = {
    accept: "application/json",
    "content-type": "application/x-www-form-urlencoded",
  };
  const body = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    if (value !== undefined) body.set(name, value);
  }
  const { id, secret = "", auth } = client;
  if (auth === "basic") {
    // RFC 6749, section 2.3.1: encoded first, though not as strictly as in forms.
    const pair = `${encodeURIComponent(id)}:${encodeURIComponent(secret)}`;
    headers["authorization"] = `Basic ${new TextEncoder().encode(pair).toBase64()}`;
  } else body.set("client_id", id);
  if (auth === "post") body.set("client_secret", secret);
  if (auth === "private_key_jwt") {
    body.set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    body.set("client_assertion", await assertion(endpoint, id, secret, now()));
  }
  const { origin } = new URL(endpoint);
  let response: Response;
  let text: string;
  try {
    response = await fetch(endpoint, { method: "POST", headers, body: String(body) });
    text = await response.text();
  } catch (cause) {
    throw new TokenError(`${origin} could not be reached: ${messageOf(cause)}`, undefined, false, {
      cause,
    });
  }
  return tokenIn(origin, response.status, parsedObject(text), now());
}

function tokenIn(
  origin: string,
  status: number,
  answer: JsonObject | undefined,
  at: number,
): Token {
  const { error, error_description: why, access_token: accessToken } = answer ?? {};
  if (typeof error === "string" && error !== "") {
    const code = printable(snippet(error));
    const words = typeof why === "string" ? `: ${JSON.stringify(printable(snippet(why)))}` : "";
    const said = `${origin} answered ${JSON.stringify(code)}${words}`;
    throw new TokenError(said, code, FINAL.includes(error));
  }
  if (status < 200 || status > 299) throw new TokenError(`${origin} answered HTTP ${status}`);
  if (typeof accessToken !== "string" || !/^[\x21-\x7E]+$/.test(accessToken)) {
    throw new TokenError(`${origin} answered without a token`);
  }
  const { token_type: type, expires_in: life, refresh_token: refresh, scope } = answer!;
  if (typeof type === "string" && type !== "" && type.toLowerCase() !== "bearer") {
    const given = JSON.stringify(printable(snippet(type)));
    throw new TokenError(`${origin} gives tokens of another type, ${given}`);
  }
  const seconds = Math.min(Number(life ?? 0), LONGEST);
  const refreshToken = typeof refresh === "string" && refresh !== "" ? refresh : undefined;
  keepSecret(accessToken);
  if (refreshToken !== undefined) keepSecret(refreshToken);
  return {
    accessToken,
    issuedAt: at,
    expiresAt: seconds > 0 ? at + seconds * 1_000 : undefined,
    refreshToken,
    scope: typeof scope === "string" ? scope : undefined,
  };
}

/** Seconds an assertion holds. */
const ASSERTION_LIFE = 60;

/** RFC 7523: who holds the key has signed that this client asks there. */
async function assertion(
  endpoint: string,
  id: string,
  key: string,
  now: number,
): Promise<string> {
  const [{ SignJWT }, { createPrivateKey }] = await Promise.all([
    import("jose/jwt/sign"),
    import("node:crypto"),
  ]);
  const given = parsedObject(key);
  let jwk: JsonObject;
  try {
    jwk = given ?? createPrivateKey(key).export({ format: "jwk" }) as JsonObject;
  } catch (error) {
    throw new TokenError('"privateKey" is neither PEM nor JWK', "invalid_key", true, {
      cause: error,
    });
  }
  const at = Math.floor(now / 1_000);
  return await new SignJWT({})
    .setProtectedHeader({
      alg: algorithmOf(jwk),
      ...(typeof jwk.kid === "string" ? { kid: jwk.kid } : {}),
    })
    .setIssuer(id).setSubject(id).setAudience(endpoint)
    .setIssuedAt(at).setExpirationTime(at + ASSERTION_LIFE).setJti(crypto.randomUUID())
    .sign(jwk as never);
}

const CURVES: Readonly<Record<string, string>> = {
  "P-256": "ES256",
  "P-384": "ES384",
  "P-521": "ES512",
  Ed25519: "EdDSA",
};

function algorithmOf({ alg, crv }: JsonObject): string {
  return typeof alg === "string" ? alg : CURVES[String(crv)] ?? "RS256";
}

/** What a `WWW-Authenticate` says of what is missing: RFC 6750, section 3. */
export function challengeIn(header: string | null): { readonly error?: string; scope?: string } {
  const text = (header ?? "").slice(0, 8_192);
  const param = (name: string) =>
    new RegExp(`(?:^|[\\s,])${name}\\s*=\\s*(?:"([^"]*)"|([^\\s,"]+))`, "i").exec(text)?.slice(1)
      .find((one) => one !== undefined);
  const [error, scope] = [param("error"), param("scope")];
  return { ...(error === undefined ? {} : { error }), ...(scope === undefined ? {} : { scope }) };
}

/** Whether it is a challenge that a login answers. */
export function wantsBearer(header: string | null): boolean {
  return /(^|[\s,])(bearer\b|resource_metadata\s*=)/i.test((header ?? "").slice(0, 8_192));
}
