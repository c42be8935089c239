import assert from "node:assert/strict";
import { test } from "node:test";
import type { Client } from "../../src/protocol/exchange.ts";
import type { NotificationMessage } from "../../src/protocol/message.ts";
import type { Upstream } from "../../src/upstream/upstream.ts";
import {
  askingTarget,
  callText,
  exchangeFor,
  LEGACY_CLIENT,
  MODERN_CLIENT,
  serverConfig,
  textOf,
  Watch,
  withUpstream,
} from "./support.ts";

const ANNA: Client = { ...LEGACY_CLIENT, session: "anna", logLevel: "info" };

async function call(upstream: Upstream, name: string, args: unknown = {}, client = ANNA) {
  const { raw } = await upstream.forward(exchangeFor(callText(name, args), client), []);
  return JSON.parse(textOf(raw));
}

async function lose(upstream: Upstream): Promise<void> {
  await assert.rejects(call(upstream, "exit"));
}

test("Upstream.setLogLevel() tells a legacy server now and after every reconnect", async () => {
  await withUpstream(serverConfig(askingTarget()), async (upstream) => {
    await upstream.setLogLevel("warning");
    await upstream.setLogLevel("warning");
    await upstream.setLogLevel("debug");
    assert.deepEqual((await call(upstream, "seen")).levels, ["warning", "debug"]);
    await lose(upstream);
    assert.deepEqual((await call(upstream, "seen")).levels, ["debug"]);
  });
});

test("Upstream sets a session's own connection to the level of that session", async () => {
  const config = serverConfig(askingTarget(), { sharing: "session" });
  await withUpstream(config, async (upstream) => {
    await upstream.setLogLevel("debug");
    assert.deepEqual((await call(upstream, "seen")).levels, ["info"]);
    await upstream.setSessionLogLevel("anna", "error");
    await upstream.setSessionLogLevel("nobody", "error");
    assert.deepEqual((await call(upstream, "seen")).levels, ["info", "error"]);
    const modern = { ...MODERN_CLIENT, logLevel: "notice" };
    assert.deepEqual((await call(upstream, "seen", {}, modern)).levels, ["notice"]);
  });
});

test("Upstream sets the shared legacy connection beside a modern one to the level", async () => {
  await withUpstream(serverConfig(askingTarget("dual")), async (upstream) => {
    await upstream.setLogLevel("alert");
    assert.deepEqual((await call(upstream, "seen")).levels, ["alert"]);
    await upstream.setLogLevel("info");
    assert.deepEqual((await call(upstream, "seen")).levels, ["alert", "info"]);
  });
});

test("Upstream.setSubscriptions() tells a legacy server the difference, and all after a reconnect", async () => {
  await withUpstream(serverConfig(askingTarget()), async (upstream) => {
    await upstream.setSubscriptions(new Set(["a:1", "b:2"]));
    await upstream.setSubscriptions(new Set(["b:2", "c:3"]));
    const { subscriptions } = await call(upstream, "seen");
    assert.deepEqual(subscriptions, ["+a:1", "+b:2", "-a:1", "+c:3"]);
    // What is overtaken by a later wish is not left half done.
    const wishes = [["d:4"], [], ["c:3"]].map((uris) => upstream.setSubscriptions(new Set(uris)));
    await Promise.all(wishes);
    const after = (await call(upstream, "seen")).subscriptions.slice(4);
    assert.deepEqual(after.sort(), ["+c:3", "+d:4", "-b:2", "-c:3", "-d:4"]);
    await lose(upstream);
    await call(upstream, "seen");
    await upstream.setSubscriptions(new Set(["c:3"]));
    assert.deepEqual((await call(upstream, "seen")).subscriptions, ["+c:3"]);
  });
});

test("Upstream.setSubscriptions() replaces a modern server's subscription and hears each update once", async () => {
  const updates: string[] = [];
  const watch = new Watch();
  const stir = watch.onNotification;
  const onNotification = ({ method, params }: NotificationMessage) => {
    updates.push(`${method} ${params?.uri}`);
    stir();
  };
  const updated = (uri: string) => `notifications/resources/updated ${uri}`;
  await withUpstream(serverConfig(askingTarget("modern")), async (upstream) => {
    const update = (uri: string) => call(upstream, "update", { uri });
    await upstream.setSubscriptions(new Set(["a:1"]));
    const lists = { resourcesListChanged: true };
    const { listens } = await call(upstream, "seen");
    assert.deepEqual(listens, [{ ...lists, resourceSubscriptions: ["a:1"] }]);
    await update("a:1");
    await update("b:2");
    await watch.until(() => updates.length === 1);
    await upstream.setSubscriptions(new Set(["a:1", "b:2"]));
    await update("a:1");
    await update("b:2");
    await watch.until(() => updates.length === 3);
    assert.deepEqual(updates, [updated("a:1"), updated("a:1"), updated("b:2")]);
    await upstream.setSubscriptions(new Set());
    assert.deepEqual((await call(upstream, "seen")).listens, [lists]);
    // A reconnect brings them back.
    await upstream.setSubscriptions(new Set(["b:2"]));
    await lose(upstream);
    await call(upstream, "seen");
    await upstream.setSubscriptions(new Set(["b:2"]));
    const again = (await call(upstream, "seen")).listens;
    assert.deepEqual(again, [{ ...lists, resourceSubscriptions: ["b:2"] }]);
  }, Object.assign(watch, { onNotification }));
});

test("Upstream.notifyClientRoots() tells the session's own connection, or the shared one", async () => {
  await withUpstream(serverConfig(askingTarget()), async (upstream) => {
    upstream.notifyClientRoots("anna");
    assert.equal((await call(upstream, "seen")).roots, 1);
  });
  const config = serverConfig(askingTarget(), { sharing: "session" });
  await withUpstream(config, async (upstream) => {
    const bert = { ...ANNA, session: "bert" };
    await Promise.all([call(upstream, "seen"), call(upstream, "seen", {}, bert)]);
    upstream.notifyClientRoots("anna");
    assert.equal((await call(upstream, "seen")).roots, 1);
    assert.equal((await call(upstream, "seen", {}, bert)).roots, 0);
  });
});
