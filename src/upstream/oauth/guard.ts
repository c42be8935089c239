/**
 * Stands between the gateway and URLs that its configuration does not contain: who names them may
 * want it to ask somebody whom only the gateway reaches.
 */

import { lookup } from "node:dns/promises";
import { request as overHttp, type RequestOptions } from "node:http";
import { request as overHttps } from "node:https";
import { BlockList, isIP } from "node:net";
import process from "node:process";
import { joinBytes } from "../../lib/json.ts";
import { printable, snippet } from "../../lib/text.ts";
import type { FetchDocument } from "../../protocol/issuer.ts";
import { viaProxy } from "../transport/http-client.ts";
import { unlessAborted } from "../transport/sendings.ts";

/** Where an address may be, the most private first. */
const ZONES = ["link-local", "loopback", "private", "public"] as const;

/** Whom an address belongs to; `nobody` for those that are no machine's. */
export type Zone = typeof ZONES[number] | "nobody";

const BLOCKS: readonly (readonly [Zone, readonly string[]])[] = [
  ["link-local", ["169.254.0.0/16", "fe80::/10"]],
  ["loopback", ["127.0.0.0/8", "0.0.0.0/8", "::/127"]],
  ["private", ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "192.0.0.0/24"]],
  ["private", ["198.18.0.0/15", "fc00::/7", "fec0::/10", "64:ff9b:1::/48"]],
  ["nobody", ["224.0.0.0/4", "240.0.0.0/4", "ff00::/8", "2001::/32"]],
];

const LISTS = BLOCKS.map(([zone, blocks]) => {
  const list = new BlockList();
  for (const block of blocks) {
    const [address = "", size] = block.split("/");
    list.addSubnet(address, Number(size), address.includes(":") ? "ipv6" : "ipv4");
  }
  return [zone, list] as const;
});

/** The zone of an IP address, `nobody` for what is none. */
export function zoneOf(address: string): Zone {
  const [bare = ""] = address.replace(/^\[|\]$/g, "").split("%");
  const version = isIP(bare);
  if (version === 0) return "nobody";
  const inner = version === 6 ? innerAddress(bare) : undefined;
  if (inner !== undefined) return zoneOf(inner);
  const family = version === 4 ? "ipv4" : "ipv6";
  return LISTS.find(([, list]) => list.check(bare, family))?.[0] ?? "public";
}

/** The IPv4 address that one of IPv6 stands for: mapped, compatible, translated or tunnelled. */
function innerAddress(address: string): string | undefined {
  const text = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const [head = [], tail = []] = text.split("::").map((half) => half === "" ? [] : half.split(":"));
  const zeros = Array.from({ length: 8 - head.length - tail.length }, () => "0");
  const groups = [...head, ...zeros, ...tail].map((group) => Number.parseInt(group, 16));
  const start = groups.slice(0, 6).join(":");
  const v4 = (high = 0, low = 0) => [high >> 8, high & 255, low >> 8, low & 255].join(".");
  if (groups[0] === 0x2002) return v4(groups[1], groups[2]);
  const isInner = ["0:0:0:0:0:65535", "0:0:0:0:65535:0", "100:65435:0:0:0:0"].includes(start) ||
    (start === "0:0:0:0:0:0" && (groups[6] !== 0 || groups[7]! > 1));
  return isInner ? v4(groups[6], groups[7]) : undefined;
}

/** Addresses of a host, as the system knows them. @throws {Error} where it knows none */
export type Resolve = (host: string) => Promise<readonly string[]>;

const systemResolve: Resolve = async (host) =>
  (await lookup(host, { all: true })).map(({ address }) => address);

/** What must not be asked. Its message is the end of a sentence. */
export class ForbiddenUrlError extends Error {
  override readonly name = "ForbiddenUrlError";
}

/**
 * Why a URL must not be asked, whose host has these addresses; undefined where it may be. `least` is
 * the most private zone it may lead to.
 */
export function whyForbidden(
  url: URL,
  addresses: readonly string[],
  least: Zone,
): string | undefined {
  const where = JSON.stringify(printable(snippet(url.origin)));
  const zones = addresses.map(zoneOf);
  if (url.username !== "" || url.password !== "") return `${where} has a user name in its URL`;
  const isLocal = zones.length > 0 && zones.every((zone) => zone === "loopback");
  if (url.protocol !== "https:" && !(url.protocol === "http:" && isLocal)) {
    return `${where} is not encrypted; expected https, or http on loopback`;
  }
  const most = ZONES.indexOf(least as never);
  const wrong = zones.find((zone) => most < 0 || ZONES.indexOf(zone as never) < most);
  if (wrong !== undefined) return `${where} leads to a ${wrong} address`;
  return zones.length === 0 ? `${where} is an unknown host` : undefined;
}

/** What a {@link guardedFetch} is made of. */
export interface GuardOptions {
  /** Bytes of an answer. @default 256 KiB */
  readonly limit?: number;
  readonly resolve?: Resolve;
  readonly env?: Readonly<Record<string, string | undefined>>;
}

const MOST_BYTES = 256 * 1024;
const PATIENCE = 10_000;
const MOST_REDIRECTS = 3;

/**
 * `fetch` for what others have named, with everything about it bounded, and the whole answer in
 * memory. It reaches addresses no more private than those of the URLs in `trusted`, which the
 * configuration contains; of a host that has several kinds, the most public counts. An address that
 * was looked at is the one that is connected to, but where a proxy is on the way, which resolves
 * names itself.
 */
export function guardedFetch(
  trusted: readonly string[],
  { limit = MOST_BYTES, resolve = systemResolve, env = process.env }: GuardOptions = {},
): FetchDocument {
  const addressesOf = async (url: URL): Promise<readonly string[]> => {
    const host = url.hostname.replace(/^\[|\]$/g, "");
    return isIP(host) === 0 ? await resolve(host) : [host];
  };
  let least: Promise<Zone> | undefined;
  const leastZone = async (): Promise<Zone> => {
    const levels = await Promise.all(trusted.map(async (url) => {
      const zones = (await addressesOf(new URL(url))).map((one) =>
        ZONES.indexOf(zoneOf(one) as never)
      );
      return zones.length === 0 ? ZONES.length - 1 : Math.max(...zones);
    }));
    return ZONES[Math.max(0, Math.min(...levels, ZONES.length - 1))]!;
  };
  const one = async (url: URL, init: RequestInit, signal: AbortSignal): Promise<Response> => {
    least ??= leastZone().catch((error) => (least = undefined, Promise.reject(error)));
    const proxied = viaProxy(url, env) !== "";
    const addresses = proxied && isIP(url.hostname.replace(/^\[|\]$/g, "")) === 0
      ? ["8.8.8.8"]
      : await addressesOf(url);
    const why = whyForbidden(url, addresses, await least);
    if (why !== undefined) throw new ForbiddenUrlError(why);
    signal.throwIfAborted();
    return proxied
      ? await bounded(await fetch(url, { ...init, redirect: "manual", signal }), limit)
      : await connected(url, addresses, init, limit, signal);
  };
  return async (address, init) => {
    const timeout = AbortSignal.timeout(PATIENCE);
    const signal = init.signal ? AbortSignal.any([init.signal, timeout]) : timeout;
    const first = new URL(address);
    let url = first;
    for (let redirects = 0;; redirects++) {
      const response = await unlessAborted(one(url, init, signal), signal);
      const location = response.headers.get("location");
      if (response.status < 300 || response.status > 399 || location === null) return response;
      const next = URL.parse(location, url);
      // What is posted is for the one who was named, and has a secret in it.
      if (next?.origin !== first.origin || redirects === MOST_REDIRECTS || init.method === "POST") {
        throw new ForbiddenUrlError(`${first.origin} redirects to elsewhere, or too often`);
      }
      url = next;
    }
  };
}

const tooMuch = (limit: number) => new ForbiddenUrlError(`the answer has more than ${limit} bytes`);

async function bounded(response: Response, limit: number): Promise<Response> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    chunks.push(chunk);
    size += chunk.length;
    if (size > limit) throw tooMuch(limit);
  }
  return answer(response.status, response.headers, chunks, size);
}

function answer(status: number, headers: Headers, chunks: readonly Uint8Array[], size: number) {
  if (status < 200 || status > 599) throw new ForbiddenUrlError(`the answer has status ${status}`);
  const body = [204, 205, 304].includes(status) ? null : joinBytes(chunks, size);
  return new Response(body, { status, headers });
}

/** The request over a connection to one of these addresses, and to no other. */
function connected(
  url: URL,
  addresses: readonly string[],
  { method = "GET", headers, body }: RequestInit,
  limit: number,
  signal: AbortSignal,
): Promise<Response> {
  const { promise, resolve, reject } = Promise.withResolvers<Response>();
  const found = addresses.map((address) => ({ address, family: isIP(address) }));
  const options: RequestOptions = {
    method,
    signal,
    agent: false,
    headers: { ...Object.fromEntries(new Headers(headers)), "accept-encoding": "identity" },
    lookup: (_, { all }, callback) =>
      all ? callback(null, found) : callback(null, found[0]!.address, found[0]!.family),
  };
  const sent = (url.protocol === "https:" ? overHttps : overHttp)(url, options, (response) => {
    const chunks: Uint8Array[] = [];
    let size = 0;
    response.on("data", (chunk: Uint8Array) => {
      chunks.push(chunk);
      size += chunk.length;
      if (size > limit) sent.destroy(tooMuch(limit));
      if (size > limit) reject(tooMuch(limit));
    });
    response.on("error", reject);
    response.on("end", () => {
      try {
        const told = new Headers();
        for (const [name, value] of Object.entries(response.headers)) {
          told.set(name, [value ?? ""].flat().join(", "));
        }
        resolve(answer(response.statusCode ?? 0, told, chunks, size));
      } catch (error) {
        reject(error);
      }
    });
  });
  sent.on("error", reject);
  sent.end(body === undefined || body === null ? undefined : String(body));
  return promise;
}
