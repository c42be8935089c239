import assert from "node:assert/strict";
import { send } from "../../support/clients/http.ts";
import { startHttpFake } from "../../support/fakes/http-server.ts";
import type { Scope } from "../scope.ts";
import type { Suite } from "../suite.ts";

/** A server that answers nothing. */
async function hung(scope: Scope): Promise<{ url: string }> {
  const fake = scope.use(await startHttpFake({}));
  fake.fault = () => ({ after: new Promise(() => {}) });
  return { url: fake.url };
}

/** What operators and their tools ask. */
export function operations({ verifies }: Suite): void {
  verifies("ops.livez", async ({ configured, scope }) => {
    const gateway = await configured({ mcpServers: { hung: await hung(scope) } });
    assert.equal((await send(`${gateway.base}/livez`, {})).status, 200);
  });

  verifies("ops.readyz", async ({ start, scope }) => {
    const good = scope.use(await startHttpFake({ tools: ["echo"] }));
    const gateway = await start({
      mcpServers: {
        good: { url: good.url },
        hung: { ...await hung(scope), startupTimeout: "1s" },
      },
    });
    const early = await send(`${gateway.base}/readyz`, {});
    assert.equal(early.status, 503);
    assert.ok(early.text.includes("hung"), early.text);
    await gateway.ready();
    const { servers } = await gateway.status();
    assert.equal(servers.find(({ name }) => name === "good")?.state, "ready");
    assert.notEqual(servers.find(({ name }) => name === "hung")?.state, "ready");
  });

  verifies("ops.health", async ({ world }) => {
    const { gateway } = await world();
    const answer = await send(`${gateway.base}/health`, {});
    assert.equal(answer.status, 200);
    assert.match(answer.headers.get("content-type")!, /^application\/json/);
    const health = JSON.parse(answer.text);
    assert.equal(health.status, "ok");
    assert.deepEqual(health.servers, {
      ready: 6,
      total: 6,
      idle: 0,
      starting: 0,
      failing: [],
    });
  });

  verifies("ops.status", async ({ world }) => {
    const { gateway, modern, web } = await world();
    const status = await gateway.status();
    assert.match(status.version, /^\d+\.\d+\.\d+/);
    assert.ok(status.uptimeSeconds >= 0);
    assert.equal(status.config.path, gateway.configPath);
    assert.ok(Math.abs(Date.now() - Date.parse(status.config.loadedAt)) < 600_000);
    assert.equal(status.config.error, null);
    const names = ["alpha", "beta", "paged", "modern", "web", "old"];
    assert.deepEqual(status.servers.map(({ name }) => name), names);
    const of = (name: string) => status.servers.find((server) => server.name === name)!;
    assert.deepEqual(names.map((name) => of(name).state), names.map(() => "ready"));
    assert.deepEqual(["alpha", "modern", "old"].map((name) => of(name).transport), [
      "stdio",
      "http",
      "sse",
    ]);
    assert.deepEqual(["alpha", "modern", "web", "old"].map((name) => of(name).protocolVersion), [
      "2025-11-25",
      "2026-07-28",
      "2025-06-18",
      "2024-11-05",
    ]);
    assert.deepEqual(of("paged").counts, { tools: 25, prompts: 0, resources: 0, templates: 0 });
    const { tools, ...rest } = of("alpha").counts;
    assert.equal(tools, modern.core.lists.tools.length);
    assert.deepEqual(rest, { prompts: 1, resources: 2, templates: 1 });
    assert.equal(of("beta").restarts, 0);
    assert.ok(Number.isInteger(of("alpha").pid));
    assert.equal(of("web").pid ?? null, null);
    assert.equal(web.sessions.size > 0, true);
  });
}
