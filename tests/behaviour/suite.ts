import { after, test } from "node:test";
import { type Config, type Gateway, startGateway } from "../support/gateway.ts";
import type { Mode } from "../support/program.ts";
import { type RequirementId, requirements } from "./requirements.ts";
import { Scope } from "./scope.ts";
import { topics } from "./topics/all.ts";
import { startWorld, type World } from "./world.ts";
import { configureAnew, type ConfiguredBy } from "./configured.ts";

/** What one test works with. Everything it starts ends with it. */
export interface Tools {
  readonly mode: Mode;
  /** The gateway and the upstreams that the tests of a file share; never changed by a test. */
  world(): Promise<World>;
  /**
   * What several tests share, made by whoever asks first; it ends with the file. A test may change
   * only what is its own in there, and none may notice what another has done.
   */
  shared<T>(make: (tools: Tools) => Promise<T>): Promise<T>;
  /** A gateway of this test's own. */
  start(config: Config, options?: StartOptions): Promise<Gateway>;
  /**
   * A gateway with this configuration and nothing of another, for a test that neither looks at its
   * start nor ends it. Where it is a process, whose start costs more than most tests, it is one for
   * all of these tests, which loads each one's configuration anew.
   */
  configured(config: ConfiguredBy): Promise<Gateway>;
  readonly scope: Scope;
}

export interface StartOptions {
  /** Within the test's process: for a run that only leaves something behind for the one tested. */
  readonly inside?: boolean;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** Where a topic puts its tests. */
export interface Suite {
  /** A test that proves a requirement, in every mode. */
  verifies(id: RequirementId, run: (tools: Tools) => Promise<void>): void;
  /** One that needs a process of its own: signals, exit codes, stdin and stdout. */
  verifiesProcess(id: RequirementId, run: (tools: Tools) => Promise<void>): void;
}

/** Registers the whole suite for one way of running the program. */
export function addTests(mode: Mode): void {
  const whole = new Scope();
  const made = new Map<unknown, Promise<unknown>>();
  const shared: Tools["shared"] = <T>(make: (tools: Tools) => Promise<T>) => {
    const all = made as Map<unknown, Promise<T>>;
    const one = all.get(make) ?? make(toolsOf(whole, make));
    all.set(make, one);
    return one;
  };
  /** What was made with the gateway that {@link Tools.configured} gives, as it is configured now. */
  const borrowing = new Set<unknown>();
  const toolsOf = (scope: Scope, by?: unknown): Tools => {
    const start: Tools["start"] = async (config, { inside, ...options } = {}) => {
      const gateway = await startGateway({ mode: inside ? "memory" : mode, config, ...options });
      scope.defer(() => gateway.kill());
      return gateway;
    };
    return {
      mode,
      scope,
      shared,
      world: () => shared(sharedWorld),
      start,
      configured: async (config) => {
        if (mode === "memory") return await start(config);
        const gateway = await shared(startEmpty);
        // Whoever shares it and comes after this makes it anew.
        for (const make of borrowing) made.delete(make);
        borrowing.clear();
        if (by !== undefined) borrowing.add(by);
        return await configureAnew(gateway, config);
      },
    };
  };
  const add = (id: RequirementId, run: (tools: Tools) => Promise<void>) => {
    test(`${mode}: ${id}: ${requirements.get(id)?.behaviour}`, async () => {
      await using scope = new Scope();
      await run(toolsOf(scope));
    });
  };
  const suite: Suite = {
    verifies: add,
    verifiesProcess: (id, run) => {
      if (mode !== "memory") add(id, run);
    },
  };
  for (const topic of topics) topic(suite);
  after(() => whole[Symbol.asyncDispose]());
}

function startEmpty({ start }: Tools): Promise<Gateway> {
  return start({ mcpServers: {} });
}

async function sharedWorld({ mode, scope }: Tools): Promise<World> {
  return scope.use(await startWorld(mode));
}
