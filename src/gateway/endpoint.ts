import type { Registry, View } from "../registry/types.ts";

/**
 * What a client sees behind one URL: all upstreams as one, or a single one untouched. Profiles and
 * gated views (later) are further endpoints, not further code paths.
 */
export interface Endpoint {
  /** For logs and status, `*` or the server's name. */
  readonly label: string;
  /** The one upstream served 1:1, or `undefined` for the aggregate. */
  readonly server: string | undefined;
}

/** All upstreams behind one list. */
export const AGGREGATE: Endpoint = { label: "*", server: undefined };

/** One upstream, names and URIs untouched. */
export function serverEndpoint(server: string): Endpoint {
  return { label: server, server };
}

/** The endpoint's view in a snapshot, `undefined` where its server is not configured any more. */
export function viewOf(registry: Registry, endpoint: Endpoint): View | undefined {
  return endpoint.server === undefined ? registry.aggregate : registry.servers.get(endpoint.server);
}
