/** The `auth` of a server: by what it is told who asks. */

import * as v from "valibot";
import { attempt, isObject } from "../lib/json.ts";
import { isSecure } from "../lib/text.ts";
import type { RawObject } from "./document.ts";
import {
  about,
  type Checked,
  choice,
  chosen,
  httpUrl,
  notArray,
  optional,
  text,
} from "./schema-parts.ts";
import { members } from "./schema-shaping.ts";
import type { IssueCollector } from "./validate.ts";

const SAFE_HINT = 'a URL of https, or of http on loopback, such as "https://id.example.com"';

/** What is sent in the clear is anybody's, and whoever answers there may be anybody. */
function isSafe(value: string): boolean {
  const url = URL.parse(value);
  return url !== null && url.username === "" && url.hash === "" && isSecure(url);
}

function safeUrl(description: string, example: string) {
  return v.pipe(httpUrl, v.check(isSafe, SAFE_HINT), v.metadata(about(description, example)));
}

const SCOPE_HINT = 'scopes with blanks between, such as "read write"';

const shared = optional({
  scope: v.pipe(
    v.string(SCOPE_HINT),
    // RFC 6749, section 3.3.
    v.regex(/^[\x21\x23-\x5B\x5D-\x7E]+( [\x21\x23-\x5B\x5D-\x7E]+)*$/, SCOPE_HINT),
    v.maxLength(2_048, "at most 2048 characters"),
    v.metadata(about("What is asked for, where the server does not say it.", "read write")),
  ),
  resource: v.pipe(
    v.union([v.pipe(v.string(), v.nonEmpty()), v.literal(false)], "a string, or false"),
    v.metadata(about(
      "What the token is for: the address of the server by default; false says nothing of it.",
      "https://example.com/mcp",
      false,
    )),
  ),
});

const clientId = text("The name of the gateway at the issuer.", "mcproxy");
const clientSecret = text("The secret of that client.", "${CLIENT_SECRET}");

/** Where a login may come back to. */
export const redirectUrl = v.pipe(
  v.string("a string"),
  v.check(
    (value) => isSafe(value) && URL.parse(value)?.protocol === "http:",
    'a URL on loopback, of http, such as "http://127.0.0.1:8765/callback"',
  ),
  v.metadata(about(
    "Where a login comes back to, for issuers that want to know it before.",
    "http://127.0.0.1:8765/callback",
  )),
);

const oauth = v.pipe(
  members({
    type: v.literal("oauth"),
    ...optional({
      clientId,
      clientSecret,
      clientUrl: safeUrl(
        "Address of a document about the client, for issuers that take one instead of a name.",
        "https://mcp.example.com/.well-known/mcproxy-client.json",
      ),
      redirect: redirectUrl,
      issuer: safeUrl(
        "Who gives the tokens, where the server does not say it.",
        "https://id.example.com",
      ),
      per: choice(["user"], "Whose the login is: user for one of each user, else one is for all."),
    }),
    ...shared,
  }),
  v.check(
    ({ clientId, clientSecret }) => clientSecret === undefined || clientId !== undefined,
    '"clientId" beside "clientSecret"',
  ),
  v.check(
    ({ clientSecret, issuer }) => clientSecret === undefined || issuer !== undefined,
    '"issuer" beside "clientSecret", which is shown to nobody else',
  ),
  v.check(
    ({ clientId, clientUrl }) => clientId === undefined || clientUrl === undefined,
    '"clientId" or "clientUrl", not both',
  ),
);

const clientCredentials = v.pipe(
  members({
    type: v.literal("client-credentials"),
    issuer: safeUrl("Who gives the tokens.", "https://id.example.com"),
    clientId,
    ...optional({
      clientSecret,
      privateKey: text(
        "The key that signs for the client, instead of a secret: PEM (PKCS #8) or a JWK.",
        "${file:/etc/mcproxy/key.pem}",
      ),
    }),
    ...shared,
  }),
  v.check(
    ({ clientSecret, privateKey }) => (clientSecret === undefined) !== (privateKey === undefined),
    'either "clientSecret" or "privateKey"',
  ),
);

const loginOption = chosen(
  v.union([oauth, clientCredentials]),
  ({ value }) => (value as { type?: unknown }).type === "oauth" ? oauth : clientCredentials,
);

/** Credentials as they are sent: `user:password` encoded, or what is encoded already. */
function basicCredentials(text: string): string | undefined {
  // RFC 7617, section 2.1: UTF-8, then Base64.
  if (text.includes(":")) return new TextEncoder().encode(text).toBase64();
  return attempt(() => atob(text))?.includes(":") ? text : undefined;
}

const AUTH_TYPES = ["bearer", "basic", "oauth", "client-credentials"] as const;
const fixedAuth = v.pipe(
  notArray(v.strictObject({
    type: choice(AUTH_TYPES, "How the server is told who asks."),
    token: v.optional(text("What bearer sends.", "${TOKEN}")),
    credentials: v.optional(v.pipe(
      v.string("a string"),
      v.check(
        (value) => basicCredentials(value) !== undefined,
        'a user name and a password, "user:password"',
      ),
      v.metadata(about('What basic sends: "user:password".', "me:${PASSWORD}")),
    )),
  }, 'an object with "type", and "token" or "credentials"')),
  v.check(
    ({ type, token, credentials }) =>
      type === "bearer"
        ? token !== undefined && credentials === undefined
        : credentials !== undefined && token === undefined,
    '"token" for "bearer", "credentials" for "basic"',
  ),
  v.transform(({ type, token = "", credentials = "" }) => ({
    /** The value of the `Authorization` header that it stands for. */
    header: type === "bearer"
      ? `Bearer ${token}`
      : `Basic ${basicCredentials(credentials) ?? credentials}`,
  })),
);

/** How a server is told who asks. */
export const serverAuthOption = v.pipe(
  chosen(
    v.union([fixedAuth, loginOption]),
    ({ value }) =>
      isObject(value) && /^(oauth|client-credentials)$/.test(String(value.type))
        ? loginOption
        : fixedAuth,
  ),
  v.metadata(about(
    "How it is told who asks: by a header, a login, or tokens of the gateway's own.",
    { type: "bearer", token: "${TOKEN}" },
    { type: "oauth" },
  )),
);

/** By a login that a person has made, or by what the gateway itself is given tokens for. */
export type LoginConfig = Checked<typeof loginOption>;

/** {@link LoginConfig} where people log in. */
export type OAuthConfig = Extract<LoginConfig, { readonly type: "oauth" }>;

/** {@link LoginConfig} of a gateway that is known by name to who gives the tokens. */
export type ClientConfig = Extract<LoginConfig, { readonly type: "client-credentials" }>;

/** What the login of a server needs beside itself; `hasUsers` is whether the file has `auth`. */
export function checkServerAuth(
  raw: RawObject,
  collector: IssueCollector,
  hasUsers: boolean,
): void {
  const { auth, cache } = raw;
  if (auth === undefined) return;
  if (isObject(auth) && auth["per"] === "user") {
    if (!hasUsers) {
      collector.error(["auth", "per"], 'without "auth" nobody can be told from anybody else', {
        remedy: 'add "auth" beside "mcpServers"; or leave "per" out, and one login is for all',
      });
    }
    for (const [tools, rule] of Object.entries(isObject(cache) ? cache : {})) {
      if (!isObject(rule) || rule["public"] !== true) continue;
      collector.error(["cache", tools, "public"], 'found results for everybody beside "per"', {
        remedy: "leave it out: what one user is told is for nobody else",
      });
    }
  }
  const header = Object.keys(raw["headers"] ?? {}).find((name) => /^authorization$/i.test(name));
  if (header === undefined) return;
  collector.error(["auth"], `found both "auth" and the header "${header}", expected one`, {
    part: "key",
    remedy: "keep one of them",
  });
}
