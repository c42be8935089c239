import { configureSync, type LogRecord, resetSync } from "@logtape/logtape";
import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import type { GatingMode } from "../../src/config/types.ts";
import {
  AGGREGATE,
  type Endpoint,
  profileEndpoint,
  serverEndpoint,
  UNGATED,
  withGating,
} from "../../src/gating/endpoint.ts";
import { Finder } from "../../src/gating/finder.ts";
import type { Snapshot } from "../../src/gating/gate.ts";
import { Gating } from "../../src/gating/gating.ts";
import { buildIndex } from "../../src/gating/words/index.ts";
import { replyText } from "../../src/registry/answers.ts";
import type { Route } from "../../src/registry/types.ts";
import { clientOf, exchangeOf, GATED, GatingWorld } from "./support.ts";

test("Gating.answers() by endpoint, mode, and whether the name is a real tool's", () => {
  const plain = { x: { tools: [{ name: "t" }] } };
  const clash = { x: { tools: [{ name: "discover_tools" }], config: { prefix: "never" } } };
  const table: readonly (readonly [Endpoint, GatingMode, plain: boolean, clash: boolean])[] = [
    [AGGREGATE, "on", true, true],
    [AGGREGATE, "auto", true, false],
    [AGGREGATE, "off", false, false],
    [GATED, "off", true, true],
    [GATED, "auto", true, true],
    [UNGATED, "on", false, false],
    [UNGATED, "auto", false, false],
    [serverEndpoint("x"), "on", false, false],
    [profileEndpoint("p"), "auto", true, false],
    [withGating(profileEndpoint("p"), true), "off", true, true],
    [profileEndpoint("gone"), "on", false, false],
  ];
  for (const [endpoint, mode, ...expected] of table) {
    const answers = [plain, clash].map((servers) => {
      const world = new GatingWorld({ gating: { mode }, profiles: { p: {} } }, servers);
      const { request } = exchangeOf("discover_tools", {}, clientOf());
      return world.gating.answers(request, endpoint, world.registry);
    });
    assert.deepEqual(answers, expected, `${endpoint.key} ${mode}`);
  }
});

test("Gating.answers() looks at meta tools only", () => {
  const world = new GatingWorld({ gating: { mode: "on" } });
  for (const name of ["github_create_issue", "toString", ""]) {
    const { request } = exchangeOf(name, {}, clientOf());
    assert.equal(world.gating.answers(request, GATED, world.registry), false);
  }
});

test("meta tools go on answering where auto has opened the gate", async () => {
  const world = new GatingWorld({ gating: { mode: "auto", maxTools: 3 } });
  assert.equal(world.registry.gates.aggregate.isClosed, true);
  const call = () => world.call("discover_tools", { query: "forecast" }, { endpoint: AGGREGATE });
  assert.equal((await call()).structuredContent.tools.length, 1);
  world.change({ github: { tools: [] } });
  assert.equal(world.registry.gates.aggregate.isClosed, false);
  assert.equal((await call()).structuredContent.tools.length, 1);
});

test("a profile that a reload takes away is an error, not an answer of another view", async () => {
  const world = new GatingWorld({ profiles: { p: {} } });
  const endpoint = withGating(profileEndpoint("p"), true);
  const exchange = exchangeOf("discover_tools", { query: "x" }, clientOf());
  const { registry } = new GatingWorld();
  const host = { registry, whenListable: () => undefined, whenNamed: () => Promise.resolve() };
  await assert.rejects(
    async () => await world.gating.answer(exchange, endpoint, host),
    /Profile "p" is not configured any more/,
  );
});

test("Gating makes a finder for who is shown a closed gate, for vectors, and where use counts", async () => {
  const embeddings = { url: "http://127.0.0.1:1/v1", model: "m" };
  for (
    const [gating, { shown, settings = {} }, expected] of [
      [{ mode: "on" }, {}, [0, 0, 0, 0]],
      [{ mode: "on" }, { shown: AGGREGATE }, [1, 1, 0, 1]],
      [{ mode: "on" }, { shown: UNGATED }, [0, 0, 0, 0]],
      [{ mode: "on" }, { shown: serverEndpoint("github") }, [0, 0, 0, 0]],
      [{ mode: "off" }, { shown: AGGREGATE }, [0, 0, 0, 0]],
      [{ mode: "off" }, { shown: GATED }, [1, 1, 0, 1]],
      [{ mode: "on" }, { settings: { embeddings } }, [1, 1, 0, 1]],
      [{ mode: "off" }, { settings: { embeddings } }, [0, 0, 0, 0]],
      [{ mode: "on", usageRanking: true }, {}, [1, 1, 1, 1]],
      [{ mode: "off", usageRanking: true }, {}, [1, 1, 1, 1]],
      [{ mode: "off" }, {}, [0, 0, 0, 0]],
    ] as readonly [object, { shown?: Endpoint; settings?: object }, number[]][]
  ) {
    const world = new GatingWorld({ gating });
    const told = { made: 0, prepared: 0, called: 0, closed: 0 };
    const of = new Gating({
      maxSessions: 10_000,
      createFinder: () => {
        told.made++;
        return Promise.resolve({
          find: () => ({ tools: [], more: 0 }),
          index: () => buildIndex([]),
          prepare: (registry: Snapshot) => {
            assert.equal(registry, world.registry);
            told.prepared++;
          },
          called: (_route: Route) => void told.called++,
          close: () => Promise.resolve(void told.closed++),
        });
      },
      config: () => ({ settings }) as never,
      phase: () => undefined,
      session: () => undefined,
    });
    of.registryChanged(world.registry);
    if (shown !== undefined) of.listed(shown, world.registry);
    of.called({ server: "github", name: "create_issue", exposed: "github_create_issue" });
    await of.close();
    assert.deepEqual(Object.values(told), expected, JSON.stringify([gating, shown, settings]));
  }
});

test("a search that could not be loaded is tried again, told of once, and in nobody's way", async () => {
  const unhandled: unknown[] = [];
  const hear = (error: unknown) => void unhandled.push(error);
  const lines: unknown[] = [];
  const keep = ({ level, rawMessage }: LogRecord) => void lines.push([level, rawMessage]);
  const categories = [["mcproxy", "gating"], ["logtape", "meta"]];
  const loggers = categories.map((category, at) => ({ category, sinks: at === 0 ? ["keep"] : [] }));
  configureSync({ sinks: { keep }, loggers, reset: true });
  process.on("unhandledRejection", hear);
  try {
    const world = new GatingWorld({ gating: { mode: "on", usageRanking: true } });
    let tries = 0;
    let isBroken = true;
    const of = new Gating({
      maxSessions: 10_000,
      createFinder: () => {
        tries++;
        return isBroken
          ? Promise.reject(new Error("too many open files"))
          : Promise.resolve(new Finder({ settings: () => ({ tags: [] }) as never }));
      },
      config: () => ({ servers: new Map(), settings: { profiles: [] } }) as never,
      phase: () => undefined,
      session: () => undefined,
    });
    of.registryChanged(world.registry);
    const turn = () => new Promise((resolve) => setImmediate(resolve));
    const discover = async () => {
      const exchange = exchangeOf("discover_tools", { query: "forecast" }, clientOf());
      const reply = await of.answer(exchange, GATED, world);
      return replyText(reply!);
    };
    for (
      const need of [
        () => of.listed(AGGREGATE, world.registry),
        () => of.called({ server: "github", name: "create_issue", exposed: "github_create_issue" }),
        () => assert.rejects(discover(), /too many open files/),
        () => of.listed(AGGREGATE, world.registry),
      ]
    ) {
      const before = tries;
      await need();
      assert.equal(tries, before + 1);
      // Where it is under way, too.
      await of.close();
      await turn();
    }
    assert.deepEqual(unhandled, []);
    assert.deepEqual(lines, [["error", "The search cannot be loaded, and is tried again"]]);
    isBroken = false;
    assert.match(await discover(), /weather_get_forecast/);
    await of.close();
  } finally {
    process.off("unhandledRejection", hear);
    resetSync();
  }
});

test("Gating.isConstant() where nothing in the list depends on servers", () => {
  const is = (gating: object, endpoint: Endpoint) => {
    const world = new GatingWorld({ gating, profiles: { p: { gating: { mode: "on" } } } });
    return world.gating.isConstant(endpoint, world.registry);
  };
  assert.equal(is({ mode: "on" }, AGGREGATE), true);
  assert.equal(is({ mode: "off" }, GATED), true);
  assert.equal(is({ mode: "off" }, profileEndpoint("p")), true);
  assert.equal(is({ mode: "auto", maxTools: 0 }, AGGREGATE), false);
  assert.equal(is({ mode: "on" }, UNGATED), false);
  assert.equal(is({ mode: "on" }, serverEndpoint("github")), false);
  assert.equal(is({ mode: "on", alwaysVisible: ["x"] }, AGGREGATE), false);
  assert.equal(is({ mode: "on", exposeProvisioned: "auto" }, AGGREGATE), false);
});
