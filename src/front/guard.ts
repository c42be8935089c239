/**
 * Host and Origin checks against DNS rebinding (transports: security warning). A page on the web
 * can make a browser send requests to loopback; it cannot make it lie about Host and Origin.
 */

import { isLoopback } from "../lib/text.ts";
import { Header } from "../protocol/eras.ts";
import { Refusal } from "./reply.ts";

/** Who may talk to the listener. */
export interface RequestGuardOptions {
  /** The host the listener is bound to. */
  readonly boundHost: string;
  /** Further values of `Host`, without port. */
  readonly allowedHosts: readonly string[];
  /** Its host is one of them. */
  readonly publicUrl?: string | undefined;
  /** Further values of `Origin`, such as `https://inspector.example`, or `*`. */
  readonly allowedOrigins: readonly string[];
}

/** Checks one request's headers; throws a {@link Refusal} with 403. */
export type RequestGuard = (host: string | null, origin: string | null) => void;

/** Builds the check for one listener. */
export function createGuard({ publicUrl, ...given }: RequestGuardOptions): RequestGuard {
  const known = publicUrl === undefined ? [] : [new URL(publicUrl).hostname];
  const options = { ...given, allowedHosts: [...given.allowedHosts, ...known] };
  // Who was let in last: nearly all requests are of such.
  let lastHost: string | null | undefined;
  let lastOrigin: string | null | undefined;
  return (host, origin) => {
    if (host === lastHost && origin === lastOrigin) return;
    const verdict = objection(host, origin, options);
    if (verdict !== undefined) throw new Refusal(403, verdict);
    [lastHost, lastOrigin] = [host, origin];
  };
}

/** What is wrong with a pair of headers, or `undefined`. */
export function objection(
  host: string | null,
  origin: string | null,
  options: RequestGuardOptions,
): string | undefined {
  const name = host === null ? undefined : hostName(host);
  if (name === undefined || !hostAllowed(name, options)) {
    return `Host ${JSON.stringify(host ?? "")} is not allowed; add it to "allowedHosts"`;
  }
  // The page is its gateway's own, by whatever name it has been reached.
  const isOwn = origin !== null && URL.parse(origin)?.host === host!.trim().toLowerCase();
  if (origin === null || isOwn || originAllowed(origin, options)) return undefined;
  return `Origin ${JSON.stringify(origin)} is not allowed; add it to "allowedOrigins"`;
}

function hostAllowed(name: string, options: RequestGuardOptions): boolean {
  if (options.allowedHosts.some((allowed) => allowed.toLowerCase() === name)) return true;
  if (isLoopback(name)) return true;
  if (isLoopback(options.boundHost)) return false;
  // Rebinding needs a name that is resolved anew; an address cannot be rebound.
  return name === options.boundHost.toLowerCase() || isAddress(name);
}

/** True when `Origin` may read the answers; also decides about CORS headers. */
export function originAllowed(origin: string, options: RequestGuardOptions): boolean {
  if (options.allowedOrigins.includes("*") || options.allowedOrigins.includes(origin)) return true;
  const url = URL.parse(origin);
  if (url === null || (url.protocol !== "http:" && url.protocol !== "https:")) return false;
  const name = url.hostname.toLowerCase();
  return isLoopback(name) || options.allowedHosts.some((host) => host.toLowerCase() === name);
}

/** `Host` without its port, lower case; `undefined` for what is no host. */
function hostName(host: string): string | undefined {
  const match = /^(\[[0-9a-f:.]+\]|[^:/\s]+)(?::\d{1,5})?$/i.exec(host.trim());
  return match?.[1]?.toLowerCase();
}

function isAddress(host: string): boolean {
  return host.startsWith("[") || /^\d{1,3}(\.\d{1,3}){3}$/.test(host);
}

/**
 * True for a GET of another site's page that tells no origin, as that of an `<img>`: it must not open
 * a stream. Other methods tell it. Whoever follows a link may look at the dashboard.
 */
export function isForeignFetch(headers: Headers, path: string): boolean {
  if (headers.get("sec-fetch-site") !== "cross-site") return false;
  return headers.get("sec-fetch-dest") !== "document" || !/^\/(ui\/[^/]*)?$/.test(path);
}

// CORS for origins the guard has let through (loopback pages and `allowedOrigins`).

const ALLOWED = `content-type, accept, authorization, x-api-key, ${
  Object.values(Header).join(", ")
}`;
const EXPOSED = [Header.SessionId, Header.ProtocolVersion, "www-authenticate"].join(", ");

/** Names of headers, as many as a client may mean: `Mcp-Param-*` and its own. */
const HEADER_NAMES = /^[\w!#$%&'*+.^`|~, -]{1,4096}$/;

/** Answers a preflight request of an allowed origin, which may send what headers it wants to. */
export function preflight(origin: string, wanted: string | null): Response {
  return new Response(null, {
    status: 204,
    headers: {
      "access-control-allow-origin": origin,
      "access-control-allow-methods": "GET, POST, DELETE",
      "access-control-allow-headers": HEADER_NAMES.test(wanted ?? "")
        ? `${ALLOWED}, ${wanted}`
        : ALLOWED,
      "access-control-max-age": "600",
      "vary": "origin, access-control-request-headers",
    },
  });
}

/** Lets a page of an allowed origin read the response, the session id included. */
export function corsHeaders(response: Response, origin: string): Response {
  response.headers.set("access-control-allow-origin", origin);
  response.headers.set("access-control-expose-headers", EXPOSED);
  response.headers.append("vary", "origin");
  return response;
}
