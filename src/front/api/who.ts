/** Who may see what goes on. Pure. */

import type { Settings } from "../../config/types.ts";
import { isLoopback } from "../../lib/text.ts";
import { ApiError } from "./ask.ts";

/** What of somebody who asks counts, and of the configuration. */
export interface Asker {
  readonly settings: Pick<Settings, "auth" | "publicUrl" | "dashboard">;
  /** He has shown a credential, and what is asked for is given to him. */
  readonly isAdmitted: boolean;
  /** Where the connection comes from. */
  readonly address: string | undefined;
  readonly headers: Headers;
}

/** What a proxy in front says; one that says nothing looks like this machine. */
const FORWARDED = /^(?:(?:x-)?forwarded(?:-.*)?|via|x-real-ip|true-client-ip|cf-connecting-ip)$/;

const CLOSED =
  'This is for who is on this machine; set "dashboard" to "on" where the network, or a ' +
  'proxy in front, decides who reaches the gateway, or let people in by "auth"';

/** Why somebody is shown nothing; undefined where he is. */
export function whyNot(
  { settings, isAdmitted, address = "", headers }: Asker,
): ApiError | undefined {
  const { auth, publicUrl, dashboard: { mode } } = settings;
  if (isOthersPage(headers, publicUrl)) {
    return new ApiError(403, "forbidden", "Pages of other sites are not allowed here");
  }
  if (isAdmitted || (auth === undefined && mode === "on")) return undefined;
  // He has passed before there was a door.
  if (auth !== undefined) return new ApiError(503, "renewing", "Another configuration is taken on");
  if (mode === "off") return new ApiError(404, "not_found", 'There is no dashboard: it is "off"');
  const host = URL.parse(`http://${headers.get("host")}`)?.hostname ?? "";
  const isForwarded = [...headers.keys()].some((name) => FORWARDED.test(name));
  if (isLoopback(address) && isLoopback(host) && !isForwarded) return undefined;
  return new ApiError(403, "forbidden", CLOSED);
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
