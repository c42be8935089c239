/**
 * Stands between the gateway and URLs that its configuration does not contain: who names them may
 * want it to ask somebody whom only the gateway reaches.
 */

import type { LookupAddress } from "node:dns";
import { lookup } from "node:dns/promises";
import { isIP, type LookupFunction } from "node:net";
import process from "node:process";
import { zoneOf, ZONES } from "../../lib/addresses.ts";
import { quoted } from "../../lib/text.ts";
import { bytesIn, type FetchDocument, MOST_DOCUMENT } from "../../protocol/issuer.ts";
import { type NodeRequest, nodeRequest } from "../../runtime/node/request.ts";
import { viaProxy } from "../transport/http-client.ts";
import { unlessAborted } from "../transport/sendings.ts";

const PUBLIC = ZONES.indexOf("public");
const rankOf = ({ address }: LookupAddress) => ZONES.indexOf(zoneOf(address));

/** What must not be asked. Its message is the end of a sentence. */
export class ForbiddenUrlError extends Error {
  override readonly name = "ForbiddenUrlError";
}

/** What a guard knows of the world. */
export interface World {
  /** Addresses of a host. @throws {Error} where there are none */
  readonly resolve?: (host: string) => Promise<readonly LookupAddress[]>;
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** What a proxy resolves is not known here; it counts as public. */
const BEYOND_PROXY = [{ address: "8.8.8.8", family: 4 }];

/**
 * The addresses that a URL may be asked at: none more private than those of the URLs in `trusted`,
 * which the configuration contains; of a host that has several kinds, the most public counts.
 * @throws {ForbiddenUrlError} where it may not
 */
export async function judgeUrl(
  url: URL,
  trusted: readonly string[],
  { resolve = (host) => lookup(host, { all: true }), env = process.env }: World = {},
): Promise<readonly LookupAddress[]> {
  const addressesOf = async (url: URL): Promise<readonly LookupAddress[]> => {
    const address = url.hostname.replace(/^\[|\]$/g, "");
    if (isIP(address) !== 0) return [{ address, family: isIP(address) }];
    return viaProxy(url, env) === "" ? await resolve(address).catch(() => []) : BEYOND_PROXY;
  };
  let least = PUBLIC;
  for (const one of trusted) {
    const ranks = (await addressesOf(new URL(one))).map(rankOf);
    least = Math.min(least, Math.max(0, ...ranks) || PUBLIC);
  }
  const addresses = await addressesOf(url);
  const ranks = addresses.map(rankOf);
  const isLocal = ranks.every((rank) => ZONES[rank] === "loopback");
  const lowest = Math.min(...ranks);
  let why: string | undefined;
  if (url.username !== "" || url.password !== "") why = "has a user name in its URL";
  else if (url.protocol !== "https:" && !(url.protocol === "http:" && isLocal)) {
    why = "is not encrypted; expected https, or http on loopback";
  } else if (lowest < least) why = `leads to a ${ZONES[lowest]} address`;
  else if (ranks.length === 0) why = "is an unknown host";
  if (why === undefined) return addresses;
  throw new ForbiddenUrlError(`${quoted(url.origin)} ${why}`);
}

const PATIENCE = 10_000;
const MOST_REDIRECTS = 3;

/**
 * `fetch` for what others have named, with everything about it bounded, and the whole answer in
 * memory. See {@link judgeUrl}; an address that was looked at is the one that is connected to, but
 * where a proxy is on the way, which resolves names itself.
 */
export function guardedFetch(trusted: readonly string[], world: World = {}): FetchDocument {
  const ask = async (url: URL, init: NodeRequest, redirects = 0): Promise<Response> => {
    const addresses = await judgeUrl(url, trusted, world);
    init.signal.throwIfAborted();
    const { status, headers, body } = viaProxy(url, world.env ?? process.env) === ""
      ? await nodeRequest(url, { ...init, lookup: leadingTo(addresses) })
      : await fetch(url, { ...init, redirect: "manual" });
    const bytes = await bytesIn(body ?? [], MOST_DOCUMENT);
    if (bytes === undefined) {
      throw new ForbiddenUrlError(`the answer has more than ${MOST_DOCUMENT} bytes`);
    }
    const location = headers.get("location");
    if (status < 300 || status > 399 || location === null) {
      return new Response(bytes.length === 0 ? null : bytes, { status, headers });
    }
    const next = URL.parse(location, url);
    // What is posted is for the one who was named, and has a secret in it.
    if (next?.origin !== url.origin || redirects === MOST_REDIRECTS || init.method === "POST") {
      throw new ForbiddenUrlError(`${url.origin} redirects to elsewhere, or too often`);
    }
    return ask(next, init, redirects + 1);
  };
  return (address, { method = "GET", headers, body, signal: given }) => {
    const signal = AbortSignal.any([given ?? [], AbortSignal.timeout(PATIENCE)].flat());
    const told = Object.fromEntries(new Headers(headers));
    const asked = { method, headers: told, signal, ...(body ? { body: String(body) } : {}) };
    return unlessAborted(ask(new URL(address), asked), signal);
  };
}

/** Every name leads to these. */
function leadingTo(addresses: readonly LookupAddress[]): LookupFunction {
  const { address, family } = addresses[0]!;
  return (_, { all }, callback) =>
    all ? callback(null, [...addresses]) : callback(null, address, family);
}
