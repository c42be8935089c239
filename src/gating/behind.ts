import type { ServerConfig, Settings } from "../config/config.ts";
import type { ProfileConfig } from "../config/shaping.ts";
import { type Glob, parseGlob } from "../lib/glob.ts";
import { memoised } from "../registry/memo.ts";
import type { Endpoint } from "./endpoint.ts";

/** Read once for each profile: every list of one asks for every server. */
const choices = new WeakMap<ProfileConfig, readonly Glob[]>();

/**
 * Whether a server may have something to offer at an endpoint. Of a profile that chooses by tags
 * every server may: which of its tools have them is known only when it has listed them.
 */
export function isBehind(
  { name, shape }: ServerConfig,
  endpoint: Endpoint,
  { profiles }: Pick<Settings, "profiles">,
): boolean {
  if (endpoint.server !== undefined) return endpoint.server === name;
  if (endpoint.profile === undefined) return true;
  const profile = profiles.find((one) => one.name === endpoint.profile);
  if (profile === undefined) return false;
  const { servers, tags } = profile;
  if (servers === undefined || tags !== undefined) return true;
  const globs = memoised(choices, profile, () => servers.map(parseGlob));
  const names = [name, shape?.alias].filter((one) => one !== undefined);
  return globs.some((glob) => names.some((one) => glob.matches(one)));
}
