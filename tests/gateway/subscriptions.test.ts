import assert from "node:assert/strict";
import { test } from "node:test";
import { AGGREGATE } from "../../src/gating/endpoint.ts";
import { ActiveExchange } from "../../src/gateway/clients/exchange.ts";
import { modernClient, serveModern } from "../../src/gateway/clients/modern.ts";
import { MAX_SUBSCRIPTIONS, Subscriptions } from "../../src/gateway/clients/subscriptions.ts";
import type { Gateway } from "../../src/gateway/gateway.ts";
import { parseMessage, type RequestMessage } from "../../src/protocol/message.ts";

/** Two servers that have every resource, and count what they are told. */
function setUp() {
  const told: string[] = [];
  let uris = 0;
  const setSubscriptions = (server: string) => (set: ReadonlySet<string>) => {
    told.push(server);
    uris = set.size;
    return Promise.resolve();
  };
  const members = { upstream: (name: string) => ({ setSubscriptions: setSubscriptions(name) }) };
  const view = {
    resource: (uri: string) => ({ server: uri[0]!, uri, exposed: uri, name: uri }),
    capabilities: () => ({ subscribe: ["a", "b"] }),
  };
  const snapshots = {
    registry: { gates: { aggregate: { full: view, view, isClosed: false } } },
    listen: () => () => {},
    viewOrAll: () => view,
  };
  const subscriptions = new Subscriptions(members as never, snapshots as never);
  return { told, size: () => uris, subscriptions, snapshots };
}

const routes = (count: number, server = "a") =>
  Array.from({ length: count }, (_, i) => ({ server, uri: `${server}:${i}` })) as never[];
const subscriber = () => ({ hear: () => {} });

test("many resources are one change for each server", async () => {
  const { told, subscriptions, size } = setUp();
  await subscriptions.addAll([...routes(500, "a"), ...routes(500, "b")], subscriber());
  assert.deepEqual(told, ["a", "b"]);
  assert.equal(size(), 500);
});

test("a subscriber has a bound, and room again for what it gives up", async () => {
  const { subscriptions } = setUp();
  const [one, other] = [subscriber(), subscriber()];
  await subscriptions.addAll(routes(MAX_SUBSCRIPTIONS), one);
  await subscriptions.addAll(routes(MAX_SUBSCRIPTIONS), one);
  const more = { server: "a", uri: "a:more" } as never;
  await assert.rejects(
    async () => await subscriptions.add(more, one),
    /1000 resources are subscribed to already/,
  );
  await subscriptions.add(more, other);
  await subscriptions.remove(routes(1)[0]!, one);
  await subscriptions.add(more, one);
  subscriptions.drop(one);
  await subscriptions.addAll(routes(MAX_SUBSCRIPTIONS), one);
});

test("a listen for 10 000 resources is one change, and its acknowledgement tells the bound", async () => {
  const { subscriptions, snapshots, told } = setUp();
  const resourceSubscriptions = Array.from({ length: 10_000 }, (_, i) => `a:resource/${i}`);
  const text = JSON.stringify({
    jsonrpc: "2.0",
    id: 1,
    method: "subscriptions/listen",
    params: { notifications: { resourceSubscriptions } },
  });
  const sent: string[] = [];
  const client = modernClient({
    protocolVersion: "2026-07-28",
    capabilities: {},
    info: {},
    logLevel: undefined,
  } as never);
  const message = parseMessage(text) as RequestMessage;
  const acknowledged = Promise.withResolvers<void>();
  const exchange = new ActiveExchange(client, message, {
    send: (raw) => {
      sent.push(raw);
      acknowledged.resolve();
    },
  });
  const subscribe: Gateway["subscribe"] = (_exchange, _endpoint, uris, open) => open(uris);
  const stopping = new AbortController().signal;
  const gateway = { snapshots, subscriptions, subscribe, stopping };
  const ended = serveModern(exchange, AGGREGATE, gateway as unknown as Gateway);
  await acknowledged.promise;
  exchange.cancel("enough");
  await ended;
  const { params } = JSON.parse(sent[0]!);
  assert.deepEqual(
    params.notifications.resourceSubscriptions,
    resourceSubscriptions.slice(0, MAX_SUBSCRIPTIONS),
  );
  assert.deepEqual(told, ["a", "a"]);
});
