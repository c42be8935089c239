import assert from "node:assert/strict";
import { test } from "node:test";
import type { ServerTransform } from "../../../src/config/types.ts";
import {
  compose,
  declaresOutput,
  type Middleware,
  withArguments,
} from "../../../src/gateway/middleware/middleware.ts";
import { Chains, type TransformedServer } from "../../../src/gateway/middleware/chains.ts";
import { editJson } from "../../../src/lib/json-edit.ts";
import { buildRegistry } from "../../../src/registry/build.ts";
import { EMPTY_INVENTORY, type Inventory } from "../../../src/protocol/lists.ts";
import type { ArgumentRules } from "../../../src/protocol/arguments.ts";
import { entry } from "../../registry/builders.ts";
import { answered, callTo, textResult } from "./middleware-support.ts";

const NOTHING: ServerTransform = { maxResultBytes: [], replace: [], cache: [] };

/** The chains of the one server `s`, and a short way to those of a tool. */
function chains(lists: Inventory = EMPTY_INVENTORY) {
  let config: TransformedServer | undefined;
  const all = new Chains({
    cacheSize: 100_000,
    config: (server) => server === "s" ? config : undefined,
    inventory: () => lists,
  });
  return Object.assign(all, {
    tool(given: TransformedServer, name: string, argumentRules?: ArgumentRules) {
      config = given;
      return all.of("tools/call", "s", name, { argumentRules: () => argumentRules });
    },
  });
}

test("compose() runs the first outermost and lets each change the call and the answer", async () => {
  const seen: string[] = [];
  const one = (name: string): Middleware => async (call, next) => {
    seen.push(`${name} in`);
    const response = await next({ ...call, name: `${call.name}${name}` });
    seen.push(`${name} out`);
    return response;
  };
  const call = callTo();
  const send = compose([one("a"), one("b")], (last) => {
    seen.push(last.name);
    return Promise.resolve(answered(last, "{}"));
  });
  await send(call);
  assert.deepEqual(seen, ["a in", "b in", "tab", "b out", "a out"]);
  assert.equal(call.name, "t");
});

function rules(rest: Partial<ArgumentRules>): ArgumentRules {
  return { defaults: new Map(), fixed: new Map(), hidden: new Set(), ...rest };
}

/** The text of the request as the upstream gets it. */
async function sent(params: string, middleware: Middleware): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  await middleware(callTo({ params }), (last) => {
    resolve(editJson(last.exchange.request.raw, last.edits));
    return Promise.resolve(answered(last, "{}"));
  });
  return await promise;
}

test("withArguments() puts edits below the arguments and leaves all other text", async () => {
  const inject = withArguments(rules({
    fixed: new Map([["unit", '"km"']]),
    defaults: new Map([["limit", "10"], ["n", "1"]]),
    hidden: new Set(["secret"]),
  }));
  assert.equal(
    await sent(
      '{ "name": "t", "arguments": { "n": 12345678901234567890, "secret": 1 }, "x":1.0 }',
      inject,
    ),
    '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{ "name": "t", "arguments": ' +
      '{"unit":"km","limit":10, "n": 12345678901234567890 }, "x":1.0 }}',
  );
});

test("withArguments() makes arguments where there are none", async () => {
  const inject = withArguments(rules({ fixed: new Map([["a", "1"]]) }));
  assert.match(await sent('{"name":"t"}', inject), /"params":\{"arguments":\{"a":1\},"name":"t"\}/);
});

test("withArguments() passes on a call as it is when nothing has to change", async () => {
  const call = callTo();
  let same: unknown;
  await withArguments(rules({ defaults: new Map([["q", "2"]]) }))(call, (last) => {
    same = last;
    return Promise.resolve(answered(last, "{}"));
  });
  assert.equal(same, call);
});

test("Chains gives nothing for a server or a tool without settings", () => {
  const all = chains();
  assert.equal(all.tool({ key: "k" }, "t"), undefined);
  const transform: ServerTransform = {
    ...NOTHING,
    maxResultBytes: [{ tools: "big_*", bytes: 1000 }],
    cache: [{ tools: "never", ttl: 0, public: false }],
  };
  assert.equal(all.tool({ key: "k", transform }, "t"), undefined);
  assert.equal(all.tool({ key: "k", transform }, "never"), undefined);
  assert.equal(all.tool({ key: "k", transform }, "big_one")?.length, 1);
});

test("Chains builds a chain once for each tool, and puts arguments before it", () => {
  const all = chains();
  const transform: ServerTransform = {
    maxResultBytes: [{ tools: "*", bytes: 1000 }],
    replace: [{ tools: ["*"], pattern: "a", flags: "", with: "b", structured: false }],
    cache: [{ tools: "*", ttl: 10, public: false }],
  };
  const chain = all.tool({ key: "k", transform }, "t");
  assert.equal(chain?.length, 3);
  assert.equal(all.tool({ key: "k", transform }, "t"), chain);
  const longer = all.tool({ key: "k", transform }, "t", rules({}));
  assert.deepEqual(longer?.slice(1), chain);
  assert.equal(all.tool({ key: "k" }, "t", rules({}))?.length, 1);
});

test("Chains takes the first rule whose pattern fits", async () => {
  const transform: ServerTransform = {
    ...NOTHING,
    maxResultBytes: [{ tools: "a*", bytes: 0 }, { tools: "*", bytes: 300 }],
  };
  const all = chains();
  assert.equal(all.tool({ key: "k", transform }, "abc"), undefined);
  const chain = all.tool({ key: "k", transform }, "b")!;
  const call = callTo({ tool: "b" });
  const send = compose(
    chain,
    (last) => Promise.resolve(answered(last, textResult("x".repeat(999)))),
  );
  assert.match((await send(call)).raw, /left out 699 of 999 bytes/);
});

test("Chains caches what was replaced, and cuts it for each client anew", async () => {
  const transform: ServerTransform = {
    maxResultBytes: [{ tools: "*", bytes: 300 }],
    replace: [{ tools: ["*"], pattern: "secret", flags: "", with: "******", structured: false }],
    cache: [{ tools: "*", ttl: 60_000, public: true }],
  };
  const all = chains();
  const chain = all.tool({ key: "k", transform }, "t")!;
  let calls = 0;
  const send = compose(chain, (last) => {
    calls++;
    return Promise.resolve(answered(last, textResult("secret ".repeat(100))));
  });
  const links = [];
  for (const session of ["one", "two"]) {
    const { raw } = await send(callTo({ session }));
    assert.ok(!raw.includes("secret"));
    const uri = /"uri":"(mcproxy:[^"]+)"/.exec(raw)![1]!;
    links.push(uri);
    const client = callTo({ session }).exchange.client;
    assert.ok(!all.store.read(uri, client)!.includes("secret"));
  }
  assert.equal(calls, 1);
  assert.notEqual(links[0], links[1]);
});

test("Chains keeps no cached result of other settings", async () => {
  const all = chains();
  const ask = async (key: string, tools: string) => {
    let wasSent = false;
    const transform: ServerTransform = {
      ...NOTHING,
      cache: [{ tools, ttl: 60_000, public: true }],
      replace: key === "r"
        ? [{ tools: ["*"], pattern: "x", flags: "", with: "y", structured: false }]
        : [],
    };
    await compose(all.tool({ key, transform }, "t")!, (last) => {
      wasSent = true;
      return Promise.resolve(answered(last, textResult("x")));
    })(callTo());
    return wasSent;
  };
  assert.equal(await ask("k", "*"), true);
  assert.equal(await ask("k", "t"), false, "the same settings in other words");
  assert.equal(await ask("k2", "*"), true, "another connection");
  assert.equal(await ask("r", "*"), true, "other text");
});

test("Chains has one chain for reads, and none for other methods or servers", () => {
  const all = chains();
  const view = { argumentRules: () => undefined };
  assert.equal(all.of("resources/read", "s", "f://x", view)?.length, 1);
  assert.equal(all.of("prompts/get", "s", "t", view), undefined);
  assert.equal(all.of("tools/call", "gone", "t", view), undefined);
});

test("Chains asks the server's list whether structured content has to stay", async () => {
  const item = { key: "t", raw: '{"name":"t","outputSchema":{"type":"object"}}' };
  const lists = { ...EMPTY_INVENTORY.lists, tools: { items: [item] } };
  const all = chains({ ...EMPTY_INVENTORY, lists });
  const transform = { ...NOTHING, maxResultBytes: [{ tools: "*", bytes: 300 }] };
  const ask = async (tool: string) => {
    const send = compose(
      all.tool({ key: "k", transform }, tool)!,
      (last) => Promise.resolve(answered(last, `{"structuredContent":["${"x".repeat(400)}"]}`)),
    );
    return (await send(callTo({ tool }))).result?.structuredContent;
  };
  assert.ok(await ask("t"));
  assert.equal(await ask("other"), undefined);
});

test("Chains.registryChanged() forgets what servers with other lists said", async () => {
  const all = chains();
  const transform = { ...NOTHING, cache: [{ tools: "*", ttl: 60_000, public: true }] };
  let calls = 0;
  const ask = async () => {
    await compose(all.tool({ key: "k", transform }, "t")!, (last) => {
      calls++;
      return Promise.resolve(answered(last, "{}"));
    })(callTo());
  };
  const snapshot = (inventory: Inventory) =>
    buildRegistry({ version: 0, servers: [entry("s", inventory), entry("o", EMPTY_INVENTORY)] });
  const before = snapshot(EMPTY_INVENTORY);
  await ask();
  all.registryChanged(before, snapshot(EMPTY_INVENTORY));
  await ask();
  assert.equal(calls, 1);
  all.registryChanged(before, snapshot({ ...EMPTY_INVENTORY }));
  await ask();
  assert.equal(calls, 2);
});

test("declaresOutput() looks at the tool's own member", () => {
  assert.ok(declaresOutput({ key: "t", raw: '{"name":"t","outputSchema":{}}' }));
  assert.ok(!declaresOutput({ key: "t", raw: '{"name":"t","description":"\\"outputSchema\\""}' }));
  assert.ok(!declaresOutput({ key: "t", raw: '{"inputSchema":{"outputSchema":1}}' }));
});
