/** docs/status.md shows what a gateway answers; here it is compared with one. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { startServer } from "../support/server.ts";
import { summarizeHealth } from "../../src/front/health.ts";
import { STATE_REASONS } from "../../src/upstream/state.ts";
import { configFile } from "../cli/support.ts";
import { fakeCommand } from "../support/fakes/stdio.ts";

const DOCS = readFileSync(new URL("../../docs/status.md", import.meta.url), "utf8");

/** The JSON examples in the order of the page. */
const [HEALTH, STATUS, TOOLS] = [...DOCS.matchAll(/```json\n([\s\S]*?)```/g)]
  .map(([, text]) => JSON.parse(text!));

test("the health example is what summarizeHealth() makes of such servers", () => {
  const server = { settled: true, failed: true, degraded: false };
  const summary = summarizeHealth(
    [
      { ...server, name: "memory", phase: "ready" },
      { ...server, name: "thinking", phase: "ready" },
      { ...server, name: "search", phase: "backoff" },
    ],
    { configError: false, stopping: false },
  );
  assert.deepEqual(HEALTH, summary);
});

test("the status example has the members of a real one, and each is explained", async () => {
  const file = await configFile({
    mcpServers: {
      memory: fakeCommand({ tools: ["echo"] }),
      search: { url: "http://127.0.0.1:1/mcp" },
    },
    warmStart: false,
  });
  const gateway = await startServer({ config: file.path, port: 0 });
  try {
    await gateway.server.gateway.settled();
    const status = await (await fetch(new URL("/api/status", gateway.url))).json();
    const keys = (value: object) => Object.keys(value).toSorted();
    assert.deepEqual(keys(STATUS), keys(status));
    for (const part of ["config", "clients", "lists"]) {
      assert.deepEqual(keys(STATUS[part]), keys(status[part]), part);
    }
    const members = (one: { servers: readonly object[] }) =>
      [...new Set(one.servers.flatMap((server) => Object.keys(server)))].toSorted();
    // While it is being tried there is no time of the next attempt.
    const known = new Set([...members(status), "retryAt"]);
    assert.deepEqual(members(STATUS), [...known].toSorted());
    const names = [...members(STATUS), ...keys(STATUS).filter((key) => key !== "config")];
    for (const name of [...names, "healthDetail", "instances"]) {
      assert.match(DOCS, new RegExp(`^\\|[^|]*\`(\\w+\\.)?${name}[\`.]`, "m"), name);
    }
    for (const key of keys(STATUS.config)) {
      assert.match(DOCS, new RegExp(`^\\| \`config.${key}\``, "m"));
    }
  } finally {
    await gateway.close();
    await file.close();
  }
});

test("the example of what servers offer has the members of a real one, each explained", async () => {
  const file = await configFile({ mcpServers: { memory: fakeCommand({ tools: ["echo"] }) } });
  const gateway = await startServer({ config: file.path, port: 0 });
  try {
    await gateway.server.gateway.settled();
    const real = await (await fetch(new URL("/api/tools", gateway.url))).json();
    const keys = (value: object) => Object.keys(value);
    const [server, told] = [real.servers[0], TOOLS.servers[0]];
    assert.deepEqual(keys(TOOLS), keys(real));
    assert.deepEqual(keys(told), keys(server));
    assert.deepEqual(keys(told.tools[0]), keys(server.tools[0]));
    const [, section] = DOCS.split("## `/api/tools`");
    for (const name of [...keys(told), ...keys(told.tools[0])]) {
      assert.match(section!, new RegExp(`^\\|[^|]*\`${name}\``, "m"), name);
    }
  } finally {
    await gateway.close();
    await file.close();
  }
});

test("every reason is explained in its own words", () => {
  const [, section] = DOCS.split("`reason` is one of these:");
  const rows = [...section!.split("\n## ")[0]!.matchAll(/^\| `([a-z-]+)` +\| (.*?) +\|$/gm)];
  const explained = rows.filter(([, reason]) => reason !== "reason");
  assert.deepEqual(
    Object.fromEntries(explained.map(([, reason, meaning]) => [reason, meaning])),
    STATE_REASONS,
  );
});
