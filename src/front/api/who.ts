/** Who may see what goes on. Pure. */

import { isLoopback } from "../../lib/text.ts";

/** What of somebody who asks counts. */
export interface Asker {
  readonly hasAuth: boolean;
  /** He has shown a credential, and what is asked for is given to him. */
  readonly isAdmitted: boolean;
  readonly mode: "auto" | "on" | "off";
  /** Where the connection comes from. */
  readonly address: string | undefined;
  readonly headers: Headers;
}

/** What a proxy in front says; one that says nothing looks like this machine. */
const FORWARDED = /^(?:(?:x-)?forwarded(?:-.*)?|via|x-real-ip|true-client-ip|cf-connecting-ip)$/;

/** Why somebody is shown nothing, as an HTTP status; undefined where he is. */
export function whyNot(
  { hasAuth, isAdmitted, mode, address = "", headers }: Asker,
): 403 | 404 | 503 | undefined {
  if (isAdmitted) return undefined;
  // He has passed before there was a door.
  if (hasAuth) return 503;
  if (mode !== "auto") return mode === "on" ? undefined : 404;
  const host = URL.parse(`http://${headers.get("host")}`)?.hostname ?? "";
  const isForwarded = [...headers.keys()].some((name) => FORWARDED.test(name));
  return isLoopback(address) && isLoopback(host) && !isForwarded ? undefined : 403;
}

/** Whether a page of somebody else asks: it may be let in elsewhere, but never here. */
export function isOthersPage(headers: Headers, publicUrl: string | undefined): boolean {
  const site = headers.get("sec-fetch-site");
  if (site !== null && site !== "same-origin" && site !== "none") return true;
  const origin = headers.get("origin");
  if (origin === null) return false;
  const { host, origin: asked } = URL.parse(origin) ?? {};
  const isOwn = host !== undefined && host === headers.get("host")?.toLowerCase();
  return !isOwn && (publicUrl === undefined || asked !== new URL(publicUrl).origin);
}
