/**
 * Stands between the gateway and URLs that its configuration does not contain: who names them may
 * want it to ask somebody whom only the gateway reaches.
 */

import type { LookupAddress } from "node:dns";
import { lookup } from "node:dns/promises";
import { type IncomingMessage, request as overHttp } from "node:http";
import { request as overHttps } from "node:https";
import { BlockList, isIP } from "node:net";
import process from "node:process";
import { printable, snippet } from "../../lib/text.ts";
import { bytesIn, type FetchDocument, MOST_DOCUMENT } from "../../protocol/issuer.ts";
import { viaProxy } from "../transport/http-client.ts";
import { unlessAborted } from "../transport/sendings.ts";

/** Where an address may be, the most private first; `nobody`'s are no machine's. */
const ZONES = ["nobody", "link-local", "loopback", "private", "public"] as const;

/** Whom an address belongs to. */
export type Zone = typeof ZONES[number];

const BLOCKS: readonly (readonly [Zone, string])[] = [
  ["link-local", "169.254.0.0/16 fe80::/10"],
  ["loopback", "127.0.0.0/8 0.0.0.0/8"],
  ["private", "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 100.64.0.0/10 192.0.0.0/24 198.18.0.0/15"],
  ["private", "fc00::/7 fec0::/10 64:ff9b:1::/48"],
  // Tunnels (6to4, Teredo) are gone, and lead wherever who names them wants.
  ["nobody", "224.0.0.0/4 240.0.0.0/4 ff00::/8 2001::/32 2002::/16"],
];

/** Before an address of IPv4 that is written as one of IPv6: mapped, compatible, translated. */
const CLOTHES = ["::ffff:", "::", "::ffff:0:", "64:ff9b::"];

const LISTS = BLOCKS.map(([zone, blocks]) => {
  const list = new BlockList();
  for (const block of blocks.split(" ")) {
    const [address = "", size] = block.split("/");
    if (address.includes(":")) list.addSubnet(address, Number(size), "ipv6");
    else for (const one of CLOTHES) list.addSubnet(one + address, 96 + Number(size), "ipv6");
  }
  return [zone, list] as const;
});

/** The zone of an IP address, `nobody` for what is none. */
export function zoneOf(address: string): Zone {
  const [bare = ""] = address.replace(/^\[|\]$/g, "").split("%");
  const version = isIP(bare);
  if (version === 0) return "nobody";
  const v6 = version === 4 ? CLOTHES[0] + bare : bare;
  return LISTS.find(([, list]) => list.check(v6, "ipv6"))?.[0] ?? "public";
}

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
  throw new ForbiddenUrlError(`${JSON.stringify(printable(snippet(url.origin)))} ${why}`);
}

const PATIENCE = 10_000;
const MOST_REDIRECTS = 3;

/**
 * `fetch` for what others have named, with everything about it bounded, and the whole answer in
 * memory. See {@link judgeUrl}; an address that was looked at is the one that is connected to, but
 * where a proxy is on the way, which resolves names itself.
 */
export function guardedFetch(trusted: readonly string[], world: World = {}): FetchDocument {
  const ask = async (url: URL, init: Asking, redirects = 0): Promise<Response> => {
    const addresses = await judgeUrl(url, trusted, world);
    init.signal.throwIfAborted();
    const { status, headers, body } = viaProxy(url, world.env ?? process.env) === ""
      ? await connected(url, addresses, init)
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
  return (address, init) => {
    const signal = AbortSignal.any([init.signal ?? [], AbortSignal.timeout(PATIENCE)].flat());
    return unlessAborted(ask(new URL(address), { ...init, signal }), signal);
  };
}

type Asking = RequestInit & { readonly signal: AbortSignal };

/** What is answered over a connection to one of these addresses, and to no other. */
async function connected(url: URL, addresses: readonly LookupAddress[], init: Asking) {
  const { method = "GET", headers, body, signal } = init;
  const { address, family } = addresses[0]!;
  const sent = (url.protocol === "https:" ? overHttps : overHttp)(url, {
    method,
    signal,
    agent: false,
    headers: { ...Object.fromEntries(new Headers(headers)), "accept-encoding": "identity" },
    lookup: (_, { all }, callback) =>
      all ? callback(null, [...addresses]) : callback(null, address, family),
  });
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  sent.on("response", resolve).on("error", reject).on("upgrade", (_, socket) => {
    socket.destroy();
    reject(new ForbiddenUrlError("the answer is of another protocol"));
  });
  sent.end(body === undefined || body === null ? undefined : String(body));
  const answer = await promise;
  const told = answer.headers as Record<string, string>;
  return { status: answer.statusCode ?? 0, headers: new Headers(told), body: answer };
}
