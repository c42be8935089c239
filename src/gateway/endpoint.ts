import type { Registry, View } from "../registry/types.ts";

/**
 * What a client sees behind one URL: all upstreams as one, some of them as a profile chooses, or a
 * single one untouched. Gated views (later) are further endpoints, not further code paths.
 */
export interface Endpoint {
  /** Two endpoints with the same key are the same. */
  readonly key: string;
  /** The one upstream served 1:1, `undefined` where there are more. */
  readonly server: string | undefined;
  /** The profile, `undefined` for all upstreams and for one. */
  readonly profile: string | undefined;
}

/** All upstreams behind one list. */
export const AGGREGATE: Endpoint = { key: "*", server: undefined, profile: undefined };

/** One upstream, names and URIs untouched. */
export function serverEndpoint(server: string): Endpoint {
  return { key: `servers/${server}`, server, profile: undefined };
}

/** What a profile of the configuration chooses, as one list. */
export function profileEndpoint(profile: string): Endpoint {
  return { key: `profiles/${profile}`, server: undefined, profile };
}

/** The endpoint's view in a snapshot, `undefined` where it is not configured any more. */
export function viewOf(registry: Registry, { server, profile }: Endpoint): View | undefined {
  if (server !== undefined) return registry.servers.get(server);
  return profile === undefined ? registry.aggregate : registry.profiles.get(profile);
}

/** What a client of an endpoint is told that a reload has taken away. */
export function goneText({ server, profile }: Endpoint): string {
  return server === undefined
    ? `Profile ${JSON.stringify(profile)} is not configured any more`
    : `Server ${JSON.stringify(server)} is not configured any more`;
}
