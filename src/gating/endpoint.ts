import type { Registry, View } from "../registry/types.ts";
import type { Gate } from "./gate.ts";

/**
 * What a client sees behind one URL: all upstreams as one, some of them as a profile chooses, or a
 * single one untouched; and of the former whether their tools are gated.
 */
export interface Endpoint {
  /** Two endpoints with the same key are the same. */
  readonly key: string;
  /** The one upstream served 1:1, `undefined` where there are more. */
  readonly server: string | undefined;
  /** The profile, `undefined` for all upstreams and for one. */
  readonly profile: string | undefined;
  /** Whether tools are gated; `undefined` leaves it to the configuration. */
  readonly gated: boolean | undefined;
}

/** All upstreams behind one list. */
export const AGGREGATE: Endpoint = {
  key: "*",
  server: undefined,
  profile: undefined,
  gated: undefined,
};

/** One upstream, names and URIs untouched. */
export function serverEndpoint(server: string): Endpoint {
  return { key: `servers/${server}`, server, profile: undefined, gated: false };
}

/** What a profile of the configuration chooses, as one list. */
export function profileEndpoint(profile: string): Endpoint {
  return { key: `profiles/${profile}`, server: undefined, profile, gated: undefined };
}

/** The same, its tools gated or not whatever the configuration says. */
export function withGating(endpoint: Endpoint, gated: boolean): Endpoint {
  return { ...endpoint, key: `${endpoint.key}/${gated ? "gated" : "ungated"}`, gated };
}

/** {@link AGGREGATE} with all tools listed, however many they are. */
export const UNGATED: Endpoint = withGating(AGGREGATE, false);

/** The endpoint's view in a snapshot, `undefined` where it is not configured any more. */
export function viewOf(registry: Registry, endpoint: Endpoint): View | undefined {
  if (endpoint.server !== undefined) return registry.servers.get(endpoint.server);
  const gate = gateOf(registry, endpoint);
  if (gate === undefined) return undefined;
  return isGated(endpoint, gate) ? gate.view : gate.full;
}

/** Whether clients of the endpoint are before a closed gate: its URL says so, else the configuration. */
export function isGated({ gated }: Endpoint, { isClosed }: Pick<Gate, "isClosed">): boolean {
  return gated ?? isClosed;
}

/** What the endpoint's tools are gated by, closed or not; `undefined` at the URL of one server. */
export function gateOf({ gates }: Registry, { server, profile }: Endpoint): Gate | undefined {
  if (server !== undefined) return undefined;
  return profile === undefined ? gates.aggregate : gates.profiles.get(profile);
}

/** What a client of an endpoint is told that a reload has taken away. */
export function goneText({ server, profile }: Endpoint): string {
  return server === undefined
    ? `Profile ${JSON.stringify(profile)} is not configured any more`
    : `Server ${JSON.stringify(server)} is not configured any more`;
}
