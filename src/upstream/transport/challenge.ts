/** What a refusal says of who may ask. */

import type { ServerCredential } from "./transport.ts";

const MOST_CHALLENGE = 8_192;

/** What a `WWW-Authenticate` says of what is missing: RFC 6750, section 3. */
export function challengeIn(header: string | null): { error?: string; scope?: string } {
  const found = (header ?? "").slice(0, MOST_CHALLENGE)
    .matchAll(/(?<![^\s,])(error|scope)\s*=\s*(?:"([^"]*)"|([^\s,"]+))/gi);
  const told = Array.from(found, ([, name = "", one, other = one]) => [name.toLowerCase(), other]);
  return Object.fromEntries(told);
}

/** Whether it is a challenge that a login answers. */
export function wantsBearer(header: string | null): boolean {
  return /(^|[\s,])(bearer\b|resource_metadata\s*=)/i.test((header ?? "").slice(0, MOST_CHALLENGE));
}

/** What is said of a refusal to a login, or that tells where its tokens come from (RFC 9728). */
export function loginWords(
  { status, headers }: Response,
  login: ServerCredential | undefined,
): string | undefined {
  if (status === 403 && login !== undefined) {
    return login.isOwn
      ? 'access denied; see "scope" and "resource" in its "auth"'
      : "access denied; its login lacks rights, or is that of another account";
  }
  if (status !== 401) return undefined;
  if (login?.isOwn) {
    return `it does not take the gateway's token; see "scope" and "resource" in its "auth"`;
  }
  return /resource_metadata/i.test(headers.get("www-authenticate") ?? "")
    ? "it wants a login by OAuth; set headers.Authorization to a token of it"
    : undefined;
}
