/** Tells entries that lead to this gateway: to import one would be a loop. Pure. */

import { isObject } from "../../lib/json.ts";

/** Whether an entry of a client, in its words or in ours, leads to a gateway at one of `urls`. */
export function leadsToGateway(entry: unknown, urls: readonly string[]): boolean {
  if (!isObject(entry)) return false;
  const addresses = [entry.url, entry.serverUrl, entry.httpUrl];
  const args = Array.isArray(entry.args) ? entry.args : [];
  if (startsGateway(entry.command, args)) return true;
  return [...addresses, ...args].some((text) =>
    typeof text === "string" && urls.some((url) => isBelow(text, url))
  );
}

/** Whether an entry under the gateway's own name is one that `connect` has written. */
export function isConnection(entry: unknown): boolean {
  if (!isObject(entry)) return false;
  const args = Array.isArray(entry.args) ? entry.args : [];
  if (args.at(-2) === "bridge" && isAddress(args.at(-1))) return true;
  return [entry.url, entry.serverUrl, entry.httpUrl].some(isAddress);
}

function isAddress(text: unknown): boolean {
  return typeof text === "string" && /\/mcp$/.test(URL.parse(text)?.pathname ?? "");
}

/** `mcproxy …`, or `deno run -A main.ts bridge …`. */
function startsGateway(command: unknown, args: readonly unknown[]): boolean {
  if (typeof command !== "string") return false;
  const words = [command, ...args].map((word) => typeof word === "string" ? word : "");
  if (/(?:^|[\\/])mcproxy(?:\.exe)?$/.test(command)) return true;
  const at = words.findIndex((word) => /(?:^|[\\/])(?:main\.[jt]s|mcproxy)$/.test(word));
  return at !== -1 && ["bridge", "--stdio"].some((word) => words.indexOf(word, at) !== -1);
}

function isBelow(text: string, gateway: string): boolean {
  const [one, other] = [URL.parse(text), URL.parse(gateway)];
  if (one === null || other === null || portOf(one) !== portOf(other)) return false;
  if (hostOf(one) !== hostOf(other)) return false;
  const base = other.pathname.replace(/\/mcp\/?$/, "").replace(/\/$/, "");
  const path = one.pathname;
  if (path !== base && !path.startsWith(`${base}/`)) return false;
  return /^\/?$|^\/(mcp|sse|messages|servers|profiles|gated|ungated)(\/|$)/.test(
    path.slice(base.length),
  );
}

function portOf({ port, protocol }: URL): string {
  return port || (protocol === "https:" ? "443" : "80");
}

/** All names of this machine are one. */
function hostOf({ hostname }: URL): string {
  return /^(localhost|127(\.\d+){3}|0\.0\.0\.0|\[::1?\])$/.test(hostname) ? "localhost" : hostname;
}
