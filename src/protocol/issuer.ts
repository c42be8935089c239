/**
 * What an authorization server says about itself (RFC 8414, OpenID Connect Discovery), and how the
 * documents of one are read: bounded in bytes and time, without being led elsewhere. And what it is
 * told of clients like us.
 */

import { joinBytes, type JsonObject, parsedObject } from "../lib/json.ts";
import { messageOf, quoted } from "../lib/text.ts";

/** `fetch`, or what stands in for it. */
export type FetchDocument = (url: string, init: RequestInit) => Promise<Response>;

/** How a gateway, or its user, is known where a client has no secret (RFC 7591). */
export const PUBLIC_CLIENT = {
  client_name: "mcproxy",
  grant_types: ["authorization_code", "refresh_token"],
  response_types: ["code"],
  token_endpoint_auth_method: "none",
  application_type: "native",
};

/** Bytes of a document. */
export const MOST_DOCUMENT = 256 * 1024;
/** Milliseconds until a document must be there. */
const PATIENCE = 10_000;

/**
 * The JSON object at a URL, or why what is there is none, as the end of a sentence.
 * @throws {Error} where nothing answers in time
 */
export async function readDocument(
  url: string,
  fetch: FetchDocument,
): Promise<JsonObject | string> {
  const signal = AbortSignal.timeout(PATIENCE);
  const headers = { accept: "application/json" };
  const response = await fetch(url, { headers, redirect: "error", signal });
  if (response.status !== 200) {
    response.body?.cancel().catch(() => {});
    return `${url} answers ${response.status}`;
  }
  const bytes = await bytesIn(response.body ?? [], MOST_DOCUMENT);
  if (bytes === undefined) return `${url} has more than ${MOST_DOCUMENT} bytes`;
  return parsedObject(new TextDecoder().decode(bytes)) ?? `${url} has no JSON object`;
}

/** All bytes of a body, undefined where there are more than `most`. */
export async function bytesIn(
  body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  most: number,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    chunks.push(chunk);
    size += chunk.length;
    // The loop lets the rest go.
    if (size > most) return undefined;
  }
  return joinBytes(chunks, size);
}

/** Where an issuer's metadata may be, in the order the MCP specification asks for them. */
export function metadataUrls(issuer: string): readonly string[] {
  const { origin, pathname } = new URL(issuer);
  const path = pathname.replace(/\/+$/, "");
  return [
    ...new Set([
      `${origin}/.well-known/oauth-authorization-server${path}`,
      `${origin}/.well-known/openid-configuration${path}`,
      `${origin}${path}/.well-known/openid-configuration`,
    ]),
  ];
}

/** The metadata of an issuer. @throws {Error} which says why there are none, as the end of a sentence */
export async function issuerMetadata(issuer: string, fetch: FetchDocument): Promise<JsonObject> {
  let why = "";
  for (const url of metadataUrls(issuer)) {
    const found = await readDocument(url, fetch).catch((cause) => {
      throw new Error(`${issuer} could not be reached: ${messageOf(cause)}`, { cause });
    });
    if (typeof found === "string") why ||= found;
    // Whoever may speak for another could let in anybody (RFC 8414, section 3.3).
    else if (found.issuer === issuer) return found;
    else why = `${url} is of the issuer ${quoted(String(found.issuer))}`;
  }
  throw new Error(why);
}

/** The address of a server as its tokens name it: what is secret in it is nobody's business. */
export function resourceOf(url: string): string {
  const { origin, pathname } = new URL(url);
  return origin + (pathname === "/" ? "" : pathname);
}

/** As what logins to a server at this address are kept: they are for any query, and end of its path. */
export function loginAddress(url: string): string {
  return resourceOf(url).replace(/\/+$/, "");
}
