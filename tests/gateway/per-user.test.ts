/** A whole gateway before a server to which each user logs in: what each is told, and nobody else. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { runtime } from "#runtime";
import { parseConfig } from "../../src/config/load.ts";
import { loadOptions } from "../../src/config/schema.ts";
import { AGGREGATE, serverEndpoint } from "../../src/gating/endpoint.ts";
import { ActiveExchange } from "../../src/gateway/clients/exchange.ts";
import { Gateway } from "../../src/gateway/gateway.ts";
import type { Era } from "../../src/protocol/eras.ts";
import { LOCAL, type Principal } from "../../src/protocol/exchange.ts";
import { parseMessage, type RequestMessage } from "../../src/protocol/message.ts";
import { replyText } from "../../src/registry/answers.ts";
import { PersonalService, type ServiceEra } from "../upstream/personal-service.ts";
import { Time } from "../upstream/oauth/support.ts";
import { clientOf } from "./middleware/middleware-support.ts";

await loadOptions("auth");

const HASH = "0".repeat(64);

const NEEDED = 'Server "jira" needs a login: run "mcproxy login jira"';
/** The same for one who has a key. */
const neededBy = (key: string) => `${NEEDED} with the key "${key}" in MCPROXY_KEY`;
const [alice, bob, carol] = ["alice", "bob", "carol"].map((name): Principal => ({
  id: `key:${name}`,
  who: `key:${name}`,
  names: [],
}));

/** A gateway that these have told their logins to. */
async function open(era: ServiceEra, users: readonly string[], clients: Era = "modern") {
  const time = new Time();
  time.ms = Date.now();
  const service = await PersonalService.open(era, "jira", time);
  for (const user of users) {
    const principal = user === "local" ? user : `key:${user}`;
    await service.file.put({ ...service.grantOf(user, principal), keyMark: HASH.slice(0, 16) });
  }
  const keys = Object.fromEntries(["alice", "bob", "carol"].map((one) => [one, `sha256:${HASH}`]));
  const jira = {
    url: service.url,
    protocol: era,
    transport: "http",
    auth: { type: "oauth", per: "user" },
    cache: { whose: { ttl: "10m" } },
  };
  const text = JSON.stringify({ auth: { keys }, mcpServers: { jira } });
  const parsed = parseConfig(text, { file: "f.json", env: {} });
  assert.ok(parsed.ok, JSON.stringify(parsed));
  const logins = { env: { STATE_DIRECTORY: service.place.path }, cwd: service.place.path };
  const gateway = new Gateway({ config: parsed.config, runtime, logins });
  gateway.start();
  await gateway.settled();
  let id = 0;
  /** The answer to a request, and no more than one message. */
  const ask = async (
    principal: Principal | undefined,
    method: string,
    params: object = {},
    endpoint = AGGREGATE,
  ) => {
    const raw = JSON.stringify({ jsonrpc: "2.0", id: ++id, method, params });
    const client = clientOf(clients === "legacy" ? principal!.who : undefined, { principal });
    const exchange = new ActiveExchange(client, parseMessage(raw) as RequestMessage, {
      send: (message) => assert.fail(message),
    });
    const answer = JSON.parse(replyText((await gateway.handle(exchange, endpoint))!));
    assert.equal(answer.id, id);
    return answer.result ?? answer.error;
  };
  return {
    service,
    gateway,
    ask,
    call: async (principal: Principal | undefined) => {
      const { content, isError = false } = await ask(principal, "tools/call", {
        name: "jira_whose",
        arguments: {},
      });
      return [content?.[0].text, isError];
    },
    [Symbol.asyncDispose]: async () => {
      await gateway.close();
      await service[Symbol.asyncDispose]();
    },
  };
}

const CELLS = [["legacy", "legacy"], ["legacy", "modern"], ["modern", "legacy"], [
  "modern",
  "modern",
]] as const;
for (const [era, clients] of CELLS) {
  test(`what a ${era} server tells one ${clients} user reaches no other`, async () => {
    await using house = await open(era, ["alice", "bob", "local"], clients);
    const { ask, call, service } = house;
    // Twice: what is kept of the first time is his.
    for (let round = 0; round < 2; round++) {
      assert.deepEqual(await call(alice), ["alice", false]);
      assert.deepEqual(await call(bob), ["bob", false]);
      assert.deepEqual(await call(carol), [neededBy("carol"), true]);
      assert.deepEqual(await call(LOCAL), ["local", false]);
      const uri = "jira://issue/1";
      for (const who of [alice!, bob!]) {
        for (const endpoint of [AGGREGATE, serverEndpoint("jira")]) {
          const { contents } = await ask(who, "resources/read", { uri }, endpoint);
          assert.equal(contents[0].text, `read by ${who.id.slice(4)}`);
        }
      }
      const { code, message } = await ask(carol, "resources/read", { uri });
      assert.equal(message, neededBy("carol"));
      assert.ok(code < 0);
      assert.equal(
        (await ask(carol, "prompts/get", { name: "jira_hello" })).message,
        neededBy("carol"),
      );
    }
    assert.equal(service.asked("tools/call").length, 3);
    // Who speaks to the server itself gets again what it says may be kept (2026-07-28).
    const isKept = clients === "modern";
    assert.equal(service.asked("resources/read").length, isKept ? 6 : 8);
    assert.deepEqual((await ask(alice, "resources/list")).resources, []);
    assert.deepEqual((await ask(alice, "resources/templates/list")).resourceTemplates, []);
    assert.deepEqual(service.asked("resources/list"), []);
    const { tools } = await ask(carol, "tools/list");
    assert.deepEqual(tools.map(({ name }: { name: string }) => name), ["jira_whose"]);
  });
}

test("without any login the tools that are known still say what is to be done", async () => {
  await using house = await open("modern", ["alice"]);
  assert.deepEqual(await house.call(alice), ["alice", false]);
  const { service, gateway } = house;
  const upstream = gateway.members.upstream("jira")!;
  const over = new Promise<void>((resolve) => {
    gateway.events.on("server", () => {
      const { reason, lastError } = upstream.status();
      if (reason === "login" && lastError === NEEDED) resolve();
    });
  });
  service.dead.add("alice");
  // Something that the gateway asks for itself.
  await upstream.setSubscriptions(new Set(["jira://issue/1"]));
  await over;
  // His own login, whatever the one for the lists is told.
  const own = neededBy("bob");
  assert.deepEqual(await house.call(bob), [own, true]);
  assert.equal((await house.ask(bob, "prompts/get", { name: "jira_hello" })).message, own);
});
