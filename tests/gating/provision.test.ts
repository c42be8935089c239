import assert from "node:assert/strict";
import { test } from "node:test";
import { AGGREGATE, profileEndpoint, withGating } from "../../src/gating/endpoint.ts";
import { clientOf, GATED, GatingWorld, type ServerGiven, SERVERS } from "./support.ts";

const ids = (tools: readonly { id: string }[]) => tools.map(({ id }) => id);
const CREATE = "github_create_issue";
const LIST = "github_list_issues";
const FORECAST = "weather_get_forecast";

test("provision_tools gives full definitions, as data and as JSON text", async () => {
  const world = new GatingWorld();
  const { structuredContent, text, isError } = await world.call("provision_tools", {
    tool_ids: [LIST, CREATE, LIST],
  });
  assert.equal(isError, false);
  const { did_not_fit: _none, unknown: _neither, ...telling } = structuredContent;
  assert.deepEqual(JSON.parse(text), telling, "without members that are empty");
  const [list, create] = structuredContent.tools;
  assert.deepEqual({ ...list, tokens: 0 }, {
    id: LIST,
    description: "Lists the issues of a repository on GitHub, newest first.",
    inputSchema: { type: "object", properties: { state: { enum: ["open", "closed"] } } },
    outputSchema: { type: "object", properties: { issues: { type: "array" } } },
    annotations: { readOnlyHint: true },
    tokens: 0,
  });
  assert.equal(create.id, CREATE);
  assert.equal(structuredContent.tools.length, 2);
  assert.deepEqual([structuredContent.did_not_fit, structuredContent.unknown], [[], []]);
  assert.ok(!("handle" in structuredContent), "a session needs no handle");
  const { structuredContent: found } = await world.call("discover_tools", {
    query: LIST,
    limit: 1,
  });
  assert.equal(found.tools[0].tokens, list.tokens, "a hit says what its definition will take");
});

test("provision_tools fills the budget in the given order", async () => {
  const world = new GatingWorld();
  const { structuredContent: all } = await world.call("provision_tools", {
    tool_ids: [CREATE, LIST, FORECAST],
  });
  const [create, list, forecast] = all.tools.map(({ tokens }: { tokens: number }) => tokens);
  assert.ok(forecast < list && list < 10_000);
  const within = async (context_tokens: number | string) => {
    const { structuredContent } = await world.call("provision_tools", {
      tool_ids: [CREATE, LIST, FORECAST],
      context_tokens,
    });
    const total = structuredContent.tools.reduce(
      (sum: number, { tokens }: { tokens: number }) => sum + tokens,
      0,
    );
    assert.ok(total <= Math.max(0, Number(context_tokens)));
    return [ids(structuredContent.tools), structuredContent.did_not_fit];
  };
  assert.deepEqual(await within(create + list + forecast), [[CREATE, LIST, FORECAST], []]);
  assert.deepEqual(await within(String(create + forecast)), [
    [CREATE, FORECAST],
    [{ id: LIST, tokens: list }],
  ]);
  assert.deepEqual((await within(-1))[0], []);
});

test("provision_tools keeps to maxTokens where it is told nothing", async () => {
  const world = new GatingWorld({ gating: { maxTokens: 1 } });
  const { structuredContent, isError } = await world.call("provision_tools", {
    tool_ids: [CREATE],
  });
  assert.deepEqual([structuredContent.tools, isError], [[], false]);
  assert.equal(structuredContent.did_not_fit[0].id, CREATE);
});

test("provision_tools takes ids as models write them", async () => {
  const world = new GatingWorld();
  const given: readonly (readonly [toolIds: unknown, ids: readonly string[]])[] = [
    [CREATE, [CREATE]],
    [`${CREATE}, ${LIST}`, [CREATE, LIST]],
    [JSON.stringify([CREATE, LIST]), [CREATE, LIST]],
    ["create_issue", [CREATE]],
    [["github:create_issue", "get_forecast"], [CREATE, FORECAST]],
  ];
  for (const [tool_ids, expected] of given) {
    const { structuredContent } = await world.call("provision_tools", { tool_ids } as never);
    assert.deepEqual(ids(structuredContent.tools), expected, JSON.stringify(tool_ids));
  }
});

test("provision_tools names present tools for ids that are unknown", async () => {
  const world = new GatingWorld();
  const { structuredContent, isError } = await world.call("provision_tools", {
    tool_ids: ["github_creat_issue", FORECAST],
  });
  assert.equal(isError, false);
  assert.deepEqual(ids(structuredContent.tools), [FORECAST]);
  assert.equal(structuredContent.unknown[0].nearest[0], CREATE);
  for (const args of [{}, { tool_ids: [] }, { tool_ids: [{}] }, { tool_ids: ["nothing"] }]) {
    assert.equal((await world.call("provision_tools", args as never)).isError, true);
  }
});

test("provision_tools takes so many ids at a time", async () => {
  const world = new GatingWorld();
  const { structuredContent } = await world.call("provision_tools", {
    tool_ids: [...Array.from({ length: 100 }, (_, index) => `no${index}`), CREATE],
  });
  assert.match(structuredContent.hint, /Only 100 ids at a time; 1 /);
});

test("provision_tools looks for what is near only a few unknown ids, and repeats none in full", async () => {
  const world = new GatingWorld();
  const { structuredContent } = await world.call("provision_tools", {
    tool_ids: [
      ...Array.from({ length: 20 }, (_, index) => `create issue ${index}`),
      "x".repeat(100_000),
    ],
  });
  const { unknown } = structuredContent as { unknown: { id: string; nearest: string[] }[] };
  assert.equal(unknown.length, 21);
  const explained = unknown.map(({ nearest }) => nearest.length > 0);
  assert.deepEqual(explained, unknown.map((_, index) => index < 5));
  assert.ok(unknown.every(({ id }) => id.length <= 101));
});

test("provision_tools waits for the ids only that it will look at", async () => {
  const world = new GatingWorld();
  world.arrival = () => assert.fail("waited");
  const valid = Array.from({ length: 100 }, (_, index) => `do${index}`);
  world.change({ late: { tools: valid.map((name) => ({ name })) } });
  const { structuredContent } = await world.call("provision_tools", {
    tool_ids: [...valid, "nobody_has_this"],
    context_tokens: 1_000_000,
  });
  assert.equal(structuredContent.tools.length, 100);
});

test("provision_tools waits for servers that are starting", async () => {
  const world = new GatingWorld();
  world.arrival = () => world.change({ late: { tools: [{ name: "come" }] } });
  const { structuredContent } = await world.call("provision_tools", { tool_ids: ["late_come"] });
  assert.deepEqual(ids(structuredContent.tools), ["late_come"]);
});

test("list_provisioned_tools has what this session provisioned, and what is gone since", async () => {
  const world = new GatingWorld();
  const [one, other] = [clientOf("c1"), clientOf("c2")];
  const listed = async (client = one) =>
    (await world.call("list_provisioned_tools", {}, { client })).structuredContent;
  assert.match((await world.call("list_provisioned_tools", {})).text, /^None so far/);
  await world.call("provision_tools", { tool_ids: [FORECAST] }, { client: one });
  await world.call("provision_tools", { tool_ids: [CREATE] }, { client: one });
  assert.deepEqual(ids((await listed()).tools), [FORECAST, CREATE]);
  assert.deepEqual((await listed(other)).tools, []);
  world.change({ weather: { tools: [] } });
  const { tools: [left], gone } = await listed();
  assert.equal(left.signature, "create_issue(title: string, body?: string)");
  assert.deepEqual(gone, [FORECAST]);
  world.gating.sessionClosed("c1");
  assert.deepEqual((await listed()).tools, []);
});

test("a modern client provisions under a handle that only its view knows", async () => {
  const world = new GatingWorld({ profiles: { all: {} } });
  const profile = withGating(profileEndpoint("all"), true);
  const client = clientOf();
  const provision = (args: object, endpoint = GATED) =>
    world.call("provision_tools", args as never, { client, endpoint });
  const list = (args: object, endpoint = GATED) =>
    world.call("list_provisioned_tools", args as never, { client, endpoint });
  const { structuredContent: { handle }, text } = await provision({ tool_ids: [CREATE] });
  assert.match(handle, /^[0-9a-f-]{36}$/);
  assert.ok(text.includes(handle));
  const second = await provision({ tool_ids: [LIST], handle });
  assert.equal(second.structuredContent.handle, handle);
  const both = (await list({ handle })).structuredContent.tools;
  assert.deepEqual(ids(both), [CREATE, LIST]);
  const unlisted = await list({});
  assert.deepEqual(unlisted.structuredContent.tools, []);
  assert.match(unlisted.text, /handle/);
  const third = await provision({ tool_ids: [LIST] });
  assert.notEqual(third.structuredContent.handle, handle);
  for (
    const refused of [
      list({ handle: "made up" }),
      list({ handle }, profile),
      provision({ tool_ids: [CREATE], handle }, profile),
      provision({ tool_ids: [CREATE], handle: "x".repeat(100_000) }),
    ]
  ) {
    const { isError, text } = await refused;
    assert.ok(isError && /provision_tools again/.test(text), text);
  }
});

test("provisioned tools join the list of their own session, where that is wanted", async () => {
  const vscode = clientOf("c1", { info: { name: "Visual Studio Code" } });
  const desktop = clientOf("c2", { info: { name: "claude-ai" } });
  const cases = [
    [false, vscode, false],
    [true, vscode, true],
    [true, desktop, true],
    ["auto", vscode, true],
    ["auto", desktop, false],
    [true, clientOf(), false],
  ] as const;
  for (const [exposeProvisioned, client, isListed] of cases) {
    const world = new GatingWorld({ gating: { exposeProvisioned } });
    const own = (endpoint = GATED) =>
      world.gating.provisioned.ownTools(client, endpoint, world.registry);
    assert.equal(own(), undefined);
    await world.call("provision_tools", { tool_ids: [CREATE] }, { client });
    const names = own()?.items.map((raw) => JSON.parse(raw).name) ?? [];
    assert.equal(names.includes(CREATE), isListed, `${exposeProvisioned} ${client.info.name}`);
    assert.deepEqual(world.told, isListed ? [["c" + client.session!.slice(1), ["tools"]]] : []);
    assert.equal(own(AGGREGATE), undefined, "all tools are listed there");
    await world.call("provision_tools", { tool_ids: [CREATE] }, { client });
    assert.equal(world.told.length, isListed ? 1 : 0, "nothing new is nothing to tell");
  }
});

test("a session hears when a tool in its own list changes, and of no other", async () => {
  const client = clientOf("c1");
  const world = new GatingWorld({ gating: { exposeProvisioned: true } });
  const changed = (servers: Readonly<Record<string, ServerGiven>>, who = client) => {
    const before = world.change(servers);
    return world.gating.provisioned.changedFor(world.listener(who), before, world.registry, []);
  };
  await world.call("provision_tools", { tool_ids: [FORECAST] }, { client });
  assert.deepEqual(changed({ github: { tools: [] } }), []);
  const [forecast] = SERVERS.weather!.tools!;
  const weather = (description: string) => ({
    weather: { tools: [{ ...forecast!, description }] },
  });
  assert.deepEqual(changed(weather("Knows the weather.")), ["tools"]);
  assert.deepEqual(changed(weather("Knows all weather."), clientOf("c2")), []);
  assert.deepEqual(changed({ weather: { tools: [] } }), ["tools"]);
  assert.equal(
    world.gating.provisioned.ownTools(client, GATED, world.registry)?.count,
    world.registry.gates.aggregate.view.list("tools").count,
  );
});
