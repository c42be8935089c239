import type { ProfileConfig, ServerConfig, Settings } from "../config/types.ts";
import { type Glob, parseGlob } from "../lib/glob.ts";
import type { Era } from "../protocol/eras.ts";
import { ErrorCode, RpcError } from "../protocol/errors.ts";
import type { Client } from "../protocol/exchange.ts";
import { type ListKind, listRule } from "../protocol/lists.ts";
import { changedLists } from "../registry/build.ts";
import { memoised } from "../registry/source.ts";
import type { View } from "../registry/types.ts";
import type { Gate, Snapshot } from "./gate.ts";

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
export function viewOf(registry: Snapshot, endpoint: Endpoint): View | undefined {
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
export function gateOf({ gates }: Snapshot, { server, profile }: Endpoint): Gate | undefined {
  if (server !== undefined) return undefined;
  return profile === undefined ? gates.aggregate : gates.profiles.get(profile);
}

/** What a client of an endpoint is told that a reload has taken away. */
export function gone({ server, profile }: Endpoint): RpcError {
  const what = server === undefined ? "Profile" : "Server";
  const text = `${what} ${JSON.stringify(server ?? profile)} is not configured any more`;
  return new RpcError(ErrorCode.UpstreamUnavailable, text);
}

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

/** Someone who wants to know when a list in its view has changed. */
export interface ListListener {
  readonly endpoint: Endpoint;
  /** The same list may read differently in the other era. */
  readonly era: Era;
  /** Who it is, where that makes a difference to its lists: a legacy session's client. */
  readonly client?: Client | undefined;
  /** The lists of its view that have changed; called only when there are any. */
  listsChanged(kinds: readonly ListKind[]): void;
}

/** The notifications that announce these changes; resources and templates share one. */
export function changeMethods(kinds: Iterable<ListKind>): readonly string[] {
  return [...new Set(Array.from(kinds, (kind) => listRule(kind).changed))];
}

/**
 * Tells each listener of the lists that differ between two snapshots. `changedFor` has the last word
 * on what has changed for one of them.
 */
export function announceChanges(
  listeners: Iterable<ListListener>,
  before: Snapshot,
  after: Snapshot,
  changedFor: (listener: ListListener, kinds: readonly ListKind[]) => readonly ListKind[],
): void {
  const changes = new Map<string, readonly ListKind[]>();
  for (const listener of listeners) {
    const { endpoint, era } = listener;
    const kinds = changes.getOrInsertComputed(`${era} ${endpoint.key}`, () => {
      const view = viewOf(after, endpoint);
      return view === undefined ? [] : changedLists(viewOf(before, endpoint), view, era);
    });
    const changed = changedFor(listener, kinds);
    if (changed.length > 0) listener.listsChanged(changed);
  }
}
