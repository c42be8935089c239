/** Lists of tools that one client alone has: the gated list with what it provisioned. */

import type { Client } from "../protocol/exchange.ts";
import type { ListKind } from "../protocol/lists.ts";
import type { ListText } from "../registry/list-text.ts";
import type { Registry } from "../registry/types.ts";
import { type Endpoint, gateOf, isGated, viewOf } from "./endpoint.ts";
import type { ListListener } from "./listeners.ts";
import { type Provisioned, sessionKey } from "./provisioned.ts";
import { rereadsLists } from "./rereading-clients.ts";

/**
 * The list of tools of a client that has tools of its own in it; `undefined` where it is that of its
 * endpoint. Only legacy clients can have one: a modern client has no session, and `tools/list` has
 * no place for a handle.
 */
export function ownTools(
  provisioned: Provisioned,
  client: Client | undefined,
  endpoint: Endpoint,
  registry: Registry,
): ListText | undefined {
  if (client?.session === undefined) return undefined;
  const gate = gateOf(registry, endpoint);
  if (gate === undefined || !isGated(endpoint, gate)) return undefined;
  const { exposeProvisioned } = gate.config;
  if (exposeProvisioned === false) return undefined;
  if (exposeProvisioned === "auto" && !rereadsLists(client.info)) return undefined;
  const names = provisioned.of(sessionKey(client.session));
  return names.length === 0 ? undefined : gate.view.toolsWith(names, client.era);
}

/**
 * The lists that have changed for one listener: `kinds` are those of its endpoint; its own list of
 * tools may have changed alone, or not.
 */
export function changedWithOwn(
  provisioned: Provisioned,
  { client, endpoint, era }: ListListener,
  before: Registry,
  after: Registry,
  kinds: readonly ListKind[],
): readonly ListKind[] {
  const old = ownTools(provisioned, client, endpoint, before);
  const own = ownTools(provisioned, client, endpoint, after);
  if (old === undefined && own === undefined) return kinds;
  const was = old ?? viewOf(before, endpoint)?.list("tools", era);
  const is = own ?? viewOf(after, endpoint)?.list("tools", era);
  const others = kinds.filter((kind) => kind !== "tools");
  const isSame = is === undefined || (was !== undefined && is.sameItems(was));
  return isSame ? others : ["tools", ...others];
}
