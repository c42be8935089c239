import assert from "node:assert/strict";
import { test } from "node:test";
import type { ServerConfig } from "../../src/config/types.ts";
import type { Member } from "../../src/gateway/members/member.ts";
import { Members } from "../../src/gateway/members/members.ts";
import { Scope } from "../behaviour/scope.ts";
import { startHttpFake } from "../support/fakes/http-server.ts";
import { startGateway } from "../support/gateway.ts";

const NAMES = ["constructor", "toString", "valueOf", "__proto__", "hasOwnProperty"];

test("A server may be called as a member that every object has", async () => {
  await using scope = new Scope();
  const { url } = scope.use(await startHttpFake({ tools: ["echo"] }));
  const servers = NAMES.map((name) => `${JSON.stringify(name)}: ${JSON.stringify({ url })}`);
  const gateway = await startGateway({ mode: "memory", config: `{"mcpServers": {${servers}}}` });
  scope.defer(() => gateway.stop());
  await gateway.ready();
  for (const name of NAMES) {
    const { state, counts } = await gateway.waitForServer(name, () => true);
    assert.deepEqual([name, state, counts.tools], [name, "ready", 1]);
  }
});

test("One server that cannot be made does not keep the others from being there", () => {
  const create = (config: ServerConfig) => {
    if (config.name === "bad") throw new Error("no");
    return { config } as Member;
  };
  const members = new Members({ create, onSwap: () => {}, settings: () => assert.fail() });
  const servers = ["a", "bad", "b"].map((name) => [name, { name } as ServerConfig] as const);
  members.create(new Map(servers));
  assert.deepEqual(members.all.map(({ config }) => config.name), ["a", "b"]);
});
