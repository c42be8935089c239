/** What an agent is shown first is everything, in each way it can reach the gateway. */

import assert from "node:assert/strict";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { Restarted } from "../../behaviour/restarted.ts";
import { Scope } from "../../behaviour/scope.ts";
import { stdioUpstream } from "../../behaviour/world.ts";
import { eventually, within } from "../../support/inbox.ts";
import { startProcess } from "../../support/process.ts";
import { programCommand } from "../../support/program.ts";
import { type Agent, furnish, type Target, type Way } from "./agents.ts";
import { type Call, startModel } from "./model.ts";

/** What all servers of the gateway offer: 41 tools. */
const TOOLS = [
  "first_echo",
  ...numbered("many", 19),
  ...numbered("paged", 20),
  "late_echo",
];

function numbered(server: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${server}_tool_${`${i}`.padStart(4, "0")}`);
}

/** Nothing an agent does takes as long, on a busy machine neither, ms. */
const LONGEST = 120_000;

/** A test for each way the agent knows. */
export function proveAgent(agent: Agent): void {
  for (const way of agent.ways) {
    test(`${agent.name} by ${way}: all tools at first, calls, a restart, the same from the cache`, () =>
      proveWay(agent, way));
  }
}

async function proveWay(agent: Agent, way: Way): Promise<void> {
  await using scope = new Scope();
  const model = scope.use(await startModel());
  const home = await mkdtemp(join(tmpdir(), "mcproxy-agent-"));
  scope.defer(() => rm(home, { recursive: true, force: true }));
  const late = join(home, "late.json");
  const listens = way !== "--stdio";
  const gateway = await Restarted.open(scope, "binary", {
    // Over stdio the gateway waits of itself as long as clients do.
    ...listens && { startupGrace: "30s" },
    mcpServers: {
      first: stdioUpstream({ tools: ["echo"] }),
      many: stdioUpstream({ tools: 19 }),
      paged: stdioUpstream({ tools: 20, pageSize: 7 }),
      late: stdioUpstream({ tools: ["echo"], startDelay: 1_500, specFile: late }),
    },
  });
  if (listens) await gateway.start();
  const restart = async () => {
    await gateway.end("SIGTERM");
    await gateway.start();
  };

  /** Runs the agent to its end; the model makes these calls, one after the other. */
  const run = async (which: string, calls: readonly Call[]) => {
    const talk = model.converse(calls);
    const its = agent.run(targetOf(way, gateway), talk.url);
    const where = join(home, which);
    await furnish(where, its);
    const [command, ...args] = its.argv;
    const { PATH } = process.env;
    const env = { PATH, HOME: where, NO_COLOR: "1", ...its.env };
    const running = await startProcess(command, args, { env, cwd: join(where, "work") });
    try {
      running.endInput();
      const { code } = await within(running.exited, agent.name, LONGEST);
      assert.equal(code, 0, "how it ended");
      const [first] = talk.asked.items;
      const missing = TOOLS.filter((tool) => !first?.tools.some((name) => name.endsWith(tool)));
      assert.equal(missing.join(), "", "what the model is not shown at first");
      const results = talk.asked.items.at(-1)!.results;
      assert.equal(results.length, calls.length, "how many calls it has made");
      calls.forEach(({ args: { value } }, i) =>
        assert.ok(results[i]!.includes(value), `${results[i]} is the result of call ${i}`)
      );
    } catch (error) {
      const said = [...running.stdout.items, ...running.stderr.items].slice(-40);
      const seen = talk.asked.items.map(({ tools, results }) =>
        `${tools.length} tools, results: ${results}`
      );
      throw new Error(
        [`${which}: ${error}`, ...seen, "--- the agent", ...said, "--- the gateway"]
          .concat(gateway.lines.slice(-40)).join("\n"),
        { cause: error },
      );
    } finally {
      await running.kill();
    }
  };

  const again = {
    tool: "late_echo",
    args: { value: "after-a-restart" },
    before: async () => {
      await restart();
      // Such a client opens its stream again by itself; a call before that is nobody's.
      if (way === "/sse") {
        await eventually(
          () => sessionsOf(gateway),
          (n) => n > 0,
          "it again",
          60_000,
        );
      }
    },
  };
  await run("without a cache", [
    { tool: "late_echo", args: { value: "from-the-start" } },
    ...(listens ? [again] : []),
  ]);

  // From now on one server never comes up: its tool is there from the cache or not at all.
  assert.equal(
    (await readdir(join(gateway.env.CACHE_DIRECTORY, "lists"))).length,
    4,
    "what is kept",
  );
  await writeFile(late, JSON.stringify({ faults: { hangOnStart: true } }));
  if (listens) await restart();
  await run("with the cache", [{ tool: "first_echo", args: { value: "from-the-cache" } }]);
}

function targetOf(way: Way, gateway: Restarted): Target {
  const program = (args: readonly string[]) => ({
    ...programCommand("binary", args),
    env: gateway.env,
  });
  switch (way) {
    case "/mcp":
    case "/sse":
      return { way, url: `${gateway.base}${way}` };
    case "bridge":
      return { way, ...program(["bridge", gateway.url]) };
    case "--stdio":
      return { way, ...program(["serve", "--stdio", "--config", gateway.config]) };
  }
}

async function sessionsOf(gateway: Restarted): Promise<number> {
  const status = await (await fetch(`${gateway.base}/api/status`)).json();
  return status.clients.sessions;
}
