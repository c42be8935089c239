/** Serves the modern era (2026-07-28): no session, an envelope on every request. */

import { changeMethods, type Endpoint, gone } from "../../gating/endpoint.ts";
import { anyCancelled } from "../../lib/cancel.ts";
import { editJson } from "../../lib/json-edit.ts";
import { isObject, type JsonObject } from "../../lib/json.ts";
import { type Envelope, MetaKey } from "../../protocol/eras.ts";
import { invalidParams, methodNotFound } from "../../protocol/errors.ts";
import type { Client, Principal, Visitor } from "../../protocol/exchange.ts";
import type { ListKind } from "../../protocol/lists.ts";
import {
  errorResponse,
  idTextOf,
  notification,
  type RequestMessage,
  resultResponse,
} from "../../protocol/message.ts";
import { isForeign, methodRule, STATEFUL_METHODS } from "../../protocol/methods.ts";
import { discoverResult } from "../../registry/answers.ts";
import type { ResourceRoute } from "../../registry/types.ts";
import type { Gateway } from "../gateway.ts";
import { exposedNotification, mayHear } from "../tasks.ts";
import type { ActiveExchange } from "./exchange.ts";
import type { Answering } from "./session.ts";
import { MAX_SUBSCRIPTIONS, type ResourceSubscriber } from "./subscriptions.ts";

/** The client behind one modern request, as its envelope describes it; the rest as in {@link Client}. */
export function modernClient(
  envelope: Envelope,
  pipe?: string,
  principal?: Principal,
  { admission, address }: Visitor = {},
): Client {
  const name = typeof envelope.info.name === "string" ? envelope.info.name : "unnamed";
  return {
    label: `modern:${name.slice(0, 40)}`,
    era: "modern",
    protocolVersion: envelope.protocolVersion,
    capabilities: envelope.capabilities,
    info: envelope.info,
    session: undefined,
    pipe,
    principal,
    admission,
    address,
    logLevel: envelope.logLevel,
  };
}

/**
 * Refuses a method that a modern client cannot mean, before anything else is looked at.
 * @throws {RpcError} -32601
 */
export function checkMethod(
  { method }: RequestMessage,
  endpoint: Endpoint,
  gateway: Gateway,
): void {
  if (methodRule(method, "modern") !== undefined) return;
  const foreign = STATEFUL_METHODS.has(method) || isForeign(method, "modern");
  const view = gateway.snapshots.view(endpoint);
  if (!foreign && view?.ownerOfExtension(method) !== undefined) return;
  throw methodNotFound(method);
}

/** Answers one modern request; `undefined` when it was cancelled. Never throws nor rejects. */
export function serveModern(
  exchange: ActiveExchange,
  endpoint: Endpoint,
  gateway: Gateway,
): Answering {
  const { method } = exchange.request;
  if (method === "subscriptions/listen") return listen(exchange, endpoint, gateway);
  if (method === "server/discover") {
    return gateway.events.served(exchange.request, discover(exchange, endpoint, gateway));
  }
  return gateway.handle(exchange, endpoint);
}

async function discover({ request }: ActiveExchange, endpoint: Endpoint, gateway: Gateway) {
  await gateway.snapshots.whenListable(endpoint);
  const view = gateway.snapshots.view(endpoint);
  if (view === undefined) return errorResponse(idTextOf(request), gone(endpoint));
  return resultResponse(idTextOf(request), discoverResult(view));
}

/** What a filter may want to know of by `toolsListChanged`: `notifications/tools/list_changed`. */
const LISTS = ["tools", "prompts", "resources"];

/**
 * Holds a subscription until the client leaves or the gateway stops (2026-07-28, subscriptions).
 * Acknowledges the part of the filter that is honoured: the lists, and the resources whose servers
 * can be subscribed to.
 */
function listen(exchange: ActiveExchange, endpoint: Endpoint, gateway: Gateway): Answering {
  const filter = exchange.request.params?.notifications;
  if (!isObject(filter)) {
    exchange.end();
    const error = invalidParams('"notifications" must be an object');
    return errorResponse(idTextOf(exchange.request), error);
  }
  const { resourceSubscriptions: uris } = filter;
  const most = Array.isArray(uris) ? Math.min(uris.length, MAX_SUBSCRIPTIONS) : 0;
  const open = (most: number) => holdOpen(exchange, endpoint, gateway, filter, most);
  return gateway.subscribe(exchange, endpoint, most, open);
}

/** `most` resources of its filter can be subscribed to. */
async function holdOpen(
  exchange: ActiveExchange,
  endpoint: Endpoint,
  gateway: Gateway,
  filter: JsonObject,
  most: number,
) {
  const { snapshots, subscriptions } = gateway;
  const idText = idTextOf(exchange.request);
  const wanted = LISTS.filter((list) => filter[`${list}ListChanged`] === true);
  const honoured: JsonObject = {};
  for (const list of wanted) honoured[`${list}ListChanged`] = true;
  const routes = new Map<string, ResourceRoute>();
  const { resourceSubscriptions: uris } = filter;
  for (const uri of Array.isArray(uris) ? uris : []) {
    // What is not acknowledged is not honoured.
    if (routes.size === most) break;
    const route = typeof uri === "string" ? subscriptions.find(endpoint, uri) : undefined;
    if (route !== undefined) routes.set(uri as string, route);
  }
  if (routes.size > 0) honoured.resourceSubscriptions = [...routes.keys()];
  const meta = `"_meta":{${JSON.stringify(MetaKey.SubscriptionId)}:${idText}}`;
  let acknowledged = false;
  const subscriber: ResourceSubscriber = {
    hear(server, message) {
      const view = acknowledged ? snapshots.view(endpoint) : undefined;
      if (view === undefined || !mayHear(message, server, view)) return;
      exchange.notify(editJson(exposedNotification(message, server, view), [
        { path: ["params", "_meta", MetaKey.SubscriptionId], value: idText },
      ]));
    },
  };
  const wantedMethods = wanted.map((list) => `notifications/${list}/list_changed`);
  const unsent = new Set<string>();
  const listsChanged = (kinds: readonly ListKind[]) => {
    const methods = changeMethods(kinds);
    for (const method of wantedMethods) if (methods.includes(method)) unsent.add(method);
    if (!acknowledged) return;
    for (const method of unsent) exchange.notify(notification(method, `{${meta}}`));
    unsent.clear();
  };
  const stop = snapshots.listen({ endpoint, era: "modern", listsChanged });
  await subscriptions.addAll([...routes.values()], subscriber);
  // First of all (subscriptions), and only when every server knows.
  exchange.notify(notification(
    "notifications/subscriptions/acknowledged",
    `{${meta},"notifications":${JSON.stringify(honoured)}}`,
  ));
  acknowledged = true;
  listsChanged([]);
  const ended = anyCancelled(exchange.signal, gateway.stopping);
  if (!ended.signal.aborted) {
    await new Promise<void>((resolve) => ended.signal.addEventListener("abort", resolve));
  }
  ended.detach();
  stop();
  subscriptions.drop(subscriber);
  exchange.end();
  return exchange.signal.aborted
    ? undefined
    : resultResponse(idText, `{"resultType":"complete",${meta}}`);
}
