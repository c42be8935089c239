/** Who may see what: what `access` gives to whom, and what of an endpoint that leaves. Pure. */

import type { Settings } from "../../config/types.ts";
import { AGGREGATE, type Endpoint, profileEndpoint, withGating } from "../../gating/endpoint.ts";
import { LOCAL, type Principal } from "../../protocol/exchange.ts";

/** What is given, and what one scope more would give. */
export interface Access extends Given {
  /** Those that were asked for and count. */
  readonly scopes: readonly string[];
  readonly steps: readonly (Given & { readonly scope: string })[];
}

interface Given {
  readonly everything: boolean;
  /** Names of profiles. */
  readonly profiles: ReadonlySet<string>;
  /** What stands at the endpoints of all servers instead: the first profile, gated or not. */
  readonly first: ReadonlyMap<boolean | undefined, Endpoint>;
  /** Paths that are no endpoints. */
  readonly paths: ReadonlySet<string>;
}

/** Why something is not shown: it does not exist for them, or is refused, or takes these scopes. */
export type Denial = "hidden" | "refused" | { readonly scopes: readonly string[] };

const SCOPE = "scope:";
const EVERYTHING: Access = { ...given(["*"], []), scopes: [], steps: [] };

/** What a principal may do. Nobody has to say who he is where there is no `auth`. */
export function accessOf(
  principal: Principal | undefined,
  { access, profiles }: Pick<Settings, "access" | "profiles">,
): Access {
  if (principal === undefined || principal === LOCAL || access === undefined) return EVERYTHING;
  const names = new Set(principal.names);
  const fitting = access.filter(({ who }) => who === "*" || names.has(who));
  // A key will never have a scope, whatever its client does.
  const isKey = principal.names.some((name) => name.startsWith("key:"));
  const scoped = isKey ? [] : access.filter(({ who }) => who.startsWith(SCOPE));
  const scopeOf = (who: string) => who.slice(SCOPE.length);
  return {
    ...given(fitting.flatMap(({ gives }) => gives), profiles),
    scopes: scoped.filter(({ who }) => names.has(who)).map(({ who }) => scopeOf(who)),
    steps: scoped.filter(({ who }) => !names.has(who))
      .map(({ who, gives }) => ({ scope: scopeOf(who), ...given(gives, profiles) })),
  };
}

/** Order means nothing in `access`; among several profiles that of `profiles` decides. */
function given(what: readonly string[], profiles: Settings["profiles"]): Given {
  const held = profiles.flatMap(({ name }) => what.includes(name) ? name : []);
  const first = held.slice(0, 1).map(profileEndpoint);
  return {
    everything: what.includes("*"),
    profiles: new Set(held),
    first: new Map(first.flatMap((one) => [
      [undefined, one],
      [true, withGating(one, true)],
      [false, withGating(one, false)],
    ])),
    paths: new Set(what.filter((one) => one.startsWith("/"))),
  };
}

/** The endpoint that is shown to somebody at an endpoint there is. */
export function endpointFor(access: Access, endpoint: Endpoint): Endpoint | Denial {
  if (access.everything) return endpoint;
  return shown(access, endpoint) ?? denial(access, (given) => shown(given, endpoint), endpoint);
}

function shown(given: Given, endpoint: Endpoint): Endpoint | undefined {
  if (given.everything) return endpoint;
  const { server, profile, gated } = endpoint;
  if (server !== undefined) return undefined;
  if (profile === undefined) return given.first.get(gated);
  return given.profiles.has(profile) ? endpoint : undefined;
}

/**
 * Why a path that is no endpoint is not open to somebody; undefined where it is. To change something
 * there takes everything.
 */
export function pathDenial(access: Access, path: string, isChange = false): Denial | undefined {
  const isOpen = ({ everything, paths }: Given) =>
    everything || (!isChange && paths.has(path)) || undefined;
  return isOpen(access) ? undefined : denial(access, isOpen);
}

/** Whoever has nothing at all learns nothing of what there is. */
function denial(access: Access, opens: (given: Given) => unknown, endpoint = AGGREGATE): Denial {
  const step = access.steps.find((step) => opens(step) !== undefined);
  if (step !== undefined) return { scopes: [...access.scopes, step.scope] };
  const { server, profile } = endpoint;
  const isOwn = server === undefined && profile === undefined;
  return isOwn || access.profiles.size + access.paths.size === 0 ? "refused" : "hidden";
}
