import assert from "node:assert/strict";
import { type AddressInfo, connect, createServer } from "node:net";
import { test } from "node:test";
import { TokenTally } from "../../src/gateway/offers.ts";
import { registryCost } from "../../src/gating/gate.ts";
import { toolTokens } from "../../src/registry/source.ts";
import { config, registryOf, serverOf } from "../gating/builders.ts";

const tools = (count: number, word: string) =>
  Array.from({ length: count }, (_, index) => ({
    name: `tool_${index}`,
    description: `Does the ${word} number ${index}. ${"It takes what it is given. ".repeat(20)}`,
    inputSchema: { type: "object", properties: { path: { type: "string" } } },
  }));

const A = serverOf("a", tools(2_500, "thing"));
const B = serverOf("b", tools(10, "other"));

test("TokenTally counts what toolTokens() counts, and each snapshot once", async () => {
  const tally = new TokenTally();
  const registry = registryOf([A, B], config());
  const [first, second] = await Promise.all([tally.of(registry), tally.of(registry)]);
  assert.equal(first, second);
  assert.deepEqual(first, registryCost(registry, (raw) => toolTokens(JSON.parse(raw))));
});

test("TokenTally lets connections have their turn while it counts", async () => {
  const server = createServer((socket) => socket.pipe(socket));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
  try {
    let answers = 0;
    const first = new Promise<void>((resolve) =>
      socket.on("data", () => {
        answers++;
        resolve();
        socket.write("again");
      })
    );
    socket.write("first");
    await first;
    const before = answers;
    await new TokenTally().of(registryOf([A], config()));
    assert.ok(answers - before > 3, `${answers - before} answers`);
  } finally {
    socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  }
});

test("TokenTally does not count again what it knows", async () => {
  const tally = new TokenTally();
  const before = registryOf([A], config());
  await tally.of(before);
  const after = registryOf([A, B], config(), before);
  // What is counted is parsed; how long that takes is the machine's business.
  const { parse } = JSON;
  const counted: string[] = [];
  JSON.parse = (text, ...rest) => {
    counted.push(text);
    return parse(text, ...rest);
  };
  const { aggregate, servers } = await tally.of(after).finally(() => JSON.parse = parse);
  assert.equal(counted.filter((text) => text.includes("the thing number")).length, 0);
  assert.equal(counted.filter((text) => text.includes("the other number")).length, 10);
  assert.equal(aggregate.tools, 2_510);
  assert.equal(
    servers.get("b"),
    registryCost(after, (raw) => toolTokens(JSON.parse(raw))).servers.get("b"),
  );
});
