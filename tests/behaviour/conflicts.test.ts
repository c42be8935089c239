import assert from "node:assert/strict";
import { test } from "node:test";
import { fakeCommand } from "../support/fakes/stdio.ts";
import { startGateway } from "../support/gateway.ts";

test("names that two servers share are decided on and told once in the log", async () => {
  const config = {
    prefix: "never",
    mcpServers: { one: fakeCommand({}), two: fakeCommand({}) },
  };
  const gateway = await startGateway({ mode: "memory", config });
  try {
    await gateway.waitForLog(/Tool "echo" is offered more than once: exposed as .*"one".*"two"/);
    const told = gateway.logs.items.filter((line) => line.includes('Tool "echo" is offered'));
    assert.equal(told.length, 1);
  } finally {
    await gateway.stop();
  }
});
